"""Quotes over HTTP: what is quoted is what is charged, and nothing is written."""

import random
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from msgspec import Struct

from domain.accounts.model import Role
from domain.money import Money
from domain.orders.price import Price
from domain.orders.price_sql import PRICE_NAMES, price_from
from domain.pricing.promotion_model import (
    AmountOff,
    BuyXGetY,
    FreeShipping,
    Funding,
    Level,
    PercentOff,
    Stacking,
)
from domain.pricing.scope import Scope
from ops.goods import NewOffer
from tests.api.shop import Shop, assert_problem, bearer, line, order, wait
from tests.api.test_once import contents
from tests.api.things import ADDRESS

ADMIN = bearer(Role.ADMIN)
CARTS = 40
PRICE = f"SELECT {PRICE_NAMES} FROM price_versions WHERE order_id = $1 ORDER BY version DESC LIMIT 1"


class Market(Struct):
    """What carts are drawn from."""

    offers: list[NewOffer]
    codes: list[str]
    methods: list[str]


def put(shop: Shop, path: str, items: list[Any]) -> None:
    answer = shop.http.put(path, json={"items": items}, headers=ADMIN)
    assert answer.status_code == 200, answer.text


def quote(shop: Shop, who: dict[str, str], body: dict[str, Any]) -> httpx.Response:
    return shop.http.post("/orders/quote", json=body, headers=who)


def usd(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "USD"}


@pytest.fixture(scope="module")
def market(shop: Shop) -> Iterator[Market]:
    """Three sellers, taxes, two ways to ship, promotions of every kind, for these sellers alone."""
    offers = shop.offers(offers=6, sellers=3, units=1_000, price=1_999)
    mine = Scope(sellers=tuple({offer.seller_id: None for offer in offers}))
    listed = {"variant_id": str(offers[0].variant_id), "seller_id": str(offers[0].seller_id), "price_minor": 1_333}
    zone, post, courier = str(uuid4()), str(uuid4()), str(uuid4())
    rate = {"zone_id": zone, "currency": "USD"}
    steps = [{"up_to": 3_000, "amount_minor": 900}, {"up_to": 9_000, "amount_minor": 450}]
    put(shop, "/price-lists", [{"id": str(uuid4()), "name": "Sale", "currency": "USD", "prices": [listed]}])
    put(shop, "/tax-rates", [
        {"country": "DE", "percent": "19", "inclusive": True, "on_shipping": True},
        {"country": "US", "percent": "8.875", "inclusive": False, "on_shipping": True},
    ])  # fmt: skip
    put(shop, "/shipping/zones", [{"id": zone, "name": "Everywhere"}])
    put(shop, "/shipping/methods", [{"id": post, "name": "Post"}, {"id": courier, "name": "Courier"}])
    put(shop, "/shipping/rates", [
        rate | {"method_id": post, "cost": {"by": "subtotal", "steps": steps}},
        rate | {"method_id": courier, "cost": {"by": "flat", "amount_minor": 799}, "free_from_minor": 20_000},
    ])  # fmt: skip
    of_first = Scope(sellers=mine.sellers[:1])
    five, few = AmountOff(Level.ORDER, Money(500, "USD")), AmountOff(Level.LINE, Money(150, "USD"))
    three_for_two, least = BuyXGetY(Scope(), 2, Scope(), 1), Money(6_000, "USD")
    promotions = [
        shop.promotion(benefit=PercentOff(Level.LINE, 1_000), scope=of_first, funding=Funding.SELLER),
        shop.promotion(benefit=PercentOff(Level.ORDER, 333), scope=mine, stacking=Stacking.STACKABLE),
        shop.promotion("FIVE", "FIVER", benefit=five, scope=mine),
        shop.promotion("FEW", benefit=few, scope=mine, uses_max=3),
        shop.promotion("THREE-FOR-TWO", benefit=three_for_two, scope=mine),
        shop.promotion("FREE-SHIPPING", benefit=FreeShipping(), scope=mine, minimum_subtotal=least),
        shop.promotion("ALONE", benefit=PercentOff(Level.ORDER, 4_000), scope=mine, stacking=Stacking.EXCLUSIVE),
    ]
    codes = ["FIVE", "fiver", "FEW", "three-for-two", "FREE-SHIPPING", "ALONE", "NO-SUCH-CODE"]
    yield Market(offers, codes, [post, courier])
    for promotion in promotions:
        assert shop.http.post(f"/promotions/{promotion}/end", headers=ADMIN).status_code == 200
    for path in ("/price-lists", "/tax-rates", "/shipping/rates", "/shipping/methods", "/shipping/zones"):
        put(shop, path, [])


def cart(market: Market, chance: random.Random) -> dict[str, Any]:
    chosen = chance.choices(market.offers, k=chance.randint(1, 4))
    body: dict[str, Any] = {
        "currency": "USD",
        "lines": [line(offer, chance.randint(1, 4)) for offer in chosen],
        "codes": chance.sample(market.codes, k=chance.randint(0, 2)),
        "promotions": chance.choice(["strict", "best_effort", "best_effort"]),
    }
    country = chance.choice(["DE", "US", "FR", None])
    if country is not None:
        body["shipping_address"] = ADDRESS | {"country": country}
        if chance.random() < 0.5:
            body["shipping_methods"] = {str(chosen[0].seller_id): chance.choice(market.methods)}
    return body


def charged(shop: Shop, order_id: str) -> Price:
    (row,) = shop.fetch(PRICE, UUID(order_id))
    return price_from(row)


def of_quote(found: dict[str, Any]) -> tuple[Any, ...]:
    """The figures of a quote, in the form of :func:`of_price`."""
    amount = {name: each["amount"] for name, each in found["totals"].items()}
    lines = {
        each["line_no"]: (each["net"]["amount"], each["tax"]["amount"], each["total"]["amount"])
        for each in found["lines"]
    }
    ways = {n: each["shipping"] for n, each in enumerate(found["seller_orders"]) if each["shipping"] is not None}
    shipping = {
        n: (way["method_id"], way["cost"]["amount"], way["net"]["amount"], way["tax"]["amount"], way["total"]["amount"])
        for n, way in ways.items()
    }
    applied = {
        (each["promotion_id"], each["code"], each["amount"]["amount"])
        for each in found["promotions"]
        if each["applied"]
    }
    return amount["total"], amount["discount"], amount["shipping"], amount["tax"], lines, shipping, applied


def of_price(price: Price) -> tuple[Any, ...]:
    lines = {n: (each.net_minor, each.tax_minor, each.charged_minor) for n, each in price.lines.items()}
    shipping = {
        n: (str(each.terms.method_id), each.cost_minor, each.net_minor, each.tax_minor, each.charged_minor)
        for n, each in price.shipping.items()
    }
    applied = {(str(part.promotion_id), part.code, part.amount_minor) for part in price.applied}
    return price.total_minor, price.discount_minor, price.shipping_minor, price.tax_minor, lines, shipping, applied


def test_what_is_quoted_is_what_is_charged(shop: Shop, market: Market):
    """Generated carts, each quoted and then placed: the same figures, or the same refusal."""
    chance, placed = random.Random(4), 0
    for _ in range(CARTS):
        body, who = cart(market, chance), bearer()
        quoted = quote(shop, who, body)
        assert quoted.status_code == 200, quoted.text
        found = quoted.json()
        answer = shop.http.post("/orders", json=body, headers=who | wait())
        if found["refusal"] is not None:
            problem = answer.json()
            assert {name: problem.get(name) for name in found["refusal"]} == found["refusal"]
            continue
        assert answer.status_code == 200, answer.text
        assert of_quote(found) == of_price(charged(shop, answer.json()["id"]))
        placed += 1
    assert CARTS // 2 < placed < CARTS


def test_a_quote_writes_nothing(shop: Shop, market: Market):
    body = order(*market.offers) | {"codes": ["FIVE"], "shipping_address": ADDRESS}
    before = contents(shop)
    answer = quote(shop, bearer() | {"Idempotency-Key": uuid4().hex}, body)
    assert answer.status_code == 200
    assert answer.json()["refusal"] is None
    assert contents(shop) == before


def test_a_quote_explains_every_promotion_and_shows_every_way_to_ship(shop: Shop, market: Market):
    body = order(market.offers[1], quantity=2) | {
        "codes": ["FREE-SHIPPING", "five"],
        "shipping_address": ADDRESS | {"country": "US"},
    }
    found = quote(shop, bearer(), body).json()
    told = {(each["code"], each["applied"], each["reason"], each["amount"]["amount"]) for each in found["promotions"]}
    assert told == {
        (None, True, None, 133),
        ("five", True, None, 500),
        ("FREE-SHIPPING", False, "minimum_subtotal_not_met", 0),
    }
    assert found["refusal"]["code"] == "code_refused"
    assert found["refusal"]["path"] == "codes[0]"
    (part,) = found["seller_orders"]
    assert [(way["name"], way["cost"]) for way in part["options"]] == [("Post", usd(450)), ("Courier", usd(799))]
    assert part["shipping"]["name"] == "Post"
    # 3,998 less 133 and 500; 8.875 % of 3,365 and of 450 is 299 and 40.
    assert found["totals"] == {
        "gross": usd(3_998),
        "shipping": usd(450),
        "discount": usd(633),
        "tax": usd(339),
        "tax_added": usd(339),
        "total": usd(4_154),
    }


def test_a_quote_holds_what_was_changed_before_it_on_every_process(shop: Shop, market: Market):
    body = order(market.offers[0]) | {"shipping_address": ADDRESS | {"country": "FR"}}
    for percent in ("10", "0", "20"):
        put(shop, "/tax-rates", [{"country": "FR", "percent": percent, "inclusive": False}])
        found = [client.post("/orders/quote", json=body, headers=bearer()).json() for client in shop.clients]
        assert found[0] == found[1]
        net = found[0]["lines"][0]["net"]["amount"]
        assert found[0]["lines"][0]["tax"]["amount"] == (net * int(percent) + 50) // 100


def test_what_no_order_may_be_is_no_quote_either(shop: Shop):
    (offer,) = shop.offers(price=500)
    stranger = str(uuid4())
    there = {"shipping_address": ADDRESS}
    bad = [
        ({"codes": ["A"] * 11}, 400, "invalid_request", "codes"),
        ({"codes": ["a b"]}, 400, "invalid_request", "codes[0]"),
        (there | {"shipping_address_id": stranger}, 400, "invalid_request", "shipping_address"),
        ({"shipping_address": ADDRESS | {"country": "XX"}}, 400, "invalid_request", "shipping_address.country"),
        ({"shipping_address": {"name": "A"}}, 400, "invalid_request", "shipping_address.line1"),
        (there | {"shipping_methods": {stranger: stranger}}, 400, "invalid_request", f"shipping_methods.{stranger}"),
        ({"shipping_methods": {str(offer.seller_id): stranger}}, 400, "invalid_request", "shipping_methods"),
        ({"shipping_address_id": stranger}, 422, "unknown_address", "shipping_address_id"),
        (
            there | {"shipping_methods": {str(offer.seller_id): stranger}},
            422,
            "unknown_shipping_method",
            f"shipping_methods.{offer.seller_id}",
        ),
        (
            {"lines": [line(offer, 1, expected_unit_price=usd(499))]},
            409,
            "price_changed",
            "lines[0].expected_unit_price",
        ),
        ({"lines": [line(offer, 1) | {"seller_id": stranger}]}, 422, "unknown_offer", "lines[0]"),
        ({"currency": "EUR"}, 422, "currency_mismatch", "lines[0]"),
        ({"email": "nobody"}, 400, "invalid_request", "email"),
    ]
    for changes, status, code, path in bad:
        body = order(offer) | changes
        assert_problem(quote(shop, bearer(), body), status, code, path)
        assert_problem(shop.http.post("/orders", json=body, headers=bearer() | wait()), status, code, path)


def test_a_guest_is_quoted_without_an_address_of_any_kind(shop: Shop):
    (offer,) = shop.offers(price=500)
    answer = quote(shop, bearer(Role.GUEST), order(offer))
    assert answer.status_code == 200, answer.text
    assert answer.json()["totals"]["total"] == usd(500)


def test_an_order_goes_to_an_address_of_the_buyers_own(shop: Shop):
    (offer,) = shop.offers()
    buyer, other = (bearer(subject=shop.account(Role.BUYER)) for _ in range(2))
    address = shop.http.post("/addresses", json=ADDRESS, headers=buyer).json()
    body = order(offer) | {"shipping_address_id": address["id"]}
    assert_problem(quote(shop, other, body), 422, "unknown_address", "shipping_address_id")
    placed = shop.http.post("/orders", json=body, headers=buyer | wait())
    assert placed.status_code == 200, placed.text
    shop.http.delete(f"/addresses/{address['id']}", headers=buyer)
    for who in (buyer, ADMIN):
        shown = shop.http.get(f"/orders/{placed.json()['id']}", headers=who).json()["ship_to"]
        assert {name: value for name, value in shown.items() if value} == ADDRESS


def test_where_an_order_goes_stands_in_no_event_no_result_and_no_log(shop: Shop):
    (offer,) = shop.offers()
    secret = uuid4().hex
    body = order(offer) | {"shipping_address": ADDRESS | {"name": secret, "line1": secret, "phone": secret}}
    assert quote(shop, bearer(), body).status_code == 200
    placed = shop.http.post("/orders", json=body, headers=bearer() | wait())
    assert placed.status_code == 200, placed.text
    assert secret not in placed.text
    assert shop.value("SELECT count(*) FROM orders WHERE ship_to::text LIKE $1", f"%{secret}%") == 1
    assert shop.value("SELECT count(*) FROM events WHERE data::text LIKE $1", f"%{secret}%") == 0
    assert shop.value("SELECT count(*) FROM outcomes WHERE result::text LIKE $1", f"%{secret}%") == 0
    assert [name for name in ("web", "web2", "worker") if secret in shop.system.log(name)] == []
