"""Comparing gateways' books with ours: what nobody has heard of is asked about, what is nobody's is given back."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from domain.orders.model import CancelOrder
from domain.payments.news import AttemptState, Capture
from domain.payments.reconciliation import SweepPayments
from infra.clock import new_id
from infra.gateways import registry
from tests.engine.parts import Rig
from tests.gateways import an_intent
from tests.jobs.invariants import violations
from tests.jobs.paying import Till, a_till

pytestmark = pytest.mark.anyio
OLD = "now() - interval '1 hour'"


@pytest.fixture
async def till(rig: Rig) -> AsyncIterator[Till]:
    async with a_till(rig) as till:
        yield till
        assert await violations(rig.conn) == {}


async def time_passes(till: Till) -> None:
    """Let everything at hand be an hour old, here and at the gateway."""
    await till.conn.execute(f"UPDATE payments SET created_at = {OLD}, updated_at = {OLD}, checked_at = NULL")
    await till.conn.execute(f"UPDATE refunds SET created_at = {OLD}")
    await till.conn.execute(f"UPDATE sandbox_intents SET created_at = {OLD}")


async def sweep(till: Till) -> None:
    await till.send(SweepPayments())
    await till.run_all()


async def charge_behind_our_back(till: Till, payment_id: UUID | None = None, **changes: object) -> str:
    """Have the sandbox charge for a payment we know nothing of; return its reference."""
    intent = an_intent(**({"payment_id": payment_id or new_id()} | changes))
    gateway = registry.gateway("sandbox")
    assert gateway is not None
    news = await gateway.create(intent, key=new_id().hex, seconds=5)
    assert news.reference is not None
    return news.reference


async def orphans(till: Till) -> list[tuple[str, int, bool]]:
    rows = await till.conn.fetch(
        "SELECT reference, amount_minor, refunded_at IS NOT NULL AS refunded FROM orphaned_charges ORDER BY reference"
    )
    return [tuple(row) for row in rows]


async def test_a_payment_nobody_heard_of_again_is_looked_up(till: Till):
    order = await till.order()
    payment = await till.pay(order, "tok_late_webhook")
    await till.conn.execute("DELETE FROM pending")
    await till.conn.execute("DELETE FROM commands WHERE job = 'send_sandbox_webhooks'")
    assert await till.state(order) == ("pending", "awaiting", False)
    await time_passes(till)
    await sweep(till)
    assert await till.payment(payment) == ("captured", 1000, 0)
    assert await till.state(order) == ("paid", "awaiting", False)


async def test_what_was_heard_of_lately_is_left_alone(till: Till):
    order = await till.order()
    await till.pay(order, "tok_action_required")
    await sweep(till)
    assert await till.conn.fetchval("SELECT count(*) FROM commands WHERE job = 'check_payments'") == 0
    await time_passes(till)
    for _ in range(2):
        await sweep(till)
    assert await till.conn.fetchval("SELECT count(*) FROM commands WHERE job = 'check_payments'") == 1


async def test_a_charge_that_belongs_to_no_payment_is_given_back_once(till: Till):
    reference = await charge_behind_our_back(till)
    await time_passes(till)
    for _ in range(2):
        await sweep(till)
    assert await orphans(till) == [(reference, 1999, True)]
    assert await till.charged() == 0


async def test_a_promise_that_belongs_to_no_payment_is_voided(till: Till):
    reference = await charge_behind_our_back(till, capture=Capture.ON_SHIPMENT)
    await time_passes(till)
    await sweep(till)
    assert await orphans(till) == [(reference, 1999, True)]
    assert await till.conn.fetchval("SELECT state FROM sandbox_intents") == "voided"


async def test_a_second_charge_for_the_same_payment_is_given_back_and_the_first_one_stays(till: Till):
    order = await till.order()
    payment = await till.pay(order)
    second = await charge_behind_our_back(till, payment, order_id=order, amount_minor=1000)
    await time_passes(till)
    await sweep(till)
    assert await orphans(till) == [(second, 1000, True)]
    assert await till.payment(payment) == ("captured", 1000, 0)
    assert await till.charged() == 1000


async def test_a_declined_charge_is_no_orphan(till: Till):
    await charge_behind_our_back(till, token="tok_declined")
    await time_passes(till)
    await sweep(till)
    assert await orphans(till) == []


async def test_a_charge_made_this_moment_is_waited_with(till: Till):
    await charge_behind_our_back(till)
    await sweep(till)
    assert await orphans(till) == []
    await till.conn.execute("UPDATE sandbox_intents SET created_at = now() - interval '6 minutes'")
    await sweep(till)
    assert await till.charged() == 0


async def test_all_pages_of_the_books_are_compared_and_it_is_noted_how_far(till: Till):
    for _ in range(230):
        await charge_behind_our_back(till)
    await time_passes(till)
    await sweep(till)
    assert len(await orphans(till)) == 230
    assert await till.charged() == 0
    pages = await till.conn.fetchval("SELECT count(*) FROM commands WHERE job = 'reconcile_charges'")
    assert pages == 3
    noted = await till.conn.fetchval("SELECT now() - until < interval '10 minutes' FROM reconciliations")
    assert noted is True


async def test_a_refund_that_was_made_and_never_recorded_is_found(till: Till):
    order = await till.order()
    payment = await till.pay(order)
    await till.run_all()
    await till.send(CancelOrder(order))
    await till.run("cancel_orders", "issue_invoices")
    gateway = registry.gateway("sandbox")
    assert gateway is not None
    reference = await till.conn.fetchval("SELECT reference FROM payments")
    await gateway.refund(reference, 1, 1000, "USD", key="as the worker that died", seconds=5)
    await till.conn.execute("DELETE FROM pending WHERE job = 'refund_payments'")
    await till.conn.execute("DELETE FROM commands WHERE job = 'refund_payments'")
    await time_passes(till)
    await sweep(till)
    assert await till.payment(payment) == ("captured", 1000, 1000)
    assert (await till.state(order))[0] == "refunded"
    assert await till.charged() == 0


async def test_what_a_gateway_knows_more_of_is_taken_in(till: Till):
    order = await till.order()
    payment = await till.pay(order, capture=Capture.ON_SHIPMENT)
    await till.run_all()
    await till.conn.execute("UPDATE sandbox_intents SET state = 'captured', captured_minor = amount_minor")
    await time_passes(till)
    await sweep(till)
    assert await till.payment(payment) == (AttemptState.CAPTURED.value, 1000, 0)
