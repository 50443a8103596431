"""Hold gateways' books against ours, a page at a time: what differs is looked up, what is nobody's is given back."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from domain.journal.declare import Attempt, Batch, effect
from domain.journal.model import BatchOutcome, Claimed, EffectOutcome, Succeeded
from domain.journal.tally import Tally
from domain.payments.model import CheckPayment
from domain.payments.news import News
from domain.payments.reconciliation import ReconcileCharges, Reconciled, RefundOrphan, compare, references_of
from domain.payments.reconciliation_sql import insert_orphans, left_of, load_known, save_reconciled
from domain.payments.sql import find_references
from infra import telemetry
from infra.gateways.protocol import ChargePage, Gateway
from jobs.asking import ask
from jobs.settling import AlarmError

log = telemetry.logger()


async def settle(batch: Batch[ReconcileCharges], answers: Mapping[UUID, ChargePage]) -> Sequence[BatchOutcome]:
    """Compare pages; a gateway's last one notes how far its books were compared."""
    return [await _compare(batch, claimed, answers[claimed.id]) for claimed in batch.commands]


async def _compare(batch: Batch[ReconcileCharges], claimed: Claimed[ReconcileCharges], page: ChargePage) -> Succeeded:
    conn, command = batch.conn, claimed.command
    ids, references = references_of(page.charges)
    named = await find_references(conn, {(command.gateway, reference) for reference in references})
    by_reference = {reference: payment_id for (_, reference), payment_id in named.items()}
    payments = await load_known(conn, {*ids, *by_reference.values()})
    found = compare(command.gateway, page.charges, payments, by_reference)
    for payment_id in found.differing:
        batch.follow_up(CheckPayment(payment_id), claimed.correlation)
    new = await insert_orphans(conn, command.gateway, found.orphans, batch.now)
    for news in found.orphans:
        if news.reference in new:
            _give_back(batch, claimed, news)
    if page.after is None:
        await save_reconciled(conn, command.gateway, command.until)
    else:
        following = ReconcileCharges(command.gateway, command.since, command.until, page.after)
        batch.follow_up(following, claimed.correlation)
    return Succeeded(Reconciled(len(page.charges), len(new), len(found.differing), page.after is not None))


def _give_back(batch: Batch[ReconcileCharges], claimed: Claimed[ReconcileCharges], news: News) -> None:
    gateway, reference = claimed.command.gateway, news.reference or ""
    amount, currency = left_of(news), news.currency or ""
    captured = bool(news.captured_minor)
    batch.follow_up(RefundOrphan(gateway, reference, amount, currency, captured), claimed.correlation)
    figures = {"gateway": gateway, "reference": reference, "amount_minor": amount, "currency": currency}
    log.error("orphaned_charge", **figures)
    batch.tally(Tally.ALARMS, "orphaned_charge")
    telemetry.report(AlarmError(f"orphaned_charge: {figures}"), job=ReconcileCharges.job)


@effect(ReconcileCharges, settle=settle, lease_seconds=90.0, attempts_max=10, concurrency=4)
async def reconcile_charges(attempt: Attempt[ReconcileCharges]) -> EffectOutcome:
    """Read a page of a gateway's books."""
    command, seconds = attempt.command, attempt.deadline_seconds

    async def call(gateway: Gateway) -> ChargePage:
        return await gateway.charges(command.since, command.until, command.after, seconds=seconds)

    return await ask(command.gateway, call)
