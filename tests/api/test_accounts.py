"""Accounts as admins see them: listed, suspended, given roles; never left without an admin."""

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest

from domain.accounts.model import Role
from tests.api.people import bearer_of, log_in, post, register
from tests.api.shop import Shop, assert_problem, bearer
from tests.system import eventually

ADMIN = bearer(Role.ADMIN)


def admins(shop: Shop) -> int:
    return int(shop.value("SELECT count(*) FROM accounts WHERE 'ADMIN' = ANY (roles) AND status = 'active'"))


@pytest.fixture
def no_admins(shop: Shop):
    shop.execute("UPDATE accounts SET roles = '{BUYER}' WHERE 'ADMIN' = ANY (roles)")


def test_accounts_are_listed_newest_first_and_filtered(shop: Shop):
    old, new = shop.account(), shop.account(Role.ADMIN)
    listed = shop.http.get("/accounts?limit=2", headers=ADMIN).json()
    assert [item["id"] for item in listed["items"]] == [str(new), str(old)]
    assert "password_hash" not in listed["items"][0]
    email = f"{old.hex.upper()}@EXAMPLE.com"
    found = shop.http.get("/accounts", params={"email": email}, headers=ADMIN).json()["items"]
    assert [item["id"] for item in found] == [str(old)]
    of_role = shop.http.get("/accounts?role=ADMIN&limit=1", headers=ADMIN).json()["items"]
    assert [item["id"] for item in of_role] == [str(new)]
    assert shop.http.get("/accounts?status=suspended&role=SELLER", headers=ADMIN).json()["items"] == []
    assert_problem(shop.http.get("/accounts?role=KING", headers=ADMIN), 400, "invalid_request", "role")


def test_only_admins_see_accounts(shop: Shop):
    for roles in ((Role.BUYER,), (Role.SELLER,), (Role.GUEST,)):
        assert_problem(shop.http.get("/accounts", headers=bearer(*roles)), 403, "forbidden")
    assert_problem(shop.http.get("/accounts"), 401, "unauthenticated")


def test_a_suspension_has_a_reason_and_an_event(shop: Shop):
    account = shop.account()
    path = f"/accounts/{account}/suspend"
    assert_problem(shop.http.post(path, json={}, headers=ADMIN), 400, "invalid_request", "reason")
    actor = uuid4()
    for _ in range(2):
        answer = shop.http.post(path, json={"reason": "fraud"}, headers=bearer(Role.ADMIN, subject=actor))
        assert (answer.status_code, answer.json()["status"]) == (200, "suspended")
    events = shop.fetch("SELECT type, actor, data ->> 'reason' AS reason FROM events WHERE stream = $1", account)
    assert [tuple(row) for row in events] == [("account.suspended", actor, "fraud")], "and suspending twice is one"


def test_a_role_that_is_taken_away_is_gone_within_a_second(shop: Shop):
    signed_in = log_in(shop, register(shop))
    account = signed_in["account_id"]
    given = shop.http.put(f"/accounts/{account}/roles", json={"roles": ["ADMIN", "BUYER"]}, headers=ADMIN)
    assert given.json()["roles"] == ["ADMIN", "BUYER"]
    admin = post(shop, "/auth/refresh", refresh_token=signed_in["refresh_token"]).json()
    assert shop.http.get("/accounts?limit=1", headers=bearer_of(admin)).status_code == 200
    shop.account(Role.ADMIN)
    taken = shop.http.put(f"/accounts/{account}/roles", json={"roles": ["BUYER"]}, headers=ADMIN)
    assert taken.json()["roles"] == ["BUYER"]
    for client in shop.clients:
        eventually(lambda client=client: client.get("/accounts", headers=bearer_of(admin)).status_code == 401, 1)
    again = post(shop, "/auth/refresh", refresh_token=admin["refresh_token"]).json()
    assert again["roles"] == ["BUYER"]
    assert shop.http.get("/accounts", headers=bearer_of(again)).status_code == 403


@pytest.mark.parametrize("role", ["SELLER", "GUEST", "KING"])
def test_roles_that_come_from_elsewhere_are_not_given(shop: Shop, role: str):
    account = shop.account()
    answer = shop.http.put(f"/accounts/{account}/roles", json={"roles": ["BUYER", role]}, headers=ADMIN)
    assert_problem(answer, 400, "invalid_request", "roles[1]")


def test_a_role_is_given_on_the_version_that_was_read(shop: Shop):
    account = shop.account()
    headers = {**ADMIN, "If-Match": '"7"'}
    answer = shop.http.put(f"/accounts/{account}/roles", json={"roles": ["BUYER"]}, headers=headers)
    assert_problem(answer, 412, "stale_version", "If-Match")


def test_an_account_nobody_has_is_a_404(shop: Shop):
    assert_problem(post(shop, f"/accounts/{uuid4()}/suspend", ADMIN, reason="x"), 404, "not_found")
    assert_problem(shop.http.post(f"/accounts/{uuid4()}/reactivate", headers=ADMIN), 404, "not_found")


@pytest.mark.usefixtures("no_admins")
def test_the_last_admin_stays_one(shop: Shop):
    last = shop.account(Role.ADMIN)
    assert_problem(post(shop, f"/accounts/{last}/suspend", ADMIN, reason="x"), 409, "conflict")
    answer = shop.http.put(f"/accounts/{last}/roles", json={"roles": []}, headers=ADMIN)
    assert_problem(answer, 409, "conflict")


@pytest.mark.usefixtures("no_admins")
def test_admins_who_take_each_others_role_at_once_leave_one(shop: Shop):
    both: list[UUID] = [shop.account(Role.ADMIN) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda a: shop.http.put(f"/accounts/{a}/roles", json={"roles": []}, headers=ADMIN), both))
    assert admins(shop) == 1
