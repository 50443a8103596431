"""What sellers do with their part of an order: the commands, their results, and the events that tell of it."""

from typing import Annotated, ClassVar
from uuid import UUID

from msgspec import Meta, Struct

from domain import ids
from domain.orders.model import LINES_CEILING, Fulfilment, LineNo, OrderCommand, OrderStatus, Quantity
from domain.text import LINE_PATTERN

MANUAL = "manual"
"""The carrier of parcels that a seller brings or sends without telling by whom."""
CARRIER_PATTERN = "^[a-z][a-z0-9_]*$"

CarrierName = Annotated[str, Meta(min_length=1, max_length=30, pattern=CARRIER_PATTERN)]
Tracking = Annotated[str, Meta(min_length=1, max_length=100, pattern=LINE_PATTERN)]
Reason = Annotated[str, Meta(max_length=500)]


class Units(Struct, frozen=True, forbid_unknown_fields=True):
    """Units of a line."""

    line_no: LineNo
    quantity: Quantity


LinesToShip = Annotated[tuple[Units, ...], Meta(min_length=1, max_length=LINES_CEILING)]


class AcceptSellerOrder(OrderCommand, frozen=True, omit_defaults=True):
    """Accept a seller order: its seller is going to ship it."""

    job: ClassVar[str] = "accept_seller_orders"

    seller_no: int
    reason: Reason = ""

    def weight(self) -> int:
        """Rows it writes."""
        return 3


class ShipSellerOrder(OrderCommand, frozen=True, omit_defaults=True):
    """Ship units of a seller order, or all that is left of it. The shipment's id is the command's id."""

    job: ClassVar[str] = "ship_seller_orders"

    seller_no: int
    lines: LinesToShip | None = None
    carrier: CarrierName = MANUAL
    tracking: Tracking | None = None
    reason: Reason = ""

    def weight(self) -> int:
        """Rows it writes."""
        return 4


class DeliverSellerOrder(OrderCommand, frozen=True, omit_defaults=True):
    """Note that a shipment of a seller order has arrived, or all that are on their way."""

    job: ClassVar[str] = "deliver_seller_orders"

    seller_no: int
    shipment_id: UUID | None = None
    reason: Reason = ""

    def weight(self) -> int:
        """Rows it writes, for one shipment or two."""
        return 6


FulfilmentCommand = AcceptSellerOrder | ShipSellerOrder | DeliverSellerOrder


class FulfilledSellerOrder(Struct, frozen=True):
    """The result of each: where the seller order and its order stand now, the shipments that were made or have arrived,
    and the units that are left to ship.
    """

    seller_order_id: UUID
    order_id: UUID
    fulfilment: Fulfilment
    status: OrderStatus
    shipments: tuple[UUID, ...]
    left: tuple[Units, ...]


class SellerOrderMoved(Struct, frozen=True):
    """The events ``order.accepted`` and ``order.delivered``."""

    seller_order_id: UUID
    seller_id: UUID
    reason: str


class UnitsShipped(Struct, frozen=True):
    """The event ``order.shipped``; ``fulfilment`` is where the seller order stands with it."""

    shipment_id: UUID
    seller_order_id: UUID
    seller_id: UUID
    lines: tuple[Units, ...]
    carrier: str
    tracking: str | None
    fulfilment: Fulfilment
    reason: str


class ShipmentArrived(Struct, frozen=True):
    """The event ``order.shipment_delivered``."""

    shipment_id: UUID
    seller_order_id: UUID
    seller_id: UUID
    reason: str


def seller_order_id(order_id: UUID, seller_no: int) -> UUID:
    """The public id of a seller order."""
    return ids.child(order_id, ids.Kind.SELLER_ORDER, seller_no)
