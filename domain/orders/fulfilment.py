"""The decision to accept, ship and deliver seller orders.

Invariant: pure; one command at a time in the order given, each seeing what the ones before it decided. A unit is
shipped once; what was cancelled or given back before it was shipped is not shipped any more. A seller order is
``delivered`` when nothing is left to ship and all its shipments have arrived.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct, field

from domain.journal.declare import decide_each
from domain.journal.model import BatchOutcome, Claimed, Event, Rejected, Succeeded
from domain.orders.fulfilment_model import (
    AcceptSellerOrder,
    DeliverSellerOrder,
    FulfilledSellerOrder,
    FulfilmentCommand,
    SellerOrderMoved,
    ShipmentArrived,
    ShipSellerOrder,
    Units,
    UnitsShipped,
    seller_order_id,
)
from domain.orders.lifecycle import ENDED, FulfilmentStep, next_fulfilment, order_status
from domain.orders.model import Fulfilment, OrderStatus, Payment
from domain.rejections import Code, Rejection

_encode = msgspec.json.Encoder().encode
SHIPPABLE = (Payment.AUTHORIZED, Payment.PAID, Payment.PARTIALLY_REFUNDED, Payment.REFUNDED)
"""Payments of orders whose sellers may accept and ship: of one that was refunded, what cost nothing and is left."""


class Part(Struct):
    """One seller's part of an order: units by line, and whether each shipment has arrived.

    ``withdrawn`` are units that were given back before they were shipped.
    """

    seller_id: UUID
    fulfilment: Fulfilment
    quantities: dict[int, int] = field(default_factory=dict)
    withdrawn: dict[int, int] = field(default_factory=dict)
    cancelled: set[int] = field(default_factory=set)
    shipped: dict[int, int] = field(default_factory=dict)
    arrived: dict[UUID, bool] = field(default_factory=dict)

    def left(self) -> dict[int, int]:
        """Units to ship, by line."""
        return units_left(self.quantities, self.shipped, self.withdrawn, self.cancelled)


class FulfilledOrder(Struct):
    """An order under lock, as its sellers see it: its parts by number."""

    id: UUID
    payment: Payment
    expired: bool
    version: int
    parts: dict[int, Part]

    def status(self) -> OrderStatus:
        """What its payment and its parts come to."""
        return order_status(self.payment, [part.fulfilment for part in self.parts.values()], expired=self.expired)


class Shipment(Struct, frozen=True):
    """What is sent at once, ready to write."""

    id: UUID
    order_id: UUID
    seller_no: int
    seller_id: UUID
    lines: tuple[Units, ...]
    carrier: str
    tracking: str | None


class FulfilmentPlan(Struct):
    """What a batch comes to. ``outcomes`` stand in the order of the commands."""

    outcomes: list[BatchOutcome] = field(default_factory=list)
    versions: dict[UUID, int] = field(default_factory=dict)
    """order id -> its stream's new version"""
    fulfilments: dict[tuple[UUID, UUID], Fulfilment] = field(default_factory=dict)
    """(order id, seller id) -> where the seller order stands now"""
    shipments: list[Shipment] = field(default_factory=list)
    arrived: list[UUID] = field(default_factory=list)
    """shipments"""
    events: list[Event] = field(default_factory=list)
    uncaptured: dict[UUID, str] = field(default_factory=dict)
    """orders that ship while their payment is authorized -> correlation id"""
    delivered: list[tuple[UUID, int]] = field(default_factory=list)
    """(order id, number of the seller order) of which all has arrived"""


def units_left(
    quantities: Mapping[int, int],
    shipped: Mapping[int, int],
    withdrawn: Mapping[int, int],
    cancelled: Collection[int],
) -> dict[int, int]:
    """Units to ship, by line; none of a line that was cancelled, and never fewer than none."""
    units = {n: quantity - shipped.get(n, 0) - withdrawn.get(n, 0) for n, quantity in quantities.items()}
    return {n: left for n, left in units.items() if left > 0 and n not in cancelled}


def fulfilment_after(
    fulfilment: Fulfilment,
    quantities: Mapping[int, int],
    shipped: Mapping[int, int],
    withdrawn: Mapping[int, int],
    cancelled: Collection[int],
    *,
    all_arrived: bool,
) -> Fulfilment:
    """Where a seller order stands when something of it was cancelled or given back.

    ``shipped`` are units by line, ``withdrawn`` those given back before they were shipped, ``all_arrived`` whether
    every shipment has been delivered. With nothing left to ship, it is over: ``cancelled`` if nothing ever was, else
    ``shipped`` or ``delivered``.
    """
    if fulfilment in ENDED or units_left(quantities, shipped, withdrawn, cancelled):
        return fulfilment
    if not any(shipped.values()):
        return Fulfilment.CANCELLED
    after = next_fulfilment(fulfilment, FulfilmentStep.CUT_SHORT)
    if isinstance(after, Rejection):
        return fulfilment
    delivered = next_fulfilment(after, FulfilmentStep.DELIVER)
    return after if isinstance(delivered, Rejection) or not all_arrived else delivered


def decide(commands: Sequence[Claimed[Any]], orders: Mapping[UUID, FulfilledOrder]) -> FulfilmentPlan:
    """Decide commands about seller orders of locked orders."""
    plan = FulfilmentPlan()

    def take(claimed: Claimed[FulfilmentCommand]) -> BatchOutcome:
        command = claimed.command
        order = orders.get(command.order_id)
        part = None if order is None else order.parts.get(command.seller_no)
        if order is None or part is None:
            return Rejected(Rejection(404, Code.NOT_FOUND, "there is no such seller order"))
        moving = _Moving(claimed, order, part, plan)
        match command:
            case AcceptSellerOrder():
                return moving.accept(command)
            case ShipSellerOrder():
                return moving.ship(command)
            case DeliverSellerOrder():
                return moving.deliver(command)

    plan.outcomes.extend(decide_each(commands, take))
    return plan


def _refuse_unpaid(order: FulfilledOrder) -> Rejection | None:
    status = order.status()
    if status in {OrderStatus.CONFIRMED, OrderStatus.COMPLETED} and order.payment in SHIPPABLE:
        return None
    detail = f"the order is {status.value} and its payment {order.payment.value}; sellers accept and ship what is paid"
    return Rejection(409, Code.ORDER_STATE, detail)


class _Moving(Struct):
    """A command about one part of an order."""

    claimed: Claimed[FulfilmentCommand]
    order: FulfilledOrder
    part: Part
    plan: FulfilmentPlan

    @property
    def _id(self) -> UUID:
        return seller_order_id(self.order.id, self.claimed.command.seller_no)

    def accept(self, command: AcceptSellerOrder) -> BatchOutcome:
        refused = _refuse_unpaid(self.order)
        new = next_fulfilment(self.part.fulfilment, FulfilmentStep.ACCEPT) if refused is None else refused
        if isinstance(new, Rejection):
            return Rejected(new)
        self._move(new)
        self._tell("order.accepted", SellerOrderMoved(self._id, self.part.seller_id, command.reason))
        return self._done(())

    def ship(self, command: ShipSellerOrder) -> BatchOutcome:
        refused = _refuse_unpaid(self.order)
        if refused is not None:
            return Rejected(refused)
        if self.claimed.id in self.part.arrived:
            return Rejected(Rejection(409, Code.ORDER_STATE, "this shipment is on its way already"))
        left = self.part.left()
        # Whether the state allows it comes before what is asked for.
        allowed = next_fulfilment(self.part.fulfilment, FulfilmentStep.SHIP)
        wanted = _wanted(command, self.part, left) if not isinstance(allowed, Rejection) else allowed
        if isinstance(wanted, Rejection):
            return Rejected(wanted)
        rest = any(units > wanted.get(n, 0) for n, units in left.items())
        new = next_fulfilment(self.part.fulfilment, FulfilmentStep.SHIP_PART if rest else FulfilmentStep.SHIP)
        if isinstance(new, Rejection):
            return Rejected(new)
        lines = tuple(Units(n, wanted[n]) for n in sorted(wanted))
        shipment = Shipment(
            self.claimed.id,
            self.order.id,
            command.seller_no,
            self.part.seller_id,
            lines,
            command.carrier,
            command.tracking,
        )
        for n, units in wanted.items():
            self.part.shipped[n] = self.part.shipped.get(n, 0) + units
        self.part.arrived[shipment.id] = False
        self.plan.shipments.append(shipment)
        if self.order.payment is Payment.AUTHORIZED:
            self.plan.uncaptured.setdefault(self.order.id, self.claimed.correlation)
        self._move(new)
        said = UnitsShipped(
            shipment.id, self._id, self.part.seller_id, lines, command.carrier, command.tracking, new, command.reason
        )
        self._tell("order.shipped", said)
        return self._done((shipment.id,))

    def deliver(self, command: DeliverSellerOrder) -> BatchOutcome:
        """What has been shipped arrives, whatever has become of the payment meanwhile."""
        on_the_way = sorted(shipment for shipment, arrived in self.part.arrived.items() if not arrived)
        if command.shipment_id is not None:
            if command.shipment_id not in self.part.arrived:
                detail = "the seller order has no such shipment"
                return Rejected(Rejection(422, Code.UNKNOWN_SHIPMENT, detail, "shipment_id"))
            if command.shipment_id not in on_the_way:
                detail = "the shipment is delivered; nothing follows"
                return Rejected(Rejection(409, Code.ORDER_STATE, detail))
            on_the_way = [command.shipment_id]
        if not on_the_way:
            refused = next_fulfilment(self.part.fulfilment, FulfilmentStep.DELIVER)
            if isinstance(refused, Rejection):
                return Rejected(refused)
            raise RuntimeError(f"seller order {self._id} is {self.part.fulfilment.value} and nothing is on its way")
        for shipment in on_the_way:
            self.part.arrived[shipment] = True
            self.plan.arrived.append(shipment)
            said = ShipmentArrived(shipment, self._id, self.part.seller_id, command.reason)
            self._tell("order.shipment_delivered", said)
        new = next_fulfilment(self.part.fulfilment, FulfilmentStep.DELIVER)
        if all(self.part.arrived.values()) and not isinstance(new, Rejection):
            self._move(new)
            self.plan.delivered.append((self.order.id, command.seller_no))
            self._tell("order.delivered", SellerOrderMoved(self._id, self.part.seller_id, command.reason))
        return self._done(tuple(on_the_way))

    def _move(self, fulfilment: Fulfilment) -> None:
        self.part.fulfilment = fulfilment
        self.plan.fulfilments[self.order.id, self.part.seller_id] = fulfilment

    def _tell(self, kind: str, said: Struct) -> None:
        self.order.version += 1
        self.plan.versions[self.order.id] = self.order.version
        data = _encode(said).decode()
        self.plan.events.append(
            Event(self.order.id, self.order.version, kind, data, self.claimed.principal, self.claimed.correlation)
        )

    def _done(self, shipments: tuple[UUID, ...]) -> BatchOutcome:
        left = tuple(Units(n, units) for n, units in sorted(self.part.left().items()))
        fulfilment = self.part.fulfilment
        return Succeeded(
            FulfilledSellerOrder(self._id, self.order.id, fulfilment, self.order.status(), shipments, left)
        )


def _wanted(command: ShipSellerOrder, part: Part, left: Mapping[int, int]) -> dict[int, int] | Rejection:
    """Units to ship by line, those of a line that is named twice together."""
    if command.lines is None:
        if left:
            return dict(left)
        return Rejection(409, Code.ORDER_STATE, "nothing of the seller order is left to ship")
    wanted: dict[int, int] = {}
    for number, units in enumerate(command.lines):
        n, path = units.line_no, f"lines[{number}]"
        if n not in part.quantities:
            return Rejection(422, Code.UNKNOWN_LINE, f"the seller order has no line {n}", path)
        wanted[n] = wanted.get(n, 0) + units.quantity
        if wanted[n] > left.get(n, 0):
            detail = f"of line {n} {left.get(n, 0)} units are left to ship, not {wanted[n]}"
            return Rejection(409, Code.UNITS_SHORT, detail, path)
    return wanted
