"""Money that comes late for goods of which a buyer may have only so many: the limit holds all the same."""

from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest

from tests.engine.parts import Rig
from tests.jobs.invariants import violations
from tests.jobs.paying import Till, a_till
from tests.jobs.test_late_payments import GIVEN_BACK, PAID, REFUNDED, TAKEN_AGAIN, buy, expired, late, waiting

pytestmark = pytest.mark.anyio
LIMIT = "UPDATE offers SET quantity_max = 6, quantity_window_seconds = 3600"
NO_LIMIT = "UPDATE offers SET quantity_max = NULL, quantity_window_seconds = NULL"


@pytest.fixture
async def till(rig: Rig) -> AsyncIterator[Till]:
    async with a_till(rig, units=50) as till:
        await rig.conn.execute(LIMIT)
        yield till
        await till.run_all()
        # No event tells of a limit that a test has set.
        await rig.conn.execute(NO_LIMIT)
        assert await violations(rig.conn) == {}


async def an_expired_order(till: Till, buyer: UUID) -> tuple[UUID, UUID]:
    order, payment = await waiting(till, quantity=4, buyer=buyer)
    await expired(till, order)
    return order, payment


async def test_what_is_taken_again_counts_for_the_orders_after_it(till: Till):
    buyer = uuid4()
    order, payment = await an_expired_order(till, buyer)
    await late(till, payment)
    assert await till.state(order) == PAID
    assert (await till.events(order))[-len(TAKEN_AGAIN) :] == TAKEN_AGAIN
    assert await till.conn.fetchval("SELECT count(*) FROM limited_holds WHERE buyer = $1", buyer) == 2
    await buy(till, quantity=2, buyer=buyer)
    with pytest.raises(AssertionError):
        await buy(till, quantity=1, buyer=buyer)


async def test_a_limit_that_was_used_up_meanwhile_has_the_money_given_back(till: Till):
    buyer = uuid4()
    order, payment = await an_expired_order(till, buyer)
    await buy(till, quantity=3, buyer=buyer)
    await late(till, payment)
    assert await till.state(order) == REFUNDED
    assert (await till.events(order))[-len(GIVEN_BACK) :] == GIVEN_BACK


async def test_what_others_have_is_theirs(till: Till):
    order, payment = await an_expired_order(till, uuid4())
    await buy(till, quantity=6, buyer=uuid4())
    await late(till, payment)
    assert await till.state(order) == PAID
