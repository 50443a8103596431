"""Orders from paid to paid out, through all that happens to their money on the way."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from domain.journal.model import Command
from domain.orders.fulfilment_model import AcceptSellerOrder, DeliverSellerOrder, ShipSellerOrder
from domain.payments.news import DisputeState
from domain.payments.payouts import ApprovePayout, CollectPayout, MarkPayoutPaid
from domain.payments.refund_model import RefundOrder
from tests.engine.parts import Rig
from tests.jobs.invariants import violations
from tests.jobs.paying import Till, a_till
from tests.pricing import write_rule
from tests.settled import give_details

pytestmark = pytest.mark.anyio
# A thing for 10.00, of which the platform has an eighth.
OWED_MINOR = 875
HOLD_IS_OVER = "UPDATE settlements SET settles_at = now() - interval '1 second' WHERE settles_at IS NOT NULL"
ITEMS = "SELECT state, amount_minor FROM payout_items WHERE payout_id = $1"
STATE = "SELECT state FROM payouts WHERE id = $1"


@pytest.fixture
async def till(rig: Rig) -> AsyncIterator[Till]:
    await write_rule(rig.conn, rate_bp=1_250)
    async with a_till(rig) as till:
        await give_details(rig.conn, till.offer.seller_id)
        yield till
        await till.run_all()
        assert await violations(rig.conn) == {}


async def does(till: Till, command: Command) -> UUID:
    (made,) = await till.send(command)
    await till.run_all()
    assert (await till.result(made))[0] == "succeeded"
    return made


async def delivered(till: Till) -> tuple[UUID, UUID]:
    """An order that has settled, and its payment."""
    order = await till.order()
    payment = await till.pay(order)
    await till.run_all()
    for command in (AcceptSellerOrder(order, 0), ShipSellerOrder(order, 0), DeliverSellerOrder(order, 0)):
        await does(till, command)
    await till.conn.execute(HOLD_IS_OVER)
    return order, payment


async def collected(till: Till) -> tuple[UUID, list[tuple[str, int]]]:
    payout = await does(till, CollectPayout("USD", 1))
    return payout, await items(till, payout)


async def items(till: Till, payout: UUID) -> list[tuple[str, int]]:
    return [tuple(row) for row in await till.conn.fetch(ITEMS, payout)]


async def owed(till: Till) -> int:
    found = "SELECT coalesce(-sum(balance_minor), 0) FROM ledger_accounts WHERE account = 'seller_payable'"
    return int(await till.conn.fetchval(found))


async def test_what_was_delivered_is_paid_out_less_commission_once_its_hold_is_over(till: Till):
    order = await till.order()
    await till.pay(order)
    await till.run_all()
    for command in (AcceptSellerOrder(order, 0), ShipSellerOrder(order, 0), DeliverSellerOrder(order, 0)):
        await does(till, command)
    _, early = await collected(till)
    assert (early, await owed(till)) == ([], OWED_MINOR)
    await till.conn.execute(HOLD_IS_OVER)
    payout, found = await collected(till)
    assert found == [("included", OWED_MINOR)]
    await does(till, ApprovePayout(payout))
    await does(till, MarkPayoutPaid(payout))
    assert await owed(till) == 0


async def test_a_refund_after_the_payout_is_owed_and_the_next_payout_takes_it(till: Till):
    order, _ = await delivered(till)
    payout, _ = await collected(till)
    await does(till, ApprovePayout(payout))
    await does(till, MarkPayoutPaid(payout))
    await does(till, RefundOrder(order))
    assert await owed(till) == -OWED_MINOR
    await delivered(till)
    assert (await collected(till))[1] == []
    await delivered(till)
    assert (await collected(till))[1] == [("included", OWED_MINOR)]


async def test_a_chargeback_while_a_payout_waits_for_approval_withdraws_the_seller(till: Till):
    _, payment = await delivered(till)
    payout, _ = await collected(till)
    await till.dispute(payment, DisputeState.OPENED)
    await till.run_all()
    await does(till, ApprovePayout(payout))
    assert await items(till, payout) == [("withdrawn", OWED_MINOR)]
    assert await till.conn.fetchval(STATE, payout) == "failed"
    assert (await collected(till))[1] == []
    await till.dispute(payment, DisputeState.WON)
    await till.run_all()
    assert (await collected(till))[1] == [("included", OWED_MINOR)]


async def test_what_a_lost_chargeback_of_an_undelivered_order_costs_is_due_and_due_no_more_once_it_is_won(till: Till):
    order = await till.order()
    payment = await till.pay(order)
    await till.run_all()
    await delivered(till)
    await till.dispute(payment, DisputeState.OPENED)
    await till.dispute(payment, DisputeState.LOST)
    await till.run_all()
    debt = OWED_MINOR - 1015
    assert (await collected(till))[1] == [("included", OWED_MINOR + debt)]
    await till.dispute(payment, DisputeState.WON)
    await till.run_all()
    assert (await collected(till))[1] == [], "it isn't delivered yet"
    for command in (AcceptSellerOrder(order, 0), ShipSellerOrder(order, 0), DeliverSellerOrder(order, 0)):
        await does(till, command)
    await till.conn.execute(HOLD_IS_OVER)
    assert (await collected(till))[1] == [("included", 1015)]


async def test_a_chargeback_while_a_payout_is_approved_is_owed_in_the_next_one(till: Till):
    _, payment = await delivered(till)
    payout, _ = await collected(till)
    await does(till, ApprovePayout(payout))
    await till.dispute(payment, DisputeState.OPENED)
    await till.run_all()
    await does(till, MarkPayoutPaid(payout))
    assert await items(till, payout) == [("paid", OWED_MINOR)]
    lost = await owed(till)
    assert lost < 0
    await till.dispute(payment, DisputeState.LOST)
    await till.run_all()
    await delivered(till)
    await delivered(till)
    assert (await collected(till))[1] == [("included", 2 * OWED_MINOR + lost)]
