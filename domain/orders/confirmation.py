"""The decision to confirm orders that cost nothing: there is no payment to wait for.

Invariant: pure; an order is confirmed once, while all that is left of it costs nothing and is still held. Units whose
hold has run out may be somebody else's by now: such an order expires, as if nobody had paid.
"""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.journal.declare import decide_each
from domain.journal.model import SYSTEM, BatchOutcome, Claimed, Event, Rejected, Succeeded
from domain.orders.cancellation import OpenOrder
from domain.orders.lifecycle import PAYMENT, PaymentStep, order_status
from domain.orders.model import ConfirmOrder, OrderConfirmed, OrderStatus, Payment, SellerSold
from domain.orders.price import LineAmounts, ShippingAmounts
from domain.rejections import Code, Rejection

_encode = msgspec.json.Encoder().encode


class ConfirmedOrder(Struct, frozen=True):
    """The result of confirming."""

    order_id: UUID
    status: OrderStatus


class ConfirmationPlan(Struct, frozen=True):
    """What confirming comes to: streams' new versions by order, reservations that become sales, events."""

    outcomes: list[BatchOutcome]
    versions: dict[UUID, int]
    reservations: list[UUID]
    events: list[Event]


def holds_of(order: OpenOrder) -> list[UUID]:
    """The reservations of the lines that are left of an order."""
    return [order.hold_of(number) for number in order.price.lines]


def confirmed_of(order: OpenOrder) -> OrderConfirmed:
    """What is told of an order as it is confirmed: what each of its sellers sells."""
    sellers: list[SellerSold] = []
    for number, seller in enumerate(order.fulfilments):
        lines = {n: amounts for n, amounts in order.price.lines.items() if order.sellers[n] == seller}
        if not lines:
            continue
        parts: list[LineAmounts | ShippingAmounts] = list(lines.values())
        shipping = order.price.shipping.get(number)
        parts += [] if shipping is None else [shipping]
        discount = sum(each.seller_discount_minor + each.platform_discount_minor for each in parts)
        cost = 0 if shipping is None else shipping.cost_minor
        total = sum(each.charged_minor for each in parts)
        added = sum(each.added_tax_minor for each in parts)
        units = sum(order.quantities.get(n, 0) for n in lines)
        sellers.append(SellerSold(seller, units, total - added + discount - cost, discount, cost, added, total))
    return OrderConfirmed(order.price.total_minor, order.currency, tuple(sellers))


def decide(
    commands: Sequence[Claimed[ConfirmOrder]], orders: Mapping[UUID, OpenOrder], held: Collection[UUID]
) -> ConfirmationPlan:
    """Decide confirmations of orders under lock; ``held`` are the active ones of their reservations, locked too."""
    plan = ConfirmationPlan([], {}, [], [])

    def confirm(claimed: Claimed[ConfirmOrder]) -> BatchOutcome:
        order = orders.get(claimed.command.order_id)
        refusal = _refuse(order, held)
        if refusal is not None or order is None:
            return Rejected(refusal or _not_there())
        event = Event(
            order.id,
            order.version + 1,
            "order.confirmed",
            _encode(confirmed_of(order)).decode(),
            SYSTEM,
            claimed.correlation,
        )
        order.version += 1
        order.payment = Payment.PAID
        plan.versions[order.id] = order.version
        plan.reservations.extend(holds_of(order))
        plan.events.append(event)
        return Succeeded(ConfirmedOrder(order.id, _status(order)))

    plan.outcomes.extend(decide_each(commands, confirm))
    return plan


def _refuse(order: OpenOrder | None, held: Collection[UUID]) -> Rejection | None:
    if order is None:
        return _not_there()
    status = _status(order)
    if status is not OrderStatus.PENDING_PAYMENT or PaymentStep.WAIVE not in PAYMENT[order.payment]:
        return Rejection(
            409, Code.ORDER_STATE, f"the order is {status.value}; only one that waits for payment is confirmed"
        )
    if order.price.total_minor:
        return Rejection(409, Code.ORDER_STATE, "the order costs something: it is confirmed when it is paid")
    if not all(hold in held for hold in holds_of(order)):
        return Rejection(409, Code.ORDER_STATE, "the order's reservations have run out: it expires")
    return None


def _not_there() -> Rejection:
    return Rejection(404, Code.NOT_FOUND, "there is no such order")


def _status(order: OpenOrder) -> OrderStatus:
    return order_status(order.payment, list(order.fulfilments.values()), expired=order.expired)
