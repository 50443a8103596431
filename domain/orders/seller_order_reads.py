"""Seller orders as their sellers see them.

Invariant: nothing of other sellers' parts is shown, and of the buyer only where the goods go.
"""

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
from domain.orders.fulfilment import units_left
from domain.orders.fulfilment_model import seller_order_id
from domain.orders.lifecycle import order_status
from domain.orders.model import Fulfilment, OrderStatus, Payment
from domain.orders.price_sql import PRICE_NAMES, price_from
from domain.orders.price_view import LinePrice, PriceView, ShippingPrice, price_view
from domain.orders.shipment_reads import ShipmentView, load_shipments

# A seller order's id is its order's, with its number: both lists go by (order, number).
_PAGE = "s.order_id <= $1 AND (s.order_id, s.seller_no) < ($1, $2)"
_SORTED = "ORDER BY s.order_id DESC, s.seller_no DESC LIMIT $3"
LIST_SELLER_ORDERS = f"""
SELECT s.order_id, s.seller_no FROM seller_orders s
WHERE {_PAGE} AND ($4::text IS NULL OR s.fulfilment = $4) {_SORTED}
"""
LIST_SELLER_ORDERS_OF = f"""
SELECT s.order_id, s.seller_no FROM seller_orders s
WHERE s.seller_id = $5 AND {_PAGE} AND ($4::text IS NULL OR s.fulfilment = $4) {_SORTED}
"""

FIND_SELLER_ORDER = "SELECT seller_id FROM seller_orders WHERE order_id = $1 AND seller_no = $2"

LOAD_ORDERS = f"""
SELECT o.id, o.number, o.currency, o.payment, o.placed_at, o.expired_at IS NOT NULL AS expired, o.ship_to,
       ARRAY(SELECT r.fulfilment FROM seller_orders r WHERE r.order_id = o.id ORDER BY r.seller_no) AS fulfilments,
       ARRAY(SELECT r.seller_id FROM seller_orders r WHERE r.order_id = o.id ORDER BY r.seller_no) AS seller_ids,
       p.version AS price_version, {PRICE_NAMES}
FROM orders o CROSS JOIN LATERAL (
    SELECT version, {PRICE_NAMES} FROM price_versions v WHERE v.order_id = o.id ORDER BY version DESC LIMIT 1
) p
WHERE o.id = ANY ($1::uuid[])
"""

LOAD_SELLERS_LINES = """
SELECT l.order_id, l.line_no, l.seller_id, l.variant_id, l.sku, l.title, l.attributes, l.quantity, l.unit_price_minor,
       l.total_minor, c.at AS cancelled_at,
       coalesce((SELECT sum(k.unshipped) FROM line_credits k
                 WHERE k.order_id = l.order_id AND k.line_no = l.line_no), 0)::integer AS withdrawn
FROM order_lines l LEFT JOIN cancelled_lines c ON c.order_id = l.order_id AND c.line_no = l.line_no
WHERE l.order_id = ANY ($1::uuid[]) ORDER BY l.order_id, l.line_no
"""


class SellerOrderSummary(Struct, frozen=True):
    """A seller order in a list. ``number`` and ``status`` are the order's; ``units_left`` are to be shipped."""

    id: UUID
    order_id: UUID
    number: str
    seller_id: UUID
    fulfilment: Fulfilment
    status: OrderStatus
    payment: Payment
    placed_at: datetime
    total: Money
    units_left: int


class SellersLine(Struct, frozen=True):
    """A line, frozen as it was placed, and what of it was shipped and is left to ship.

    ``price`` is what the line comes to; null for one that was cancelled before it was paid.
    """

    line_no: int
    variant_id: UUID
    sku: str
    title: str
    attributes: msgspec.Raw
    quantity: int
    unit_price: Money
    price: LinePrice | None
    shipped: int
    left_to_ship: int
    cancelled_at: datetime | None


class SellerOrderDetail(Struct, frozen=True):
    """A seller order whole. ``total`` is what its buyer pays for its lines that aren't cancelled, and their shipping.

    ``ship_to`` is the address as it was at placing; null where none was given.
    """

    id: UUID
    order_id: UUID
    number: str
    seller_id: UUID
    fulfilment: Fulfilment
    status: OrderStatus
    payment: Payment
    currency: str
    placed_at: datetime
    ship_to: PostalAddress | None
    total: Money
    shipping: ShippingPrice | None
    lines: list[SellersLine]
    shipments: list[ShipmentView]


async def list_seller_orders(
    conn: Connection, *, seller_id: UUID | None, fulfilment: Fulfilment | None, below: UUID, limit: int
) -> list[SellerOrderSummary]:
    """Read a page of a seller's orders, or of everybody's, newest first."""
    state = None if fulfilment is None else fulfilment.value
    place = (ids.parent(below), ids.child_number(below), limit, state)
    if seller_id is None:
        rows = await conn.fetch(LIST_SELLER_ORDERS, *place)
    else:
        rows = await conn.fetch(LIST_SELLER_ORDERS_OF, *place, seller_id)
    details = await load_seller_orders(conn, [(row["order_id"], row["seller_no"]) for row in rows])
    return [
        SellerOrderSummary(
            id=each.id,
            order_id=each.order_id,
            number=each.number,
            seller_id=each.seller_id,
            fulfilment=each.fulfilment,
            status=each.status,
            payment=each.payment,
            placed_at=each.placed_at,
            total=each.total,
            units_left=sum(line.left_to_ship for line in each.lines),
        )
        for each in details
    ]


async def find_seller(conn: Connection, identifier: UUID) -> tuple[UUID, int, UUID] | None:
    """The order, the number and the seller of a seller order, by its id; None where there is none."""
    order_id, number = ids.parent(identifier), ids.child_number(identifier)
    if seller_order_id(order_id, number) != identifier:
        return None
    seller_id = await conn.fetchval(FIND_SELLER_ORDER, order_id, number)
    return None if seller_id is None else (order_id, number, seller_id)


async def load_seller_orders(conn: Connection, keys: Sequence[tuple[UUID, int]]) -> list[SellerOrderDetail]:
    """Read seller orders by (order, number), in the order given; all must be there."""
    order_ids = sorted({order_id for order_id, _ in keys})
    if not order_ids:
        return []
    orders = {row["id"]: row for row in await conn.fetch(LOAD_ORDERS, order_ids)}
    lines: dict[UUID, list[Any]] = {order_id: [] for order_id in order_ids}
    for row in await conn.fetch(LOAD_SELLERS_LINES, order_ids):
        lines[row["order_id"]].append(row)
    shipments = await load_shipments(conn, order_ids)
    return [
        _detail(orders[order_id], number, lines[order_id], shipments.get(order_id, [])) for order_id, number in keys
    ]


def _detail(order: Any, number: int, lines: Sequence[Any], shipments: Sequence[ShipmentView]) -> SellerOrderDetail:
    order_id, currency = order["id"], order["currency"]
    seller_id, identifier = order["seller_ids"][number], seller_order_id(order["id"], number)
    fulfilments = [Fulfilment(each) for each in order["fulfilments"]]
    payment = Payment(order["payment"])
    price = price_view(
        order_id,
        order["price_version"],
        price_from(order),
        currency=currency,
        gross_minor={line["line_no"]: line["total_minor"] for line in lines},
        sellers=dict(enumerate(order["seller_ids"])),
    )
    mine = [shipment for shipment in shipments if shipment.seller_order_id == identifier]
    shown = _lines([line for line in lines if line["seller_id"] == seller_id], price, mine, currency)
    shipping = next((each for each in price.shipping if each.seller_order_id == identifier), None)
    standing = [line.price.total.amount for line in shown if line.price is not None and line.cancelled_at is None]
    total = sum(standing) + (shipping.total.amount if shipping is not None and standing else 0)
    return SellerOrderDetail(
        id=identifier,
        order_id=order_id,
        number=ids.format_order_number(order["number"]),
        seller_id=seller_id,
        fulfilment=fulfilments[number],
        status=order_status(payment, fulfilments, expired=order["expired"]),
        payment=payment,
        currency=currency,
        placed_at=order["placed_at"],
        ship_to=None if order["ship_to"] is None else msgspec.json.decode(order["ship_to"], type=PostalAddress),
        total=Money(total, currency),
        shipping=shipping,
        lines=shown,
        shipments=mine,
    )


def _lines(
    lines: Sequence[Any], price: PriceView, shipments: Sequence[ShipmentView], currency: str
) -> list[SellersLine]:
    shipped: dict[int, int] = {}
    for shipment in shipments:
        for units in shipment.lines:
            shipped[units.line_no] = shipped.get(units.line_no, 0) + units.quantity
    left = units_left(
        {line["line_no"]: line["quantity"] for line in lines},
        shipped,
        {line["line_no"]: line["withdrawn"] for line in lines},
        {line["line_no"] for line in lines if line["cancelled_at"] is not None},
    )
    prices = {each.line_no: each for each in price.lines}
    return [
        SellersLine(
            line_no=line["line_no"],
            variant_id=line["variant_id"],
            sku=line["sku"],
            title=line["title"],
            attributes=msgspec.Raw(line["attributes"].encode()),
            quantity=line["quantity"],
            unit_price=Money(line["unit_price_minor"], currency),
            price=prices.get(line["line_no"]),
            shipped=shipped.get(line["line_no"], 0),
            left_to_ship=left.get(line["line_no"], 0),
            cancelled_at=line["cancelled_at"],
        )
        for line in lines
    ]
