"""What the jobs of seller orders have in common: lock the orders, decide, write, let payouts take what has arrived."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from domain.journal.declare import Batch
from domain.journal.model import BatchOutcome
from domain.journal.sql import insert_events
from domain.orders import fulfilment
from domain.orders.fulfilment_sql import lock_fulfilled, save_fulfilments
from domain.orders.sql import set_versions
from domain.payments.ledger_sql import settle_from
from domain.payments.model import CapturePayment


async def fulfil(batch: Batch[Any]) -> Sequence[BatchOutcome]:
    """Carry out a batch; outcomes in the order of the commands."""
    conn, now = batch.conn, batch.now
    orders = await lock_fulfilled(conn, {claimed.command.order_id for claimed in batch.commands})
    plan = fulfilment.decide(batch.commands, orders)
    await save_fulfilments(conn, plan, now)
    await set_versions(conn, plan.versions)
    await insert_events(conn, plan.events)
    await settle_from(conn, plan.delivered, now + timedelta(seconds=batch.limits.payout_hold_seconds))
    for order_id, correlation in plan.uncaptured.items():
        batch.follow_up(CapturePayment(order_id), correlation)
    return plan.outcomes
