"""What state an order is in, and what may happen to it from there.

Invariant: payment and fulfilment are stored and change along their tables alone; the order's status is derived from
them, never stored, so the axes and the status can't disagree.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

from domain.orders.model import Fulfilment, OrderStatus, Payment
from domain.rejections import Code, Rejection
from domain.transitions import follow


class PaymentStep(StrEnum):
    """What happens to an order's payment, in the past tense of the refusal's sentence."""

    START = "started"
    WAIVE = "waived"
    REQUIRE_ACTION = "left_to_the_buyer"
    FAIL = "failed"
    AUTHORIZE = "authorized"
    CAPTURE = "captured"
    VOID = "voided"
    REFUND_PART = "refunded_in_part"
    REFUND = "refunded"


class FulfilmentStep(StrEnum):
    """What happens to a seller order, in the past tense of the refusal's sentence."""

    ACCEPT = "accepted"
    SHIP_PART = "shipped_in_part"
    SHIP = "shipped"
    CUT_SHORT = "cut_short"
    DELIVER = "delivered"
    RETURN = "returned"
    CANCEL = "cancelled"


# Money may arrive for an attempt that had failed or was never heard of again: what the gateway took is a fact.
_MONEY = {PaymentStep.AUTHORIZE: Payment.AUTHORIZED, PaymentStep.CAPTURE: Payment.PAID}
_REFUNDS = {PaymentStep.REFUND_PART: Payment.PARTIALLY_REFUNDED, PaymentStep.REFUND: Payment.REFUNDED}

PAYMENT: Mapping[Payment, Mapping[PaymentStep, Payment]] = {
    Payment.UNPAID: {PaymentStep.START: Payment.PENDING, PaymentStep.WAIVE: Payment.PAID},
    Payment.PENDING: {
        PaymentStep.START: Payment.PENDING,
        PaymentStep.REQUIRE_ACTION: Payment.ACTION_REQUIRED,
        PaymentStep.FAIL: Payment.FAILED,
        **_MONEY,
    },
    Payment.ACTION_REQUIRED: {PaymentStep.START: Payment.PENDING, PaymentStep.FAIL: Payment.FAILED, **_MONEY},
    Payment.FAILED: {PaymentStep.START: Payment.PENDING, PaymentStep.WAIVE: Payment.PAID, **_MONEY},
    Payment.AUTHORIZED: {
        PaymentStep.CAPTURE: Payment.PAID,
        PaymentStep.VOID: Payment.VOIDED,
        # What is left of it costs nothing.
        PaymentStep.WAIVE: Payment.PAID,
    },
    Payment.PAID: _REFUNDS,
    Payment.PARTIALLY_REFUNDED: _REFUNDS,
    # Heard of before the whole of what had been captured.
    Payment.REFUNDED: {PaymentStep.CAPTURE: Payment.PARTIALLY_REFUNDED},
    Payment.VOIDED: {PaymentStep.CAPTURE: Payment.PAID},
}

FULFILMENT: Mapping[Fulfilment, Mapping[FulfilmentStep, Fulfilment]] = {
    Fulfilment.AWAITING: {
        FulfilmentStep.ACCEPT: Fulfilment.PROCESSING,
        FulfilmentStep.CANCEL: Fulfilment.CANCELLED,
    },
    Fulfilment.PROCESSING: {
        FulfilmentStep.SHIP_PART: Fulfilment.PARTLY_SHIPPED,
        FulfilmentStep.SHIP: Fulfilment.SHIPPED,
        FulfilmentStep.CANCEL: Fulfilment.CANCELLED,
    },
    Fulfilment.PARTLY_SHIPPED: {
        FulfilmentStep.SHIP_PART: Fulfilment.PARTLY_SHIPPED,
        FulfilmentStep.SHIP: Fulfilment.SHIPPED,
        # The rest was cancelled or given back.
        FulfilmentStep.CUT_SHORT: Fulfilment.SHIPPED,
    },
    Fulfilment.SHIPPED: {FulfilmentStep.DELIVER: Fulfilment.DELIVERED},
    Fulfilment.DELIVERED: {FulfilmentStep.RETURN: Fulfilment.RETURNED},
    Fulfilment.CANCELLED: {},
    Fulfilment.RETURNED: {},
}

CONFIRMED = frozenset({Payment.AUTHORIZED, Payment.PAID, Payment.PARTIALLY_REFUNDED, Payment.REFUNDED})
"""Payments of orders that were confirmed."""
UNDER_WAY = frozenset({Payment.PENDING, Payment.ACTION_REQUIRED})
"""Payments of which nobody knows yet how they end."""
ENDED = frozenset({Fulfilment.DELIVERED, Fulfilment.RETURNED, Fulfilment.CANCELLED})
"""Seller orders of which nothing is left to be sent."""


def next_payment(payment: Payment, step: PaymentStep) -> Payment | Rejection:
    """The state a step leads an order's payment to, or a 409 that names the state and what is allowed from it."""
    return follow(PAYMENT, payment, step, thing="the order's payment", code=Code.ORDER_STATE)


def next_fulfilment(fulfilment: Fulfilment, step: FulfilmentStep) -> Fulfilment | Rejection:
    """The state a step leads a seller order to, or a 409 that names the state and what is allowed from it."""
    return follow(FULFILMENT, fulfilment, step, thing="the seller order", code=Code.ORDER_STATE)


def order_status(payment: Payment, fulfilments: Iterable[Fulfilment], *, expired: bool) -> OrderStatus:
    """Derive an order's status from its payment, its seller orders' fulfilment and whether it expired."""
    if expired:
        return OrderStatus.EXPIRED
    seen = set(fulfilments)
    if payment is Payment.VOIDED or seen == {Fulfilment.CANCELLED}:
        return OrderStatus.CANCELLED
    if seen <= ENDED:
        return OrderStatus.COMPLETED
    return OrderStatus.CONFIRMED if payment in CONFIRMED else OrderStatus.PENDING_PAYMENT


def refuse_cancelling(
    payment: Payment,
    fulfilments: Sequence[Fulfilment],
    touched: Sequence[Fulfilment],
    *,
    expired: bool,
    as_buyer: bool,
    whole: bool,
) -> Rejection | None:
    """Why an order can't be cancelled now, whole or by line; None when it can.

    ``touched`` are the seller orders of the lines. A buyer may until any seller order has left ``awaiting``, others
    until the lines have shipped. While a payment is under way only the whole order may be cancelled: what is being paid
    for doesn't change.
    """
    status = order_status(payment, fulfilments, expired=expired)
    if status in {OrderStatus.CANCELLED, OrderStatus.EXPIRED, OrderStatus.COMPLETED}:
        return Rejection(409, Code.ORDER_STATE, f"the order is {status.value}; from there nothing can be cancelled")
    if not whole and payment in UNDER_WAY:
        detail = f"the order's payment is {payment.value}; until that has ended only the whole order can be cancelled"
        return Rejection(409, Code.ORDER_STATE, detail)
    moved = next((f for f in fulfilments if f not in {Fulfilment.AWAITING, Fulfilment.CANCELLED}), None)
    if as_buyer and moved is not None:
        detail = f"a seller order is {moved.value}; a buyer cancels while all are awaiting"
        return Rejection(409, Code.ORDER_STATE, detail)
    shipped = next((f for f in touched if FulfilmentStep.CANCEL not in FULFILMENT[f]), None)
    if shipped is not None:
        return Rejection(409, Code.ORDER_STATE, f"a seller order is {shipped.value}; what has shipped isn't cancelled")
    return None


def refuse_repricing(payment: Payment, fulfilments: Sequence[Fulfilment], *, expired: bool) -> Rejection | None:
    """Why an order can't be priced again now; None when it can: it waits for a payment that nobody has started."""
    status = order_status(payment, fulfilments, expired=expired)
    if status is not OrderStatus.PENDING_PAYMENT:
        detail = f"the order is {status.value}; promotions are applied to one that is pending_payment"
        return Rejection(409, Code.ORDER_STATE, detail)
    if payment is not Payment.UNPAID:
        detail = f"the order's payment is {payment.value}; promotions are applied while it is unpaid"
        return Rejection(409, Code.ORDER_STATE, detail)
    return None


def refuse_paying(payment: Payment, fulfilments: Sequence[Fulfilment], *, expired: bool) -> Rejection | None:
    """Why a payment of an order can't be started now; None when it can: the order waits for one."""
    status = order_status(payment, fulfilments, expired=expired)
    if status is not OrderStatus.PENDING_PAYMENT:
        return Rejection(
            409, Code.ORDER_STATE, f"the order is {status.value}; only one that is pending_payment is paid"
        )
    refused = next_payment(payment, PaymentStep.START)
    return refused if isinstance(refused, Rejection) else None
