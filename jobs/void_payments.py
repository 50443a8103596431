"""Cancel attempts at their gateways that nobody needs: another one counts, or their order is dead."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from domain.journal.declare import Attempt, Batch, effect
from domain.journal.model import BatchOutcome, EffectOutcome, Prepared, Succeeded
from domain.payments import going_on
from domain.payments.going_on import Target
from domain.payments.model import VoidPayment
from domain.payments.news import AttemptState, News
from infra.gateways.protocol import Gateway, GatewayRefusedError
from jobs.asking import ask, look
from jobs.settling import load_of_payments, settle_named


async def prepare(batch: Batch[VoidPayment]) -> Sequence[Prepared]:
    """See which are still open and not needed."""
    accounts = await load_of_payments(batch.conn, [c.command.payment_id for c in batch.commands])
    return [going_on.void(accounts.get(c.command.payment_id), c.command.payment_id) for c in batch.commands]


async def settle(batch: Batch[VoidPayment], answers: Mapping[UUID, tuple[UUID, News]]) -> Sequence[BatchOutcome]:
    """Take in what gateways said."""
    await settle_named(batch, answers)
    return [Succeeded()] * len(batch.commands)


@effect(VoidPayment, prepare=prepare, settle=settle, lease_seconds=90.0, attempts_max=30, concurrency=64)
async def void_payments(attempt: Attempt[VoidPayment]) -> EffectOutcome:
    """Have a gateway cancel an intent; one that it has never heard of came to nothing."""
    target: Target = attempt.given
    seconds = attempt.deadline_seconds

    async def call(gateway: Gateway) -> tuple[UUID, News]:
        news = News()
        if target.reference is None:
            nothing = News(state=AttemptState.FAILED, reason="abandoned")
            news = await gateway.look_up(target.payment_id, None, seconds=seconds) or nothing
        reference = target.reference or news.reference
        if reference is None:
            return target.payment_id, news
        try:
            key = attempt.idempotency_key("void")
            return target.payment_id, await gateway.void(reference, key=key, seconds=seconds)
        except GatewayRefusedError:
            return target.payment_id, await look(gateway, target, seconds)

    return await ask(target.gateway, call)
