"""Give back what refunds say. Never more than was captured: asking for it was decided under the order's lock."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from msgspec import structs

from domain.journal.declare import Attempt, Batch, effect
from domain.journal.model import BatchOutcome, Cause, EffectOutcome, Prepared
from domain.payments import going_on
from domain.payments.going_on import Target
from domain.payments.model import RefundPayment
from domain.payments.news import RefundNews, RefundState
from domain.payments.sql import find_orders
from infra.gateways.protocol import Gateway, GatewayRefusedError
from jobs.asking import ask, give_back
from jobs.settling import Heard, load_of_payments
from jobs.settling import settle as settle_heard


async def prepare(batch: Batch[RefundPayment]) -> Sequence[Prepared]:
    """See which are still to be made; what a bank has taken back meanwhile isn't given back as well."""
    payments = [c.command.payment_id for c in batch.commands]
    accounts = await load_of_payments(batch.conn, payments)
    taken = [
        Heard(
            accounts[c.command.payment_id].order.id,
            c.command.payment_id,
            Cause(c.id, c.correlation, c.principal),
            refund=RefundNews(RefundState.FAILED, None, c.command.refund_no, "the buyer's bank has taken it back"),
        )
        for c in batch.commands
        if going_on.bank_has_it(accounts.get(c.command.payment_id), c.command.payment_id, c.command.refund_no)
    ]
    if taken:
        await settle_heard(batch, taken)
        accounts = await load_of_payments(batch.conn, payments)
    return [
        going_on.refund(accounts.get(c.command.payment_id), c.command.payment_id, c.command.refund_no)
        for c in batch.commands
    ]


async def settle(batch: Batch[RefundPayment], answers: Mapping[UUID, RefundNews]) -> Sequence[BatchOutcome]:
    """Take in how they went."""
    orders = await find_orders(batch.conn, {c.command.payment_id for c in batch.commands})
    heard = [
        Heard(
            orders[c.command.payment_id],
            c.command.payment_id,
            Cause(c.id, c.correlation, c.principal),
            refund=structs.replace(answers[c.id], refund_no=c.command.refund_no),
        )
        for c in batch.commands
    ]
    accounts = (await settle_heard(batch, heard)).accounts
    return [
        going_on.refund_outcome(accounts[orders[c.command.payment_id]], c.command.payment_id, c.command.refund_no)
        for c in batch.commands
    ]


@effect(RefundPayment, prepare=prepare, settle=settle, lease_seconds=90.0, attempts_max=30, concurrency=64)
async def refund_payments(attempt: Attempt[RefundPayment]) -> EffectOutcome:
    """Have a gateway give money back."""
    target: Target = attempt.given

    async def call(gateway: Gateway) -> RefundNews:
        number = attempt.command.refund_no
        # Whoever asks for a refund asks for the same one: its key is its own, not the command's.
        key = f"{target.payment_id}:refund:{number}:{attempt.generation}"
        try:
            return await give_back(gateway, attempt, target, number, key=key)
        except GatewayRefusedError as error:
            return RefundNews(RefundState.FAILED, reason=error.code)

    return await ask(target.gateway, call)
