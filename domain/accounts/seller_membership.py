"""Who may act for a seller: pure decisions over its members, read under the seller's lock.

Invariant: an account is a member of one seller at most, and a seller that sells has an owner. Only owners change who
is a member; anybody may leave. While a seller isn't approved nobody changes anything of it: what is under review, or
suspended for what may be fraud, stays as it is until an admin decides.
"""

from collections.abc import Sequence
from uuid import UUID

from domain.accounts.model import Account, AccountStatus, Membership, Position, SellerStatus
from domain.accounts.seller_model import MEMBERS_MAX, Member
from domain.rejections import Code, Rejection


def refuse_application(membership: Membership | None) -> Rejection | None:
    """Refuse who is a member already, unless of a seller that was rejected."""
    if membership is None or membership.status is SellerStatus.REJECTED:
        return None
    return Rejection(409, Code.CONFLICT, f"this account is a member of a seller that is {membership.status.value}")


def refuse_to_act(status: SellerStatus, members: Sequence[Member], actor: UUID) -> Rejection | None:
    """Refuse who isn't a member, and every member of a seller that isn't approved."""
    if all(member.account_id != actor for member in members):
        return Rejection(403, Code.FORBIDDEN, "you are a member of no seller")
    if status is not SellerStatus.APPROVED:
        return Rejection(403, Code.FORBIDDEN, f"your seller is {status.value}: only an approved one may do this")
    return None


def refuse_staff(members: Sequence[Member], actor: UUID) -> Rejection | None:
    """Refuse who is no owner."""
    if any(member.account_id == actor and member.position is Position.OWNER for member in members):
        return None
    return Rejection(403, Code.FORBIDDEN, "only an owner of the seller may do this")


def refuse_another(members: Sequence[Member]) -> Rejection | None:
    """Refuse a member more than there may be, whoever it would be."""
    if len(members) < MEMBERS_MAX:
        return None
    return Rejection(409, Code.LIMIT_REACHED, f"a seller has at most {MEMBERS_MAX} members: remove one first")


def can_join(account: Account | None, membership: Membership | None) -> bool:
    """Whether an account becomes a member when an owner says so.

    Its address has to be verified: else whoever registered with the address of somebody's colleague would be let in.
    """
    if account is None or account.status is not AccountStatus.ACTIVE or account.verified_at is None:
        return False
    return refuse_application(membership) is None


def refuse_removal(members: Sequence[Member], actor: UUID, leaves: UUID) -> Rejection | None:
    """Refuse to let a member go: it isn't one, it isn't the actor's to say, or no owner would be left."""
    refused = None if actor == leaves else refuse_staff(members, actor)
    if refused is not None:
        return refused
    if all(member.account_id != leaves for member in members):
        return Rejection(404, Code.NOT_FOUND, "there is no such member of your seller")
    if not any(member.position is Position.OWNER for member in members if member.account_id != leaves):
        return Rejection(409, Code.CONFLICT, "a seller has at least one owner: add another one first")
    return None
