"""Go on with payments after their buyers have acted. The webhook may have been quicker: then there is nothing to do."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from domain.journal.declare import Attempt, Batch, effect
from domain.journal.model import BatchOutcome, EffectOutcome, Prepared
from domain.payments import going_on, starting
from domain.payments.going_on import Target
from domain.payments.model import ConfirmPayment
from domain.payments.news import News
from domain.payments.sql import load_accounts
from infra.gateways.protocol import Gateway, GatewayRefusedError
from jobs.asking import ask, look
from jobs.settling import settle_named


async def prepare(batch: Batch[ConfirmPayment]) -> Sequence[Prepared]:
    """See which payments wait for their buyer."""
    accounts = await load_accounts(batch.conn, {c.command.order_id for c in batch.commands})
    return [going_on.confirm(accounts.get(c.command.order_id)) for c in batch.commands]


async def settle(batch: Batch[ConfirmPayment], answers: Mapping[UUID, tuple[UUID, News]]) -> Sequence[BatchOutcome]:
    """Take in what gateways said."""
    return [
        starting.outcome_of(account, answers[command][0]) for command, account in await settle_named(batch, answers)
    ]


@effect(ConfirmPayment, prepare=prepare, settle=settle, lease_seconds=90.0, attempts_max=20, concurrency=64)
async def confirm_payments(attempt: Attempt[ConfirmPayment]) -> EffectOutcome:
    """Have a gateway go on; one that won't, or never answered what it was asked first, is asked what it knows."""
    target: Target = attempt.given
    seconds = attempt.deadline_seconds

    async def call(gateway: Gateway) -> tuple[UUID, News]:
        if target.reference is None:
            return target.payment_id, await look(gateway, target, seconds)
        try:
            key = attempt.idempotency_key("confirm")
            return target.payment_id, await gateway.confirm(target.reference, key=key, seconds=seconds)
        except GatewayRefusedError:
            return target.payment_id, await look(gateway, target, seconds)

    return await ask(target.gateway, call)
