"""The decision to start payments of orders.

Invariant: pure; one command at a time in the order given. An order is paid while it waits for payment; of several
attempts the one started last counts, and the one before it is cancelled at its gateway. A command that runs again finds
its own attempt and goes on with that.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from msgspec import Struct, field

from domain import ids
from domain.journal.declare import decide_each
from domain.journal.model import Claimed, Command, Deferred, Event, Prepared, Ready, Rejected, Succeeded
from domain.limits import Limits
from domain.money import Money
from domain.orders.cancellation import OpenOrder, Placing, not_placed
from domain.orders.lifecycle import PAYMENT, UNDER_WAY, PaymentStep, order_status, refuse_paying
from domain.orders.model import OrderStatus
from domain.payments.model import (
    ATTEMPTS_MAX,
    Attempt,
    PaymentResult,
    PaymentStarted,
    StartPayment,
    VoidPayment,
)
from domain.payments.news import AttemptState, Intent
from domain.payments.settlement import Account
from domain.rejections import Code, Rejection

_encode = msgspec.json.Encoder().encode


class Go(Struct, frozen=True):
    """What a gateway is asked for. ``abandoned`` says that nobody wants the payment any more: only look what became of
    it.
    """

    intent: Intent
    gateway: str
    reference: str | None
    abandoned: bool


class StartingPlan(Struct):
    """What starting payments comes to; ``orders`` have changed, and their holds last until they expire."""

    outcomes: list[Prepared] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    orders: dict[UUID, OpenOrder] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    follow_ups: list[tuple[Command, str]] = field(default_factory=list)


def decide(
    commands: Sequence[Claimed[StartPayment]],
    accounts: Mapping[UUID, Account],
    placings: Mapping[UUID, Placing],
    *,
    gateways: Collection[str],
    now: datetime,
    limits: Limits,
) -> StartingPlan:
    """Decide which payments may be tried; ``placings`` tells of orders that have no row."""
    plan = StartingPlan()

    def start(claimed: Claimed[StartPayment]) -> Prepared:
        command = claimed.command
        account = accounts.get(command.order_id)
        if account is None:
            placing = placings.get(command.order_id)
            return Deferred() if placing is None else Rejected(not_placed(placing))
        attempt = account.attempts.get(claimed.id)
        if attempt is not None:
            return _go_on(account, attempt, command)
        refusal = _refuse(account, command, gateways, now)
        if refusal is not None:
            return Rejected(refusal)
        return _start(claimed, account, now, limits, plan)

    plan.outcomes.extend(decide_each(commands, start))
    return plan


def wanted(account: Account, attempt: Attempt) -> bool:
    """Whether an attempt is the one that counts, of an order that isn't dead."""
    order = account.order
    status = order_status(order.payment, order.fulfilments.values(), expired=order.expired)
    return order.payment_id == attempt.id and status not in {OrderStatus.CANCELLED, OrderStatus.EXPIRED}


def _go_on(account: Account, attempt: Attempt, command: StartPayment) -> Prepared:
    # One that was given up without a word of its gateway may have been charged since.
    unheard = attempt.state is AttemptState.FAILED and attempt.reference is None
    if attempt.state is not AttemptState.PENDING and not unheard:
        return outcome_of(account, attempt.id)
    return _ready(account, attempt, command, abandoned=unheard or not wanted(account, attempt))


def _ready(account: Account, attempt: Attempt, command: StartPayment, *, abandoned: bool) -> Ready:
    order = account.order
    intent = Intent(
        payment_id=attempt.id,
        order_id=order.id,
        order_number=ids.format_order_number(order.number),
        amount_minor=attempt.amount_minor,
        currency=attempt.currency,
        token=command.token,
        capture=attempt.capture,
    )
    return Ready(Go(intent, attempt.gateway, attempt.reference, abandoned))


def _refuse(account: Account, command: StartPayment, gateways: Collection[str], now: datetime) -> Rejection | None:
    order = account.order
    if command.gateway not in gateways:
        return Rejection(422, Code.UNKNOWN_GATEWAY, f"there is no gateway {command.gateway}", "gateway")
    refusal = refuse_paying(order.payment, list(order.fulfilments.values()), expired=order.expired)
    if refusal is not None:
        return refusal
    if order.expires_at <= now:
        return Rejection(409, Code.ORDER_STATE, "the order has expired; nothing of it is held any more")
    if order.price.total_minor == 0:
        return Rejection(409, Code.ORDER_STATE, "the order costs nothing: it is confirmed without a payment")
    if len(account.attempts) >= ATTEMPTS_MAX:
        return Rejection(409, Code.LIMIT_REACHED, f"an order's payment is tried at most {ATTEMPTS_MAX} times")
    return None


def _start(
    claimed: Claimed[StartPayment], account: Account, now: datetime, limits: Limits, plan: StartingPlan
) -> Ready:
    order, command = account.order, claimed.command
    attempt = Attempt(
        id=claimed.id,
        order_id=order.id,
        attempt_no=len(account.attempts) + 1,
        gateway=command.gateway,
        capture=command.capture,
        amount_minor=order.price.total_minor,
        currency=order.currency,
    )
    told = PaymentStarted(attempt.id, attempt.attempt_no, attempt.gateway, attempt.amount_minor)
    event = Event(
        order.id,
        order.version + 1,
        "order.payment_started",
        _encode(told).decode(),
        claimed.principal,
        claimed.correlation,
    )
    ready = _ready(account, attempt, command, abandoned=False)
    if order.payment_id is not None and order.payment in UNDER_WAY:
        plan.follow_ups.append((VoidPayment(order.payment_id), claimed.correlation))
    account.attempts[attempt.id] = attempt
    order.version += 1
    order.payment, order.payment_id = PAYMENT[order.payment][PaymentStep.START], attempt.id
    order.expires_at = max(order.expires_at, _until(order, now, limits))
    plan.orders[order.id] = order
    plan.attempts.append(attempt)
    plan.events.append(event)
    return ready


def _until(order: OpenOrder, now: datetime, limits: Limits) -> datetime:
    """How long the holds of an order last that somebody has begun to pay: not for ever, however often it is begun."""
    latest = order.placed_at + timedelta(seconds=limits.reservation_seconds_max)
    return min(now + timedelta(seconds=limits.reservation_seconds), latest)


def outcome_of(account: Account, payment_id: UUID) -> Succeeded | Rejected:
    """What a client hears of a payment: how far it came, or why it didn't."""
    attempt, order = account.attempts[payment_id], account.order
    if attempt.state is AttemptState.FAILED:
        why = f"the payment failed: {attempt.reason}" if attempt.reason else "the payment failed"
        return Rejected(Rejection(402, Code.PAYMENT_DECLINED, why))
    if attempt.state is AttemptState.VOIDED:
        return Rejected(Rejection(409, Code.PAYMENT_STATE, "the payment was cancelled"))
    status = order_status(order.payment, order.fulfilments.values(), expired=order.expired)
    if not wanted(account, attempt):
        state = (
            "another payment of the order counts" if order.payment_id != attempt.id else f"the order is {status.value}"
        )
        return Rejected(Rejection(409, Code.ORDER_STATE, f"{state}; what this payment brings is given back"))
    return Succeeded(
        PaymentResult(
            order.id,
            attempt.id,
            attempt.state,
            Money(attempt.amount_minor, attempt.currency),
            order.payment,
            status,
            attempt.action_url,
        )
    )
