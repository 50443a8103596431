"""What the jobs leave in the tables, one batch at a time, without the engine around them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import msgspec
import pytest

from domain import ids
from domain.inventory.model import ExpireReservations
from domain.journal.declare import Batch, LockFirst
from domain.journal.model import Claimed, Rejected, Succeeded
from domain.limits import Limits
from domain.orders.model import CancelOrder
from infra.clock import new_id
from jobs.cancel_orders import cancel_orders
from jobs.expire_reservations import expire_reservations
from jobs.place_orders import place_orders
from ops.goods import NewOffer, NewSeller
from tests.builders import offer, place, write_in_transaction

pytestmark = pytest.mark.anyio
BUYER, OTHER = uuid4(), uuid4()


async def _offers(conn: Any, *, offers: int = 1, units: int = 100, price: int = 1_000) -> list[NewOffer]:
    """Offers of one seller each, in the test's own transaction."""
    sellers = [NewSeller(new_id(), f"Seller {n}") for n in range(offers)]
    made = [offer(seller, units=units, price=price) for seller in sellers]
    await write_in_transaction(conn, sellers, made)
    return made


async def _run(conn: Any, job: Any, *commands: Any, principals: Any = None, after: timedelta = timedelta()) -> Any:
    """Run a batch as the engine does: in one transaction, stock locked first when the job asks for it."""
    who = principals or [BUYER] * len(commands)
    claimed = [
        Claimed(id=new_id(), principal=p, attempts=0, correlation="test", created_at=datetime.now(UTC), command=c)
        for p, c in zip(who, commands, strict=True)
    ]
    for lock_first in (False, True):
        batch = Batch(
            conn, claimed, now=datetime.now(UTC) + after, limits=Limits(), lock_first=lock_first, new_id=new_id
        )
        try:
            async with conn.transaction():
                return batch, await job.run(batch)
        except LockFirst:
            continue
    raise AssertionError("the job asked for its locks twice")


async def _place(conn: Any, *offers: Any, quantity: int = 1) -> Any:
    _, (outcome,) = await _run(conn, place_orders, place(*offers, quantity=quantity))
    return outcome.result.order_id


async def _stock(conn: Any, offer: Any) -> tuple[int, int]:
    row = await conn.fetchrow("SELECT on_hand, reserved FROM stock WHERE variant_id = $1", offer.variant_id)
    return row["on_hand"], row["reserved"]


async def test_each_movement_names_who_cancelled_also_when_others_cancel_in_the_same_batch(conn):
    offers = await _offers(conn, offers=2)
    orders = [await _place(conn, each) for each in offers]
    await _run(conn, cancel_orders, *[CancelOrder(order) for order in orders], principals=[BUYER, OTHER])
    rows = await conn.fetch("SELECT cause_id, actor FROM movements WHERE kind = 'released'")
    assert {ids.parent(row["cause_id"]): row["actor"] for row in rows} == {orders[0]: BUYER, orders[1]: OTHER}


async def test_cancelling_a_line_gives_its_units_back_once(conn):
    offers = await _offers(conn, offers=2, units=10)
    order = await _place(conn, *offers, quantity=3)
    _, outcomes = await _run(conn, cancel_orders, CancelOrder(order, (0,)), CancelOrder(order, (0,)))
    assert [type(outcome) for outcome in outcomes] == [Succeeded, Rejected]
    assert [await _stock(conn, each) for each in offers] == [(10, 0), (10, 3)]
    assert await conn.fetchval("SELECT count(*) FROM movements WHERE kind = 'released'") == 1


async def test_cancelling_whole_writes_an_empty_price_version(conn):
    offers = await _offers(conn, offers=2, price=500)
    order = await _place(conn, *offers)
    await _run(conn, cancel_orders, CancelOrder(order))
    rows = await conn.fetch("SELECT version, lines, amounts_minor, total_minor FROM price_versions ORDER BY version")
    assert [tuple(row) for row in rows] == [(1, [0, 1], [500, 500], 1_000), (2, [], [], 0)]
    assert await conn.fetchval("SELECT array_agg(DISTINCT fulfilment) FROM seller_orders") == ["cancelled"]


async def test_an_unpaid_order_and_its_reservations_expire_together(conn):
    (mug,) = await _offers(conn, units=5)
    order = await _place(conn, mug, quantity=2)
    await _run(conn, expire_reservations, ExpireReservations())
    assert await _stock(conn, mug) == (5, 2), "not yet due"
    await _run(conn, expire_reservations, ExpireReservations(), after=timedelta(hours=1))
    assert await _stock(conn, mug) == (5, 0)
    assert await conn.fetchval("SELECT expired_at IS NOT NULL FROM orders WHERE id = $1", order)
    assert [row["status"] for row in await conn.fetch("SELECT status FROM reservations")] == ["expired"]


async def test_the_seller_orders_of_an_expired_order_stay_as_they_were(conn):
    order = await _place(conn, *await _offers(conn))
    await _run(conn, expire_reservations, ExpireReservations(), after=timedelta(hours=1))
    assert await conn.fetchval("SELECT fulfilment FROM seller_orders WHERE order_id = $1", order) == "awaiting"
    _, (outcome,) = await _run(conn, cancel_orders, CancelOrder(order))
    assert (outcome.problem.status, outcome.problem.code.value) == (409, "order_state")
    assert "expired" in outcome.problem.detail


async def test_expiring_twice_gives_units_back_once(conn):
    (mug,) = await _offers(conn, units=5)
    await _place(conn, mug, quantity=2)
    for _ in range(2):
        await _run(conn, expire_reservations, ExpireReservations(), after=timedelta(hours=1))
    assert await _stock(conn, mug) == (5, 0)
    assert await conn.fetchval("SELECT count(*) FROM events WHERE type = 'order.expired'") == 1


async def test_a_due_hold_never_makes_a_later_order_fail(conn):
    (mug,) = await _offers(conn, units=3)
    late = await _place(conn, mug, quantity=3)
    batch, (outcome,) = await _run(conn, place_orders, place(mug, quantity=2), after=timedelta(hours=1))
    assert isinstance(outcome, Succeeded)
    assert await _stock(conn, mug) == (3, 2)
    assert [follow_up.command for follow_up in batch.follow_ups] == [ExpireReservations((late,))]


async def test_a_hold_that_is_not_due_is_left_alone(conn):
    (mug,) = await _offers(conn, units=3)
    await _place(conn, mug, quantity=3)
    _, (outcome,) = await _run(conn, place_orders, place(mug, quantity=1))
    assert outcome.problem.code.value == "out_of_stock"
    assert await _stock(conn, mug) == (3, 3)


async def test_what_was_placed_stays_as_it_was_when_the_catalog_changes(conn):
    (mug,) = await _offers(conn, price=1_450)
    order = await _place(conn, mug)
    await conn.execute(
        "UPDATE offers SET price_minor = 9, sku = 'other'; UPDATE products SET title = 'Other', category_id = NULL;"
        " UPDATE variants SET attributes = '{}'; UPDATE sellers SET name = 'Other', status = 'suspended'"
    )
    line = await conn.fetchrow("SELECT * FROM order_lines WHERE order_id = $1", order)
    assert (line["unit_price_minor"], line["sku"], line["title"]) == (1_450, mug.sku, mug.title)
    assert (line["category"], msgspec.json.decode(line["attributes"])) == (mug.category, mug.attributes)


async def test_a_line_of_a_suspended_seller_is_refused(conn):
    (mug,) = await _offers(conn)
    await conn.execute("UPDATE sellers SET status = 'suspended'")
    _, (outcome,) = await _run(conn, place_orders, place(mug))
    assert outcome.problem.code.value == "offer_unavailable"


@pytest.mark.parametrize("table", ["order_lines", "price_versions", "cancelled_lines", "movements", "events"])
async def test_the_database_refuses_to_change_what_is_frozen(conn, table):
    offers = await _offers(conn, offers=2)
    order = await _place(conn, *offers)
    await _run(conn, cancel_orders, CancelOrder(order, (0,)))
    column = await conn.fetchval(
        "SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND attidentity = '' LIMIT 1",
        table,
    )
    for statement in (f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}"):
        with pytest.raises(asyncpg.RestrictViolationError, match="append-only"):
            async with conn.transaction():
                await conn.execute(statement)


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("reserved = -1", "stock_reserved_not_negative"),
        ("reserved = 11", "stock_never_oversold"),
        ("backorder_limit = -1", "stock_backorder_not_negative"),
        ("on_hand = -1", "stock_never_oversold"),
        ("backorder_limit = 2, on_hand = -3", "stock_never_oversold"),
        ("backorder_limit = 2, reserved = 13", "stock_never_oversold"),
    ],
)
async def test_the_database_refuses_stock_that_cannot_be(conn, change, constraint):
    await _offers(conn, units=10)
    with pytest.raises(asyncpg.CheckViolationError) as caught:
        async with conn.transaction():
            await conn.execute(f"UPDATE stock SET {change}")
    assert caught.value.constraint_name == constraint


async def test_what_may_be_backordered_counts_as_available(conn):
    (mug,) = await _offers(conn, units=2)
    await conn.execute("UPDATE stock SET backorder_limit = 3")
    await _place(conn, mug, quantity=5)
    assert await _stock(conn, mug) == (2, 5)
    _, (outcome,) = await _run(conn, place_orders, place(mug))
    assert outcome.problem.code.value == "out_of_stock"


async def test_the_same_reservation_is_never_released_twice_by_two_movements(conn):
    order = await _place(conn, *await _offers(conn))
    await _run(conn, cancel_orders, CancelOrder(order))
    columns = "cause_id, kind, variant_id, seller_id, reserved_delta, actor"
    with pytest.raises(asyncpg.UniqueViolationError):
        await conn.execute(f"INSERT INTO movements ({columns}) SELECT {columns} FROM movements WHERE kind = 'released'")


async def test_a_sku_belongs_to_one_offer_of_a_seller(conn):
    (made,) = await _offers(conn)
    twin = msgspec.structs.replace(made, product_id=new_id(), variant_id=new_id())
    with pytest.raises(asyncpg.UniqueViolationError) as caught:
        await write_in_transaction(conn, [], [twin])
    assert caught.value.constraint_name == "offers_seller_id_sku_key"
