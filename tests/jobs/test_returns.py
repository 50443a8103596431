"""Returns on real rows: asked for, answered, received once; money, commission and stock go back once."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import msgspec
import pytest

from domain.orders.fulfilment_model import AcceptSellerOrder, DeliverSellerOrder, ShipSellerOrder, Units
from domain.orders.model import CancelOrder
from domain.orders.return_model import DecideReturn, ReceivedLine, ReceiveReturn, RequestReturn
from domain.payments.refund_model import RefundLine, RefundOrder
from tests.builders import submit, write_offers
from tests.engine.parts import Rig
from tests.jobs.invariants import violations
from tests.jobs.paying import Till, a_till

pytestmark = pytest.mark.anyio


@pytest.fixture
async def till(rig: Rig) -> AsyncIterator[Till]:
    async with a_till(rig, units=10, price=1000) as till:
        yield till
        await till.run_all()
        assert await violations(rig.conn) == {}


async def delivered(till: Till, *others: Any, quantity: int = 3, shipped: int | None = None) -> UUID:
    """An order that was paid; of its first seller order ``shipped`` units, or all, were delivered."""
    order = await till.order(till.offer, *others, quantity=quantity)
    await till.pay(order)
    await till.run_all()
    units = None if shipped is None else (Units(0, shipped),)
    for number in range(1 + len(others)):
        await till.send(AcceptSellerOrder(order, number))
        await till.run("accept_seller_orders")
        await till.send(ShipSellerOrder(order, number, units))
        await till.run("ship_seller_orders")
        await till.send(DeliverSellerOrder(order, number))
        await till.run("deliver_seller_orders")
    return order


async def ask(till: Till, order: UUID, *units: tuple[int, int]) -> tuple[UUID, tuple[str, str | None]]:
    lines = tuple(Units(*each) for each in units or ((0, 1),))
    (command,) = await submit(till.conn, RequestReturn(order, lines, "Too small"))
    await till.run("request_returns")
    return command, await till.result(command)


async def asked(till: Till, order: UUID, *units: tuple[int, int]) -> list[UUID]:
    command, result = await ask(till, order, *units)
    assert result == ("succeeded", None)
    row = await till.conn.fetchval("SELECT result::text FROM outcomes WHERE id = $1", command)
    return [UUID(each["return_id"]) for each in msgspec.json.decode(row)["returns"]]


async def decide(till: Till, order: UUID, made: UUID, *, approve: bool = True) -> tuple[str, str | None]:
    (command,) = await submit(till.conn, DecideReturn(order, made, approve, "as you say"))
    await till.run("decide_returns")
    return await till.result(command)


async def receive(till: Till, order: UUID, made: UUID, *lines: ReceivedLine) -> tuple[str, str | None]:
    (command,) = await submit(till.conn, ReceiveReturn(order, made, lines or None))
    await till.run("receive_returns")
    return await till.result(command)


async def came_back(till: Till, order: UUID, *units: tuple[int, int]) -> None:
    for made in await asked(till, order, *units):
        await decide(till, order, made)
        assert await receive(till, order, made) == ("succeeded", None)
    await till.run_all()


async def fulfilments(till: Till, order: UUID) -> list[str]:
    rows = await till.conn.fetch("SELECT fulfilment FROM seller_orders WHERE order_id = $1 ORDER BY seller_no", order)
    return [row["fulfilment"] for row in rows]


async def test_what_comes_back_is_refunded_and_goes_back_on_the_shelf(till: Till):
    order = await delivered(till)
    assert await till.stock() == (7, 0)
    await came_back(till, order, (0, 2))
    assert await till.stock() == (9, 0)
    assert await till.charged() == 1000
    assert (await till.state(order))[:2] == ("partially_refunded", "delivered")
    await came_back(till, order, (0, 1))
    assert await till.stock() == (10, 0)
    assert await till.charged() == 0
    assert (await till.state(order))[:2] == ("refunded", "returned")
    told = [event for event in await till.events(order) if event.startswith("return_")]
    assert told == ["return_requested", "return_approved", "return_received"] * 2


async def test_a_return_is_received_once(till: Till):
    order = await delivered(till)
    (made,) = await asked(till, order, (0, 2))
    await decide(till, order, made)
    # Two who unpack the same parcel, in one batch.
    await submit(till.conn, *[ReceiveReturn(order, made)] * 2)
    await till.run("receive_returns")
    assert await receive(till, order, made) == ("rejected", "return_state")
    await till.run_all()
    assert await till.stock() == (9, 0)
    assert await till.charged() == 1000


async def test_what_is_broken_is_refunded_and_not_put_back(till: Till):
    order = await delivered(till)
    (made,) = await asked(till, order, (0, 3))
    await decide(till, order, made)
    parts = (ReceivedLine(0, 1), ReceivedLine(0, 1, restock=False))
    assert await receive(till, order, made, *parts) == ("succeeded", None)
    await till.run_all()
    assert await till.stock() == (8, 0)
    assert await till.charged() == 1000
    assert await fulfilments(till, order) == ["delivered"]
    row = await till.conn.fetchrow("SELECT received, restocked FROM returns WHERE id = $1", made)
    assert tuple(row) == ([2], [1])
    # The one that didn't come may still be sent.
    assert len(await asked(till, order, (0, 1))) == 1


async def test_no_more_is_sent_back_than_was_delivered_and_not_before(till: Till):
    order = await delivered(till, shipped=2)
    assert (await ask(till, order, (0, 3)))[1] == ("rejected", "units_short")
    assert (await ask(till, order, (0, 1), (0, 2)))[1] == ("rejected", "units_short")
    (first,) = await asked(till, order, (0, 2))
    assert (await ask(till, order, (0, 1)))[1] == ("rejected", "units_short")
    assert await decide(till, order, first, approve=False) == ("succeeded", None)
    # What was rejected may be asked for again.
    assert len(await asked(till, order, (0, 1))) == 1
    assert (await ask(till, order, (7, 1)))[1] == ("rejected", "unknown_line")


async def test_what_was_refunded_without_being_sent_back_is_the_buyers_to_keep(till: Till):
    order = await delivered(till)
    await till.send(RefundOrder(order, (RefundLine(0, 2),)))
    await till.run_all()
    assert (await ask(till, order, (0, 2)))[1] == ("rejected", "units_short")
    await came_back(till, order, (0, 1))
    assert await till.charged() == 0
    assert await fulfilments(till, order) == ["delivered"]


async def test_a_unit_that_is_refunded_while_it_is_sent_back_is_refunded_once(till: Till):
    order = await delivered(till)
    (made,) = await asked(till, order, (0, 3))
    await decide(till, order, made)
    await till.send(RefundOrder(order, (RefundLine(0, 2),)))
    await till.run_all()
    assert await receive(till, order, made) == ("succeeded", None)
    await till.run_all()
    assert await till.charged() == 0
    assert await till.stock() == (10, 0)
    assert await fulfilments(till, order) == ["returned"]


async def test_a_return_takes_its_steps_in_order(till: Till):
    order = await delivered(till)
    (made,) = await asked(till, order)
    assert await receive(till, order, made) == ("rejected", "return_state")
    assert await decide(till, order, made) == ("succeeded", None)
    assert await decide(till, order, made) == ("rejected", "return_state")
    assert await receive(till, order, made, ReceivedLine(0, 2)) == ("rejected", "units_short")
    assert await receive(till, order, made, ReceivedLine(1, 1)) == ("rejected", "unknown_line")


async def test_each_seller_has_a_return_of_their_own(till: Till):
    (other,) = await write_offers(till.conn, units=10, price=250)
    order = await delivered(till, other)
    first, second = await asked(till, order, (0, 1), (1, 3))
    await decide(till, order, first, approve=False)
    await decide(till, order, second)
    assert await receive(till, order, second) == ("succeeded", None)
    assert await fulfilments(till, order) == ["delivered", "returned"]
    await till.run_all()
    assert await till.charged() == 3000


async def test_what_was_delivered_too_long_ago_is_not_taken_back(till: Till):
    order = await delivered(till)
    await till.conn.execute("UPDATE shipments SET delivered_at = delivered_at - interval '31 days'")
    assert (await ask(till, order, (0, 1)))[1] == ("rejected", "units_short")


async def test_a_return_of_what_was_cancelled_or_is_on_its_way_is_refused(till: Till):
    (other,) = await write_offers(till.conn, units=10, price=250)
    order = await till.order(till.offer, other)
    await till.pay(order)
    await till.run_all()
    await till.send(CancelOrder(order, lines=(1,)))
    await till.run("cancel_orders")
    assert (await ask(till, order, (1, 1)))[1] == ("rejected", "units_short")
    await till.send(AcceptSellerOrder(order, 0))
    await till.run("accept_seller_orders")
    await till.send(ShipSellerOrder(order, 0))
    await till.run("ship_seller_orders")
    assert (await ask(till, order, (0, 1)))[1] == ("rejected", "units_short")


async def test_what_comes_back_has_a_credit_note(till: Till):
    order = await delivered(till)
    await came_back(till, order, (0, 1))
    rows = await till.conn.fetch("SELECT kind, (content -> 'total' ->> 'amount')::int FROM invoices ORDER BY kind DESC")
    assert [tuple(row) for row in rows] == [("invoice", 3000), ("credit_note", 1000)]


async def test_a_return_whose_parcel_never_comes_is_given_up_and_may_be_asked_for_again(till: Till):
    order = await delivered(till)
    (made,) = await asked(till, order)
    assert await decide(till, order, made) == ("succeeded", None)
    assert await decide(till, order, made, approve=False) == ("succeeded", None)
    assert await receive(till, order, made) == ("rejected", "return_state")
    assert len(await asked(till, order)) == 1


@pytest.mark.parametrize("back", [1, 2])
async def test_when_the_rest_is_given_back_a_seller_order_is_returned_if_all_that_was_shipped_came_back(
    till: Till, back: int
):
    order = await delivered(till, quantity=3, shipped=2)
    assert await fulfilments(till, order) == ["partly_shipped"]
    await came_back(till, order, (0, back))
    assert await fulfilments(till, order) == ["partly_shipped"], "a unit is still to be shipped"
    await till.send(RefundOrder(order, (RefundLine(0),)))
    await till.run_all()
    assert await fulfilments(till, order) == ["returned" if back == 2 else "delivered"]
    assert (await till.events(order)).count("returned") == (back == 2)
