"""What lines pay, over HTTP: previewed, estimated, worked out once, told to admins and to each seller its own."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from domain.accounts.model import Role
from infra.clock import new_id
from tests.api import fees, goods, tree
from tests.api.fees import ADMIN, usd
from tests.api.shop import Shop, assert_problem, bearer, line, wait
from tests.system import eventually

FUTURE = "2900-01-01T00:00:00Z"


def preview(shop: Shop, **body: Any) -> dict[str, Any]:
    answer = shop.http.post("/pricing/commission/preview", json=body, headers=ADMIN)
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


def calculations(shop: Shop, **query: Any) -> dict[str, Any]:
    answer = shop.http.get("/pricing/commission-calculations", params=query, headers=ADMIN)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


def paid(shop: Shop, seller: goods.Seller, **query: Any) -> dict[str, Any]:
    answer = shop.http.get("/sellers/me/commission", params=query, headers=seller.header)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


def test_the_worked_example_of_the_page(shop: Shop):
    """docs/commission.md tells these amounts."""
    seller = goods.seller(shop)
    offer = shop.offer_of(seller.id)
    everywhere = fees.rule(shop, seller=seller.id, rate_bp=1000, priority=1)
    product = {"products": [str(offer.product_id)], "sellers": [str(seller.id)]}
    here = fees.rule(shop, scope=product, rate_bp=1250, fixed=usd(30), maximum=usd(900), priority=1)
    shown = preview(shop, offer={"variant_id": str(offer.variant_id), "seller_id": str(seller.id)}, quantity=3)
    # 12.5 % of 30.00 are 3.75, and three times 0.30.
    assert (shown["rule_id"], shown["base"], shown["commission"]) == (here["id"], usd(3000), usd(465))
    assert shown["sellers_share"] == usd(2535)
    assert shown["considered"][0] == {"rule_id": here["id"], "lost": None}
    assert {"rule_id": everywhere["id"], "lost": "less_specific"} in shown["considered"]
    many = preview(shop, offer={"variant_id": str(offer.variant_id), "seller_id": str(seller.id)}, quantity=7)
    assert (many["base"], many["commission"], many["sellers_share"]) == (usd(7000), usd(900), usd(6100))
    fees.for_nothing(shop, offer)
    order = fees.confirmed(shop, offer, quantity=3)
    told = fees.of_order(shop, order)
    assert (told["status"], told["estimate"], told["commission"]) == ("confirmed", False, usd(465))
    assert told["lines"][0]["considered"] == shown["considered"]


def test_a_preview_supposes_what_is_not_there_yet(shop: Shop):
    seller, parent = goods.seller(shop), tree.category(shop)
    child = tree.category(shop, parent)
    broad = fees.rule(shop, scope={"sellers": [str(seller.id)], "categories": [parent["id"]]}, rate_bp=1000)
    deep = fees.rule(shop, scope={"sellers": [str(seller.id)], "categories": [child["id"]]}, rate_bp=500)
    later = fees.rule(shop, seller=seller.id, priority=9, valid_from=FUTURE, rate_bp=2000)
    facts = {"seller_id": str(seller.id), "category_id": child["id"]}
    shown = preview(shop, facts=facts, unit_price=usd(999), quantity=2)
    assert (shown["rule_id"], shown["commission"], shown["terms"]["rate_bp"]) == (deep["id"], usd(100), 500)
    lost = {each["rule_id"]: each["lost"] for each in shown["considered"]}
    assert lost[broad["id"]] == "shallower_category"
    assert lost[later["id"]] == "not_started"
    assert preview(shop, facts=facts, unit_price=usd(999), at="2901-01-01T00:00:00Z")["rule_id"] == later["id"]


@pytest.mark.parametrize(
    ("changes", "status", "code", "path"),
    [
        ({"offer": None}, 400, "invalid_request", "offer"),
        ({"facts": {"seller_id": str(new_id())}}, 400, "invalid_request", "offer"),
        ({"offer": None, "facts": {"seller_id": str(new_id())}}, 400, "invalid_request", "unit_price"),
        ({"offer": {"variant_id": str(new_id()), "seller_id": str(new_id())}}, 422, "unknown_offer", "offer"),
        (
            {"offer": None, "facts": {"seller_id": str(new_id()), "category_id": str(new_id())}, "unit_price": usd(1)},
            422,
            "unknown_category",
            "facts.category_id",
        ),
        ({"unit_price": usd(10**15), "quantity": 2}, 422, "amount_too_large", "quantity"),
        ({"quantity": 0}, 400, "invalid_request", "quantity"),
        ({"at": "2026-01-01T00:00:00"}, 400, "invalid_request", "at"),
        ({"rate_bp": 1}, 400, "invalid_request", "rate_bp"),
        (
            {"offer": {"variant_id": str(new_id()), "seller_id": str(new_id()), "price": 1}},
            400,
            "invalid_request",
            "offer.price",
        ),
    ],
)
def test_a_preview_of_nothing_is_refused_with_the_place(shop: Shop, changes: Any, status: int, code: str, path: str):
    offer = shop.offer_of(goods.seller(shop).id)
    body = {"offer": {"variant_id": str(offer.variant_id), "seller_id": str(offer.seller_id)}} | changes
    answer = shop.http.post("/pricing/commission/preview", json=body, headers=ADMIN)
    assert_problem(answer, status, code, path)


def test_before_an_order_is_confirmed_its_commission_is_an_estimate_by_frozen_terms(shop: Shop):
    seller = goods.seller(shop)
    offer = shop.offer_of(seller.id)
    made = fees.rule(shop, seller=seller.id, rate_bp=1000, minimum=usd(40))
    order = fees.ordered(shop, offer, quantity=2)
    fees.end(shop, made)
    fees.rule(shop, seller=seller.id, rate_bp=9000)
    shown = fees.of_order(shop, order, seller.header)
    assert (shown["status"], shown["estimate"]) == ("pending_payment", True)
    (line,) = shown["lines"]
    assert (line["rule_id"], line["base"], line["commission"]) == (made["id"], usd(2000), usd(200))
    assert line["terms"] == {"rate_bp": 1000, "fixed": usd(0), "minimum": usd(40), "maximum": None}
    assert calculations(shop, order=order)["items"] == []


def test_a_seller_sees_the_commission_of_its_own_lines_alone(shop: Shop):
    sellers = [goods.seller(shop) for _ in range(3)]
    offers = [shop.offer_of(seller.id) for seller in sellers[:2]]
    rules = [
        fees.rule(shop, seller=seller.id, rate_bp=rate) for seller, rate in zip(sellers, (1000, 3000), strict=False)
    ]
    fees.for_nothing(shop, *offers)
    for order, estimate in (
        (fees.ordered(shop, *offers, shop.offer_of(sellers[1].id)), True),
        (fees.confirmed(shop, *offers), False),
    ):
        shown = fees.of_order(shop, order, sellers[0].header)
        assert (shown["estimate"], shown["commission"]) == (estimate, usd(100))
        assert [line["rule_id"] for line in shown["lines"]] == [rules[0]["id"]]
        assert rules[1]["id"] not in str(shown)
        every = fees.of_order(shop, order)
        assert {line["seller_id"] for line in every["lines"]} == {str(seller.id) for seller in sellers[:2]}
        for stranger in (sellers[2].header, bearer(Role.SELLER)):
            assert_problem(shop.http.get(f"/orders/{order}/commission", headers=stranger), 404, "not_found")


@pytest.mark.parametrize(
    ("forged", "path"),
    [
        ({"commission_rate_bp": 0}, "lines[0].commission_rate_bp"),
        ({"commission_rule_id": str(new_id())}, "lines[0].commission_rule_id"),
        ({"terms": {"commission": None}}, "lines[0].terms"),
    ],
)
def test_nobody_says_by_what_their_own_order_pays(shop: Shop, forged: dict[str, Any], path: str):
    offer = shop.offer_of(goods.seller(shop).id)
    body = {"currency": "USD", "lines": [line(offer, 1, **forged)]}
    assert_problem(shop.http.post("/orders", json=body, headers=bearer()), 400, "invalid_request", path)
    whole = {"currency": "USD", "lines": [line(offer, 1)], "commission_version": 0}
    answer = shop.http.post("/orders", json=whole, headers=bearer())
    assert_problem(answer, 400, "invalid_request", "commission_version")


def test_cancelled_lines_pay_nothing(shop: Shop):
    seller = goods.seller(shop)
    offers = [shop.offer_of(seller.id) for _ in range(2)]
    fees.rule(shop, seller=seller.id, rate_bp=1000)
    answer = shop.http.post(
        "/orders",
        json={"currency": "USD", "lines": [line(offer, 1) for offer in offers]},
        headers=(buyer := bearer()) | wait(),
    )
    order = answer.json()["id"]
    answer = shop.http.post(f"/orders/{order}/cancel", json={"lines": [0]}, headers=buyer | wait())
    assert answer.status_code == 200, answer.text
    shown = fees.of_order(shop, order)
    assert ([line["line_no"] for line in shown["lines"]], shown["commission"]) == ([1], usd(100))


def test_calculations_are_listed_newest_first_by_order_seller_and_rule(shop: Shop):
    sellers = [goods.seller(shop) for _ in range(2)]
    offers = [shop.offer_of(seller.id) for seller in sellers]
    made = fees.rule(shop, seller=sellers[0].id, rate_bp=1000)
    fees.for_nothing(shop, *offers)
    orders = [fees.confirmed(shop, *offers) for _ in range(3)]
    for query, expected in (
        ({"seller": str(sellers[1].id)}, [(order, 1) for order in reversed(orders)]),
        ({"rule": made["id"]}, [(order, 0) for order in reversed(orders)]),
        ({"order": orders[0]}, [(orders[0], 1), (orders[0], 0)]),
        ({}, [(order, n) for order in reversed(orders) for n in (1, 0)]),
    ):
        found: list[tuple[str, int]] = []
        cursor: dict[str, Any] = {}
        while len(found) < len(expected):
            page = calculations(shop, limit=1, **query, **cursor)
            found += [(item["order_id"], item["line_no"]) for item in page["items"]]
            if page["next_cursor"] is None:
                break
            cursor = {"cursor": page["next_cursor"]}
        assert found == expected
    first = calculations(shop, order=orders[0])["items"][1]
    assert (first["rule_id"], first["base"], first["commission"]) == (made["id"], usd(1000), usd(100))
    assert first["considered"][0] == {"rule_id": made["id"], "lost": None}
    both = shop.http.get(
        "/pricing/commission-calculations", params={"seller": str(new_id()), "rule": made["id"]}, headers=ADMIN
    )
    assert_problem(both, 400, "invalid_request", "rule")


def test_a_seller_sees_what_it_paid_in_some_days_and_what_that_comes_to(shop: Shop):
    seller, other = goods.seller(shop), goods.seller(shop)
    dollars, euros = shop.offer_of(seller.id), shop.offer_of(seller.id)
    assert paid(shop, seller)["totals"] == []
    fees.rule(shop, seller=seller.id, rate_bp=1000)
    fees.for_nothing(shop, dollars, foreign := shop.offer_of(other.id), euros)
    orders = [fees.confirmed(shop, dollars, foreign, quantity=n) for n in (1, 2)]
    shop.execute("UPDATE offers SET currency = 'EUR' WHERE variant_id = $1", euros.variant_id)
    body = {"currency": "EUR", "lines": [line(euros, 1)]}
    answer = shop.http.post("/orders", json=body, headers=bearer() | wait())
    assert answer.status_code == 200, answer.text
    eventually(lambda: len(paid(shop, seller)["items"]) == 3)
    page = paid(shop, seller, limit=2)
    assert page["totals"] == [
        {
            "lines": 1,
            **{
                name: {"amount": n, "currency": "EUR"}
                for name, n in (("base", 1000), ("commission", 100), ("sellers_share", 900))
            },
        },
        {"lines": 2, "base": usd(3000), "commission": usd(300), "sellers_share": usd(2700)},
    ]
    following = paid(shop, seller, limit=2, cursor=page["next_cursor"])
    assert following["next_cursor"] is None
    assert following["totals"] == page["totals"]
    items = page["items"] + following["items"]
    assert [item["order_id"] for item in items] == [answer.json()["id"], *reversed(orders)]
    assert {item["seller_id"] for item in items} == {str(seller.id)}
    today = datetime.now(UTC).date()
    assert len(paid(shop, seller, since=str(today - timedelta(days=1)), until=str(today))["items"]) == 3
    before = paid(shop, seller, since=str(today - timedelta(days=9)), until=str(today - timedelta(days=2)))
    assert (before["items"], before["totals"]) == ([], [])


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ({"since": "2026-02-01", "until": "2026-01-01"}, "since"),
        ({"since": "2020-01-01", "until": "2026-01-01"}, "since"),
        ({"since": "0001-01-01", "until": "2026-01-01"}, "since"),
        ({"until": "9999-12-31"}, "until"),
        ({"since": "yesterday"}, "since"),
        ({"since": "null"}, "since"),
        ({"cursor": "x"}, "cursor"),
        ({"limit": 0}, "limit"),
    ],
)
def test_days_that_cannot_be_are_refused(shop: Shop, seller: goods.Seller, query: dict[str, Any], path: str):
    answer = shop.http.get("/sellers/me/commission", params=query, headers=seller.header)
    assert_problem(answer, 400, "invalid_request", path)


def test_an_admin_who_acts_for_no_seller_has_paid_nothing_to_look_up(shop: Shop):
    assert_problem(shop.http.get("/sellers/me/commission", headers=ADMIN), 404, "not_found")


def test_an_order_that_costs_nothing_is_confirmed_and_snapshotted_once(shop: Shop):
    seller = goods.seller(shop)
    offer = shop.offer_of(seller.id)
    fees.for_nothing(shop, offer)
    order = UUID(fees.confirmed(shop, offer))
    types = [row["type"] for row in shop.fetch("SELECT type FROM events WHERE stream = $1 ORDER BY version", order)]
    assert types == ["order.placed", "order.confirmed", "order.commission_snapshotted"]
