"""Stock over HTTP: looked up, counted, adjusted, forced; thresholds, and the movements that add up to all of it."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest

from tests.api.shop import Shop, assert_problem, bearer, order, wait
from tests.api.stockroom import (
    ADMIN,
    change,
    changed,
    events_of,
    figures,
    keeper,
    moved,
    movements,
    ordered,
    path_of,
    stock,
    threshold,
    wrong_of_stock,
)


def test_a_seller_sees_what_is_on_hand_reserved_and_available(shop: Shop):
    (mug,) = shop.offers(units=10)
    ordered(shop, order(mug, quantity=3), bearer())
    assert stock(shop, mug, keeper(shop, mug)) == {
        "variant_id": str(mug.variant_id),
        "seller_id": str(mug.seller_id),
        "on_hand": 10,
        "reserved": 3,
        "backorder_limit": 0,
        "available": 7,
        "threshold": None,
        "low": False,
        "version": 1,
        "locations": [{"location": 0, "on_hand": 10, "reserved": 3, "backorder_limit": 0, "available": 7}],
    }


def test_another_sellers_stock_is_a_404_whatever_is_asked_of_it(shop: Shop):
    mug, other = shop.offers(offers=2, sellers=2)
    who = keeper(shop, other)
    assert_problem(shop.http.get(path_of(mug), headers=who), 404, "not_found")
    assert_problem(change(shop, mug, who, on_hand=1), 404, "not_found")
    assert_problem(threshold(shop, mug, 1, who), 404, "not_found")
    body = {"seller_id": str(mug.seller_id), "reason": "x", "items": [{"variant_id": str(mug.variant_id), "delta": 1}]}
    answer = shop.http.post("/inventory/stock/bulk", json=body, headers=who)
    assert_problem(answer, 404, "not_found", "seller_id")
    assert movements(shop, who, variant_id=str(mug.variant_id)) == []
    assert movements(shop, who, seller_id=str(mug.seller_id)) == []
    assert figures(shop, mug) == (100, 0, 0)


def test_a_count_and_a_difference_change_the_figures_with_a_movement_and_an_event_each(shop: Shop):
    (mug,) = shop.offers(units=10)
    who = keeper(shop, mug)
    assert changed(shop, mug, who, on_hand=7, reason="inventory day") == {
        "variant_id": str(mug.variant_id),
        "seller_id": str(mug.seller_id),
        "on_hand": 7,
        "reserved": 0,
        "backorder_limit": 0,
        "available": 7,
        "forced": 0,
        "version": 2,
    }
    changed(shop, mug, who, delta=5, cause="received", reason="delivery 12")
    changed(shop, mug, who, delta=-1, backorder_limit=20, reason="one broke")
    assert figures(shop, mug) == (11, 0, 20)
    rows = movements(shop, who, variant_id=str(mug.variant_id))
    assert moved(rows) == [("adjusted", -1, 0), ("received", 5, 0), ("adjusted", -3, 0), ("received", 10, 0)]
    assert [row["reason"] for row in rows[:3]] == ["one broke", "delivery 12", "inventory day"]
    told = [(kind, data["on_hand_delta"], data["backorder_limit"]) for kind, data in events_of(shop, mug)]
    assert told == [("stock.set", -3, 0), ("stock.set", 5, 0), ("stock.set", -1, 20)]


def test_a_change_that_changes_nothing_writes_nothing(shop: Shop):
    (mug,) = shop.offers(units=10)
    assert changed(shop, mug, on_hand=10)["version"] == 1
    assert events_of(shop, mug) == []
    assert len(movements(shop, variant_id=str(mug.variant_id))) == 1


@pytest.mark.parametrize("how", ["body", "header"])
def test_a_change_on_a_version_that_is_gone_is_a_412_and_changes_nothing(shop: Shop, how: str):
    (mug,) = shop.offers(units=10)
    changed(shop, mug, on_hand=9)

    def meant_for(version: int) -> Any:
        said: Any = {"version": version} if how == "body" else {"headers": {"If-Match": f'"{version}"'}}
        return change(shop, mug, on_hand=8, **said)

    assert_problem(meant_for(1), 412, "stale_version", "version")
    assert figures(shop, mug) == (9, 0, 0)
    assert meant_for(2).status_code == 200
    assert figures(shop, mug) == (8, 0, 0)


def test_orders_do_not_raise_the_version_a_count_is_meant_for(shop: Shop):
    (mug,) = shop.offers(units=10)
    ordered(shop, order(mug, quantity=2), bearer())
    assert changed(shop, mug, on_hand=9, version=1)["version"] == 2


def test_two_who_count_on_the_same_version_at_once_are_one_change(shop: Shop):
    (mug,) = shop.offers(units=10)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: change(shop, mug, delta=n, version=1), range(1, 9)))
    assert sorted(answer.status_code for answer in answers) == [200, *[412] * 7]
    assert wrong_of_stock(shop) == {}


def test_differences_that_come_at_once_all_count(shop: Shop):
    (mug,) = shop.offers(units=10)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: change(shop, mug, delta=1), range(24)))
    assert {answer.status_code for answer in answers} == {200}
    assert figures(shop, mug) == (34, 0, 0)


def test_a_count_below_what_is_reserved_is_refused_unless_it_is_forced(shop: Shop):
    (mug,) = shop.offers(units=10)
    ordered(shop, order(mug, quantity=8), bearer())
    problem = assert_problem(change(shop, mug, on_hand=5), 409, "stock_short")
    assert "3 more than would be there" in problem["detail"]
    assert figures(shop, mug) == (10, 8, 0)
    assert changed(shop, mug, on_hand=5, force=True)["forced"] == 3
    assert figures(shop, mug) == (5, 8, 3)
    assert [kind for kind, _ in events_of(shop, mug)] == ["stock.set", "stock.forced"]
    forced = events_of(shop, mug)[1][1]
    assert (forced["reserved"], forced["shortfall"], forced["backorder_limit"]) == (8, 3, 3)
    alerts = [line for line in shop.system.log("worker").splitlines() if "stock_forced" in line]
    assert any(str(mug.variant_id) in line for line in alerts)
    assert wrong_of_stock(shop) == {}


def test_a_backorder_limit_may_be_sold_beyond_what_is_there(shop: Shop):
    (mug,) = shop.offers(units=1)
    changed(shop, mug, backorder_limit=4)
    ordered(shop, order(mug, quantity=5), bearer())
    assert_problem(change(shop, mug, backorder_limit=3), 409, "stock_short")
    answer = shop.http.post("/orders", json=order(mug), headers=bearer() | wait())
    assert_problem(answer, 409, "out_of_stock", "lines[0]")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "on_hand"),
        ({"on_hand": 1, "delta": 1}, "delta"),
        ({"on_hand": -1}, "on_hand"),
        ({"on_hand": 1_000_000_001}, "on_hand"),
        ({"on_hand": 1.5}, "on_hand"),
        ({"delta": -1_000_000_001}, "delta"),
        ({"on_hand": 1, "reason": ""}, "reason"),
        ({"on_hand": 1, "reason": "x\n"}, "reason"),
        ({"on_hand": 1, "backorder_limit": -1}, "backorder_limit"),
        ({"on_hand": 1, "cause": "received"}, "delta"),
        ({"delta": -1, "cause": "received"}, "delta"),
        ({"delta": 1, "cause": "sold"}, "cause"),
        ({"delta": 1, "version": 0}, "version"),
        ({"delta": 1, "location": 3}, "location"),
    ],
)
def test_a_malformed_change_is_a_400_that_names_the_field(shop: Shop, body: dict[str, Any], path: str):
    (mug,) = shop.offers(units=10)
    assert_problem(change(shop, mug, **body), 400, "invalid_request", path)
    assert figures(shop, mug) == (10, 0, 0)


def test_figures_stay_within_what_can_be_stored(shop: Shop):
    (mug,) = shop.offers(units=10)
    changed(shop, mug, on_hand=1_000_000_000, backorder_limit=1_000_000_000)
    assert_problem(change(shop, mug, delta=1), 422, "quantity_too_large")


def test_a_request_that_is_repeated_changes_stock_once(shop: Shop):
    (mug,) = shop.offers(units=10)
    key = {"Idempotency-Key": "a count of " + mug.sku}
    answers = [change(shop, mug, headers=key, delta=1) for _ in range(2)]
    assert answers[0].json()["id"] == answers[1].json()["id"]
    assert figures(shop, mug) == (11, 0, 0)


# --- Many at once -----------------------------------------------------------------------------------------------


def bulk(shop: Shop, seller_id: UUID, items: list[dict[str, Any]], who: dict[str, str] = ADMIN, **more: Any) -> Any:
    body = {"seller_id": str(seller_id), "reason": "import", "items": items, **more}
    return shop.http.post("/inventory/stock/bulk", json=body, headers=who | wait())


def test_of_a_list_each_row_is_carried_out_or_named_with_its_problem(shop: Shop):
    mugs = shop.offers(offers=4, units=10)
    (strange,) = shop.offers(units=10)
    ordered(shop, order(mugs[2], quantity=8), bearer())
    items = [
        {"variant_id": str(mugs[0].variant_id), "on_hand": 3},
        {"variant_id": str(mugs[1].variant_id), "delta": -2, "version": 5},
        {"variant_id": str(mugs[2].variant_id), "on_hand": 1},
        {"variant_id": str(strange.variant_id), "on_hand": 1},
        {"variant_id": str(mugs[3].variant_id), "on_hand": 10},
        {"variant_id": str(mugs[0].variant_id), "delta": 1},
    ]
    answer = bulk(shop, mugs[0].seller_id, items)
    assert answer.status_code == 200, answer.text
    result = answer.json()["result"]
    assert (result["changed"], result["unchanged"], result["refused"], result["forced"]) == (2, 1, 3, 0)
    told = [(row["index"], row["problem"]["status"], row["problem"]["code"]) for row in result["problems"]]
    assert told == [(1, 412, "stale_version"), (2, 409, "stock_short"), (3, 422, "unknown_offer")]
    assert [row["problem"]["path"] for row in result["problems"]] == [
        "items[1].version",
        "items[2]",
        "items[3].variant_id",
    ]
    assert [figures(shop, mug)[0] for mug in mugs] == [4, 10, 10, 10]
    assert figures(shop, strange) == (10, 0, 0)
    assert bulk(shop, mugs[0].seller_id, items, force=True).json()["result"]["forced"] == 1
    assert wrong_of_stock(shop) == {}


def test_ten_thousand_rows_are_one_command_within_the_time_a_transaction_has(shop: Shop):
    mugs = shop.offers(offers=10_000, units=10)
    items = [{"variant_id": str(mug.variant_id), "on_hand": n % 50} for n, mug in enumerate(mugs)]
    answer = bulk(shop, mugs[0].seller_id, items)
    assert answer.status_code == 200, answer.text
    result = answer.json()["result"]
    assert (result["changed"], result["unchanged"], result["refused"]) == (9_800, 200, 0)
    total = shop.value("SELECT sum(on_hand) FROM stock WHERE seller_id = $1", mugs[0].seller_id)
    assert total == sum(n % 50 for n in range(10_000))
    assert_problem(bulk(shop, mugs[0].seller_id, [*items, items[0]]), 400, "invalid_request", "items")


def test_a_list_with_a_malformed_row_is_a_400_that_names_it(shop: Shop):
    (mug,) = shop.offers(units=10)
    items = [{"variant_id": str(mug.variant_id), "on_hand": 1}, {"variant_id": str(mug.variant_id)}]
    assert_problem(bulk(shop, mug.seller_id, items), 400, "invalid_request", "items[1].on_hand")
    assert_problem(bulk(shop, mug.seller_id, []), 400, "invalid_request", "items")
    assert figures(shop, mug) == (10, 0, 0)


# --- Low stock --------------------------------------------------------------------------------------------------


def lows(shop: Shop, offer: Any) -> list[int]:
    """How many units were available each time stock became low."""
    return [data["available"] for kind, data in events_of(shop, offer) if kind == "stock.low"]


def test_stock_is_low_once_when_it_falls_to_the_threshold_and_again_only_after_it_was_above(shop: Shop):
    (mug,) = shop.offers(units=10)
    who = bearer()
    assert threshold(shop, mug, 6).json()["low"] is False
    first = ordered(shop, order(mug, quantity=3), who)
    assert (lows(shop, mug), stock(shop, mug)["low"]) == ([], False)
    ordered(shop, order(mug), who)
    assert (lows(shop, mug), stock(shop, mug)["low"]) == ([6], True)
    ordered(shop, order(mug, quantity=2), who)
    assert lows(shop, mug) == [6]
    cancelled = shop.http.post(f"/orders/{first}/cancel", headers=who | wait())
    assert cancelled.status_code == 200
    assert stock(shop, mug)["low"] is False
    changed(shop, mug, delta=-2)
    assert lows(shop, mug) == [6, 5]
    assert wrong_of_stock(shop) == {}


def test_a_threshold_above_what_is_there_is_told_at_once_and_a_lower_one_is_not_told_again(shop: Shop):
    (mug,) = shop.offers(units=10)
    assert threshold(shop, mug, 20).json()["low"] is True
    assert threshold(shop, mug, 15).json()["low"] is True
    assert lows(shop, mug) == [10]
    assert threshold(shop, mug, None).json()["low"] is False
    kinds = [kind for kind, _ in events_of(shop, mug)]
    assert kinds == ["stock.threshold_set", "stock.low", "stock.threshold_set", "stock.threshold_set"]


def test_a_threshold_is_set_on_the_version_that_was_read(shop: Shop):
    (mug,) = shop.offers(units=10)
    answer = threshold(shop, mug, 5, If_Match='"1"')
    assert (answer.status_code, answer.headers["etag"]) == (200, '"2"')
    assert_problem(threshold(shop, mug, 4, If_Match='"1"'), 412, "stale_version", "If-Match")
    assert threshold(shop, mug, 5, If_Match='"2"').headers["etag"] == '"2"', "the same one again"


# --- Movements --------------------------------------------------------------------------------------------------


def test_movements_are_listed_newest_first_by_offer_seller_and_kind(shop: Shop):
    mug, cup = shop.offers(offers=2, units=10)
    buyer = bearer()
    held = ordered(shop, order(mug, cup, quantity=2), buyer)
    shop.http.post(f"/orders/{held}/cancel", headers=buyer | wait())
    rows = movements(shop, keeper(shop, mug), variant_id=str(mug.variant_id))
    assert moved(rows) == [("released", 0, -2), ("reserved", 0, 2), ("received", 10, 0)]
    both = movements(shop, keeper(shop, mug))
    assert len(both) == 6
    assert [row["at"] for row in both] == sorted((row["at"] for row in both), reverse=True)
    assert movements(shop, seller_id=str(mug.seller_id)) == both
    assert len(movements(shop, kind="released", seller_id=str(mug.seller_id))) == 2
    assert len({(row["cause_id"], row["kind"]) for row in both}) == 6
    answer = shop.http.get("/inventory/movements", params={"limit": 7}, headers=ADMIN)
    assert answer.json()["items"][:6] == both


def test_a_bad_filter_is_a_400(shop: Shop):
    for query in ({"kind": "lost"}, {"variant_id": "x"}, {"cursor": "x"}, {"limit": 0}):
        answer = shop.http.get("/inventory/movements", params=query, headers=ADMIN)
        assert_problem(answer, 400, "invalid_request", next(iter(query)))
