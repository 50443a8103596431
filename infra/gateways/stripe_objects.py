"""What Stripe sends, as far as we read it, and what it means.

Invariant: an object tells how far a payment has come in all, so one that was sent earlier and arrives later does no
harm. Only what we made is read as ours: other payments of the same Stripe account are nobody's business here.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.payments.news import AttemptState, DisputeNews, DisputeState, News, Notice, RefundNews, RefundState
from infra.gateways.stripe_money import from_stripe

PAYMENT, ORDER, NUMBER, SITE, REFUND_NO = "payment_id", "order_id", "order_number", "site", "refund_no"
"""The names of our metadata on Stripe's objects."""


class Failure(Struct, frozen=True):
    """Why a payment failed; ``decline_code`` is the bank's."""

    code: str | None = None
    decline_code: str | None = None


class Redirect(Struct, frozen=True):
    """Where the buyer is to go."""

    url: str | None = None


class NextAction(Struct, frozen=True):
    """What the buyer is to do."""

    redirect_to_url: Redirect | None = None


class Charge(Struct, frozen=True):
    """A charge, which is what refunds are counted on."""

    id: str = ""
    currency: str = ""
    payment_intent: str | None = None
    amount_refunded: int = 0
    metadata: Mapping[str, str] = {}


class PaymentIntent(Struct, frozen=True):
    """A payment."""

    id: str
    status: str
    amount: int
    currency: str
    created: int = 0
    amount_received: int = 0
    metadata: Mapping[str, str] = {}
    next_action: NextAction | None = None
    last_payment_error: Failure | None = None
    latest_charge: str | Charge | None = None


class Refund(Struct, frozen=True):
    """A refund; its payment is only named when it has one."""

    id: str
    status: str | None = None
    payment_intent: str | None = None
    failure_reason: str | None = None
    metadata: Mapping[str, str] = {}


class BalanceTransaction(Struct, frozen=True):
    """What a dispute took from our balance, and the fee, in the currency of the balance."""

    fee: int = 0
    currency: str = ""


class Dispute(Struct, frozen=True):
    """A chargeback."""

    id: str
    status: str
    amount: int
    currency: str
    reason: str = ""
    payment_intent: str | None = None
    balance_transactions: list[BalanceTransaction] = []


class EventData(Struct, frozen=True):
    """What an event is about, unread."""

    object: msgspec.Raw


class Event(Struct, frozen=True):
    """A webhook's body."""

    id: str
    type: str
    data: EventData


_STATES = {
    "requires_confirmation": AttemptState.PENDING,
    "processing": AttemptState.PENDING,
    "requires_action": AttemptState.ACTION_REQUIRED,
    "requires_capture": AttemptState.AUTHORIZED,
    "succeeded": AttemptState.CAPTURED,
    "canceled": AttemptState.VOIDED,
}
_REFUNDS = {"succeeded": RefundState.SUCCEEDED, "failed": RefundState.FAILED, "canceled": RefundState.FAILED}
_DISPUTES = {"won": DisputeState.WON, "lost": DisputeState.LOST}


def read(said: object) -> PaymentIntent:
    """A payment, of an answer."""
    return msgspec.convert(said, PaymentIntent)


def payment_id_of(metadata: Mapping[str, str]) -> UUID | None:
    """Our id of a payment; None when it isn't ours."""
    try:
        return UUID(metadata[PAYMENT])
    except (KeyError, ValueError):
        return None


def news_of(intent: PaymentIntent) -> News:
    """How far a payment has come."""
    currency = intent.currency.upper()
    state = _STATES.get(intent.status, AttemptState.PENDING)
    reason = None
    if intent.status == "requires_payment_method" and intent.last_payment_error is not None:
        state, reason = AttemptState.FAILED, reason_of(intent.last_payment_error)
    charge = intent.latest_charge
    url = None
    if state is AttemptState.ACTION_REQUIRED and intent.next_action and intent.next_action.redirect_to_url:
        url = intent.next_action.redirect_to_url.url
    return News(
        payment_id=payment_id_of(intent.metadata),
        reference=intent.id,
        state=state,
        amount_minor=from_stripe(intent.amount, currency),
        currency=currency,
        captured_minor=from_stripe(intent.amount_received, currency),
        refunded_minor=from_stripe(charge.amount_refunded, currency) if isinstance(charge, Charge) else None,
        reason=reason,
        action_url=url,
    )


def reason_of(failure: Failure) -> str:
    """Why it failed, as the bank says it, or else Stripe."""
    return (failure.decline_code or failure.code or "payment_failed")[:200]


def refund_news_of(refund: Refund) -> RefundNews:
    """How a refund went."""
    number = refund.metadata.get(REFUND_NO, "")
    return RefundNews(
        state=_REFUNDS.get(refund.status or "", RefundState.PENDING),
        reference=refund.id,
        refund_no=int(number) if number.isascii() and number.isdigit() and len(number) < 7 else None,
        reason=refund.failure_reason[:200] if refund.failure_reason else None,
    )


def notice_of(event: Event) -> Notice:
    """What an event says; nothing, if it is of a type or about a thing that we don't keep. Raises MsgspecError."""
    kind = event.type[:200]
    said: dict[str, Any] = {}
    match event.type.split("."):
        case ["payment_intent", _]:
            said["payment"] = news_of(_object(event, PaymentIntent))
        case ["charge", "refunded"]:
            said["payment"] = _charge_news(_object(event, Charge))
        case ["refund", _] | ["charge", "refund", _]:
            refund = _object(event, Refund)
            if refund.payment_intent:
                said = {"payment": News(reference=refund.payment_intent), "refund": refund_news_of(refund)}
        case ["charge", "dispute", _]:
            dispute = _object(event, Dispute)
            # A warning is a question of the bank's: no money has moved.
            if dispute.payment_intent and not dispute.status.startswith("warning"):
                said = {"payment": News(reference=dispute.payment_intent), "dispute": _dispute_news(dispute)}
        case _:
            pass
    return Notice(event.id, kind, **said)


def _object(event: Event, kind: type[Any]) -> Any:
    return msgspec.json.decode(event.data.object, type=kind)


def _charge_news(charge: Charge) -> News | None:
    if not charge.payment_intent:
        return None
    return News(
        payment_id=payment_id_of(charge.metadata),
        reference=charge.payment_intent,
        refunded_minor=from_stripe(charge.amount_refunded, charge.currency.upper()),
    )


def _dispute_news(dispute: Dispute) -> DisputeNews:
    currency = dispute.currency.upper()
    # A fee in another currency, that of the balance, can't be said of this payment.
    fees = [entry.fee for entry in dispute.balance_transactions if entry.currency == dispute.currency]
    return DisputeNews(
        reference=dispute.id,
        state=_DISPUTES.get(dispute.status, DisputeState.OPENED),
        amount_minor=from_stripe(dispute.amount, currency),
        fee_minor=from_stripe(max(sum(fees), 0), currency),
        currency=currency,
        reason=dispute.reason[:200],
    )
