"""Orders as clients see them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from domain import ids
from domain.accounts.address_model import PostalAddress
from domain.connection import Connection
from domain.money import Money
from domain.orders.lifecycle import order_status
from domain.orders.model import Fulfilment, OrderStatus, Payment
from domain.orders.price_sql import PRICE_NAMES, price_from
from domain.orders.price_view import PriceView, price_view
from domain.orders.shipment_reads import ShipmentView, load_shipments

LOAD = """
SELECT o.id, o.number, o.buyer, o.email, o.currency, o.payment, o.placed_at, o.expires_at, o.expired_at,
       o.held_by, o.ship_to, p.total_minor
FROM orders o
CROSS JOIN LATERAL (
    SELECT total_minor FROM price_versions v WHERE v.order_id = o.id ORDER BY version DESC LIMIT 1
) p
WHERE o.id = ANY ($1::uuid[])
ORDER BY o.id DESC
"""

LOAD_SELLER_ORDERS = """
SELECT order_id, seller_id, seller_no, fulfilment FROM seller_orders
WHERE order_id = ANY ($1::uuid[]) ORDER BY order_id, seller_no
"""

LOAD_LINES = """
SELECT l.order_id, l.line_no, l.seller_id, l.variant_id, l.sku, l.title, l.category, l.attributes, l.quantity,
       l.unit_price_minor, l.total_minor, c.at AS cancelled_at
FROM order_lines l
LEFT JOIN cancelled_lines c ON c.order_id = l.order_id AND c.line_no = l.line_no
WHERE l.order_id = ANY ($1::uuid[]) ORDER BY l.order_id, l.line_no
"""

LOAD_PRICE = f"""
SELECT version, {PRICE_NAMES} FROM price_versions WHERE order_id = $1 ORDER BY version DESC LIMIT 1
"""

LOAD_RESERVATIONS = "SELECT id, status, quantity, expires_at FROM reservations WHERE id = ANY ($1::uuid[])"

LOAD_TIMELINE = "SELECT version, type, data::text AS data, actor, at FROM events WHERE stream = $1 ORDER BY version"


class LineView(Struct, frozen=True):
    """A line, frozen as it was placed."""

    line_no: int
    variant_id: UUID
    seller_id: UUID
    sku: str
    title: str
    category: str | None
    attributes: msgspec.Raw
    quantity: int
    unit_price: Money
    total: Money
    cancelled_at: datetime | None


class SellerOrderView(Struct, frozen=True):
    """One seller's part of an order."""

    id: UUID
    seller_id: UUID
    fulfilment: Fulfilment
    lines: list[int]


class ReservationView(Struct, frozen=True):
    """Units held for a line."""

    id: UUID
    line_no: int
    status: str
    quantity: int
    expires_at: datetime


class OrderView(Struct, frozen=True):
    """An order with its seller orders, lines, reservations, shipments and current price version.

    ``ship_to`` is the address as it was at placing; null where none was given.
    """

    id: UUID
    number: str
    buyer: UUID
    email: str | None
    status: OrderStatus
    payment: Payment
    currency: str
    ship_to: PostalAddress | None
    price: PriceView
    placed_at: datetime
    expires_at: datetime
    expired_at: datetime | None
    seller_orders: list[SellerOrderView]
    lines: list[LineView]
    reservations: list[ReservationView]
    shipments: list[ShipmentView]


class OrderSummary(Struct, frozen=True):
    """An order in a list."""

    id: UUID
    number: str
    buyer: UUID
    status: OrderStatus
    payment: Payment
    total: Money
    placed_at: datetime


class TimelineEntry(Struct, frozen=True):
    """Something that happened to an order."""

    version: int
    type: str
    data: msgspec.Raw
    actor: UUID
    at: datetime


def _status(row: Any, fulfilments: Sequence[Fulfilment]) -> OrderStatus:
    return order_status(Payment(row["payment"]), fulfilments, expired=row["expired_at"] is not None)


async def load_order(conn: Connection, order_id: UUID) -> OrderView | None:
    """Read one order whole."""
    row = await conn.fetchrow(LOAD, [order_id])
    if row is None:
        return None
    sellers = await conn.fetch(LOAD_SELLER_ORDERS, [order_id])
    lines = await conn.fetch(LOAD_LINES, [order_id])
    holds = [ids.child(row["held_by"] or order_id, ids.Kind.RESERVATION, line["line_no"]) for line in lines]
    reservations = await conn.fetch(LOAD_RESERVATIONS, holds)
    (price,) = await conn.fetch(LOAD_PRICE, order_id)
    currency = row["currency"]
    return OrderView(
        id=row["id"],
        number=ids.format_order_number(row["number"]),
        buyer=row["buyer"],
        email=row["email"],
        status=_status(row, [Fulfilment(s["fulfilment"]) for s in sellers]),
        payment=Payment(row["payment"]),
        currency=currency,
        ship_to=None if row["ship_to"] is None else msgspec.json.decode(row["ship_to"], type=PostalAddress),
        price=price_view(
            order_id,
            price["version"],
            price_from(price),
            currency=currency,
            gross_minor={line["line_no"]: line["total_minor"] for line in lines},
            sellers={s["seller_no"]: s["seller_id"] for s in sellers},
        ),
        placed_at=row["placed_at"],
        expires_at=row["expires_at"],
        expired_at=row["expired_at"],
        seller_orders=[
            SellerOrderView(
                id=ids.child(order_id, ids.Kind.SELLER_ORDER, s["seller_no"]),
                seller_id=s["seller_id"],
                fulfilment=Fulfilment(s["fulfilment"]),
                lines=[line["line_no"] for line in lines if line["seller_id"] == s["seller_id"]],
            )
            for s in sellers
        ],
        lines=[_line(line, currency) for line in lines],
        reservations=[
            ReservationView(r["id"], ids.child_number(r["id"]), r["status"], r["quantity"], r["expires_at"])
            for r in sorted(reservations, key=lambda r: r["id"])
        ],
        shipments=(await load_shipments(conn, [order_id])).get(order_id, []),
    )


def _line(line: Any, currency: str) -> LineView:
    return LineView(
        line_no=line["line_no"],
        variant_id=line["variant_id"],
        seller_id=line["seller_id"],
        sku=line["sku"],
        title=line["title"],
        category=line["category"],
        attributes=msgspec.Raw(line["attributes"].encode()),
        quantity=line["quantity"],
        unit_price=Money(line["unit_price_minor"], currency),
        total=Money(line["total_minor"], currency),
        cancelled_at=line["cancelled_at"],
    )


async def load_summaries(conn: Connection, order_ids: Sequence[UUID]) -> list[OrderSummary]:
    """Read orders for a list, newest first."""
    if not order_ids:
        return []
    fulfilments: dict[UUID, list[Fulfilment]] = {order_id: [] for order_id in order_ids}
    for row in await conn.fetch(LOAD_SELLER_ORDERS, order_ids):
        fulfilments[row["order_id"]].append(Fulfilment(row["fulfilment"]))
    return [
        OrderSummary(
            id=row["id"],
            number=ids.format_order_number(row["number"]),
            buyer=row["buyer"],
            status=_status(row, fulfilments[row["id"]]),
            payment=Payment(row["payment"]),
            total=Money(row["total_minor"], row["currency"]),
            placed_at=row["placed_at"],
        )
        for row in await conn.fetch(LOAD, order_ids)
    ]


async def load_timeline(conn: Connection, order_id: UUID) -> list[TimelineEntry]:
    """Read what happened to an order, oldest first."""
    rows = await conn.fetch(LOAD_TIMELINE, order_id)
    return [
        TimelineEntry(row["version"], row["type"], msgspec.Raw(row["data"].encode()), row["actor"], row["at"])
        for row in rows
    ]
