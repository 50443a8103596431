"""Members over HTTP: added by their address, removed at once, and always an owner left."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import httpx
import pytest

from domain.accounts.seller_model import MEMBERS_MAX
from domain.rejections import Code
from infra.clock import new_id
from tests.api.people import address, bearer_of, log_in, post, register
from tests.api.selling import acting, add_member, apply, approved, email_of, events_of, mails_to, review
from tests.api.shop import Shop, assert_problem, bearer
from tests.system import eventually


def members(shop: Shop, owner: UUID) -> dict[str, str]:
    listed = shop.http.get("/sellers/me", headers=acting(owner)).json()["members"]
    return {member["account_id"]: member["position"] for member in listed}


def ask(shop: Shop, owner: UUID, email: str, **more: str) -> httpx.Response:
    return shop.http.post("/sellers/me/members", json={"email": email, **more}, headers=acting(owner))


def test_a_member_is_added_by_its_address_and_told_by_mail(shop: Shop):
    owner, staff, second = shop.account(), shop.account(), shop.account()
    seller = approved(shop, owner)
    add_member(shop, owner, email_of(shop, staff).upper())
    add_member(shop, owner, email_of(shop, second), position="owner")
    assert members(shop, owner) == {str(owner): "owner", str(staff): "staff", str(second): "owner"}
    assert events_of(shop, seller)[2:] == [
        ("seller.member_added", owner, {"account_id": str(staff), "position": "staff"}),
        ("seller.member_added", owner, {"account_id": str(second), "position": "owner"}),
    ]
    assert [mail["kind"] for mail in mails_to(shop, email_of(shop, staff))] == ["member_added"]
    signed_in = shop.http.get("/sellers/me", headers=bearer(subject=staff)).json()
    assert signed_in["id"] == seller["id"]


def test_the_answer_does_not_tell_whether_there_is_an_account(shop: Shop):
    owner = shop.account()
    seller = approved(shop, owner)
    elsewhere, unverified, suspended = shop.account(), shop.account(verified=False), shop.account()
    approved(shop, elsewhere)
    shop.execute("UPDATE accounts SET status = 'suspended' WHERE id = $1", suspended)
    before = events_of(shop, seller)
    asked = [address(), *(email_of(shop, a) for a in (elsewhere, unverified, suspended, owner))]
    answers = [ask(shop, owner, email) for email in asked]
    joined = shop.account()
    answers.append(ask(shop, owner, email_of(shop, joined)))
    assert {(answer.status_code, answer.text) for answer in answers} == {(202, answers[0].text)}
    assert members(shop, owner) == {str(owner): "owner", str(joined): "staff"}
    assert len(events_of(shop, seller)) == len(before) + 1
    for email in asked[:4]:
        assert "member_added" not in {mail["kind"] for mail in mails_to(shop, email)}


def test_who_was_rejected_as_a_seller_may_join_another(shop: Shop):
    owner, other = shop.account(), shop.account()
    approved(shop, owner)
    rejected = review(shop, apply(shop, other), "reject", "no licence")
    add_member(shop, owner, email_of(shop, other))
    assert members(shop, owner)[str(other)] == "staff"
    assert events_of(shop, rejected)[-1] == ("seller.member_removed", owner, {"account_id": str(other)})


def test_a_removed_members_token_loses_the_role_within_a_second(shop: Shop):
    owner = shop.account()
    seller = approved(shop, owner)
    email = register(shop)
    account = log_in(shop, email)["account_id"]
    add_member(shop, owner, email)
    staff = log_in(shop, email)
    assert set(staff["roles"]) == {"BUYER", "SELLER"}
    for client in shop.clients:
        assert client.get("/sellers/me", headers=bearer_of(staff)).status_code == 200
    assert shop.http.delete(f"/sellers/me/members/{account}", headers=acting(owner)).status_code == 204
    for client in shop.clients:
        eventually(lambda client=client: client.get("/sellers/me", headers=bearer_of(staff)).status_code == 401, 1.0)
    again = post(shop, "/auth/refresh", refresh_token=staff["refresh_token"]).json()
    assert again["roles"] == ["BUYER"]
    assert_problem(shop.http.get("/sellers/me", headers=bearer_of(again)), 404, Code.NOT_FOUND)
    assert events_of(shop, seller)[-1] == ("seller.member_removed", owner, {"account_id": account})
    gone = shop.http.delete(f"/sellers/me/members/{account}", headers=acting(owner))
    assert_problem(gone, 404, Code.NOT_FOUND)


def test_the_last_owner_stays_also_when_two_leave_at_once(shop: Shop):
    owner, second = shop.account(), shop.account()
    approved(shop, owner)
    refused = shop.http.delete(f"/sellers/me/members/{owner}", headers=acting(owner))
    assert_problem(refused, 409, Code.CONFLICT)
    add_member(shop, owner, email_of(shop, second), position="owner")
    with ThreadPoolExecutor(2) as pool:
        leaving = [
            pool.submit(client.delete, f"/sellers/me/members/{who}", headers=acting(who))
            for client, who in zip(shop.clients, (owner, second), strict=True)
        ]
        answers = sorted(answer.result().status_code for answer in leaving)
    assert answers == [204, 409]
    left = "SELECT count(*) FROM seller_members WHERE account_id = ANY ($1) AND position = 'owner'"
    assert shop.value(left, [owner, second]) == 1


def test_who_doesnt_want_to_be_a_member_leaves_also_while_the_seller_is_suspended(shop: Shop):
    owner, first, second = shop.account(), shop.account(), shop.account()
    seller = approved(shop, owner)
    for who in (first, second):
        add_member(shop, owner, email_of(shop, who))
    assert shop.http.delete(f"/sellers/me/members/{first}", headers=acting(first)).status_code == 204
    shop.execute("UPDATE sellers SET status = 'suspended' WHERE id = $1", UUID(seller["id"]))
    assert_problem(shop.http.delete(f"/sellers/me/members/{second}", headers=acting(owner)), 403, Code.FORBIDDEN)
    assert shop.http.delete(f"/sellers/me/members/{second}", headers=bearer(subject=second)).status_code == 204
    # And they may do something else then.
    assert apply(shop, second)["status"] == "applied"


def test_a_stranger_is_no_member_to_remove(shop: Shop):
    owner, other = shop.account(), shop.account()
    approved(shop, owner)
    approved(shop, other)
    for who in (other, new_id()):
        refused = shop.http.delete(f"/sellers/me/members/{who}", headers=acting(owner))
        assert_problem(refused, 404, Code.NOT_FOUND)
    assert_problem(
        shop.http.delete(f"/sellers/me/members/{owner}", headers=bearer(subject=shop.account())), 403, Code.FORBIDDEN
    )
    assert members(shop, other) == {str(other): "owner"}


def test_an_account_that_two_owners_add_at_once_joins_one(shop: Shop):
    owners = [shop.account(), shop.account()]
    for owner in owners:
        approved(shop, owner)
    wanted = shop.account()
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(ask, shop, owner, email_of(shop, wanted)) for owner in owners]
        assert {answer.result().status_code for answer in asked} == {202}
    assert sum(str(wanted) in members(shop, owner) for owner in owners) == 1
    assert len(mails_to(shop, email_of(shop, wanted))) == 1


def test_a_seller_has_at_most_a_hundred_members(shop: Shop):
    owner = shop.account()
    seller = approved(shop, owner)
    for _ in range(MEMBERS_MAX - 1):
        shop.member(UUID(seller["id"]))
    for email in (address(), email_of(shop, shop.account())):
        assert_problem(ask(shop, owner, email), 409, Code.LIMIT_REACHED)


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "email"),
        ({"email": "nobody"}, "email"),
        ({"email": "ada@ex\u0430mple.com"}, "email"),
        ({"email": "ada@example.com", "position": "admin"}, "position"),
        ({"email": "ada@example.com", "account_id": str(new_id())}, "account_id"),
    ],
)
def test_a_bad_member_is_a_400_that_names_the_field(shop: Shop, body: dict[str, Any], path: str):
    owner = shop.account()
    approved(shop, owner)
    refused = shop.http.post("/sellers/me/members", json=body, headers=acting(owner))
    assert_problem(refused, 400, Code.INVALID_REQUEST, path)
