"""The decision to cancel orders that aren't paid, whole or by line.

Invariant: pure; one command at a time in the order given, each seeing what the ones before it decided. A line is
cancelled once, its units go back once, and no other line's amount changes.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec
from msgspec import Struct

from domain import ids
from domain.journal.declare import decide_each
from domain.journal.model import BatchOutcome, Claimed, Deferred, Event, Rejected, Status, Succeeded
from domain.money import Money
from domain.orders.lifecycle import order_status, refuse_cancelling
from domain.orders.model import CancelledOrder, CancelOrder, Fulfilment, LinesCancelled, OrderStatus, Payment
from domain.orders.price import Price, freed_by, without
from domain.rejections import Code, Rejection

_encode = msgspec.json.Encoder().encode


class Placing(Struct, frozen=True):
    """What became of an order's placement: its outcome's status, the refusal if any; ``failed`` while it is parked."""

    status: Status
    problem: Rejection | None = None


class OpenOrder(Struct):
    """An order under lock, as cancelling sees and changes it.

    ``price`` is the last price version, with the lines that still count; ``sellers`` maps lines to sellers;
    ``fulfilments`` stands per seller, in the order of their numbers. ``version`` is the stream's last.
    """

    id: UUID
    buyer: UUID
    currency: str
    payment: Payment
    expired: bool
    version: int
    price_version: int
    price: Price
    sellers: dict[int, UUID]
    fulfilments: dict[UUID, Fulfilment]


class CancellationPlan(Struct, frozen=True):
    """What cancelling comes to: rows to write, and whose reservations to release (by actor)."""

    outcomes: list[BatchOutcome]
    cancelled: list[tuple[UUID, int, UUID]]
    """(order id, line no., command id)"""
    price_versions: list[tuple[UUID, int, Price]]
    """(order id, version, price)"""
    seller_orders: list[tuple[UUID, UUID]]
    """(order id, seller id) that have no line left"""
    versions: dict[UUID, int]
    """order id -> its stream's new version"""
    unplaced: list[UUID]
    """placements that are parked and never run now"""
    reservations: dict[UUID, UUID]
    """reservation id -> who releases it"""
    events: list[Event]
    freed: list[tuple[UUID, UUID]]
    """(order id, promotion id) whose use comes back"""

    @property
    def redeemed(self) -> dict[tuple[UUID, UUID], int]:
        """What promotions take off of what is left of the orders, by (order, promotion)."""
        last = {order_id: price for order_id, _, price in self.price_versions}
        return {
            (order_id, part.promotion_id): part.amount_minor
            for order_id, price in last.items()
            for part in price.applied
            if part.promotion_id is not None
        }

    @property
    def free(self) -> list[UUID]:
        """The orders of which lines are left that cost nothing: there is no payment to wait for any more."""
        last = {order_id: price for order_id, _, price in self.price_versions}
        return [order_id for order_id, price in last.items() if price.lines and not price.total_minor]


def decide(
    commands: Sequence[Claimed[CancelOrder]],
    orders: Mapping[UUID, OpenOrder],
    placings: Mapping[UUID, Placing],
) -> CancellationPlan:
    """Decide cancellations; ``placings`` tells of orders that have no row."""
    plan = CancellationPlan([], [], [], [], {}, [], {}, [], [])

    def cancel(claimed: Claimed[CancelOrder]) -> BatchOutcome:
        order = orders.get(claimed.command.order_id)
        if order is None:
            return _without_order(claimed.command, placings.get(claimed.command.order_id), plan)
        fulfilments = list(order.fulfilments.values())
        refusal = refuse_cancelling(order.payment, fulfilments, expired=order.expired)
        if refusal is not None:
            return Rejected(refusal)
        numbers = sorted(order.price.lines) if claimed.command.lines is None else sorted(set(claimed.command.lines))
        unknown = next((n for n in numbers if n not in order.price.lines), None)
        if unknown is not None:
            known = unknown in order.sellers
            return Rejected(
                Rejection(
                    409 if known else 422,
                    Code.UNKNOWN_LINE,
                    f"line {unknown} is cancelled already" if known else f"the order has no line {unknown}",
                    f"lines[{(claimed.command.lines or ()).index(unknown)}]",
                )
            )
        return _cancel(claimed, order, numbers, plan)

    plan.outcomes.extend(decide_each(commands, cancel))
    return plan


def _without_order(command: CancelOrder, placing: Placing | None, plan: CancellationPlan) -> BatchOutcome:
    if placing is None:
        return Deferred()
    if command.order_id in plan.unplaced:
        placing = Placing(Status.CANCELLED)
    if placing.status is Status.FAILED and command.lines is None:
        plan.unplaced.append(command.order_id)
        return Succeeded(CancelledOrder(command.order_id, (), None, OrderStatus.CANCELLED))
    return Rejected(not_placed(placing))


def not_placed(placing: Placing) -> Rejection:
    """Refuse what is asked of an order that came to nothing."""
    if placing.problem is not None:
        return Rejection(409, Code.ORDER_NOT_PLACED, f"the order was refused: {placing.problem.detail}")
    return Rejection(409, Code.ORDER_NOT_PLACED, f"there is no order: its placing is {placing.status.value}")


def _cancel(
    claimed: Claimed[CancelOrder], order: OpenOrder, numbers: Sequence[int], plan: CancellationPlan
) -> BatchOutcome:
    gone = set(numbers)
    whole = gone == set(order.price.lines)
    emptied = {order.sellers[n] for n in gone} - {order.sellers[n] for n in order.price.lines if n not in gone}
    unshipped = {number for number, seller in enumerate(order.fulfilments) if seller in emptied}
    price = without(order.price, gone, unshipped)
    freed = freed_by(order.price, gone, unshipped)
    fulfilments = {**order.fulfilments, **dict.fromkeys(emptied, Fulfilment.CANCELLED)}
    status = order_status(order.payment, list(fulfilments.values()), expired=order.expired)
    event = Event(
        order.id,
        order.version + 1,
        "order.cancelled" if whole else "order.lines_cancelled",
        _encode(LinesCancelled(tuple(numbers), price.total_minor, claimed.command.reason)).decode(),
        claimed.principal,
        claimed.correlation,
    )
    result = CancelledOrder(order.id, tuple(numbers), Money(price.total_minor, order.currency), status)

    order.version += 1
    order.price_version += 1
    order.price = price
    order.fulfilments = fulfilments
    plan.versions[order.id] = order.version
    plan.cancelled.extend((order.id, n, claimed.id) for n in numbers)
    plan.price_versions.append((order.id, order.price_version, price))
    plan.seller_orders.extend((order.id, seller) for seller in sorted(emptied))
    plan.reservations.update((ids.child(order.id, ids.Kind.RESERVATION, n), claimed.principal) for n in numbers)
    plan.freed.extend((order.id, promotion) for promotion in freed)
    plan.events.append(event)
    return Succeeded(result)
