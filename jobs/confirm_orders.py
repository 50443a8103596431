"""Confirm orders that cost nothing: lock them and what they hold, decide, and turn their reservations into sales."""

from collections.abc import Sequence

from domain.inventory.model import ReservationStatus
from domain.inventory.sql import end_reservations, lock_active, restock
from domain.journal.declare import Batch, batch
from domain.journal.model import SYSTEM, BatchOutcome
from domain.journal.sql import insert_events
from domain.orders import confirmation
from domain.orders.model import ConfirmOrder
from domain.orders.sql import confirm_orders as write_confirmed
from domain.orders.sql import load_open_orders, lock_orders
from domain.payments.invoice_model import IssueInvoices
from domain.payments.ledger_sql import write_postings
from domain.payments.postings import sold
from domain.pricing.snapshot import SnapshotCommissions


@batch(ConfirmOrder)
async def confirm_orders(batch: Batch[ConfirmOrder]) -> Sequence[BatchOutcome]:
    """Confirm a batch; outcomes in the order of the commands."""
    conn = batch.conn
    ids = sorted({claimed.command.order_id for claimed in batch.commands})
    await lock_orders(conn, ids)
    orders = await load_open_orders(conn, ids)
    held = await lock_active(conn, [hold for order in orders.values() for hold in confirmation.holds_of(order)])
    plan = confirmation.decide(batch.commands, orders, held)
    await write_confirmed(conn, plan.versions, batch.now)
    await insert_events(conn, plan.events)
    confirmed = await end_reservations(
        conn, sorted(plan.reservations), ReservationStatus.CONFIRMED, actor=SYSTEM, reason="order confirmed"
    )
    await restock(conn, confirmed)
    posted = [posting for order_id in plan.versions for posting in sold(orders[order_id])]
    await write_postings(conn, posted, batch.now)
    correlations = {claimed.command.order_id: claimed.correlation for claimed in batch.commands}
    for order_id in plan.versions:
        batch.follow_up(SnapshotCommissions(order_id), correlations[order_id])
        batch.follow_up(IssueInvoices(order_id), correlations[order_id])
    return plan.outcomes
