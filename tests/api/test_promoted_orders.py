"""Orders with promotions over HTTP: codes that refuse an order or are reported, and the price that is shown."""

from typing import Any
from uuid import uuid4

import pytest

from tests.api.promoting import (
    ADMIN,
    about,
    active,
    amounts,
    coded,
    content,
    draft,
    off,
    order_with,
    ordered,
    percent,
    placed,
    stepped,
    usage,
    usd,
    with_codes,
)
from tests.api.shop import Shop, assert_nothing_written, assert_problem, bearer, line

MONEY = ("subtotal", "discount", "shipping_cost", "tax", "tax_added", "total")


def a_code() -> str:
    return f"C{uuid4().hex[:20].upper()}"


def assert_adds_up(price: dict[str, Any]) -> None:
    """Parts sum to the whole, line by line and in all."""
    for part in price["lines"]:
        gross, discount, net = amounts(part, "gross", "discount", "net")
        tax, included, total = amounts(part, "tax", "tax_included", "total")
        assert (gross - discount, net + tax - included) == (net, total)
        taken = [
            d["amount"]["amount"] for p in price["promotions"] for d in p["lines"] if d["line_no"] == part["line_no"]
        ]
        assert sum(taken) == discount
    totals = [part["total"]["amount"] for part in [*price["lines"], *price["shipping"]]]
    assert sum(totals) == price["total"]["amount"]
    assert sum(p["amount"]["amount"] for p in price["promotions"]) == price["discount"]["amount"]
    subtotal, discount, shipping, _, added, total = amounts(price, *MONEY)
    assert subtotal + shipping - discount + added == total


# --- What applies ---------------------------------------------------------------------------------------------------


def test_a_worked_example(shop: Shop):
    """The one of docs/promotions.md: three kinds of promotions, in their phases, on two sellers' lines."""
    mug, plate = shop.offers(offers=2, sellers=2, price=1_999)
    spring, welcome = a_code(), a_code()
    quarter = active(shop, content(mug, benefit=percent(2_500, "line"), automatic=True, title="Mugs"))
    ten = coded(shop, spring, content(mug, plate, benefit=percent(1_000, cap=usd(700)), title="Spring"))
    fixed = coded(
        shop, welcome, content(mug, plate, benefit=off(500), stacking="stackable", title="Welcome", priority=-1)
    )
    body = {"currency": "USD", "lines": [line(mug, 3), line(plate, 1)], "codes": [welcome, spring.lower()]}
    price = placed(shop, body, bearer())["price"]
    assert_adds_up(price)
    # Mugs: a quarter of 59.97 is 14.9925, rounded half up. Spring: 10 % of 44.98 + 19.99 = 64.97 is 6.50, spread.
    # Welcome: 5.00 over 40.48 and 17.99.
    told = [(p["promotion_id"], p["code"], [d["amount"]["amount"] for d in p["lines"]]) for p in price["promotions"]]
    assert told == [
        (quarter["id"], None, [1_499]),
        (ten["id"], spring.lower(), [450, 200]),
        (fixed["id"], welcome, [346, 154]),
    ]
    assert [amounts(part, "gross", "discount", "net", "total") for part in price["lines"]] == [
        (5_997, 2_295, 3_702, 3_702),
        (1_999, 354, 1_645, 1_645),
    ]
    assert amounts(price, *MONEY) == (7_996, 2_649, 0, 0, 0, 5_347)
    assert price["unused_codes"] == []


def test_the_order_of_codes_does_not_matter(shop: Shop):
    (offer,) = shop.offers(price=1_237, units=1_000)
    codes = [a_code() for _ in range(3)]
    for n, code in enumerate(codes):
        coded(shop, code, content(offer, benefit=percent(777 * (n + 1)), stacking="stackable", priority=n))
    prices = [
        placed(shop, order_with(offer, codes=given), bearer())["price"] for given in (tuple(codes), tuple(codes[::-1]))
    ]
    assert prices[0] == prices[1]
    assert len(prices[0]["promotions"]) == 3


def test_what_applied_stays_as_it_was_when_the_promotion_changes(shop: Shop):
    (offer,) = shop.offers()
    made = active(shop, content(offer, automatic=True, title="Before"))
    buyer = bearer()
    order = placed(shop, order_with(offer), buyer)
    body = made["content"] | {"title": "After", "benefit": percent(9_000)}
    assert shop.http.put(f"/promotions/{made['id']}", json=body, headers=ADMIN).status_code == 200
    found = shop.http.get(f"/orders/{order['id']}", headers=buyer).json()
    assert found["price"] == order["price"]
    assert (found["price"]["promotions"][0]["title"], found["price"]["promotions"][0]["version"]) == ("Before", 2)


def test_cancelling_a_line_takes_back_its_share_and_leaves_the_others(shop: Shop):
    first, second = shop.offers(offers=2, price=1_001)
    active(shop, content(first, second, benefit=off(333), automatic=True))
    buyer = bearer()
    order = placed(shop, order_with(first, second), buyer)
    assert_adds_up(order["price"])
    cancel = shop.http.post(f"/orders/{order['id']}/cancel", json={"lines": [0]}, headers=buyer | {"Prefer": "wait=20"})
    assert cancel.status_code == 200, cancel.text
    price = shop.http.get(f"/orders/{order['id']}", headers=buyer).json()["price"]
    assert_adds_up(price)
    assert price["lines"] == order["price"]["lines"][1:]
    assert price["promotions"][0]["lines"] == order["price"]["promotions"][0]["lines"][1:]
    assert (price["version"], cancel.json()["result"]["total"]) == (2, price["total"])


# --- Codes that don't apply -----------------------------------------------------------------------------------------


def promotions_in_vain(shop: Shop, offer: Any) -> dict[str, dict[str, Any]]:
    """Promotions that don't apply to an order of an offer, by the reason why."""
    (elsewhere,) = shop.offers()
    return {
        "not_active": draft(shop, content(offer)),
        "expired": stepped(shop, active(shop, content(offer)), "pause"),
        "not_started": active(shop, content(offer, starts_at="2999-01-01T00:00:00Z")),
        "minimum_subtotal_not_met": active(shop, content(offer, minimum_subtotal=usd(10**9))),
        "minimum_quantity_not_met": active(shop, content(offer, minimum_quantity=900)),
        "no_matching_lines": active(shop, content(elsewhere)),
        "not_for_you": active(shop, content(offer, users=[str(uuid4())])),
        "other_currency": active(
            shop,
            content(offer, benefit={"type": "fixed", "level": "order", "amount": {"amount": 1, "currency": "EUR"}}),
        ),
    }


def test_a_code_in_vain_refuses_the_order_with_its_reason_and_place(shop: Shop):
    (offer,) = shop.offers(units=500)
    good = a_code()
    coded(shop, good, content(offer))
    in_vain = promotions_in_vain(shop, offer)
    before = shop.counts()
    for reason, promotion in in_vain.items():
        code = a_code()
        with_codes(shop, promotion, code)
        if reason == "expired":
            stepped(shop, promotion, "end")
        answer = ordered(shop, order_with(offer, codes=(good, code)), bearer())
        problem = assert_problem(answer, 409, "code_refused", "codes[1]")
        assert problem["detail"] == f"{code}: {reason}"
        assert usage(shop, promotion)["uses"] == 0
    assert_nothing_written(before, shop.counts(), but=("commands", "outcomes", "events"))


def test_an_unknown_code_is_a_422(shop: Shop):
    (offer,) = shop.offers()
    code = a_code()
    answer = ordered(shop, order_with(offer, codes=(code,)), bearer())
    problem = assert_problem(answer, 422, "code_refused", "codes[0]")
    assert problem["detail"] == f"{code}: unknown"


def test_best_effort_takes_the_order_and_reports_each_code_in_vain(shop: Shop):
    (offer,) = shop.offers(units=500)
    good, unknown, far = a_code(), a_code(), a_code()
    made = coded(shop, good, content(offer))
    coded(shop, far, content(offer, minimum_subtotal=usd(10**9)))
    body = order_with(offer, codes=(unknown, far, good), promotions="best_effort")
    price = placed(shop, body, bearer())["price"]
    assert [p["promotion_id"] for p in price["promotions"]] == [made["id"]]
    told = {unused["code"]: unused["reason"] for unused in price["unused_codes"]}
    assert told == {unknown: "unknown", far: "minimum_subtotal_not_met"}
    assert_adds_up(price)


@pytest.mark.parametrize("mode", ["strict", "best_effort"])
def test_a_code_that_lost_or_came_twice_refuses_nothing_and_is_told(shop: Shop, mode: str):
    (offer,) = shop.offers(price=1_000)
    less, more, same = a_code(), a_code(), a_code()
    loser = coded(shop, less, content(offer, benefit=percent(500)))
    winner = coded(shop, more, content(offer, benefit=percent(2_000)))
    with_codes(shop, winner, same)
    price = placed(shop, order_with(offer, codes=(less, more, same), promotions=mode), bearer())["price"]
    assert [(p["promotion_id"], p["amount"]["amount"]) for p in price["promotions"]] == [(winner["id"], 200)]
    told = {unused["code"]: unused["reason"] for unused in price["unused_codes"]}
    assert told == {less: "outdone", max(more, same): "already_given"}
    assert usage(shop, loser)["uses"] == 0, "who lost isn't used"


def test_more_codes_than_there_may_be_are_a_400(shop: Shop):
    (offer,) = shop.offers()
    answer = ordered(shop, order_with(offer, codes=tuple(a_code() for _ in range(11))), bearer())
    assert_problem(answer, 400, "invalid_request", "codes")


# --- Limits ---------------------------------------------------------------------------------------------------------


def test_an_order_that_is_refused_burns_no_use_and_a_cancelled_one_gives_it_back(shop: Shop):
    (offer,) = shop.offers(units=1)
    code = a_code()
    made = coded(shop, code, content(offer, uses_max=1, uses_per_user_max=1))
    buyer = bearer()
    short = ordered(shop, order_with(offer, codes=(code,), quantity=2), buyer)
    assert_problem(short, 409, "out_of_stock", "lines[0]")
    for _ in range(2):
        order = placed(shop, order_with(offer, codes=(code,)), buyer)
        assert usage(shop, made)["uses"] == 1
        answer = shop.http.post(f"/orders/{order['id']}/cancel", headers=buyer | {"Prefer": "wait=20"})
        assert answer.status_code == 200
        assert usage(shop, made)["uses"] == 0


def test_cancelling_the_lines_a_promotion_was_for_gives_its_use_back_and_no_other(shop: Shop):
    first, second = shop.offers(offers=2)
    codes = (a_code(), a_code())
    gone, stays = (
        coded(shop, code, content(offer, uses_max=5, stacking="stackable"))
        for code, offer in zip(codes, (first, second), strict=True)
    )
    buyer = bearer()
    order = placed(shop, order_with(first, second, codes=codes), buyer)
    assert {p["promotion_id"] for p in order["price"]["promotions"]} == {gone["id"], stays["id"]}
    cancel = shop.http.post(f"/orders/{order['id']}/cancel", json={"lines": [0]}, headers=buyer | {"Prefer": "wait=20"})
    assert cancel.status_code == 200
    assert (usage(shop, gone)["uses"], usage(shop, gone)["returned"]) == (0, 1)
    assert (usage(shop, stays)["uses"], usage(shop, stays)["returned"]) == (1, 0)


def test_limits_hold_per_promotion_and_per_user_whatever_the_code(shop: Shop):
    (offer,) = shop.offers(units=100)
    one, two = a_code(), a_code()
    made = coded(shop, one, content(offer, uses_max=2, uses_per_user_max=1))
    with_codes(shop, made, two)
    buyer = bearer()
    placed(shop, order_with(offer, codes=(one,)), buyer)
    again = ordered(shop, order_with(offer, codes=(two,)), buyer)
    assert assert_problem(again, 409, "code_refused", "codes[0]")["detail"] == f"{two}: user_limit_reached"
    placed(shop, order_with(offer, codes=(two,)), bearer())
    third = ordered(shop, order_with(offer, codes=(one,)), bearer())
    assert assert_problem(third, 409, "code_refused", "codes[0]")["detail"] == f"{one}: limit_reached"


def test_a_first_order_is_the_first_one_that_stands(shop: Shop):
    (offer,) = shop.offers(units=100)
    code, other = a_code(), a_code()
    coded(shop, code, content(offer, first_order=True))
    coded(shop, other, content(offer, first_order=True))
    buyer = bearer()
    first = placed(shop, order_with(offer, codes=(code,)), buyer)
    answer = ordered(shop, order_with(offer, codes=(other,)), buyer)
    assert assert_problem(answer, 409, "code_refused", "codes[0]")["detail"] == f"{other}: not_first_order"
    shop.http.post(f"/orders/{first['id']}/cancel", headers=buyer | {"Prefer": "wait=20"})
    assert placed(shop, order_with(offer, codes=(other,)), buyer)["price"]["discount"]["amount"] == 100


def test_a_bundle_discounts_the_cheapest_units_that_do_not_qualify(shop: Shop):
    (dear,), (cheap,) = shop.offers(price=1_000), shop.offers(price=300)
    benefit = {
        "type": "buy_x_get_y",
        "buy": about(dear),
        "buy_quantity": 2,
        "get": about(dear, cheap),
        "get_quantity": 1,
    }
    active(shop, content(dear, cheap, benefit=benefit, automatic=True))
    price = placed(shop, {"currency": "USD", "lines": [line(dear, 2), line(cheap, 2)]}, bearer())["price"]
    assert [part["discount"]["amount"] for part in price["lines"]] == [0, 300]
    assert_adds_up(price)
