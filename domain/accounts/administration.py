"""What an admin may do to accounts: pure decisions over one account and how many other admins there are.

Invariant: somebody can always administer. The last active admin is neither suspended nor loses the role.
"""

from collections.abc import Sequence

from msgspec import Struct

from domain.accounts.model import Account, AccountStatus, Role
from domain.rejections import Code, Rejection

GIVEN_ROLES = frozenset({Role.ADMIN, Role.BUYER})
"""The roles an account holds itself; SELLER comes with membership, GUEST with having no account."""


class Change(Struct, frozen=True):
    """What becomes of an account. ``revokes``: tokens in hand promise more than it may do now."""

    status: AccountStatus
    roles: frozenset[Role]
    revokes: bool


def suspend(account: Account, other_admins: int) -> Change | Rejection:
    """Keep somebody out; a suspended account stays suspended."""
    if Role.ADMIN in account.roles and account.status is AccountStatus.ACTIVE and other_admins == 0:
        return _last_admin("suspended")
    return Change(AccountStatus.SUSPENDED, account.roles & GIVEN_ROLES, revokes=True)


def reactivate(account: Account, _other_admins: int) -> Change:
    """Let somebody in again; they have to sign in anew or refresh."""
    return Change(AccountStatus.ACTIVE, account.roles & GIVEN_ROLES, revokes=False)


def set_roles(account: Account, roles: Sequence[Role], other_admins: int) -> Change | Rejection:
    """Give an account exactly these roles of its own."""
    for index, role in enumerate(roles):
        if role not in GIVEN_ROLES:
            detail = f"{role.value} isn't given to accounts; it comes with membership of an approved seller"
            if role is Role.GUEST:
                detail = f"{role.value} isn't given to accounts; it is for those who have none"
            return Rejection(400, Code.INVALID_REQUEST, detail, f"roles[{index}]")
    wanted, held = frozenset(roles), account.roles & GIVEN_ROLES
    if Role.ADMIN in held - wanted and account.status is AccountStatus.ACTIVE and other_admins == 0:
        return _last_admin("without the role")
    return Change(account.status, wanted, revokes=bool(held - wanted))


def _last_admin(what: str) -> Rejection:
    return Rejection(409, Code.CONFLICT, f"the last active admin can't be {what}: make another one first")
