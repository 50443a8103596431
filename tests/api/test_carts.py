"""Carts over HTTP: filled, shown against what holds now, edited on the version that was read."""

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from domain.orders.cart_model import CARTS_MAX
from domain.rejections import Code
from infra.clock import new_id
from tests.api.carting import (
    ADMIN,
    begun,
    body,
    end,
    events_of,
    filled,
    ordered,
    replace,
    reprice,
    shown,
    taken,
    usd,
)
from tests.api.promoting import active as active_promotion
from tests.api.promoting import content, percent, with_codes
from tests.api.shop import Shop, assert_nothing_written, assert_problem, bearer, line, order, wait


def test_a_cart_holds_what_is_put_in_at_the_price_it_was_shown_with(shop: Shop):
    mug, plate = shop.offers(offers=2, sellers=2, price=1_999, units=5)
    buyer = bearer()
    cart = begun(shop, buyer, {"currency": "USD", "lines": [line(mug, 2), line(plate, 1, unit_price=usd(1_999))]})
    assert (cart["status"], cart["version"], cart["order_id"], cart["refusal"]) == ("open", 1, None, None)
    told = [(row["unit_price"], row["present_price"], row["available"]) for row in cart["lines"]]
    assert told == [(usd(1_999), usd(1_999), 5)] * 2
    flags = [(row["price_changed"], row["short"], row["unavailable"]) for row in cart["lines"]]
    assert flags == [(False, False, False)] * 2
    assert shown(shop, buyer, cart) == cart
    assert events_of(shop, cart) == ["cart.created"]


def test_lines_of_one_offer_are_added_up(shop: Shop):
    mug, plate = shop.offers(offers=2)
    cart = begun(shop, bearer(), {"currency": "USD", "lines": [line(mug, 2), line(plate, 1), line(mug, 3)]})
    assert [(row["variant_id"], row["quantity"]) for row in cart["lines"]] == [
        (str(mug.variant_id), 5),
        (str(plate.variant_id), 1),
    ]


def test_a_cart_comes_to_what_a_quote_of_its_order_says(shop: Shop):
    (mug,) = shop.offers(price=1_000)
    code = f"C{uuid4().hex[:20].upper()}"
    promotion = active_promotion(shop, content(mug, benefit=percent(2_500, "line")))
    with_codes(shop, promotion, code)
    buyer = bearer()
    cart = filled(shop, buyer, mug, quantity=3, codes=[code])
    quote = shop.http.post("/orders/quote", json=order(mug, quantity=3) | {"codes": [code]}, headers=buyer).json()
    assert cart["quote"] == quote
    assert quote["totals"]["total"] == usd(2_250)


def test_a_price_that_changed_is_told_with_the_one_before(shop: Shop):
    (mug,) = shop.offers(price=1_000)
    buyer = bearer()
    cart = filled(shop, buyer, mug)
    reprice(shop, mug, 1_200)
    now = shown(shop, buyer, cart)
    (row,) = now["lines"]
    assert (row["unit_price"], row["present_price"], row["price_changed"]) == (usd(1_000), usd(1_200), True)
    assert (now["refusal"]["code"], now["quote"]["totals"]["total"]) == ("price_changed", usd(1_200))
    accepted = replace(shop, buyer, cart, body(mug)).json()
    assert (accepted["lines"][0]["unit_price"], accepted["refusal"]) == (usd(1_200), None)


def test_what_there_is_too_little_of_is_told(shop: Shop):
    (mug,) = shop.offers(units=5)
    buyer = bearer()
    cart = filled(shop, buyer, mug, quantity=3)
    taken(shop, mug, 3, **wait())
    now = shown(shop, buyer, cart)
    (row,) = now["lines"]
    assert (row["available"], row["short"], row["unavailable"]) == (2, True, False)
    assert (now["refusal"]["code"], now["refusal"]["path"]) == ("out_of_stock", "lines[0]")


def test_what_is_no_longer_for_sale_is_told_and_may_stay(shop: Shop):
    mug, plate = shop.offers(offers=2, sellers=2)
    buyer = bearer()
    cart = filled(shop, buyer, mug, plate)
    end(shop, mug)
    now = shown(shop, buyer, cart)
    assert [(row["unavailable"], row["present_price"]) for row in now["lines"]] == [(True, None), (False, usd(1_000))]
    assert (now["quote"], now["refusal"]["code"]) == (None, "offer_unavailable")
    kept = replace(shop, buyer, cart, body(mug, plate, quantity=2))
    assert kept.status_code == 200
    assert [row["unit_price"] for row in kept.json()["lines"]] == [usd(1_000)] * 2


def test_a_cart_loads_whatever_became_of_what_is_in_it(shop: Shop):
    (mug,) = shop.offers()
    buyer = bearer()
    cart = filled(shop, buyer, mug)
    shop.execute("UPDATE cart_lines SET variant_id = $1 WHERE cart_id = $2", uuid4(), cart["id"])
    now = shown(shop, buyer, cart)
    (row,) = now["lines"]
    assert (row["unavailable"], row["sku"], row["title"], row["available"]) == (True, None, None, 0)
    assert now["refusal"]["code"] == "unknown_offer"


def test_what_is_not_for_sale_does_not_come_in(shop: Shop):
    mug, euros = shop.offers(), shop.offers(currency="EUR")
    gone = shop.offers()
    end(shop, gone[0])
    buyer = bearer()
    unknown = {"currency": "USD", "lines": [{**line(mug[0]), "seller_id": str(uuid4())}]}
    before = shop.value("SELECT count(*) FROM carts")
    for content_, status, code in (
        (unknown, 422, Code.UNKNOWN_OFFER),
        (body(*gone), 409, Code.OFFER_UNAVAILABLE),
        (body(*euros), 422, Code.CURRENCY_MISMATCH),
    ):
        assert_problem(shop.http.post("/carts", json=content_, headers=buyer), status, code, "lines[0]")
    priced = {"currency": "USD", "lines": [line(mug[0], unit_price={"amount": 1, "currency": "EUR"})]}
    answer = shop.http.post("/carts", json=priced, headers=buyer)
    assert_problem(answer, 422, Code.CURRENCY_MISMATCH, "lines[0].unit_price")
    assert shop.value("SELECT count(*) FROM carts") == before


def test_a_cart_has_the_limits_of_an_order(shop: Shop):
    (mug,) = shop.offers()
    buyer = bearer()
    much = {"currency": "USD", "lines": [line(mug, 10_001)]}
    assert_problem(shop.http.post("/carts", json=much, headers=buyer), 400, Code.INVALID_REQUEST, "lines[0].quantity")
    sum_ = {"currency": "USD", "lines": [line(mug, 6_000), line(mug, 6_000)]}
    answer = shop.http.post("/carts", json=sum_, headers=buyer)
    assert_problem(answer, 422, Code.QUANTITY_TOO_LARGE, "lines[0].quantity")
    many = {"currency": "USD", "lines": [line(mug)] * 101}
    assert_problem(shop.http.post("/carts", json=many, headers=buyer), 400, Code.INVALID_REQUEST, "lines")
    codes = body(mug, codes=[f"CODE{n}" for n in range(11)])
    assert_problem(shop.http.post("/carts", json=codes, headers=buyer), 400, Code.INVALID_REQUEST, "codes")
    mail = body(mug, email="nobody")
    assert_problem(shop.http.post("/carts", json=mail, headers=buyer), 400, Code.INVALID_REQUEST, "email")


def test_somebody_has_at_most_twenty_carts_that_are_not_ordered_also_when_they_begin_at_once(shop: Shop):
    (mug,) = shop.offers()
    buyer = bearer()
    done = filled(shop, buyer, mug)
    ordered(shop, buyer, done)
    empty = {"currency": "USD"}
    with ThreadPoolExecutor(8) as requests:
        answers = list(
            requests.map(lambda _: shop.http.post("/carts", json=empty, headers=buyer), range(CARTS_MAX + 5))
        )
    assert sorted(answer.status_code for answer in answers) == [201] * CARTS_MAX + [409] * 5
    assert_problem(shop.http.post("/carts", json=empty, headers=buyer), 409, Code.LIMIT_REACHED)


def test_a_cart_is_replaced_and_removed_on_the_version_that_was_read(shop: Shop):
    (mug,) = shop.offers()
    buyer = bearer()
    cart = filled(shop, buyer, mug)
    changed = replace(shop, buyer, cart, body(mug, quantity=2), If_Match='"1"')
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    stale = replace(shop, buyer, cart, body(mug, quantity=3), If_Match='"1"')
    assert_problem(stale, 412, Code.STALE_VERSION, "If-Match")
    assert shown(shop, buyer, cart)["lines"][0]["quantity"] == 2
    path = f"/carts/{cart['id']}"
    assert_problem(shop.http.delete(path, headers=buyer | {"If-Match": '"1"'}), 412, Code.STALE_VERSION, "If-Match")
    assert shop.http.delete(path, headers=buyer | {"If-Match": '"2"'}).status_code == 204
    assert_problem(shop.http.get(path, headers=buyer), 404, Code.NOT_FOUND)
    assert shop.value("SELECT count(*) FROM cart_lines WHERE cart_id = $1::uuid", cart["id"]) == 0
    assert events_of(shop, cart) == ["cart.created", "cart.changed", "cart.removed"]


def test_a_cart_is_another_s_and_an_admin_sees_all(shop: Shop):
    (mug,) = shop.offers()
    buyer, guest = bearer(), shop.http.post("/auth/guest").json()
    cart = filled(shop, buyer, mug)
    other = {"Authorization": f"Bearer {guest['access_token']}"}
    for method, content_ in (("GET", None), ("PUT", body(mug)), ("DELETE", None)):
        answer = shop.http.request(method, f"/carts/{cart['id']}", json=content_, headers=other)
        assert_problem(answer, 404, Code.NOT_FOUND)
    assert shown(shop, ADMIN, cart)["owner"] == cart["owner"]
    assert shop.http.get("/carts", headers=other).json()["items"] == []
    assert cart["id"] in {item["id"] for item in shop.http.get("/carts", headers=ADMIN).json()["items"]}
    (listed,) = shop.http.get("/carts", headers=buyer).json()["items"]
    assert (listed["id"], listed["status"], listed["lines"]) == (cart["id"], "open", 1)


def test_a_cart_begun_twice_under_one_key_is_one(shop: Shop):
    (mug,) = shop.offers()
    keyed = bearer() | {"Idempotency-Key": uuid4().hex}
    first, again = (shop.http.post("/carts", json=body(mug), headers=keyed) for _ in range(2))
    assert first.json() == again.json()
    assert again.headers["idempotent-replayed"] == "true"


def test_promotions_are_applied_to_a_cart_and_nothing_is_written(shop: Shop):
    (mug,) = shop.offers(price=1_000)
    code = f"C{uuid4().hex[:20].upper()}"
    with_codes(shop, active_promotion(shop, content(mug, benefit=percent(1_000))), code)
    buyer = bearer()
    cart = filled(shop, buyer, mug, quantity=2)
    before = shop.counts()
    answer = shop.http.post("/promotions/apply", json={"cart_id": cart["id"], "codes": [code]}, headers=buyer)
    assert (answer.status_code, answer.json()["totals"]["total"]) == (200, usd(1_800))
    assert_nothing_written(before, shop.counts())
    assert shown(shop, buyer, cart) == cart


@pytest.mark.parametrize("more", [{"currency": "USD"}, {"shipping_address_id": str(uuid4())}])
def test_what_a_cart_has_already_is_not_said_when_promotions_are_applied(shop: Shop, more: dict[str, str]):
    answer = shop.http.post("/promotions/apply", json={"cart_id": str(new_id()), **more}, headers=bearer())
    assert_problem(answer, 400, Code.INVALID_REQUEST, next(iter(more)))


def test_promotions_are_applied_to_a_cart_of_one_s_own_that_holds_something(shop: Shop):
    buyer = bearer()
    empty = begun(shop, buyer, {"currency": "USD"})
    apply = {"cart_id": empty["id"]}
    assert_problem(shop.http.post("/promotions/apply", json=apply, headers=buyer), 409, Code.CART_STATE)
    assert_problem(shop.http.post("/promotions/apply", json=apply, headers=bearer()), 404, Code.NOT_FOUND)
