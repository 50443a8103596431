"""Read models: made of events alone, they say what the tables say, however the events are dealt to them."""

from collections.abc import AsyncIterator
from random import Random
from typing import Any

import pytest

import jobs
from domain import ids
from domain.insights.sales import SALES_TYPES, sales_of
from domain.insights.sql import PROJECTIONS
from domain.insights.stock_days import STOCK_TYPES, stock_days_of
from domain.inventory.hold_model import EndHold, Ending, HoldLine, ReserveStock
from domain.inventory.model import ExpireReservations
from domain.inventory.stock_model import Cause, SetStock, StockChange
from domain.journal.event_sql import found_subscriptions
from domain.orders.fulfilment_model import AcceptSellerOrder, DeliverSellerOrder, ShipSellerOrder, Units
from domain.orders.model import CancelOrder
from domain.orders.return_model import DecideReturn, ReceivedLine, ReceiveReturn, RequestReturn
from domain.payments.refund_model import RefundLine, RefundOrder
from tests.builders import submit, write_offers
from tests.engine.listening import readable
from tests.engine.parts import Rig
from tests.jobs.invariants import violations
from tests.jobs.paying import Till, a_till
from tests.jobs.told import all_events, sales_held, stock_held
from workers.subscriptions import deliver

pytestmark = pytest.mark.anyio

SUMS = {
    "stock_history": "SELECT variant_id, seller_id, location, sum(on_hand)::int AS a, sum(reserved)::int AS b"
    " FROM stock_history GROUP BY 1, 2, 3",
    "seller_sales": "SELECT seller_id, currency, sum(units - units_back)::int AS a,"
    " sum(total_minor - back_minor)::int AS b FROM seller_sales GROUP BY 1, 2",
}
MOVED = (
    "SELECT sum(received)::int, sum(adjusted)::int, sum(sold)::int, sum(returned)::int FROM stock_history"
    " WHERE variant_id <> $1"
)
SOLD = (
    "SELECT sum(orders)::int, sum(units)::int, sum(total_minor)::int, sum(units_back)::int, sum(back_minor)::int"
    " FROM seller_sales"
)


@pytest.fixture
async def till(rig: Rig) -> AsyncIterator[Till]:
    async with a_till(rig, units=50, price=1000) as till:
        yield till
        await till.run_all()
        assert await violations(rig.conn) == {}


async def live(till: Till) -> None:
    """Have stock counted and received, held, sold, cancelled, refunded before and after shipping, returned, expired."""
    (other,) = await write_offers(till.conn, units=20, price=250)
    of = (other.variant_id, other.seller_id)
    await till.send(SetStock(*of, StockChange("counted", on_hand=30)))
    await till.send(SetStock(*of, StockChange("delivered", delta=5, cause=Cause.RECEIVED)))
    await till.run("set_stock")
    held = await submit(till.conn, *[ReserveStock((HoldLine(*of, 2),))] * 3)
    await till.run("reserve_stock")
    holds = [ids.child(each, ids.Kind.RESERVATION, 0) for each in held]
    await till.send(EndHold(holds[0], Ending.RELEASED), EndHold(holds[1], Ending.CONFIRMED))
    await till.run("end_holds")
    unpaid, gone, sold = [await till.order(till.offer, other, quantity=3) for _ in range(3)]
    await till.send(CancelOrder(unpaid, (1,)))
    await till.run("cancel_orders")
    await till.expire(gone)
    await till.send(ExpireReservations())
    await till.run_all()
    await till.pay(sold)
    await till.run_all()
    await till.send(RefundOrder(sold, (RefundLine(0, 1),), None))
    await till.run("refund_orders")
    await till.send(AcceptSellerOrder(sold, 0))
    await till.run("accept_seller_orders")
    await till.send(ShipSellerOrder(sold, 0, (Units(0, 2),)))
    await till.run("ship_seller_orders")
    await till.send(DeliverSellerOrder(sold, 0), CancelOrder(sold, (1,)))
    await till.run("deliver_seller_orders", "cancel_orders")
    await till.send(RequestReturn(sold, (Units(0, 2),), "Too small"))
    await till.run("request_returns")
    (made,) = [row["id"] for row in await till.conn.fetch("SELECT id FROM returns")]
    await till.send(DecideReturn(sold, made, approve=True, reason="as you say"))
    await till.run("decide_returns")
    await till.send(ReceiveReturn(sold, made, (ReceivedLine(0, 1), ReceivedLine(0, 1, restock=False))))
    await till.run_all()


async def read_all(till: Till, name: str, *, size: int) -> None:
    subscription = jobs.load_subscriptions()[name]
    await found_subscriptions(till.conn, [(name, False)])
    await readable(till.conn)
    while True:
        report = await deliver(till.conn, subscription, till.rig.settings.limits(), events_max=size)
        assert report is not None
        assert report.failed == 0
        if not report.full:
            return


async def sums(conn: Any, name: str) -> dict[Any, tuple[int, int]]:
    found = {tuple(row)[:-2]: (row["a"], row["b"]) for row in await conn.fetch(SUMS[name])}
    return {key: figures for key, figures in found.items() if any(figures)}


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_rebuilding_a_read_model_from_events_gives_what_the_tables_say(till: Till, size: int):
    await live(till)
    for name in PROJECTIONS:
        await read_all(till, name, size=size)
    assert await sums(till.conn, "stock_history") == await stock_held(till.conn)
    assert await sums(till.conn, "seller_sales") == await sales_held(till.conn)
    row = await till.conn.fetchrow(MOVED, till.offer.variant_id)
    # 20 and 5 came; 30 counted instead of 20; 2 held for good, 3 ordered; those of a cancelled line were put back.
    assert tuple(row) == (25, 10, 5, 3)
    assert tuple(await till.conn.fetchrow(SOLD)) == (2, 6, 3750, 6, 3750)


async def test_the_order_in_which_events_come_makes_no_difference(till: Till):
    await live(till)
    events = await all_events(till.conn)
    histories: dict[Any, list[Any]] = {}
    for event in events:
        histories.setdefault(event.stream, []).append(event)
    orders = {stream: [e for e in h if e.type in STOCK_TYPES] for stream, h in histories.items()}
    orders = {stream: history for stream, history in orders.items() if history and history[0].type == "order.placed"}
    of_stock = [event for event in events if event.type in STOCK_TYPES]
    of_sales = [event for event in events if event.type in SALES_TYPES]
    told = stock_days_of(of_stock, orders), sales_of(of_sales)
    Random(1).shuffle(of_stock)
    Random(2).shuffle(of_sales)
    assert (stock_days_of(of_stock, orders), sales_of(of_sales)) == told
