"""Where shipments can be followed: the address that each one's carrier has for its tracking number."""

from typing import TypeVar
from urllib.parse import quote

from msgspec.structs import replace

from api.context import Edge
from domain.orders.seller_order_reads import SellerOrderDetail
from domain.orders.shipment_reads import ShipmentView
from domain.payments.reads import OrderWithPayments

T = TypeVar("T", OrderWithPayments, SellerOrderDetail)


def linked(edge: Edge, shown: T) -> T:
    """The same with the addresses of its shipments."""
    if not any(shipment.tracking for shipment in shown.shipments):
        return shown
    return replace(shown, shipments=[_linked(edge, shipment) for shipment in shown.shipments])


def _linked(edge: Edge, shipment: ShipmentView) -> ShipmentView:
    carrier = edge.carriers.get(shipment.carrier)
    if carrier is None or carrier.tracking_url is None or shipment.tracking is None:
        return shipment
    number = quote(shipment.tracking, safe="")
    return replace(shipment, tracking_url=carrier.tracking_url.replace("{tracking}", number))
