"""The decision what news of a payment mean for its order.

Invariant: pure. Only the current attempt of an order moves it; money that came for any other, or for an order that is
dead, is given back in full, once. A payment that comes too late takes the stock again if all of it is there, or else is
given back: never both, never neither.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec
from msgspec import Struct, field

from domain.inventory.buyer_limits import BuyerKey, LimitedHold
from domain.inventory.model import StockKey
from domain.journal.model import Cause, Command, Event
from domain.orders.cancellation import CancellationPlan, OpenOrder, cancel_lines
from domain.orders.confirmation import confirmed_of, holds_of
from domain.orders.lifecycle import CONFIRMED, PAYMENT, PaymentStep, order_status
from domain.orders.model import OrderExpired, OrderStatus, Payment
from domain.payments import postings
from domain.payments.attempt import differs, merge
from domain.payments.ledger import Posting
from domain.payments.model import (
    Attempt,
    PaymentMoved,
    Refund,
    RefundMoved,
    RefundPayment,
    StockTakenAgain,
    VoidPayment,
)
from domain.payments.news import AttemptState, News, RefundNews, RefundState
from domain.pricing.snapshot import SnapshotCommissions
from domain.pricing.uses import UseKey

_encode = msgspec.json.Encoder().encode
_PAID = {AttemptState.AUTHORIZED, AttemptState.CAPTURED}
_SOLD = CONFIRMED - {Payment.AUTHORIZED}
_STEPS = {
    AttemptState.ACTION_REQUIRED: PaymentStep.REQUIRE_ACTION,
    AttemptState.FAILED: PaymentStep.FAIL,
    AttemptState.AUTHORIZED: PaymentStep.AUTHORIZE,
    AttemptState.CAPTURED: PaymentStep.CAPTURE,
}
_EVENTS = {
    AttemptState.ACTION_REQUIRED: "order.payment_action_required",
    AttemptState.FAILED: "order.payment_failed",
    AttemptState.AUTHORIZED: "order.payment_authorized",
    AttemptState.VOIDED: "order.payment_voided",
    AttemptState.CAPTURED: "order.payment_captured",
}


class Account(Struct):
    """The money of an order, under its lock: the order, its attempts, and the refunds that haven't ended.

    ``held`` are the reservations of the order that still stand.
    """

    order: OpenOrder
    attempts: dict[UUID, Attempt]
    refunds: dict[tuple[UUID, int], Refund]
    held: set[UUID]

    @property
    def current(self) -> Attempt | None:
        """The attempt that counts; None where nobody has begun to pay, and where nobody has to."""
        return None if self.order.payment_id is None else self.attempts.get(self.order.payment_id)


class Wanted(Struct, frozen=True):
    """What an order whose payment came late needs again: units by line, and uses of promotions."""

    lines: Mapping[int, tuple[StockKey, int]]
    uses: Sequence[UseKey] = ()
    promotions: Sequence[UUID] = ()
    """whose uses those are"""
    sellable: bool = True
    """whether all its sellers may still sell"""
    limits: Mapping[int, LimitedHold] = {}
    """by line, the limit per buyer that its units were first taken under"""


class Shelf(Struct):
    """What there is to take for late payments, locked; what one order takes is gone for the next."""

    wanted: Mapping[UUID, Wanted]
    available: dict[StockKey, int]
    room: dict[UseKey, int]
    quotas: dict[BuyerKey, int] = field(default_factory=dict)
    """how many units buyers may still take of offers with a limit"""


class Alarm(Struct, frozen=True):
    """What a person has to look at."""

    what: str
    payment_id: UUID
    order_id: UUID
    detail: str


class SettlementPlan(Struct):
    """What news come to: what is written, what is locked and moved, and what follows."""

    orders: dict[UUID, OpenOrder] = field(default_factory=dict)
    attempts: dict[UUID, Attempt] = field(default_factory=dict)
    new_refunds: dict[tuple[UUID, int], Refund] = field(default_factory=dict)
    refunds: dict[tuple[UUID, int], Refund] = field(default_factory=dict)
    sold: list[UUID] = field(default_factory=list)
    """reservations that become sales"""
    taken: list[tuple[UUID, UUID, UUID, Wanted]] = field(default_factory=list)
    """(order id, buyer, command id, what was taken again)"""
    freed: list[UUID] = field(default_factory=list)
    """orders that give their uses back"""
    cancelled: CancellationPlan = field(default_factory=CancellationPlan)
    events: list[Event] = field(default_factory=list)
    follow_ups: list[tuple[Command, str]] = field(default_factory=list)
    alarms: list[Alarm] = field(default_factory=list)
    postings: list[Posting] = field(default_factory=list)
    disputes: dict[UUID, int] = field(default_factory=dict)
    """order id -> how many more chargebacks of it are open"""


class Settling(Struct, frozen=True):
    """What a batch of news is decided against."""

    plan: SettlementPlan
    shelf: Shelf


def may_be_late(account: Account, attempt: Attempt, news: News) -> bool:
    """Whether news may bring money for an order whose stock has to be taken again."""
    order = account.order
    if order.payment_id != attempt.id or order.payment in CONFIRMED or is_cancelled(order):
        return False
    paid = news.succeeded or news.state in _PAID or bool(news.captured_minor)
    return paid and (order.expired or not account.held.issuperset(holds_of(order)))


def is_cancelled(order: OpenOrder) -> bool:
    """Whether all of an order was cancelled, or its payment voided."""
    return order_status(order.payment, order.fulfilments.values(), expired=False) is OrderStatus.CANCELLED


def hear(account: Account, attempt_id: UUID, news: News, cause: Cause, settling: Settling) -> str | None:
    """Take news of an attempt in. Returns why they can't be its own, with an alarm raised, or None."""
    plan, order = settling.plan, account.order
    before = account.attempts[attempt_id]
    why = differs(before, news)
    if why is not None:
        plan.alarms.append(Alarm("payment_news_differ", attempt_id, order.id, why))
        return why
    attempt = account.attempts[attempt_id] = merge(before, news)
    if attempt != before:
        plan.attempts[attempt.id] = attempt
    if attempt.captured_minor > before.captured_minor:
        plan.postings.extend(postings.captured(attempt, before.captured_minor, cause.command_id))
    current = order.payment_id == attempt.id
    if attempt.state is not before.state:
        told = PaymentMoved(attempt.id, attempt.state, attempt.captured_minor, current, attempt.reason)
        tell(order, _EVENTS[attempt.state], told, cause, plan)
    was_confirmed, cancelled = order.payment in CONFIRMED, is_cancelled(order)
    # Taken and given back before anybody here heard of it: nothing was paid.
    refunded = max(attempt.refunded_minor, news.refunded_minor or 0)
    for_nothing = attempt.state is AttemptState.CAPTURED and refunded >= attempt.captured_minor
    moved = current and _follow(order, attempt, plan, failed=for_nothing and not was_confirmed)
    _note_refunds(account, attempt, news.refunded_minor or 0, cause, settling)
    if not current:
        _give_back(account, attempt, "another payment of the order counts", cause, plan)
    elif attempt.state is AttemptState.VOIDED and was_confirmed and moved and not cancelled and not order.expired:
        # Its gateway took the promise back: nobody pays for these goods any more.
        left = [n for n in sorted(order.price.lines) if not order.shipped.get(n)]
        if left:
            cancel_lines(order, left, "the payment was voided", cause, plan.cancelled)
        if len(order.price.lines):
            detail = "the payment was voided after some of the order had been shipped"
            plan.alarms.append(Alarm("voided_after_shipping", attempt.id, order.id, detail))
        plan.orders[order.id] = order
    elif attempt.state in _PAID and not for_nothing:
        _react(account, attempt, cause, settling, was_confirmed=was_confirmed, cancelled=cancelled)
        if was_confirmed and attempt.captured_minor > before.captured_minor:
            # Lines may have been cancelled while it was being captured.
            settle_up(account, attempt, cause, plan)
    sell(order, plan)
    return None


def sell(order: OpenOrder, plan: SettlementPlan) -> bool:
    """Give the sellers of an order what it brings, once it is paid for and nothing stands in the way.

    Returns whether that has just come about.
    """
    alive = order.payment in _SOLD and not order.expired and not is_cancelled(order)
    if not alive or order.sold:
        return False
    order.sold = True
    plan.orders[order.id] = order
    plan.postings.extend(postings.sold(order))
    return True


def _react(
    account: Account, attempt: Attempt, cause: Cause, settling: Settling, *, was_confirmed: bool, cancelled: bool
) -> None:
    order = account.order
    if cancelled:
        _give_back(account, attempt, "the order was cancelled", cause, settling.plan)
    elif order.expired or (not was_confirmed and not account.held.issuperset(holds_of(order))):
        _settle_late(account, attempt, cause, settling)
    elif not was_confirmed:
        _confirm(account, cause, settling)


def _follow(order: OpenOrder, attempt: Attempt, plan: SettlementPlan, *, failed: bool) -> bool:
    """Move the order's payment as its current attempt says, where that leads anywhere."""
    if failed:
        step = PaymentStep.FAIL
    elif attempt.state is AttemptState.VOIDED:
        step = PaymentStep.VOID if order.payment is Payment.AUTHORIZED else PaymentStep.FAIL
    elif attempt.state in _STEPS:
        step = _STEPS[attempt.state]
    else:
        return False
    state = PAYMENT[order.payment].get(step)
    if state is None or state is order.payment:
        return False
    if order.payment is Payment.REFUNDED and attempt.refunded_minor >= attempt.captured_minor:
        return False
    if state is Payment.PAID and attempt.refunded_minor:
        state = PAYMENT[state][PaymentStep.REFUND_PART]
    order.payment = state
    plan.orders[order.id] = order
    return True


def _confirm(account: Account, cause: Cause, settling: Settling) -> None:
    order, plan = account.order, settling.plan
    plan.sold.extend(holds_of(order))
    account.held.difference_update(holds_of(order))
    tell(order, "order.confirmed", confirmed_of(order), cause, plan)
    plan.follow_ups.append((SnapshotCommissions(order.id), cause.correlation))


def _settle_late(account: Account, attempt: Attempt, cause: Cause, settling: Settling) -> None:
    order, plan, shelf = account.order, settling.plan, settling.shelf
    wanted = shelf.wanted.get(order.id)
    if wanted is None or not _fits(wanted, shelf):
        if not order.expired:
            order.expired = True
            plan.freed.append(order.id)
            tell(order, "order.expired", OrderExpired(tuple(sorted(order.price.lines))), cause, plan)
        _give_back(account, attempt, "the order expired before it was paid", cause, plan)
        return
    for key, quantity in wanted.lines.values():
        shelf.available[key] -= quantity
    for use in wanted.uses:
        if use in shelf.room:
            shelf.room[use] -= 1
    for number, limit in wanted.limits.items():
        shelf.quotas[limit.key] -= wanted.lines[number][1]
    order.held_by, order.expired = cause.command_id, False
    plan.taken.append((order.id, order.buyer, cause.command_id, wanted))
    tell(order, "order.taken_up_again", StockTakenAgain(tuple(sorted(wanted.lines))), cause, plan)
    _confirm(account, cause, settling)


def _fits(wanted: Wanted, shelf: Shelf) -> bool:
    units: dict[StockKey, int] = {}
    for key, quantity in wanted.lines.values():
        units[key] = units.get(key, 0) + quantity
    enough = all(shelf.available.get(key, 0) >= quantity for key, quantity in units.items())
    allowed = all(wanted.lines[n][1] <= shelf.quotas.get(limit.key, 0) for n, limit in wanted.limits.items())
    # A promotion without a limit has no counter.
    return wanted.sellable and enough and allowed and all(shelf.room.get(use, 1) >= 1 for use in wanted.uses)


def _give_back(account: Account, attempt: Attempt, reason: str, cause: Cause, plan: SettlementPlan) -> None:
    """Have all that an attempt brought given back."""
    if attempt.state is AttemptState.AUTHORIZED:
        plan.follow_ups.append((VoidPayment(attempt.id), cause.correlation))
    elif attempt.refundable_minor:
        ask_back(account, attempt, attempt.refundable_minor, plan, reason=reason, cause=cause)


def settle_up(account: Account, attempt: Attempt, cause: Cause, plan: SettlementPlan) -> Refund | None:
    """Have given back what an attempt brought beyond what its order still costs; None when that is nothing."""
    order = account.order
    alive = order.payment_id == attempt.id and not order.expired and not is_cancelled(order)
    surplus = attempt.refundable_minor - (order.price.total_minor - order.credited_minor if alive else 0)
    return ask_back(account, attempt, surplus, plan, reason="nobody owes it", cause=cause) if surplus > 0 else None


def pay_back(account: Account, owed_minor: int, plan: SettlementPlan, *, reason: str, cause: Cause) -> Refund | None:
    """Ask for what a buyer is owed of an order to be given back, but for what a bank or the gateway itself has given
    back already; None when that is nothing.
    """
    attempt = account.current
    amount = 0 if attempt is None else min(owed_minor, attempt.refundable_minor)
    return ask_back(account, attempt, amount, plan, reason=reason, cause=cause) if attempt and amount else None


def ask_back(
    account: Account, attempt: Attempt, amount_minor: int, plan: SettlementPlan, *, reason: str, cause: Cause
) -> Refund:
    """Ask for some of what was captured to be given back; at most what is refundable."""
    if not 0 < amount_minor <= attempt.refundable_minor:
        raise ValueError(f"{amount_minor} of {attempt.refundable_minor} that can be given back")
    refund = _new_refund(account, attempt, amount_minor, plan, reason=reason, cause=cause)
    tell(account.order, "order.refund_started", _moved(refund), cause, plan)
    plan.follow_ups.append((RefundPayment(attempt.id, refund.refund_no), cause.correlation))
    return refund


def _new_refund(
    account: Account, attempt: Attempt, amount_minor: int, plan: SettlementPlan, *, reason: str, cause: Cause
) -> Refund:
    attempt.refunds += 1
    attempt.asked_minor += amount_minor
    refund = Refund(
        attempt.id, attempt.refunds, attempt.order_id, amount_minor, attempt.currency, reason, cause.command_id
    )
    account.refunds[attempt.id, refund.refund_no] = refund
    plan.attempts[attempt.id] = attempt
    plan.new_refunds[attempt.id, refund.refund_no] = refund
    return refund


def _note_refunds(account: Account, attempt: Attempt, refunded_minor: int, cause: Cause, settling: Settling) -> None:
    """Take in what was given back in all: what was asked for, and what somebody gave back at the gateway itself."""
    foreign = refunded_minor - attempt.asked_minor
    if attempt.state is AttemptState.CAPTURED and foreign >= 0:
        # All that was asked for has been given back.
        for refund in list(account.refunds.values()):
            if refund.payment_id == attempt.id:
                given = RefundNews(RefundState.SUCCEEDED, refund.reference)
                end_refund(account, refund, given, cause, settling.plan)
    if attempt.state is not AttemptState.CAPTURED or foreign <= 0:
        return
    reason = "given back at the gateway"
    refund = _new_refund(account, attempt, foreign, settling.plan, reason=reason, cause=cause)
    end_refund(account, refund, RefundNews(RefundState.SUCCEEDED), cause, settling.plan)


def end_refund(account: Account, refund: Refund, news: RefundNews, cause: Cause, plan: SettlementPlan) -> None:
    """Take in how a refund went; one that has ended stays as it is."""
    if refund.state is not RefundState.PENDING:
        if news.state is RefundState.FAILED and refund.state is RefundState.SUCCEEDED:
            detail = f"refund {refund.refund_no} failed after it had succeeded: {news.reason or 'no reason given'}"
            plan.alarms.append(Alarm("refund_failed_late", refund.payment_id, refund.order_id, detail))
        return
    attempt, order = account.attempts[refund.payment_id], account.order
    refund.reference = refund.reference or news.reference
    plan.refunds[refund.payment_id, refund.refund_no] = refund
    if news.state is RefundState.PENDING:
        return
    refund.state, plan.attempts[attempt.id] = news.state, attempt
    if news.state is RefundState.FAILED:
        refund.error = news.reason
        attempt.asked_minor -= refund.amount_minor
        tell(order, "order.refund_failed", _moved(refund), cause, plan)
        detail = f"refund {refund.refund_no} of {refund.amount_minor} failed: {news.reason or 'no reason given'}"
        plan.alarms.append(Alarm("refund_failed", attempt.id, order.id, detail))
        return
    attempt.refunded_minor += refund.amount_minor
    plan.postings.extend(postings.refund_paid(refund, attempt.gateway))
    if order.payment_id == attempt.id:
        whole = attempt.refunded_minor >= attempt.captured_minor
        step = PaymentStep.REFUND if whole else PaymentStep.REFUND_PART
        order.payment = PAYMENT[order.payment].get(step, order.payment)
    tell(order, "order.refunded", _moved(refund), cause, plan)


def _moved(refund: Refund) -> RefundMoved:
    return RefundMoved(refund.payment_id, refund.refund_no, refund.amount_minor, refund.reason)


def tell(order: OpenOrder, kind: str, data: Struct, cause: Cause, plan: SettlementPlan) -> None:
    """Have an event of the order written, at its stream's next version."""
    order.version += 1
    plan.orders[order.id] = order
    plan.events.append(Event(order.id, order.version, kind, _encode(data).decode(), cause.actor, cause.correlation))
