"""Sellers as admins review them: every step, its event and mail, and what it does to tokens in hand."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import jwt
import pytest

from domain.accounts.model import Role, Scope
from domain.rejections import Code
from infra.clock import new_id
from tests.api.people import bearer_of, log_in, post, register
from tests.api.selling import ADMIN, acting, add_member, apply, approved, email_of, events_of, mails_to, review
from tests.api.shop import Shop, assert_problem, bearer, order, wait
from tests.system import eventually

WITHIN = 1.0
WAYS = {"approve": None, "reject": "why", "suspend": "why", "reinstate": None}


def refresh(shop: Shop, signed_in: dict[str, Any]) -> dict[str, Any]:
    answer = post(shop, "/auth/refresh", refresh_token=signed_in["refresh_token"])
    assert answer.status_code == 200, answer.text
    fresh: dict[str, Any] = answer.json()
    return fresh


def roles_in(signed_in: dict[str, Any]) -> list[str]:
    claims = jwt.decode(signed_in["access_token"], options={"verify_signature": False})
    return sorted(claims["roles"])


def test_a_seller_goes_its_way_with_an_event_for_each_step(shop: Shop):
    account, admin = shop.account(), new_id()
    seller = apply(shop, account, name="Ada's")
    states = []
    for way, reason in (("approve", None), ("suspend", "late parcels"), ("reinstate", None)):
        path = f"/sellers/{seller['id']}/{way}"
        answer = shop.http.post(
            path, headers=bearer(Role.ADMIN, subject=admin), json=None if reason is None else {"reason": reason}
        )
        states.append((answer.status_code, answer.json()["status"], answer.json()["reason"], answer.headers["etag"]))
    assert states == [
        (200, "approved", "", '"2"'),
        (200, "suspended", "late parcels", '"3"'),
        (200, "approved", "", '"4"'),
    ]
    assert events_of(shop, seller)[1:] == [
        ("seller.approved", admin, {"name": "Ada's"}),
        ("seller.suspended", admin, {"reason": "late parcels"}),
        ("seller.reinstated", admin, {"name": "Ada's"}),
    ]
    rejected = review(shop, apply(shop, shop.account()), "reject", "no licence")
    assert (rejected["status"], rejected["reason"]) == ("rejected", "no licence")


LEADING_TO = {
    "applied": [],
    "rejected": ["reject"],
    "approved": ["approve"],
    "suspended": ["approve", "suspend"],
}
ALLOWED = {
    "applied": {"approve", "reject"},
    "rejected": set(),
    "approved": {"suspend"},
    "suspended": {"reinstate"},
}


@pytest.mark.parametrize("state", LEADING_TO)
def test_an_illegal_step_is_a_409_that_names_the_state_and_what_is_allowed(shop: Shop, state: str):
    seller = apply(shop, shop.account())
    for way in LEADING_TO[state]:
        review(shop, seller, way, WAYS[way])
    before = events_of(shop, seller)
    for way in set(WAYS) - ALLOWED[state]:
        body = None if WAYS[way] is None else {"reason": WAYS[way]}
        refused = shop.http.post(f"/sellers/{seller['id']}/{way}", headers=ADMIN, json=body)
        detail = assert_problem(refused, 409, Code.SELLER_STATE)["detail"]
        assert detail.startswith(f"the seller is {state}")
        assert all(allowed in detail for allowed in ALLOWED[state])
    assert events_of(shop, seller) == before


@pytest.mark.parametrize("way", ["reject", "suspend"])
@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": " \n"}, {"reason": "a" * 2_001}, {"reason": None}])
def test_rejecting_and_suspending_need_a_reason(shop: Shop, way: str, body: dict[str, Any]):
    seller = apply(shop, shop.account())
    refused = shop.http.post(f"/sellers/{seller['id']}/{way}", json=body, headers=ADMIN)
    assert_problem(refused, 400, Code.INVALID_REQUEST, "reason")
    assert len(events_of(shop, seller)) == 1


def test_of_two_admins_who_decide_at_once_one_does(shop: Shop):
    seller = apply(shop, shop.account())
    with ThreadPoolExecutor(8) as pool:
        path = f"/sellers/{seller['id']}"
        approvals = [pool.submit(shop.clients[n % 2].post, f"{path}/approve", headers=ADMIN) for n in range(4)]
        rejections = [
            pool.submit(shop.clients[n % 2].post, f"{path}/reject", json={"reason": "no"}, headers=ADMIN)
            for n in range(4)
        ]
        answers = [decision.result().status_code for decision in approvals + rejections]
    assert sorted(answers) == [200] + [409] * 7
    assert len(events_of(shop, seller)) == 2


def test_a_decision_is_made_on_the_version_that_was_read(shop: Shop):
    seller = apply(shop, shop.account())
    stale = shop.http.post(f"/sellers/{seller['id']}/approve", headers={**ADMIN, "If-Match": '"7"'})
    assert_problem(stale, 412, Code.STALE_VERSION, "If-Match")
    read = shop.http.post(f"/sellers/{seller['id']}/approve", headers={**ADMIN, "If-Match": '"1"'})
    assert read.json()["status"] == "approved"


def test_the_owner_is_told_by_mail(shop: Shop):
    first, second = shop.account(), shop.account()
    approved(shop, first)
    review(shop, apply(shop, second), "reject", "no licence")
    (welcome,) = mails_to(shop, email_of(shop, first))
    assert welcome["kind"] == "seller_approved"
    (sorry,) = mails_to(shop, email_of(shop, second))
    assert (sorry["kind"], sorry["reason"]) == ("seller_rejected", "no licence")
    shop.settle()
    ended = "SELECT count(*) FROM commands c JOIN outcomes o USING (id) WHERE c.payload ->> 'to' = $1"
    assert shop.value(ended, email_of(shop, first)) == 1


def test_the_role_comes_with_an_approved_seller_and_goes_with_its_suspension_within_a_second(shop: Shop):
    owner = log_in(shop, register(shop))
    buyer = log_in(shop, register(shop))
    seller = apply(shop, UUID(owner["account_id"]))
    assert roles_in(refresh(shop, owner)) == ["BUYER"]
    review(shop, seller, "approve")
    owner = log_in(shop, email_of(shop, UUID(owner["account_id"])))
    assert roles_in(owner) == ["BUYER", "SELLER"]
    change = {"name": "Still ours"}
    for client in shop.clients:
        assert client.patch("/sellers/me", json=change, headers=bearer_of(owner)).status_code == 200
    review(shop, seller, "suspend", "fraud")
    for client in shop.clients:
        eventually(
            lambda client=client: client.patch("/sellers/me", json=change, headers=bearer_of(owner)).status_code == 401,
            WITHIN,
        )
    # Their refresh tokens stay good, and others' tokens, too.
    again = refresh(shop, owner)
    assert roles_in(again) == ["BUYER"]
    assert_problem(shop.http.patch("/sellers/me", json=change, headers=bearer_of(again)), 403, Code.FORBIDDEN)
    looked = shop.http.get("/sellers/me", headers=bearer_of(again)).json()
    assert (looked["status"], looked["reason"]) == ("suspended", "fraud")
    assert shop.http.get("/auth/profile", headers=bearer_of(buyer)).status_code == 200
    review(shop, seller, "reinstate")
    assert roles_in(refresh(shop, again)) == ["BUYER", "SELLER"]


def test_staff_and_keys_lose_the_role_with_the_suspension(shop: Shop):
    owner, staff = shop.account(), shop.account()
    seller = approved(shop, owner)
    add_member(shop, owner, email_of(shop, staff))
    body = {"name": "service", "scopes": [Scope.SELLERS_WRITE.value, Scope.ORDERS_READ.value]}
    made = shop.http.post("/api-keys", json=body, headers=bearer(subject=owner)).json()
    key = {"Authorization": f"Bearer {made['key']}"}
    for client in shop.clients:
        assert client.patch("/sellers/me", json={}, headers=key).status_code == 200
    review(shop, seller, "suspend", "fraud")
    for client in shop.clients:
        eventually(lambda client=client: client.patch("/sellers/me", json={}, headers=key).status_code == 403, WITHIN)
        eventually(lambda client=client: client.get("/sellers/me", headers=acting(staff)).status_code == 401, WITHIN)
        assert client.get("/orders", headers=key).status_code == 200, "what it may as a buyer it still may"


def test_a_suspended_sellers_lines_are_refused_from_the_next_order_on(shop: Shop):
    (offer,) = shop.offers()
    path = f"/sellers/{offer.seller_id}"
    headers = {**bearer(), **wait()}
    assert shop.http.post("/orders", json=order(offer), headers=headers).status_code == 200
    assert shop.http.post(f"{path}/suspend", json={"reason": "fraud"}, headers=ADMIN).status_code == 200
    refused = shop.http.post("/orders", json=order(offer), headers=headers)
    assert refused.json()["code"] == Code.OFFER_UNAVAILABLE
    assert shop.http.post(f"{path}/reinstate", headers=ADMIN).status_code == 200
    assert shop.http.post("/orders", json=order(offer), headers=headers).status_code == 200


def test_each_change_of_status_is_noted_for_readers_of_the_catalog(shop: Shop):
    seller = apply(shop, shop.account())
    noted = "SELECT xid::text::bigint FROM catalog_changes WHERE thing = $1"
    seen = [shop.value(noted, UUID(seller["id"])) or 0]
    for way in ("approve", "suspend", "reinstate"):
        review(shop, seller, way, WAYS[way])
        seen.append(shop.value(noted, UUID(seller["id"])))
    assert seen == sorted(set(seen))


def test_sellers_are_listed_newest_first_and_by_status_with_who_applied(shop: Shop):
    accounts = [shop.account() for _ in range(3)]
    made = [apply(shop, account)["id"] for account in accounts]
    first = shop.http.get("/sellers?limit=2", headers=ADMIN).json()
    rest = shop.http.get("/sellers", params={"limit": 1, "cursor": first["next_cursor"]}, headers=ADMIN).json()
    listed = first["items"] + rest["items"]
    assert [item["id"] for item in listed] == made[::-1]
    assert [item["members"][0]["email"] for item in listed] == [email_of(shop, a) for a in accounts[::-1]]
    review(shop, listed[1], "approve")
    waiting = shop.http.get("/sellers?status=applied&limit=2", headers=ADMIN).json()["items"]
    assert [item["id"] for item in waiting] == [made[2], made[0]]
    assert_problem(shop.http.get("/sellers?status=gone", headers=ADMIN), 400, Code.INVALID_REQUEST, "status")


def test_only_an_admin_reviews(shop: Shop):
    account = shop.account()
    seller = apply(shop, account)
    for headers in (bearer(subject=account), acting(account), bearer(Role.GUEST)):
        assert_problem(shop.http.get("/sellers", headers=headers), 403, Code.FORBIDDEN)
        for way, reason in WAYS.items():
            body = None if reason is None else {"reason": reason}
            refused = shop.http.post(f"/sellers/{seller['id']}/{way}", json=body, headers=headers)
            assert_problem(refused, 403, Code.FORBIDDEN)
    for way, reason in WAYS.items():
        body = None if reason is None else {"reason": reason}
        assert_problem(shop.http.post(f"/sellers/{new_id()}/{way}", json=body, headers=ADMIN), 404, Code.NOT_FOUND)
