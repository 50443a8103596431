"""Ask gateways how far payments have come, where nothing has been heard for a while."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from domain.journal.declare import Attempt, Batch, effect
from domain.journal.model import BatchOutcome, EffectOutcome, Prepared, Succeeded
from domain.payments import going_on
from domain.payments.going_on import Checked, Target
from domain.payments.model import CheckPayment
from domain.payments.news import News
from infra.gateways.protocol import Gateway
from jobs.asking import ask, look
from jobs.settling import load_of_payments, settle_named


async def prepare(batch: Batch[CheckPayment]) -> Sequence[Prepared]:
    """See whom to ask."""
    accounts = await load_of_payments(batch.conn, [c.command.payment_id for c in batch.commands])
    return [going_on.check(accounts.get(c.command.payment_id), c.command.payment_id) for c in batch.commands]


async def settle(batch: Batch[CheckPayment], answers: Mapping[UUID, tuple[UUID, News]]) -> Sequence[BatchOutcome]:
    """Take in what gateways said."""
    settled = await settle_named(batch, answers)
    return [
        Succeeded(Checked(answers[command][0], account.attempts[answers[command][0]].state))
        for command, account in settled
    ]


@effect(CheckPayment, prepare=prepare, settle=settle, lease_seconds=90.0, attempts_max=10, concurrency=64)
async def check_payments(attempt: Attempt[CheckPayment]) -> EffectOutcome:
    """Look a payment up."""
    target: Target = attempt.given

    async def call(gateway: Gateway) -> tuple[UUID, News]:
        return target.payment_id, await look(gateway, target, attempt.deadline_seconds)

    return await ask(target.gateway, call)
