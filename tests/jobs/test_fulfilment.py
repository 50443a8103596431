"""Seller orders on real rows: what sellers do under the order's lock, what follows from it, and who comes first."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from domain.journal.model import SYSTEM
from domain.orders.fulfilment_model import AcceptSellerOrder, DeliverSellerOrder, ShipSellerOrder, Units
from domain.orders.model import CancelOrder
from domain.payments.news import Capture
from domain.payments.refund_model import RefundLine, RefundOrder
from ops.catalog import write_catalog
from ops.goods import NewSeller
from tests.builders import offer, write_offers
from tests.engine.parts import Rig
from tests.jobs.invariants import violations
from tests.jobs.paying import Till, a_till

pytestmark = pytest.mark.anyio


@pytest.fixture
async def till(rig: Rig) -> AsyncIterator[Till]:
    async with a_till(rig) as till:
        yield till
        await till.run_all()
        assert await violations(rig.conn) == {}


async def paid(till: Till, capture: Capture = Capture.NOW, quantity: int = 3) -> UUID:
    """An order of two lines of one seller each."""
    (other,) = await write_offers(till.conn, units=10, price=250)
    order = await till.order(till.offer, other, quantity=quantity)
    await till.pay(order, capture=capture)
    await till.run_all()
    return order


async def accepted(till: Till, capture: Capture = Capture.NOW) -> UUID:
    order = await paid(till, capture)
    await till.send(AcceptSellerOrder(order, 0))
    await till.run("accept_seller_orders")
    return order


async def ship(till: Till, order: UUID, *units: tuple[int, int]) -> UUID:
    (shipment,) = await till.send(ShipSellerOrder(order, 0, tuple(Units(*each) for each in units) or None))
    await till.run("ship_seller_orders")
    return shipment


async def fulfilment(till: Till, order: UUID) -> str:
    query = "SELECT fulfilment FROM seller_orders WHERE order_id = $1 AND seller_no = 0"
    return str(await till.conn.fetchval(query, order))


async def settles_at(till: Till, order: UUID) -> list[int]:
    """The seller orders that payouts may take some time from now on."""
    rows = await till.conn.fetch(
        "SELECT seller_no FROM settlements WHERE order_id = $1 AND settles_at > now() + interval '6 days'", order
    )
    return [row["seller_no"] for row in rows]


async def test_a_seller_order_goes_from_accepted_to_delivered(till: Till):
    order = await accepted(till)
    shipment = await ship(till, order, (0, 1))
    assert await fulfilment(till, order) == "partly_shipped"
    await ship(till, order)
    await till.send(DeliverSellerOrder(order, 0, shipment))
    await till.run("deliver_seller_orders")
    assert await fulfilment(till, order) == "shipped"
    assert await settles_at(till, order) == []
    await till.send(DeliverSellerOrder(order, 0))
    await till.run("deliver_seller_orders")
    assert await fulfilment(till, order) == "delivered"
    assert await settles_at(till, order) == [0]
    told = [event for event in await till.events(order) if event in {"accepted", "shipped", "delivered"}]
    assert told == ["accepted", "shipped", "shipped", "delivered"]
    rows = await till.conn.fetch("SELECT lines, quantities, state FROM shipments ORDER BY id")
    assert [tuple(row) for row in rows] == [([0], [1], "delivered"), ([0], [2], "delivered")]


async def test_shipping_takes_what_was_authorized(till: Till):
    order = await accepted(till, Capture.ON_SHIPMENT)
    assert (await till.state(order))[0] == "authorized"
    await ship(till, order, (0, 1))
    await ship(till, order)
    await till.run_all()
    assert (await till.state(order))[0] == "paid"
    assert await till.charged() == 3750


async def test_what_is_not_paid_waits(till: Till):
    order = await till.order()
    (command,) = await till.send(AcceptSellerOrder(order, 0))
    await till.run("accept_seller_orders")
    assert await till.result(command) == ("rejected", "order_state")


async def test_of_shipping_and_cancelling_at_once_the_first_wins(till: Till):
    shipped_first, cancelled_first = await accepted(till), await accepted(till)
    for order, jobs in (
        (shipped_first, ("ship_seller_orders", "cancel_orders")),
        (cancelled_first, ("cancel_orders", "ship_seller_orders")),
    ):
        shipping, cancelling = await till.send(ShipSellerOrder(order, 0), CancelOrder(order, (0,)))
        # As if neither had been held back for the other: each has been claimed by a worker of its own.
        await till.conn.execute("UPDATE pending SET aggregate = NULL WHERE id = ANY ($1)", [shipping, cancelling])
        await till.in_line(order, *(till.step(job) for job in jobs))
        results = {"ship_seller_orders": await till.result(shipping), "cancel_orders": await till.result(cancelling)}
        assert results[jobs[0]] == ("succeeded", None)
        assert results[jobs[1]] == ("rejected", "order_state")
    assert await fulfilment(till, shipped_first) == "shipped"
    assert await fulfilment(till, cancelled_first) == "cancelled"


async def test_the_last_unit_is_shipped_once_however_many_ship_it(till: Till):
    order = await accepted(till)
    ids = await till.send(*[ShipSellerOrder(order, 0, (Units(0, 2),)) for _ in range(3)])
    for _ in ids:
        await till.run("ship_seller_orders")
    results = [await till.result(command) for command in ids]
    assert results == [("succeeded", None), *[("rejected", "units_short")] * 2]
    assert await till.conn.fetchval("SELECT sum(q) FROM shipments, unnest(quantities) AS q") == 2


async def partly_shipped(till: Till) -> UUID:
    """An order of two lines of one seller, two units each; the first line has been shipped."""
    of_seller = NewSeller(till.offer.seller_id, "Seller")
    other = offer(of_seller, units=10, price=250)
    await write_catalog(till.conn, [], [other], actor=SYSTEM, reason="test")
    order = await till.order(till.offer, other, quantity=2)
    await till.pay(order)
    await till.run_all()
    await till.send(AcceptSellerOrder(order, 0))
    await till.run("accept_seller_orders")
    await ship(till, order, (0, 2))
    assert await fulfilment(till, order) == "partly_shipped"
    return order


async def test_a_seller_cancels_what_has_not_been_shipped_and_the_rest_goes_on(till: Till):
    order, seller = await partly_shipped(till), till.offer.seller_id
    refused, cancelled = await till.send(CancelOrder(order, (0,), "", seller), CancelOrder(order, None, "", seller))
    for _ in range(2):
        await till.run("cancel_orders")
    assert await till.result(refused) == ("rejected", "order_state")
    assert await till.result(cancelled) == ("succeeded", None)
    assert await fulfilment(till, order) == "shipped"
    await till.send(DeliverSellerOrder(order, 0))
    await till.run("deliver_seller_orders")
    assert await fulfilment(till, order) == "delivered"
    await till.run_all()
    assert await till.charged() == 2_000


async def test_cancelling_the_rest_of_what_has_arrived_delivers_it(till: Till):
    order = await partly_shipped(till)
    await till.send(DeliverSellerOrder(order, 0))
    await till.run("deliver_seller_orders")
    assert await fulfilment(till, order) == "partly_shipped"
    await till.send(CancelOrder(order, (1,), "", till.offer.seller_id))
    await till.run("cancel_orders")
    assert await fulfilment(till, order) == "delivered"
    assert await settles_at(till, order) == [0]
    assert (await till.events(order))[-2:] in (["delivered", "refund_started"], ["lines_cancelled", "delivered"])


async def test_a_seller_cancels_no_line_of_another(till: Till):
    order = await paid(till)
    (command,) = await till.send(CancelOrder(order, (1,), "", till.offer.seller_id))
    await till.run("cancel_orders")
    assert await till.result(command) == ("rejected", "unknown_line")
    (command,) = await till.send(CancelOrder(order, None, "", till.offer.seller_id))
    await till.run("cancel_orders")
    assert await fulfilment(till, order) == "cancelled"
    query = "SELECT fulfilment FROM seller_orders WHERE order_id = $1 AND seller_no = 1"
    assert await till.conn.fetchval(query, order) == "awaiting"
    (command,) = await till.send(CancelOrder(order, None, "", till.offer.seller_id))
    await till.run("cancel_orders")
    assert await till.result(command) == ("rejected", "order_state")


async def test_of_shipping_and_refunding_at_once_the_first_decides_what_is_sent(till: Till):
    """A refund that comes first takes its units out of the parcel; one that comes second takes back none of it."""
    jobs = ("ship_seller_orders", "refund_orders")
    sent = {}
    for first in jobs:
        order = await accepted(till)
        ids = await till.send(ShipSellerOrder(order, 0), RefundOrder(order, (RefundLine(0, 1),)))
        await till.conn.execute("UPDATE pending SET aggregate = NULL WHERE id = ANY ($1)", ids)
        await till.in_line(order, *(till.step(job) for job in sorted(jobs, key=lambda job, first=first: job != first)))
        assert [await till.result(command) for command in ids] == [("succeeded", None)] * 2
        assert await fulfilment(till, order) == "shipped"
        units = "SELECT sum(q) FROM shipments, unnest(quantities) AS q WHERE order_id = $1"
        sent[first] = await till.conn.fetchval(units, order)
    assert sent == {"ship_seller_orders": 3, "refund_orders": 2}
