"""Start payments: write the attempt down, have its gateway make and confirm an intent, settle what it says.

The attempt is committed before the gateway is called, so no charge is without one, whenever this process dies.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

from domain.inventory.sale_sql import extend_reservations
from domain.journal.declare import Attempt, Batch, effect
from domain.journal.model import BatchOutcome, Cause, EffectOutcome, Prepared
from domain.journal.sql import insert_events
from domain.orders.sql import load_placings, save_orders
from domain.payments import starting
from domain.payments.model import StartPayment
from domain.payments.news import AttemptState, News
from domain.payments.sql import insert_attempts, load_accounts
from domain.payments.starting import Go
from infra.gateways import registry
from infra.gateways.protocol import Gateway, GatewayRefusedError
from jobs.asking import ask
from jobs.settling import Heard, settle

ATTEMPTS_MAX = 20
"""About four hours, with the engine's back-off. The sweep goes on asking what became of a payment."""


async def prepare(batch: Batch[StartPayment]) -> Sequence[Prepared]:
    """Write attempts down; an order is held until its payment may be expected to have ended."""
    conn = batch.conn
    order_ids = sorted({claimed.command.order_id for claimed in batch.commands})
    # The placement's outcome first, then the order: an outcome seen here has its order visible below.
    placings = await load_placings(conn, order_ids)
    accounts = await load_accounts(conn, order_ids)
    plan = starting.decide(
        batch.commands, accounts, placings, gateways=registry.gateways(), now=batch.now, limits=batch.limits
    )
    await insert_attempts(conn, plan.attempts, batch.now)
    await save_orders(conn, plan.orders.values(), batch.now)
    await insert_events(conn, plan.events)
    until = {hold: order.expires_at for order in plan.orders.values() for hold in accounts[order.id].held}
    await extend_reservations(conn, until)
    for command, correlation in plan.follow_ups:
        batch.follow_up(command, correlation)
    return plan.outcomes


async def settle_answers(batch: Batch[StartPayment], answers: Mapping[UUID, News]) -> Sequence[BatchOutcome]:
    """Take in what gateways said."""
    heard = [Heard(c.command.order_id, c.id, Cause(c.id, c.correlation), answers[c.id]) for c in batch.commands]
    settled = await settle(batch, heard)
    return [starting.outcome_of(settled.accounts[c.command.order_id], c.id) for c in batch.commands]


@effect(
    StartPayment,
    prepare=prepare,
    settle=settle_answers,
    lease_seconds=90.0,
    attempts_max=ATTEMPTS_MAX,
    concurrency=256,
)
async def start_payments(attempt: Attempt[StartPayment]) -> EffectOutcome:
    """Have an intent made and confirmed; one that nobody wants any more is only looked for."""
    go: Go = attempt.given
    seconds = attempt.deadline_seconds

    async def call(gateway: Gateway) -> News:
        if go.abandoned or attempt.is_past(gateway.key_window_seconds):
            news = await gateway.look_up(go.intent.payment_id, go.reference, seconds=seconds)
            if news is not None or go.abandoned:
                return news or News(state=AttemptState.FAILED, reason="abandoned")
        try:
            return await gateway.create(go.intent, key=attempt.idempotency_key("create"), seconds=seconds)
        except GatewayRefusedError as error:
            return News(state=AttemptState.FAILED, reason=error.code)

    return await ask(go.gateway, call)
