"""The decision to cancel orders, whole or by line.

Invariant: pure; one command at a time in the order given, each seeing what the ones before it decided. A line is
cancelled once, its units go back once, and no other line's amount changes.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

import msgspec
from msgspec import Struct, field

from domain import ids
from domain.inventory.model import PutBack
from domain.journal.declare import decide_each
from domain.journal.model import BatchOutcome, Cause, Claimed, Deferred, Event, Rejected, Status, Succeeded
from domain.money import Money
from domain.orders.crediting import (
    NOTHING,
    Credited,
    LineCredit,
    ShippingCredit,
    credit_units,
    less_of,
    line_credit,
    whole_shipping,
)
from domain.orders.fulfilment import fulfilment_after
from domain.orders.fulfilment_model import SellerOrderMoved, seller_order_id
from domain.orders.lifecycle import (
    CONFIRMED,
    ENDED,
    FULFILMENT,
    PAYMENT,
    UNDER_WAY,
    FulfilmentStep,
    PaymentStep,
    order_status,
    refuse_cancelling,
)
from domain.orders.model import CancelledOrder, CancelOrder, Fulfilment, LinesCancelled, OrderStatus, Payment
from domain.orders.price import Price, freed_by, without
from domain.rejections import Code, Rejection

_encode = msgspec.json.Encoder().encode
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CAPTURED = CONFIRMED - {Payment.AUTHORIZED}
_UNCAPTURED = UNDER_WAY | {Payment.AUTHORIZED}
# An order whose payment was voided had been confirmed: what it held had been sold.
_SOLD = CONFIRMED | {Payment.VOIDED}


class Placing(Struct, frozen=True):
    """What became of an order's placement: its outcome's status, the refusal if any; ``failed`` while it is parked."""

    status: Status
    problem: Rejection | None = None


class OpenOrder(Struct):
    """An order under lock, as those who change it see it.

    ``price`` is what counts of it: the last price version, without the lines that were cancelled after it was paid.
    ``sellers`` maps lines to sellers; ``fulfilments`` stands per seller, in the order of their numbers. ``version`` is
    the stream's last. ``payment_id`` is the attempt that moves it, ``held_by`` whose children its reservations are.
    ``sold`` says whether its sellers were given what it brought; ``shipped`` counts units by line, ``on_the_way`` are
    lines of which not all that was shipped has arrived, ``came_back`` counts units that returns brought, ``credited``
    is what was given back of lines, ``shipping_credited`` of which seller orders by number the shipping was.
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
    number: int = 0
    placed_at: datetime = EPOCH
    expires_at: datetime = EPOCH
    payment_id: UUID | None = None
    held_by: UUID | None = None
    sold: bool = False
    quantities: dict[int, int] = field(default_factory=dict)
    shipped: dict[int, int] = field(default_factory=dict)
    on_the_way: set[int] = field(default_factory=set)
    came_back: dict[int, int] = field(default_factory=dict)
    credited: dict[int, Credited] = field(default_factory=dict)
    shipping_credited: set[int] = field(default_factory=set)

    @property
    def seller_nos(self) -> dict[UUID, int]:
        """The numbers of the seller orders, by seller."""
        return {seller: number for number, seller in enumerate(self.fulfilments)}

    @property
    def credited_minor(self) -> int:
        """What is given back of what still counts of it."""
        lines = sum(self.credited[n].parts.charged_minor for n in self.credited if n in self.price.lines)
        return lines + sum(
            self.price.shipping[n].charged_minor for n in self.shipping_credited & set(self.price.shipping)
        )

    def is_all_back(self, seller: UUID) -> bool:
        """Whether all came back that a seller was paid for, but for what was given back before it was shipped."""
        return all(
            self.came_back.get(n, 0) >= self.quantities[n] - self.credited.get(n, NOTHING).unshipped
            for n in self.price.lines
            if self.sellers[n] == seller
        )

    def hold_of(self, line_no: int) -> UUID:
        """The reservation of a line."""
        return ids.child(self.held_by or self.id, ids.Kind.RESERVATION, line_no)


class Reversal(Struct, frozen=True):
    """Commission of a line that is taken back: all of it, or what goes with ``base_minor`` given back in all."""

    order_id: UUID
    line_no: int
    cause_id: UUID
    base_minor: int | None = None


class CancellationPlan(Struct):
    """What cancelling comes to: rows to write, and what goes back."""

    outcomes: list[BatchOutcome] = field(default_factory=list)
    cancelled: list[tuple[UUID, int, UUID, bool]] = field(default_factory=list)
    """(order id, line no., command id, whether it was paid)"""
    price_versions: list[tuple[UUID, int, Price]] = field(default_factory=list)
    """(order id, version, price)"""
    left: dict[UUID, Price] = field(default_factory=dict)
    """what still counts of the orders"""
    fulfilments: dict[tuple[UUID, UUID], Fulfilment] = field(default_factory=dict)
    """(order id, seller id) -> where the seller order stands now"""
    credits: list[LineCredit] = field(default_factory=list)
    shipping_credits: list[ShippingCredit] = field(default_factory=list)
    versions: dict[UUID, int] = field(default_factory=dict)
    """order id -> its stream's new version"""
    unplaced: list[UUID] = field(default_factory=list)
    """placements that are parked and never run now"""
    released: dict[UUID, UUID] = field(default_factory=dict)
    """reservations that hold nothing any more -> who releases them"""
    returned: dict[UUID, UUID] = field(default_factory=dict)
    """reservations whose sale is undone -> who undoes it"""
    put_back: list[PutBack] = field(default_factory=list)
    """units of which the sale is undone and that of the rest isn't"""
    back: dict[UUID, int] = field(default_factory=dict)
    """of those, how many units had been put back before"""
    events: list[Event] = field(default_factory=list)
    freed: list[tuple[UUID, UUID]] = field(default_factory=list)
    """(order id, promotion id) whose use comes back"""
    refunds: list[tuple[UUID, int, Cause]] = field(default_factory=list)
    """(order id, what its buyer gets back, whose doing)"""
    voids: list[tuple[UUID, Cause]] = field(default_factory=list)
    """(payment that nobody needs any more, whose doing)"""
    reversed: list[Reversal] = field(default_factory=list)

    @property
    def redeemed(self) -> dict[tuple[UUID, UUID], int]:
        """What promotions take off of what is left of the orders, by (order, promotion)."""
        return {
            (order_id, part.promotion_id): part.amount_minor
            for order_id, price in self.left.items()
            for part in price.applied
            if part.promotion_id is not None
        }

    @property
    def free(self) -> list[UUID]:
        """The orders of which lines are left that cost nothing: there is no payment to wait for any more."""
        last = {order_id: price for order_id, _, price in self.price_versions}
        sold = {reversal.order_id for reversal in self.reversed}
        return [
            order_id
            for order_id, price in last.items()
            if price.lines and not price.total_minor and order_id not in sold
        ]


def decide(
    commands: Sequence[Claimed[CancelOrder]],
    orders: Mapping[UUID, OpenOrder],
    placings: Mapping[UUID, Placing],
) -> CancellationPlan:
    """Decide cancellations; ``placings`` tells of orders that have no row."""
    plan = CancellationPlan()

    def cancel(claimed: Claimed[CancelOrder]) -> BatchOutcome:
        order = orders.get(claimed.command.order_id)
        if order is None:
            return _without_order(claimed.command, placings.get(claimed.command.order_id), plan)
        numbers = _numbers(claimed.command, order)
        if isinstance(numbers, Rejection):
            return Rejected(numbers)
        refusal = refuse_cancelling(
            order.payment,
            list(order.fulfilments.values()),
            [_standing(order, n) for n in numbers if n in order.price.lines],
            expired=order.expired,
            as_buyer=claimed.principal == order.buyer and claimed.command.seller_id is None,
            whole=set(numbers) >= set(order.price.lines),
        )
        if refusal is not None:
            return Rejected(refusal)
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


def _numbers(command: CancelOrder, order: OpenOrder) -> list[int] | Rejection:
    """The lines a command is about, in order; one of another seller's is refused, and so is a part without any left."""
    seller = command.seller_id
    if command.lines is not None:
        for place, n in enumerate(command.lines):
            if seller is not None and order.sellers.get(n) != seller:
                return Rejection(422, Code.UNKNOWN_LINE, f"the seller order has no line {n}", f"lines[{place}]")
        return sorted(set(command.lines))
    if seller is None:
        return sorted(order.price.lines)
    mine = [n for n in sorted(order.price.lines) if order.sellers[n] == seller]
    if not mine:
        detail = "the seller order is cancelled; from there nothing can be cancelled"
        return Rejection(409, Code.ORDER_STATE, detail)
    return [n for n in mine if not order.shipped.get(n)] or mine


def _standing(order: OpenOrder, line_no: int) -> Fulfilment:
    """Where a line's seller order stands as far as the line goes: it is counted per line what has shipped."""
    fulfilment = order.fulfilments[order.sellers[line_no]]
    if fulfilment is Fulfilment.PARTLY_SHIPPED and not order.shipped.get(line_no):
        return Fulfilment.PROCESSING
    return fulfilment


def not_placed(placing: Placing) -> Rejection:
    """Refuse what is asked of an order that came to nothing."""
    if placing.problem is not None:
        return Rejection(409, Code.ORDER_NOT_PLACED, f"the order was refused: {placing.problem.detail}")
    return Rejection(409, Code.ORDER_NOT_PLACED, f"there is no order: its placing is {placing.status.value}")


def _cancel(
    claimed: Claimed[CancelOrder], order: OpenOrder, numbers: Sequence[int], plan: CancellationPlan
) -> BatchOutcome:
    cause = Cause(claimed.id, claimed.correlation, claimed.principal)
    owed = cancel_lines(order, numbers, claimed.command.reason, cause, plan)
    if owed:
        plan.refunds.append((order.id, owed, cause))
    status = order_status(order.payment, order.fulfilments.values(), expired=order.expired)
    return Succeeded(
        CancelledOrder(
            order.id,
            tuple(numbers),
            Money(order.price.total_minor, order.currency),
            status,
            Money(owed, order.currency),
        )
    )


def cancel_lines(order: OpenOrder, numbers: Sequence[int], reason: str, cause: Cause, plan: CancellationPlan) -> int:
    """Cancel lines that may be cancelled; return what the buyer gets back, in minor units.

    What isn't paid yet gets a price version without them. What is paid keeps its price, and the lines are refunded.
    """
    gone = set(numbers)
    whole = gone == set(order.price.lines)
    emptied = {order.sellers[n] for n in gone} - {order.sellers[n] for n in order.price.lines if n not in gone}
    unshipped = {number for number, seller in enumerate(order.fulfilments) if seller in emptied}
    price = without(order.price, gone, unshipped)
    freed = freed_by(order.price, gone, unshipped)
    paid, sold = order.payment in _CAPTURED, order.payment in _SOLD
    sellers = less_of(order, gone, unshipped)
    owed = _credit_cancelled(order, sorted(gone), unshipped, cause, plan) if paid else 0
    told = LinesCancelled(tuple(numbers), price.total_minor, reason, owed, order.currency, sold, sellers)
    event = Event(
        order.id,
        order.version + 1,
        "order.cancelled" if whole else "order.lines_cancelled",
        _encode(told).decode(),
        cause.actor,
        cause.correlation,
    )
    holds = [order.hold_of(n) for n in numbers]

    order.version += 1
    order.price = price
    order.fulfilments.update(dict.fromkeys(emptied, Fulfilment.CANCELLED))
    if not paid:
        order.price_version += 1
        plan.price_versions.append((order.id, order.price_version, price))
    plan.left[order.id] = price
    plan.versions[order.id] = order.version
    plan.cancelled.extend((order.id, n, cause.command_id, paid) for n in numbers)
    plan.fulfilments.update({(order.id, seller): Fulfilment.CANCELLED for seller in sorted(emptied)})
    (plan.returned if sold else plan.released).update(dict.fromkeys(holds, cause.actor))
    plan.freed.extend((order.id, promotion) for promotion in freed)
    plan.events.append(event)
    go_on(order, {order.sellers[n] for n in gone} - emptied, cause, plan)
    if sold:
        plan.reversed.extend(Reversal(order.id, n, cause.command_id) for n in numbers)
    if whole and order.payment_id is not None and order.payment in _UNCAPTURED:
        plan.voids.append((order.payment_id, cause))
    if not whole and order.payment is Payment.AUTHORIZED and not price.total_minor and order.payment_id is not None:
        # Nothing is left to be taken: the promise is given back, and the order is paid for as it is.
        plan.voids.append((order.payment_id, cause))
        order.payment, order.payment_id = PAYMENT[order.payment][PaymentStep.WAIVE], None
    if not whole and order.payment is Payment.FAILED:
        # It was about another amount: should it bring money after all, that is given back.
        order.payment_id = None
    return owed


def go_on(order: OpenOrder, sellers: Collection[UUID], cause: Cause, plan: CancellationPlan) -> None:
    """See where seller orders stand when something of them was cancelled or given back: nothing may be left to ship."""
    for seller in sorted(sellers):
        if order.fulfilments[seller] is not Fulfilment.PARTLY_SHIPPED:
            continue
        mine = {n for n, of in order.sellers.items() if of == seller}
        after = fulfilment_after(
            order.fulfilments[seller],
            {n: order.quantities[n] for n in mine & set(order.quantities)},
            {n: units for n, units in order.shipped.items() if n in mine},
            {n: credited.unshipped for n, credited in order.credited.items()},
            mine - set(order.price.lines),
            all_arrived=not mine & order.on_the_way,
        )
        if after is order.fulfilments[seller]:
            continue
        if order.is_all_back(seller):
            after = FULFILMENT[after].get(FulfilmentStep.RETURN, after)
        order.fulfilments[seller] = plan.fulfilments[order.id, seller] = after
        if after in ENDED:
            order.version += 1
            plan.versions[order.id] = order.version
            told = SellerOrderMoved(
                seller_order_id(order.id, order.seller_nos[seller]), seller, "the rest was cancelled"
            )
            data = _encode(told).decode()
            kind = "order.returned" if after is Fulfilment.RETURNED else "order.delivered"
            plan.events.append(Event(order.id, order.version, kind, data, cause.actor, cause.correlation))


def _credit_cancelled(
    order: OpenOrder, numbers: Sequence[int], sellers: Collection[int], cause: Cause, plan: CancellationPlan
) -> int:
    """Give back what is left of paid lines that are cancelled, and the shipping of seller orders without any left."""
    owed = 0
    for n in numbers:
        before, quantity = order.credited.get(n, NOTHING), order.quantities[n]
        units = quantity - before.quantity
        if before.unshipped:
            plan.back[order.hold_of(n)] = before.unshipped
        if units:
            after = credit_units(order.price.lines[n], quantity, before, units, units)
            credit = line_credit(order.id, n, cause.command_id, before=before, after=after)
            order.credited[n] = after
            plan.credits.append(credit)
            owed += credit.parts.charged_minor
    for number in sorted(set(sellers) & set(order.price.shipping) - order.shipping_credited):
        parts = whole_shipping(order.price.shipping[number])
        order.shipping_credited.add(number)
        plan.shipping_credits.append(ShippingCredit(order.id, number, cause.command_id, parts))
        owed += parts.charged_minor
    return owed
