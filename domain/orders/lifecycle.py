"""What state an order is in, and what may happen to it from there.

Invariant: the order's status is derived from payment and fulfilment, never stored; so the axes and the status
can't disagree.
"""

from collections.abc import Sequence

from domain.orders.model import Fulfilment, OrderStatus, Payment
from domain.rejections import Code, Rejection

_CONFIRMED = {Payment.AUTHORIZED, Payment.PAID, Payment.PARTIALLY_REFUNDED, Payment.REFUNDED}
_ENDED = {Fulfilment.DELIVERED, Fulfilment.RETURNED, Fulfilment.CANCELLED}


def order_status(payment: Payment, fulfilments: Sequence[Fulfilment], *, expired: bool) -> OrderStatus:
    """Derive an order's status from its payment, its seller orders' fulfilment and whether it expired."""
    if expired:
        return OrderStatus.EXPIRED
    if payment is Payment.VOIDED or all(f is Fulfilment.CANCELLED for f in fulfilments):
        return OrderStatus.CANCELLED
    if all(f in _ENDED for f in fulfilments):
        return OrderStatus.COMPLETED
    return OrderStatus.CONFIRMED if payment in _CONFIRMED else OrderStatus.PENDING_PAYMENT


def refuse_cancelling(payment: Payment, fulfilments: Sequence[Fulfilment], *, expired: bool) -> Rejection | None:
    """Why an order can't be cancelled now; None when it can: not paid, nothing under way, not over."""
    status = order_status(payment, fulfilments, expired=expired)
    if status in {OrderStatus.CANCELLED, OrderStatus.EXPIRED, OrderStatus.COMPLETED}:
        return Rejection(409, Code.ORDER_STATE, f"the order is {status.value}; from there nothing can be cancelled")
    if payment is not Payment.UNPAID:
        return Rejection(
            409, Code.ORDER_STATE, f"the order's payment is {payment.value}; only an unpaid order is cancelled"
        )
    moved = next((f for f in fulfilments if f not in {Fulfilment.AWAITING, Fulfilment.CANCELLED}), None)
    if moved is not None:
        return Rejection(409, Code.ORDER_STATE, f"a seller order is {moved.value}; only awaiting ones are cancelled")
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
