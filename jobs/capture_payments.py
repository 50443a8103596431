"""Take what was authorized for orders: as much as they come to by now."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from domain.journal.declare import Attempt, Batch, effect
from domain.journal.model import BatchOutcome, EffectOutcome, Prepared
from domain.payments import going_on
from domain.payments.going_on import Target
from domain.payments.model import CapturePayment
from domain.payments.news import News
from domain.payments.sql import load_accounts
from infra.gateways.protocol import Gateway, GatewayRefusedError
from jobs.asking import ask, look
from jobs.settling import settle_named, sound


async def prepare(batch: Batch[CapturePayment]) -> Sequence[Prepared]:
    """See which payments are authorized."""
    accounts = await load_accounts(batch.conn, {c.command.order_id for c in batch.commands})
    return [going_on.capture(accounts.get(c.command.order_id)) for c in batch.commands]


async def settle(batch: Batch[CapturePayment], answers: Mapping[UUID, tuple[UUID, News]]) -> Sequence[BatchOutcome]:
    """Take in what gateways said."""
    settled = await settle_named(batch, answers)
    alarms = [going_on.capture_refused(account, answers[command][0]) for command, account in settled]
    sound(batch, [alarm for alarm in alarms if alarm is not None])
    return [going_on.captured(account, answers[command][0]) for command, account in settled]


@effect(CapturePayment, prepare=prepare, settle=settle, lease_seconds=90.0, attempts_max=20, concurrency=64)
async def capture_payments(attempt: Attempt[CapturePayment]) -> EffectOutcome:
    """Have a gateway take the money; one that won't is asked how the payment stands."""
    target: Target = attempt.given
    seconds = attempt.deadline_seconds

    async def call(gateway: Gateway) -> tuple[UUID, News]:
        key = attempt.idempotency_key("capture")
        reference = target.reference or ""
        amount, currency = target.amount_minor, target.currency
        try:
            return target.payment_id, await gateway.capture(reference, amount, currency, key=key, seconds=seconds)
        except GatewayRefusedError:
            return target.payment_id, await look(gateway, target, seconds)

    return await ask(target.gateway, call)
