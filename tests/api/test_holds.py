"""Holds that belong to no order, over HTTP: made, released, extended, confirmed, each once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from domain.accounts.model import Role
from infra.clock import new_id
from tests.api.shop import Shop, assert_problem, bearer, line, order, wait
from tests.api.stockroom import (
    ADMIN,
    DUE,
    do,
    done,
    figures,
    hold_events_of,
    keeper,
    moved,
    movements,
    ordered,
    reserve,
    reserved,
    wrong_of_stock,
)
from tests.system import eventually

ANYTHING: dict[str, Any] = {"variant_id": str(new_id()), "seller_id": str(new_id()), "quantity": 1}


def test_units_are_held_for_whoever_asks_as_long_as_an_unpaid_order_would(shop: Shop):
    (mug,) = shop.offers(units=10)
    answer = reserve(shop, bearer(), line(mug, 3))
    result = answer.json()["result"]
    (held,) = result["reservations"]
    assert held == {
        "id": held["id"],
        "variant_id": str(mug.variant_id),
        "seller_id": str(mug.seller_id),
        "quantity": 3,
    }
    until = datetime.fromisoformat(result["expires_at"]) - datetime.now(UTC)
    assert timedelta(minutes=14) < until < timedelta(minutes=15, seconds=1)
    assert figures(shop, mug) == (10, 3, 0)
    assert hold_events_of(shop, held["id"]) == ["reservation.made"]


def test_several_offers_are_held_all_or_none(shop: Shop):
    mug, cup = shop.offers(offers=2, units=5)
    assert len(reserved(shop, bearer(), line(mug, 2), line(cup, 2), line(mug, 1))) == 2
    answer = reserve(shop, bearer(), line(cup, 1), line(mug, 3))
    assert_problem(answer, 409, "out_of_stock", "lines[1]")
    assert [figures(shop, each)[1] for each in (mug, cup)] == [3, 2]


def test_a_guest_and_a_service_hold_units_too(shop: Shop):
    (mug,) = shop.offers(units=10)
    reserved(shop, bearer(Role.GUEST), line(mug))
    account = shop.account(Role.ADMIN)
    wish = {"name": "till", "scopes": ["inventory:write"]}
    key = shop.http.post("/api-keys", json=wish, headers=bearer(subject=account)).json()["key"]
    service = {"Authorization": f"Bearer {key}"}
    (held,) = reserved(shop, service, line(mug))
    assert shop.value("SELECT owner FROM reservations WHERE id = $1", UUID(held)) == account
    assert done(shop, "confirm", held, service)["status"] == "confirmed"


def test_what_is_not_for_sale_is_not_held(shop: Shop):
    (mug,) = shop.offers(units=10)
    unknown = line(mug) | {"variant_id": str(new_id())}
    assert_problem(reserve(shop, bearer(), unknown), 422, "unknown_offer", "lines[0]")
    shop.execute("UPDATE offers SET active = false WHERE variant_id = $1", mug.variant_id)
    assert_problem(reserve(shop, bearer(), line(mug)), 409, "offer_unavailable", "lines[0]")
    shop.execute("UPDATE offers SET active = true WHERE variant_id = $1", mug.variant_id)
    shop.execute("UPDATE sellers SET status = 'suspended' WHERE id = $1", mug.seller_id)
    assert_problem(reserve(shop, bearer(), line(mug)), 409, "offer_unavailable", "lines[0]")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "variant_id"),
        ({"variant_id": str(new_id())}, "seller_id"),
        ({"variant_id": str(new_id()), "seller_id": str(new_id())}, "quantity"),
        ({"lines": []}, "lines"),
        ({"lines": [{"variant_id": str(new_id()), "seller_id": str(new_id()), "quantity": 1}], "quantity": 1}, "lines"),
        (
            {"lines": [{"variant_id": str(new_id()), "seller_id": str(new_id()), "quantity": 10_001}]},
            "lines[0].quantity",
        ),
        ({"variant_id": str(new_id()), "seller_id": str(new_id()), "quantity": 10_001}, "quantity"),
        ({"variant_id": str(new_id()), "seller_id": str(new_id()), "quantity": 1, "seconds": 86_401}, "seconds"),
        ({"variant_id": str(new_id()), "seller_id": str(new_id()), "quantity": 1, "seconds": 0}, "seconds"),
    ],
)
def test_a_malformed_wish_is_a_400(shop: Shop, body: dict[str, Any], path: str):
    answer = shop.http.post("/inventory/reserve", json=body, headers=bearer())
    assert_problem(answer, 400, "invalid_request", path)


def test_a_hold_is_released_by_its_owner_once(shop: Shop):
    (mug,) = shop.offers(units=10)
    who = bearer()
    (held,) = reserved(shop, who, line(mug, 4))
    assert_problem(do(shop, "release", held, bearer()), 404, "not_found")
    assert done(shop, "release", held, who) == {"reservation_id": held, "status": "released"}
    assert figures(shop, mug) == (10, 0, 0)
    problem = assert_problem(do(shop, "release", held, who), 409, "reservation_state")
    assert "released" in problem["detail"]
    assert_problem(do(shop, "confirm", held, ADMIN), 409, "reservation_state")
    assert_problem(do(shop, "extend", held, who), 409, "reservation_state")
    assert hold_events_of(shop, held) == ["reservation.made", "reservation.released"]
    rows = movements(shop, variant_id=str(mug.variant_id))
    assert moved(rows) == [("released", 0, -4), ("reserved", 0, 4), ("received", 10, 0)]


def test_a_hold_is_confirmed_by_the_seller_of_its_stock_and_leaves_the_shelf(shop: Shop):
    mug, other = shop.offers(offers=2, sellers=2, units=10)
    (held,) = reserved(shop, bearer(), line(mug, 4))
    assert_problem(do(shop, "confirm", held, keeper(shop, other)), 404, "not_found")
    assert do(shop, "confirm", held, bearer()).status_code == 403
    assert done(shop, "confirm", held, keeper(shop, mug))["status"] == "confirmed"
    assert figures(shop, mug) == (6, 0, 0)
    assert moved(movements(shop, variant_id=str(mug.variant_id)))[0] == ("sold", -4, -4)
    assert hold_events_of(shop, held) == ["reservation.made", "reservation.confirmed"]
    assert wrong_of_stock(shop) == {}


def test_of_many_who_end_a_hold_at_once_one_does(shop: Shop):
    (mug,) = shop.offers(units=10)
    who = bearer()
    (held,) = reserved(shop, who, line(mug, 4))

    def end(n: int) -> int:
        return int((do(shop, "release", held, who) if n % 2 else do(shop, "confirm", held, ADMIN)).status_code)

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(end, range(12)))
    assert sorted(statuses) == [200, *[409] * 11]
    assert len(hold_events_of(shop, held)) == 2
    assert wrong_of_stock(shop) == {}


def test_a_hold_is_extended_by_its_owner_up_to_what_any_reservation_may_last(shop: Shop):
    (mug,) = shop.offers(units=10)
    who = bearer()
    (held,) = reserved(shop, who, line(mug), seconds=60)
    until = datetime.fromisoformat(done(shop, "extend", held, who, {"seconds": 3_600})["expires_at"])
    assert until > datetime.now(UTC) + timedelta(minutes=59)
    sooner = done(shop, "extend", held, who, {"seconds": 10})
    assert datetime.fromisoformat(sooner["expires_at"]) == until, "it never expires earlier"
    assert_problem(do(shop, "extend", held, bearer(), {"seconds": 10}), 404, "not_found")
    assert_problem(do(shop, "extend", held, who, {"seconds": 86_401}), 400, "invalid_request", "seconds")
    old = "UPDATE reservations SET id = $2 WHERE id = $1"
    aged = UUID(int=UUID(held).int - (3_600_000 << 80))
    shop.execute(old, UUID(held), aged)
    answer = do(shop, "extend", str(aged), who, {"seconds": 86_400})
    shop.execute(old, aged, UUID(held))
    assert_problem(answer, 409, "limit_reached", "seconds")
    assert hold_events_of(shop, held) == ["reservation.made", "reservation.extended"]


def test_a_hold_that_is_due_is_over_whether_or_not_the_sweep_came_by(shop: Shop):
    (mug,) = shop.offers(units=10)
    who = bearer()
    (held,) = reserved(shop, who, line(mug, 4))
    shop.execute(DUE, UUID(held))
    for way, asking in (("release", who), ("extend", who), ("confirm", ADMIN)):
        problem = assert_problem(do(shop, way, held, asking), 409, "reservation_state")
        assert "expired" in problem["detail"]
    sweep = shop.http.post("/sweeps/expire_reservations", headers=ADMIN | wait())
    assert sweep.status_code == 200, sweep.text
    assert figures(shop, mug) == (10, 0, 0)
    assert hold_events_of(shop, held) == ["reservation.made", "reservation.expired"]


def test_a_due_hold_makes_neither_an_order_nor_another_hold_fail(shop: Shop):
    (mug,) = shop.offers(units=10)
    (held,) = reserved(shop, bearer(), line(mug, 10))
    shop.execute(DUE, UUID(held))
    (again,) = reserved(shop, bearer(), line(mug, 10))
    shop.execute(DUE, UUID(again))
    ordered(shop, order(mug, quantity=10), bearer())
    assert [hold_events_of(shop, each)[-1] for each in (held, again)] == ["reservation.expired"] * 2
    assert wrong_of_stock(shop) == {}


def test_an_orders_hold_moves_with_its_order_alone(shop: Shop):
    (mug,) = shop.offers(units=10)
    who = bearer()
    placed = ordered(shop, order(mug, quantity=2), who)
    (row,) = shop.fetch("SELECT id FROM reservations WHERE order_id = $1", placed)
    for way, asking in (("release", who), ("extend", who), ("confirm", ADMIN)):
        problem = assert_problem(do(shop, way, str(row["id"]), asking), 409, "reservation_state")
        assert str(placed) in problem["detail"]
    assert figures(shop, mug) == (10, 2, 0)


def test_what_is_asked_of_a_hold_that_is_still_queued_waits_for_it(shop: Shop):
    (mug,) = shop.offers(units=10)
    who = bearer()
    shop.pause("stock")
    try:
        asked = shop.http.post("/inventory/reserve", json=line(mug, 3), headers=who).json()["id"]
        held = str(UUID(int=UUID(asked).int | 2 << 10))
        assert_problem(do(shop, "release", held, bearer()), 404, "not_found")
        assert_problem(do(shop, "confirm", held, keeper(shop, mug)), 404, "not_found")
        released = shop.http.post(f"/inventory/release/{held}", headers=who)
        assert released.status_code == 202
    finally:
        shop.resume("stock")
    path = f"/jobs/{released.json()['id']}"
    eventually(lambda: shop.http.get(path, headers=who).json()["status"] == "succeeded")
    assert figures(shop, mug) == (10, 0, 0)


def test_the_last_units_are_held_by_one_of_many_who_ask_at_once(shop: Shop):
    (mug,) = shop.offers(units=3)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: reserve(shop, bearer(), line(mug)), range(24)))
    assert sorted(answer.status_code for answer in answers) == [*[200] * 3, *[409] * 21]
    assert figures(shop, mug) == (3, 3, 0)
    assert wrong_of_stock(shop) == {}


def test_who_asks_twice_with_one_key_holds_once(shop: Shop):
    (mug,) = shop.offers(units=10)
    who = bearer() | {"Idempotency-Key": uuid4().hex}
    assert reserved(shop, who, line(mug, 2)) == reserved(shop, who, line(mug, 2))
    assert figures(shop, mug) == (10, 2, 0)
    made = shop.fetch("SELECT data FROM events WHERE type = 'reservation.made' ORDER BY position DESC LIMIT 1")
    assert msgspec.json.decode(made[0]["data"])["quantity"] == 2
