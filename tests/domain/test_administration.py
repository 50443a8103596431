"""What admins may do to accounts."""

from uuid import UUID

import pytest

from domain.accounts.administration import Change, reactivate, set_roles, suspend
from domain.accounts.model import Account, AccountStatus, Role
from domain.rejections import Rejection

ACTIVE, SUSPENDED = AccountStatus.ACTIVE, AccountStatus.SUSPENDED


def account(*roles: Role, status: AccountStatus = ACTIVE) -> Account:
    return Account(UUID(int=1), "a@b.cc", "", "hash", frozenset(roles), status, None, 1, 1)


def test_a_suspension_revokes_what_is_in_hand():
    change = suspend(account(Role.BUYER, Role.SELLER), 1)
    assert change == Change(SUSPENDED, frozenset({Role.BUYER}), revokes=True)


def test_a_reactivation_gives_nothing_back_that_was_revoked():
    assert reactivate(account(Role.BUYER, status=SUSPENDED), 0) == Change(
        ACTIVE, frozenset({Role.BUYER}), revokes=False
    )


@pytest.mark.parametrize("roles", [(), (Role.BUYER,)])
def test_the_last_active_admin_keeps_the_role_and_stays_in(roles: tuple[Role, ...]):
    admin = account(Role.ADMIN, Role.BUYER)
    for refused in (suspend(admin, 0), set_roles(admin, roles, 0)):
        assert isinstance(refused, Rejection)
        assert refused.status == 409
    assert isinstance(suspend(admin, 1), Change)
    assert isinstance(set_roles(admin, roles, 1), Change)
    assert isinstance(set_roles(account(Role.ADMIN, status=SUSPENDED), roles, 0), Change)


def test_only_what_is_taken_away_revokes():
    assert set_roles(account(Role.BUYER), [Role.BUYER, Role.ADMIN], 1) == Change(
        ACTIVE, frozenset({Role.BUYER, Role.ADMIN}), revokes=False
    )
    taken = set_roles(account(Role.BUYER, Role.ADMIN, Role.SELLER), [Role.BUYER], 1)
    assert taken == Change(ACTIVE, frozenset({Role.BUYER}), revokes=True)


@pytest.mark.parametrize("role", [Role.SELLER, Role.GUEST])
def test_roles_that_come_from_elsewhere_are_refused_by_name(role: Role):
    refused = set_roles(account(Role.BUYER), [Role.BUYER, role], 1)
    assert isinstance(refused, Rejection)
    assert (refused.status, refused.path) == (400, "roles[1]")
    assert role.value in refused.detail
