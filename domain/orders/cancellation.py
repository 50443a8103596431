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
from domain.rejections import Code, Rejection

_encode = msgspec.json.Encoder().encode


class Placing(Struct, frozen=True):
    """What became of an order's placement: its outcome's status, the refusal if any; ``failed`` while it is parked."""

    status: Status
    problem: Rejection | None = None


class OpenOrder(Struct):
    """An order under lock, as cancelling sees and changes it.

    ``lines`` maps the numbers of lines that still count to their amounts; ``sellers`` maps lines to sellers;
    ``fulfilments`` stands per seller. ``version`` is the stream's last, ``price_version`` the last price version.
    """

    id: UUID
    buyer: UUID
    currency: str
    payment: Payment
    expired: bool
    version: int
    price_version: int
    lines: dict[int, int]
    sellers: dict[int, UUID]
    fulfilments: dict[UUID, Fulfilment]


class CancellationPlan(Struct, frozen=True):
    """What cancelling comes to: rows to write, and whose reservations to release (by actor)."""

    outcomes: list[BatchOutcome]
    cancelled: list[tuple[UUID, int, UUID]]
    """(order id, line no., command id)"""
    price_versions: list[tuple[UUID, int, list[int], list[int], int]]
    """(order id, version, line numbers, amounts, total)"""
    seller_orders: list[tuple[UUID, UUID]]
    """(order id, seller id) that have no line left"""
    versions: dict[UUID, int]
    """order id -> its stream's new version"""
    unplaced: list[UUID]
    """placements that are parked and never run now"""
    reservations: dict[UUID, UUID]
    """reservation id -> who releases it"""
    events: list[Event]


def decide(
    commands: Sequence[Claimed[CancelOrder]],
    orders: Mapping[UUID, OpenOrder],
    placings: Mapping[UUID, Placing],
) -> CancellationPlan:
    """Decide cancellations; ``placings`` tells of orders that have no row."""
    plan = CancellationPlan([], [], [], [], {}, [], {}, [])

    def cancel(claimed: Claimed[CancelOrder]) -> BatchOutcome:
        order = orders.get(claimed.command.order_id)
        if order is None:
            return _without_order(claimed.command, placings.get(claimed.command.order_id), plan)
        fulfilments = list(order.fulfilments.values())
        refusal = refuse_cancelling(order.payment, fulfilments, expired=order.expired)
        if refusal is not None:
            return Rejected(refusal)
        numbers = sorted(order.lines) if claimed.command.lines is None else sorted(set(claimed.command.lines))
        unknown = next((n for n in numbers if n not in order.lines), None)
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
    if placing.problem is not None:
        return Rejected(Rejection(409, Code.ORDER_NOT_PLACED, f"the order was refused: {placing.problem.detail}"))
    return Rejected(Rejection(409, Code.ORDER_NOT_PLACED, f"there is no order: its placing is {placing.status.value}"))


def _cancel(
    claimed: Claimed[CancelOrder], order: OpenOrder, numbers: Sequence[int], plan: CancellationPlan
) -> BatchOutcome:
    whole = len(numbers) == len(order.lines)
    left = {n: amount for n, amount in order.lines.items() if n not in set(numbers)}
    total = sum(left.values())
    emptied = {order.sellers[n] for n in numbers} - {order.sellers[n] for n in left}
    fulfilments = {**order.fulfilments, **dict.fromkeys(emptied, Fulfilment.CANCELLED)}
    status = order_status(order.payment, list(fulfilments.values()), expired=order.expired)
    event = Event(
        order.id,
        order.version + 1,
        "order.cancelled" if whole else "order.lines_cancelled",
        _encode(LinesCancelled(tuple(numbers), total, claimed.command.reason)).decode(),
        claimed.principal,
        claimed.correlation,
    )
    result = CancelledOrder(order.id, tuple(numbers), Money(total, order.currency), status)

    order.version += 1
    order.price_version += 1
    order.lines = left
    order.fulfilments = fulfilments
    plan.versions[order.id] = order.version
    plan.cancelled.extend((order.id, n, claimed.id) for n in numbers)
    plan.price_versions.append((order.id, order.price_version, list(left), list(left.values()), total))
    plan.seller_orders.extend((order.id, seller) for seller in sorted(emptied))
    plan.reservations.update((ids.child(order.id, ids.Kind.RESERVATION, n), claimed.principal) for n in numbers)
    plan.events.append(event)
    return Succeeded(result)
