"""Statements of orders: write decided ones, lock and change open ones.

Invariant: lines and price versions are only ever inserted; the database refuses to change them. Children are
found by the order's id, so no statement needs an index of its own.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from domain.connection import Connection
from domain.ids import Kind, child
from domain.inventory.sql import movement_rows, reservation_rows
from domain.journal.model import Status
from domain.journal.sql import event_rows
from domain.orders.cancellation import CancellationPlan, OpenOrder, Placing
from domain.orders.model import Fulfilment, OrderRow, Payment, PlacementPlan
from domain.rejections import Rejection
from domain.writing import Rows, write

ORDER_COLUMNS = (
    ("id", "uuid"),
    ("number", "bigint"),
    ("buyer", "uuid"),
    ("email", "text"),
    ("currency", "text"),
    ("placed_at", "timestamptz"),
    ("expires_at", "timestamptz"),
)
SELLER_ORDER_COLUMNS = (("order_id", "uuid"), ("seller_id", "uuid"), ("seller_no", "smallint"))
LINE_COLUMNS = (
    ("order_id", "uuid"),
    ("line_no", "smallint"),
    ("seller_id", "uuid"),
    ("variant_id", "uuid"),
    ("sku", "text"),
    ("title", "text"),
    ("category", "text"),
    ("attributes", "jsonb"),
    ("quantity", "integer"),
    ("unit_price_minor", "bigint"),
    ("total_minor", "bigint"),
)
PRICE_COLUMNS = (
    ("order_id", "uuid"),
    ("version", "smallint"),
    ("lines", "smallint[]"),
    ("amounts_minor", "bigint[]"),
    ("total_minor", "bigint"),
)
CANCELLED_COLUMNS = (("order_id", "uuid"), ("line_no", "smallint"), ("command_id", "uuid"))

# Locks are taken inside, and only their number comes back: asyncpg 0.32 writes past the end of a row without columns.
LOCK_ORDERS = """
SELECT count(*) FROM (
    SELECT FROM orders WHERE id = ANY ($1::uuid[]) ORDER BY id FOR NO KEY UPDATE
) AS locked
"""

LOAD_ORDERS = """
SELECT o.id, o.buyer, o.currency, o.payment, o.expired_at IS NOT NULL AS expired, o.version, o.expires_at,
       p.version AS price_version, p.lines, p.amounts_minor
FROM orders o
CROSS JOIN LATERAL (
    SELECT version, lines, amounts_minor FROM price_versions v
    WHERE v.order_id = o.id ORDER BY version DESC LIMIT 1
) p
WHERE o.id = ANY ($1::uuid[])
"""

LOAD_SELLER_ORDERS = """
SELECT order_id, seller_id, fulfilment FROM seller_orders WHERE order_id = ANY ($1::uuid[])
ORDER BY order_id, seller_no
"""

LOAD_LINE_SELLERS = "SELECT order_id, line_no, seller_id FROM order_lines WHERE order_id = ANY ($1::uuid[])"

LOCK_PARKED = """
SELECT count(*) FROM (SELECT FROM parked WHERE id = ANY ($1::uuid[]) ORDER BY id FOR UPDATE) AS locked
"""

LOAD_PLACINGS = """
SELECT t.id, o.status, o.problem, k.id IS NOT NULL AS parked
FROM unnest($1::uuid[]) AS t (id)
LEFT JOIN outcomes o ON o.id = t.id AND o.id BETWEEN $2 AND $3
LEFT JOIN parked k ON k.id = t.id
"""

CANCEL_PARKED = """
WITH gone AS (DELETE FROM parked WHERE id = ANY ($1::uuid[]) RETURNING id, attempts)
INSERT INTO outcomes (id, status, attempts) SELECT id, 'cancelled', attempts FROM gone
"""

SET_VERSIONS = """
UPDATE orders o SET version = t.version
FROM unnest($1::uuid[], $2::int[]) AS t (id, version) WHERE o.id = t.id
"""

CANCEL_SELLER_ORDERS = """
UPDATE seller_orders s SET fulfilment = 'cancelled'
FROM unnest($1::uuid[], $2::uuid[]) AS t (order_id, seller_id)
WHERE s.order_id = t.order_id AND s.seller_id = t.seller_id
"""

# An order is expired only by what the row says under its lock: due, unpaid, and not over already.
EXPIRE_ORDERS = """
UPDATE orders o SET expired_at = $2, version = o.version + 1
WHERE o.id = ANY ($1::uuid[]) AND o.expired_at IS NULL AND o.expires_at <= $2 AND o.payment = 'unpaid'
  AND EXISTS (SELECT FROM seller_orders s WHERE s.order_id = o.id AND s.fulfilment <> 'cancelled')
RETURNING o.id, o.version
"""


async def insert_placed(conn: Connection, plan: PlacementPlan) -> None:
    """Write all that placing orders adds, but for the stock, which comes last."""
    await write(conn, *placed_rows(plan))


def placed_rows(plan: PlacementPlan) -> list[Rows]:
    """What placing orders adds: orders and their parts, reservations, movements, events."""
    return [
        *order_rows(plan.orders),
        reservation_rows(plan.reservations),
        movement_rows(plan.movements),
        event_rows(plan.events),
    ]


def order_rows(orders: Sequence[OrderRow]) -> list[Rows]:
    """Orders as rows to write, with their seller orders, lines and first price versions."""
    return [
        Rows(
            "orders",
            ORDER_COLUMNS,
            [(o.id, o.number, o.buyer, o.email, o.currency, o.placed_at, o.expires_at) for o in orders],
        ),
        Rows(
            "seller_orders",
            SELLER_ORDER_COLUMNS,
            [(o.id, seller, n) for o in orders for n, seller in enumerate(o.sellers)],
        ),
        Rows(
            "order_lines",
            LINE_COLUMNS,
            [
                (
                    o.id,
                    line.line_no,
                    line.seller_id,
                    line.variant_id,
                    line.sku,
                    line.title,
                    line.category,
                    line.attributes,
                    line.quantity,
                    line.unit_price_minor,
                    line.total_minor,
                )
                for o in orders
                for line in o.lines
            ],
        ),
        Rows(
            "price_versions",
            PRICE_COLUMNS,
            [
                (o.id, 1, [line.line_no for line in o.lines], [line.total_minor for line in o.lines], o.total_minor)
                for o in orders
            ],
        ),
    ]


async def lock_orders(conn: Connection, ids: Sequence[UUID]) -> None:
    """Lock orders in id order; read them in a later statement."""
    await conn.execute(LOCK_ORDERS, sorted(ids))


async def load_open_orders(conn: Connection, ids: Sequence[UUID]) -> dict[UUID, OpenOrder]:
    """Read orders as cancelling sees them; unknown ones are missing."""
    rows = await conn.fetch(LOAD_ORDERS, ids)
    sellers = await conn.fetch(LOAD_SELLER_ORDERS, ids)
    lines = await conn.fetch(LOAD_LINE_SELLERS, ids)
    orders = {
        row["id"]: OpenOrder(
            id=row["id"],
            buyer=row["buyer"],
            currency=row["currency"],
            payment=Payment(row["payment"]),
            expired=row["expired"],
            version=row["version"],
            price_version=row["price_version"],
            lines=dict(zip(row["lines"], row["amounts_minor"], strict=True)),
            sellers={},
            fulfilments={},
        )
        for row in rows
    }
    for row in sellers:
        orders[row["order_id"]].fulfilments[row["seller_id"]] = Fulfilment(row["fulfilment"])
    for row in lines:
        orders[row["order_id"]].sellers[row["line_no"]] = row["seller_id"]
    return orders


async def load_placings(conn: Connection, ids: Sequence[UUID]) -> Mapping[UUID, Placing]:
    """What became of the placements of orders, parked ones locked; one that is unfinished is missing."""
    await conn.execute(LOCK_PARKED, ids)
    rows: Sequence[Any] = await conn.fetch(LOAD_PLACINGS, ids, min(ids), max(ids))
    placings: dict[UUID, Placing] = {}
    for row in rows:
        if row["parked"]:
            placings[row["id"]] = Placing(Status.FAILED)
        elif row["status"] is not None:
            problem = None if row["problem"] is None else msgspec.json.decode(row["problem"], type=Rejection)
            placings[row["id"]] = Placing(Status(row["status"]), problem)
    return placings


async def cancel_parked(conn: Connection, ids: Sequence[UUID]) -> None:
    """End parked placements, locked before, as cancelled."""
    if ids:
        await conn.execute(CANCEL_PARKED, ids)


async def apply_cancellations(conn: Connection, plan: CancellationPlan) -> None:
    """Write decided cancellations to locked orders, but for events and stock."""
    if not plan.cancelled:
        return
    await write(
        conn,
        Rows("cancelled_lines", CANCELLED_COLUMNS, plan.cancelled),
        Rows("price_versions", PRICE_COLUMNS, plan.price_versions),
    )
    await conn.execute(SET_VERSIONS, list(plan.versions), list(plan.versions.values()))
    if plan.seller_orders:
        await conn.execute(
            CANCEL_SELLER_ORDERS, [row[0] for row in plan.seller_orders], [row[1] for row in plan.seller_orders]
        )


async def expire_orders(conn: Connection, ids: Sequence[UUID], now: datetime) -> dict[UUID, int]:
    """Expire locked orders that are due and unpaid; return the new stream version of each that did."""
    rows = await conn.fetch(EXPIRE_ORDERS, ids, now)
    return {row["id"]: row["version"] for row in rows}


LOAD_OPEN_LINES = """
SELECT l.order_id, l.line_no FROM order_lines l
WHERE l.order_id = ANY ($1::uuid[])
  AND NOT EXISTS (SELECT FROM cancelled_lines c WHERE c.order_id = l.order_id AND c.line_no = l.line_no)
"""


async def load_reservations_of(conn: Connection, orders: Sequence[UUID]) -> dict[UUID, tuple[UUID, int]]:
    """The reservation ids of orders' lines that aren't cancelled, with (order id, line no.) each."""
    rows = await conn.fetch(LOAD_OPEN_LINES, orders)
    return {child(row["order_id"], Kind.RESERVATION, row["line_no"]): (row["order_id"], row["line_no"]) for row in rows}
