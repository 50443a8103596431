"""Promotions over HTTP: who makes them, versions, the lifecycle, and what is refused."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from domain.accounts.model import Role
from tests.api import goods
from tests.api.goods import Seller
from tests.api.promoting import (
    ADMIN,
    active,
    content,
    draft,
    edited,
    order_with,
    ordered,
    percent,
    placed,
    put,
    step,
    stepped,
    usd,
)
from tests.api.shop import Shop, assert_problem, bearer


def events_of(shop: Shop, promotion: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """What happened to a promotion; versions count up from 1, and each has its row of what it did."""
    stream = UUID(promotion["id"])
    rows = shop.fetch("SELECT version, type, data FROM events WHERE stream = $1 ORDER BY version", stream)
    kept = "SELECT array_agg(version ORDER BY version) FROM promotion_versions WHERE promotion_id = $1"
    assert [row["version"] for row in rows] == list(range(1, len(rows) + 1)) == shop.value(kept, stream)
    return [(row["type"], msgspec.json.decode(row["data"])) for row in rows]


def prices_version(shop: Shop) -> int:
    return int(shop.value("SELECT coalesce(max(version), 0) FROM pricing_versions WHERE part = 'promotions'"))


# --- Making and editing ---------------------------------------------------------------------------------------------


def test_an_admin_makes_the_platforms_promotion_as_a_draft(shop: Shop):
    (offer,) = shop.offers()
    answer = shop.http.post("/promotions", json=content(offer, priority=3), headers=ADMIN)
    assert (answer.status_code, answer.headers["etag"]) == (201, '"1"')
    made = answer.json()
    assert answer.headers["location"] == f"/promotions/{made['id']}"
    assert (made["state"], made["version"], made["seller_id"]) == ("draft", 1, None)
    assert made["content"] == content(offer, priority=3)
    found = shop.http.get(f"/promotions/{made['id']}", headers=ADMIN)
    assert (found.json(), found.headers["etag"]) == (made, '"1"')
    assert events_of(shop, made) == [("promotion.created", {"seller_id": None, "content": made["content"]})]


def test_an_edit_makes_the_next_version_and_the_same_again_none(shop: Shop):
    (offer,) = shop.offers()
    made = active(shop, content(offer))
    changed = edited(shop, made, title="Better")
    assert (changed["version"], changed["content"]["title"], changed["state"]) == (3, "Better", "active")
    assert edited(shop, changed, title="Better")["version"] == 3
    kinds = [kind for kind, _ in events_of(shop, made)]
    assert kinds == ["promotion.created", "promotion.activated", "promotion.changed"]
    kept = "SELECT content ->> 'title' FROM promotion_versions WHERE promotion_id = $1 ORDER BY version"
    titles = [row[0] for row in shop.fetch(kept, UUID(made["id"]))]
    assert titles == ["A promotion", "A promotion", "Better"]


def test_an_edit_on_an_old_version_changes_nothing(shop: Shop):
    made = draft(shop, content())
    changed = edited(shop, made, title="First")
    stale = put(shop, made, content(title="Second"), If_Match='"1"')
    assert_problem(stale, 412, "stale_version", "If-Match")
    assert_problem(step(shop, made, "activate", If_Match='"1"'), 412, "stale_version", "If-Match")
    assert shop.http.get(f"/promotions/{made['id']}", headers=ADMIN).json() == changed
    assert put(shop, made, content(title="Second"), If_Match='"2"').status_code == 200


def test_what_is_not_felt_by_orders_raises_no_version_of_the_rules(shop: Shop):
    (offer,) = shop.offers()
    before = prices_version(shop)
    made = edited(shop, draft(shop, content(offer)), title="Other")
    assert prices_version(shop) == before
    for n, way in enumerate(("activate", "pause", "activate", "end"), start=1):
        made = stepped(shop, made, way)
        assert prices_version(shop) == before + n
    made = active(shop, content(offer))
    edited(shop, made, title="Other")
    assert prices_version(shop) == before + 6


FAULTS = [
    ({"benefit": {"type": "fixed", "level": "order", "amount": usd(0)}}, "invalid_request", "benefit.amount"),
    (
        {"benefit": percent(10, cap={"amount": 5, "currency": "EUR"}), "minimum_subtotal": usd(9)},
        "currency_mismatch",
        "minimum_subtotal",
    ),
    ({"starts_at": "2026-03-01T12:00:00Z", "ends_at": "2026-03-01T11:00:00Z"}, "invalid_request", "ends_at"),
    ({"starts_at": "2026-03-01T12:00:00"}, "invalid_request", "starts_at"),
    ({"stacking": "stackable", "group": "summer"}, "invalid_request", "group"),
    ({"stacking": "sometimes"}, "invalid_request", "stacking"),
    ({"uses_max": 1, "uses_per_user_max": 2}, "invalid_request", "uses_per_user_max"),
    ({"uses_max": 0}, "invalid_request", "uses_max"),
    ({"users": [str(uuid4()) for _ in range(1_001)]}, "invalid_request", "users"),
    ({"scope": {"sellers": [str(uuid4())]}}, "invalid_request", "funding"),
    ({"benefit": percent(10_001)}, "invalid_request", "benefit.off_bp"),
    ({"benefit": percent(0)}, "invalid_request", "benefit.off_bp"),
    ({"state": "active"}, "invalid_request", "state"),
    ({"seller_id": str(uuid4())}, "invalid_request", "seller_id"),
    ({"title": "two\nlines"}, "invalid_request", "title"),
]


@pytest.mark.parametrize(("change", "code", "path"), FAULTS)
def test_a_fault_is_a_400_with_its_path_and_changes_nothing(shop: Shop, change: dict[str, Any], code: str, path: str):
    before = shop.value("SELECT count(*) FROM promotions")
    answer = shop.http.post("/promotions", json=content() | change, headers=ADMIN)
    assert_problem(answer, 400, code, path)
    assert shop.value("SELECT count(*) FROM promotions") == before
    made = draft(shop, content())
    assert_problem(put(shop, made, content() | change), 400, code, path)
    assert shop.http.get(f"/promotions/{made['id']}", headers=ADMIN).json() == made


# --- The lifecycle --------------------------------------------------------------------------------------------------


def test_an_illegal_step_is_a_409_that_names_the_state_and_what_is_allowed(shop: Shop):
    made = draft(shop, content())
    problem = assert_problem(step(shop, made, "pause"), 409, "promotion_state")
    expected = "the promotion is draft and can't be paused; from there it may be edited or activated"
    assert problem["detail"] == expected
    assert_problem(step(shop, made, "end"), 409, "promotion_state")
    for way in ("activate", "pause", "activate", "pause", "end"):
        stepped(shop, made, way)
    problem = assert_problem(step(shop, made, "activate"), 409, "promotion_state")
    assert problem["detail"] == "the promotion is ended and can't be activated; from there nothing follows"
    assert_problem(put(shop, made, content(title="Other")), 409, "promotion_state")


def test_of_many_who_activate_at_once_one_does(shop: Shop):
    made = draft(shop, content())
    together = threading.Barrier(6)

    def activate(_: int) -> int:
        together.wait()
        return int(step(shop, made, "activate").status_code)

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(activate, range(6))) == [200, 409, 409, 409, 409, 409]
    assert [kind for kind, _ in events_of(shop, made)] == ["promotion.created", "promotion.activated"]


def test_what_is_over_is_not_activated(shop: Shop):
    made = draft(shop, content(ends_at="2026-01-01T00:00:00Z"))
    assert_problem(step(shop, made, "activate"), 409, "promotion_state", "ends_at")


def test_what_counts_is_settled_with_the_first_activation(shop: Shop):
    (offer,) = shop.offers()
    made = active(shop, content(offer, automatic=True, uses_max=5))
    for change in ({"uses_max": None}, {"uses_per_user_max": 1}, {"first_order": True}):
        answer = put(shop, made, {k: v for k, v in (made["content"] | change).items() if v is not None})
        assert_problem(answer, 409, "promotion_state", next(iter(change)))
    assert edited(shop, made, uses_max=6)["version"] == 3


def test_a_limit_is_not_set_below_what_is_used_and_holds_at_once(shop: Shop):
    (offer,) = shop.offers()
    made = active(shop, content(offer, automatic=True, uses_max=5))
    for _ in range(2):
        assert placed(shop, order_with(offer), bearer())["price"]["discount"]["amount"] == 100
    answer = put(shop, made, made["content"] | {"uses_max": 1})
    assert_problem(answer, 409, "conflict", "uses_max")
    edited(shop, made, uses_max=2)
    assert placed(shop, order_with(offer), bearer())["price"]["discount"]["amount"] == 0
    edited(shop, made, uses_max=3)
    assert placed(shop, order_with(offer), bearer())["price"]["discount"]["amount"] == 100
    assert placed(shop, order_with(offer), bearer())["price"]["discount"]["amount"] == 0


def test_a_change_holds_for_every_order_accepted_after_its_answer(shop: Shop):
    (offer,) = shop.offers(units=1_000)
    made = active(shop, content(offer, automatic=True))
    for off_bp in (2_000, 3_000, 500):
        made = edited(shop, made, benefit=percent(off_bp))
        price = placed(shop, order_with(offer), bearer())["price"]
        assert (price["discount"]["amount"], price["promotions"][0]["version"]) == (off_bp // 10, made["version"])
        stepped(shop, made, "pause")
        assert placed(shop, order_with(offer), bearer())["price"]["promotions"] == []
        made = stepped(shop, made, "activate")


# --- Whose they are -------------------------------------------------------------------------------------------------


def test_a_seller_makes_promotions_for_its_own_offers_and_bears_them(shop: Shop, seller: Seller):
    own, (others,) = shop.offer_of(seller.id), shop.offers()
    made = active(shop, content(funding="seller", automatic=True), seller.header)
    assert made["seller_id"] == str(seller.id)
    price = placed(shop, order_with(own, others), bearer())["price"]
    assert [line["discount"]["amount"] for line in price["lines"]] == [100, 0], "nobody else's offers"
    stepped(shop, made, "end", seller.header)


@pytest.mark.parametrize(
    ("change", "path"),
    [({}, "funding"), ({"funding": "seller", "scope": {"sellers": [str(uuid4())]}}, "scope.sellers")],
)
def test_a_seller_neither_has_the_platform_pay_nor_names_other_sellers(
    shop: Shop, seller: Seller, change: dict[str, Any], path: str
):
    body = {"title": "T", "benefit": percent(100)} | change
    assert_problem(shop.http.post("/promotions", json=body, headers=seller.header), 400, "invalid_request", path)


def test_a_sellers_list_holds_its_own_promotions_newest_first(shop: Shop, seller: Seller):
    other = goods.seller(shop)
    first, second = (draft(shop, content(funding="seller"), other.header) for _ in range(2))
    draft(shop, content(funding="seller"), seller.header)
    draft(shop, content())
    active(shop, content(funding="seller"), other.header)
    page = shop.http.get("/promotions", params={"state": "draft"}, headers=other.header).json()
    assert [item["id"] for item in page["items"]] == [second["id"], first["id"]]
    page = shop.http.get("/promotions", params={"limit": 2}, headers=other.header).json()
    assert [item["state"] for item in page["items"]] == ["active", "draft"]
    rest = shop.http.get("/promotions", params={"cursor": page["next_cursor"]}, headers=other.header).json()
    assert ([item["id"] for item in rest["items"]], rest["next_cursor"]) == ([first["id"]], None)
    everybodys = shop.http.get("/promotions", params={"limit": 4}, headers=ADMIN).json()["items"]
    assert {item["seller_id"] for item in everybodys} == {str(other.id), str(seller.id), None}


def test_others_promotions_are_not_there_for_a_seller(shop: Shop, seller: Seller):
    for made in (draft(shop, content()), draft(shop, content(funding="seller"), goods.seller(shop).header)):
        path = f"/promotions/{made['id']}"
        assert_problem(shop.http.get(path, headers=seller.header), 404, "not_found")
        assert_problem(put(shop, made, content(funding="seller"), seller.header), 404, "not_found")
        for way in ("activate", "pause", "end"):
            assert_problem(step(shop, made, way, seller.header), 404, "not_found")
        assert shop.http.get(path, headers=ADMIN).json() == made


def test_a_member_of_no_seller_makes_nothing_and_sees_nothing(shop: Shop):
    nobody = bearer(Role.SELLER)
    assert_problem(shop.http.post("/promotions", json=content(), headers=nobody), 403, "forbidden")
    assert shop.http.get("/promotions", headers=nobody).json() == {"items": [], "next_cursor": None}
    made = draft(shop, content())
    assert_problem(shop.http.get(f"/promotions/{made['id']}", headers=nobody), 404, "not_found")


def test_a_promotion_for_some_users_is_theirs_alone(shop: Shop):
    (offer,) = shop.offers()
    buyer = uuid4()
    active(shop, content(offer, automatic=True, users=[str(buyer)]))
    assert placed(shop, order_with(offer), bearer(subject=buyer))["price"]["discount"]["amount"] == 100
    answer = ordered(shop, order_with(offer), bearer())
    assert answer.json()["result"]["total"]["amount"] == 1_000
