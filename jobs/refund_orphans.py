"""Give back charges that belong to no payment of ours."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from domain.journal.declare import Attempt, Batch, effect
from domain.journal.model import BatchOutcome, EffectOutcome, Rejected, Succeeded
from domain.payments.news import RefundNews, RefundState
from domain.payments.reconciliation import RefundOrphan
from domain.payments.reconciliation_sql import end_orphans
from domain.rejections import Code, Rejection
from infra.gateways.protocol import Gateway
from jobs.asking import ask, give_back


async def settle(batch: Batch[RefundOrphan], answers: Mapping[UUID, RefundNews]) -> Sequence[BatchOutcome]:
    """Note what was given back."""
    given = [c for c in batch.commands if answers[c.id].state is not RefundState.FAILED]
    await end_orphans(batch.conn, [(c.command.gateway, c.command.reference) for c in given], batch.now)
    return [_outcome(answers[c.id]) for c in batch.commands]


def _outcome(news: RefundNews) -> Succeeded | Rejected:
    if news.state is RefundState.FAILED:
        return Rejected(Rejection(409, Code.PAYMENT_STATE, f"the refund failed: {news.reason or 'no reason given'}"))
    return Succeeded(news)


@effect(RefundOrphan, settle=settle, lease_seconds=90.0, attempts_max=30, concurrency=4)
async def refund_orphans(attempt: Attempt[RefundOrphan]) -> EffectOutcome:
    """Have a gateway give a charge back, or cancel it where it was only promised."""
    command, seconds = attempt.command, attempt.deadline_seconds

    async def call(gateway: Gateway) -> RefundNews:
        if not command.captured:
            await gateway.void(command.reference, key=attempt.idempotency_key("void"), seconds=seconds)
            return RefundNews(RefundState.SUCCEEDED)
        return await give_back(gateway, attempt, command, 1, key=attempt.idempotency_key("refund"))

    return await ask(command.gateway, call)
