"""Orders that take holds over: what they hold is the order's, and what is too much or too little is put right."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import httpx

from infra.clock import new_id
from tests.api.shop import Shop, assert_problem, bearer, line, order, wait
from tests.api.stockroom import DUE, do, figures, hold_events_of, moved, movements, reserved, wrong_of_stock


def place(shop: Shop, who: dict[str, str], body: dict[str, Any], *holds: str) -> httpx.Response:
    return shop.http.post("/orders", json=body | {"reservation_ids": list(holds)}, headers=who | wait())


def test_an_order_takes_over_what_its_buyer_holds(shop: Shop):
    (mug,) = shop.offers(units=10)
    who = bearer()
    (held,) = reserved(shop, who, line(mug, 10))
    answer = place(shop, who, order(mug, quantity=10), held)
    assert answer.status_code == 200, answer.text
    placed = answer.json()["id"]
    assert figures(shop, mug) == (10, 10, 0)
    assert hold_events_of(shop, held) == ["reservation.made", "reservation.released"]
    rows = movements(shop, variant_id=str(mug.variant_id))
    assert sorted(moved(rows)[:2]) == [("released", 0, -10), ("reserved", 0, 10)]
    assert {row["reason"] for row in rows if row["kind"] == "released"} == {f"taken over by order {placed}"}
    assert wrong_of_stock(shop) == {}


def test_of_a_hold_that_is_larger_the_rest_is_free_again_and_what_a_smaller_one_lacks_is_reserved(shop: Shop):
    mug, cup = shop.offers(offers=2, units=10)
    who = bearer()
    large, small = reserved(shop, who, line(mug, 8), line(cup, 2))
    assert place(shop, who, order(mug, cup, quantity=5), large, small).status_code == 200
    assert [figures(shop, each)[1] for each in (mug, cup)] == [5, 5]
    assert wrong_of_stock(shop) == {}


def test_several_holds_of_one_offer_add_up(shop: Shop):
    (mug,) = shop.offers(units=6)
    who = bearer()
    holds = [*reserved(shop, who, line(mug, 2)), *reserved(shop, who, line(mug, 4))]
    assert place(shop, who, order(mug, quantity=6), *holds).status_code == 200
    assert figures(shop, mug) == (6, 6, 0)


def test_an_order_that_is_refused_leaves_its_holds_as_they_were(shop: Shop):
    mug, cup = shop.offers(offers=2, units=5)
    who = bearer()
    (held,) = reserved(shop, who, line(mug, 5))
    assert_problem(place(shop, who, order(mug, cup, quantity=6), held), 409, "out_of_stock", "lines[0]")
    assert hold_events_of(shop, held) == ["reservation.made"]
    assert figures(shop, mug) == (5, 5, 0)


def test_a_hold_that_cannot_be_taken_over_refuses_the_order_and_is_named(shop: Shop):
    mug, cup = shop.offers(offers=2, units=50)
    who = bearer()
    (good,) = reserved(shop, who, line(mug))
    (others,) = reserved(shop, bearer(), line(mug))
    (of_cup,) = reserved(shop, who, line(cup))
    (gone,) = reserved(shop, who, line(mug))
    do(shop, "release", gone, who)
    (due,) = reserved(shop, who, line(mug))
    shop.execute(DUE, UUID(due))
    body = order(mug, quantity=2)
    first = place(shop, who, body).json()["id"]
    (orders,) = shop.fetch("SELECT id::text FROM reservations WHERE order_id = $1", UUID(first))
    for bad, status, code in (
        (str(new_id()), 422, "unknown_reservation"),
        (others, 422, "unknown_reservation"),
        (of_cup, 422, "unknown_reservation"),
        (gone, 409, "reservation_state"),
        (due, 409, "reservation_state"),
        (orders["id"], 409, "reservation_state"),
    ):
        assert_problem(place(shop, who, body, good, bad), status, code, "reservation_ids[1]")
    assert_problem(place(shop, who, body, good, good), 400, "invalid_request", "reservation_ids")
    assert hold_events_of(shop, good) == ["reservation.made"]


def test_a_hold_goes_to_one_of_the_orders_that_name_it_at_once(shop: Shop):
    (mug,) = shop.offers(units=4)
    who = bearer()
    (held,) = reserved(shop, who, line(mug, 4))
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: place(shop, who, order(mug, quantity=4), held), range(8)))
    assert sorted(answer.status_code for answer in answers) == [200, *[409] * 7]
    assert figures(shop, mug) == (4, 4, 0)
    assert wrong_of_stock(shop) == {}


def test_releasing_a_hold_and_ordering_from_it_at_once_do_it_once(shop: Shop):
    mugs = shop.offers(offers=6, units=4)
    who = bearer()
    for mug in mugs:
        (held,) = reserved(shop, who, line(mug, 4))
        with ThreadPoolExecutor(2) as pool:
            released = pool.submit(do, shop, "release", held, who)
            placed = pool.submit(place, shop, who, order(mug, quantity=4), held)
        outcomes = sorted([released.result().status_code, placed.result().status_code])
        assert outcomes == [200, 409]
        assert figures(shop, mug) == (4, 4 if placed.result().status_code == 200 else 0, 0)
    assert wrong_of_stock(shop) == {}


def test_a_quote_counts_what_its_buyer_holds(shop: Shop):
    (mug,) = shop.offers(units=4)
    who = bearer()
    (held,) = reserved(shop, who, line(mug, 4))
    body = order(mug, quantity=4)
    without = shop.http.post("/orders/quote", json=body, headers=who).json()
    assert (without["refusal"]["code"], without["lines"][0]["available"]) == ("out_of_stock", False)
    quoted = shop.http.post("/orders/quote", json=body | {"reservation_ids": [held]}, headers=who).json()
    assert (quoted["refusal"], quoted["lines"][0]["available"]) == (None, True)
