"""Returns while something else happens to the order: whoever gets its lock first, a unit goes back and is paid once."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from msgspec.structs import replace

from domain.orders.fulfilment_model import Units
from domain.orders.return_model import ReceiveReturn, RequestReturn
from domain.payments.refund_model import RefundLine, RefundOrder
from tests.builders import submit
from tests.engine.parts import Rig
from tests.jobs.invariants import violations
from tests.jobs.paying import JOBS, Till, a_till
from tests.jobs.test_returns import asked, decide, delivered, fulfilments

pytestmark = pytest.mark.anyio


@pytest.fixture
async def till(rig: Rig) -> AsyncIterator[Till]:
    async with a_till(rig, units=10, price=1000) as till:
        yield till
        await till.run_all()
        assert await violations(rig.conn) == {}


async def approved(till: Till) -> tuple[UUID, UUID]:
    """An order of three units, and a return of all of them that is on its way."""
    order = await delivered(till)
    (made,) = await asked(till, order, (0, 3))
    await decide(till, order, made)
    return order, made


async def alone(till: Till, name: str) -> None:
    """What a worker does that takes one command at a time."""
    await till.rig.drain(till.rig.runner(replace(JOBS[name], commands_max=1)))


async def test_two_who_unpack_the_same_parcel_at_once_receive_it_once(till: Till):
    order, made = await approved(till)
    commands = await submit(till.conn, *[ReceiveReturn(order, made)] * 2)
    # Both are due, and each has a worker.
    await till.conn.execute("UPDATE pending SET aggregate = NULL WHERE id = ANY ($1)", commands)
    await till.in_line(order, alone(till, "receive_returns"), alone(till, "receive_returns"))
    await till.run_all()
    assert sorted([await till.result(command) for command in commands]) == [
        ("rejected", "return_state"),
        ("succeeded", None),
    ]
    assert await till.charged() == 0
    assert await till.stock() == (10, 0)


@pytest.mark.parametrize("first", ["receive_returns", "refund_orders"])
async def test_a_refund_and_what_comes_back_at_once_refund_each_unit_once(till: Till, first: str):
    order, made = await approved(till)
    commands = await submit(till.conn, ReceiveReturn(order, made), RefundOrder(order, (RefundLine(0, 2),)))
    await till.conn.execute("UPDATE pending SET aggregate = NULL WHERE id = ANY ($1)", commands)
    second = "refund_orders" if first == "receive_returns" else "receive_returns"
    await till.in_line(order, till.step(first), till.step(second))
    await till.run_all()
    received, refunded = [await till.result(command) for command in commands]
    assert received == ("succeeded", None)
    assert refunded == (("rejected", "nothing_to_refund") if first == "receive_returns" else ("succeeded", None))
    assert await till.charged() == 0
    assert await till.stock() == (10, 0)
    assert await fulfilments(till, order) == ["returned"]


async def test_two_who_ask_for_the_same_unit_at_once_have_it_sent_back_once(till: Till):
    order = await delivered(till)
    wish = RequestReturn(order, (Units(0, 2),), "Too small")
    commands = await submit(till.conn, wish, wish)
    await till.conn.execute("UPDATE pending SET aggregate = NULL WHERE id = ANY ($1)", commands)
    await till.in_line(order, alone(till, "request_returns"), alone(till, "request_returns"))
    assert sorted([await till.result(command) for command in commands]) == [
        ("rejected", "units_short"),
        ("succeeded", None),
    ]
