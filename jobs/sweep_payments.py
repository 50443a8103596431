"""Look after payments: those of which nothing was heard are looked up, and every gateway's books are compared."""

from collections.abc import Sequence
from datetime import timedelta

from msgspec import Struct

from domain.journal.declare import Batch, batch
from domain.journal.model import BatchOutcome, Succeeded
from domain.payments.model import CheckPayment
from domain.payments.reconciliation import ReconcileCharges, SweepPayments, books_of
from domain.payments.reconciliation_sql import load_reconciled, take_stale
from infra.gateways import registry

STEP_PAYMENTS = 200
FIRST_DAYS = 7
OVERLAP_SECONDS = 600.0
"""Windows overlap: a gateway's own clock may be late, and so may be what its books show."""


class SweptPayments(Struct, frozen=True):
    """How many payments are looked up, and whether there may be more."""

    payments: int
    more: bool


@batch(SweepPayments, commands_max=10)
async def sweep_payments(batch: Batch[SweepPayments]) -> Sequence[BatchOutcome]:
    """Take one step for the whole batch; every command gets the batch's result."""
    conn, correlation = batch.conn, batch.commands[0].correlation
    before = batch.now - timedelta(seconds=batch.limits.payment_check_seconds)
    stale = await take_stale(conn, before, batch.now, STEP_PAYMENTS)
    for payment_id in stale:
        batch.follow_up(CheckPayment(payment_id), correlation)
    names = sorted(registry.gateways())
    reconciled = await load_reconciled(conn, names, [books_of(name) for name in names])
    for name in names:
        if name in reconciled:
            since = reconciled[name] or before - timedelta(days=FIRST_DAYS)
            batch.follow_up(ReconcileCharges(name, since - timedelta(seconds=OVERLAP_SECONDS), before), correlation)
    more = len(stale) == STEP_PAYMENTS
    if more:
        batch.follow_up(SweepPayments(), correlation)
    return [Succeeded(SweptPayments(len(stale), more))] * len(batch.commands)
