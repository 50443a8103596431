"""Shipments as buyers and sellers see them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct

from domain.connection import Connection
from domain.orders.fulfilment_model import Units, seller_order_id

LOAD_SHIPMENT_VIEWS = """
SELECT id, order_id, seller_no, seller_id, lines, quantities, carrier, tracking, state, shipped_at, delivered_at
FROM shipments WHERE order_id = ANY ($1::uuid[]) ORDER BY order_id, shipped_at, id
"""


class ShipmentView(Struct, frozen=True):
    """Units of a seller order that were sent at once. ``tracking_url`` is null where the carrier shows nothing."""

    id: UUID
    seller_order_id: UUID
    seller_id: UUID
    lines: list[Units]
    carrier: str
    tracking: str | None
    state: str
    shipped_at: datetime
    delivered_at: datetime | None
    tracking_url: str | None = None


async def load_shipments(conn: Connection, order_ids: Sequence[UUID]) -> dict[UUID, list[ShipmentView]]:
    """The shipments of orders, by order, the first ones first; orders without any are missing."""
    found: dict[UUID, list[ShipmentView]] = {}
    for row in await conn.fetch(LOAD_SHIPMENT_VIEWS, order_ids):
        found.setdefault(row["order_id"], []).append(_shipment(row))
    return found


def _shipment(row: Any) -> ShipmentView:
    return ShipmentView(
        id=row["id"],
        seller_order_id=seller_order_id(row["order_id"], row["seller_no"]),
        seller_id=row["seller_id"],
        lines=[Units(number, units) for number, units in zip(row["lines"], row["quantities"], strict=True)],
        carrier=row["carrier"],
        tracking=row["tracking"],
        state=row["state"],
        shipped_at=row["shipped_at"],
        delivered_at=row["delivered_at"],
    )
