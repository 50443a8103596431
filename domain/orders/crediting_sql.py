"""Statements of what buyers get back of orders.

Invariant: rows are only ever inserted, under the order's lock; a cause gives back of a line once.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from domain.connection import Connection
from domain.orders.crediting import Credited, LineCredit, Parts, ShippingCredit
from domain.writing import Rows, write

_PARTS = (
    ("net_minor", "bigint"),
    ("platform_discount_minor", "bigint"),
    ("tax_minor", "bigint"),
    ("added_tax_minor", "bigint"),
    ("at", "timestamptz"),
)
LINE_CREDIT_COLUMNS = (
    ("order_id", "uuid"),
    ("line_no", "smallint"),
    ("cause_id", "uuid"),
    ("quantity", "integer"),
    ("unshipped", "integer"),
    *_PARTS,
)
SHIPPING_CREDIT_COLUMNS = (("order_id", "uuid"), ("seller_no", "smallint"), ("cause_id", "uuid"), *_PARTS)

LOAD_CREDITED = """
SELECT order_id, line_no, sum(quantity)::int AS quantity, sum(unshipped)::int AS unshipped,
       sum(net_minor)::bigint AS net, sum(platform_discount_minor)::bigint AS by_platform,
       sum(tax_minor)::bigint AS tax, sum(added_tax_minor)::bigint AS added
FROM line_credits WHERE order_id = ANY ($1::uuid[]) GROUP BY order_id, line_no
"""

LOAD_CREDITED_SHIPPING = "SELECT order_id, seller_no FROM shipping_credits WHERE order_id = ANY ($1::uuid[])"

LOAD_SHIPPED = """
SELECT s.order_id, u.line_no, sum(u.quantity)::int AS quantity, bool_and(s.state = 'delivered') AS arrived
FROM shipments s CROSS JOIN unnest(s.lines, s.quantities) AS u (line_no, quantity)
WHERE s.order_id = ANY ($1::uuid[]) GROUP BY s.order_id, u.line_no
"""

LOAD_CAME_BACK = """
SELECT r.order_id, u.line_no, sum(u.units)::int AS units
FROM returns r CROSS JOIN unnest(r.lines, r.received) AS u (line_no, units)
WHERE r.order_id = ANY ($1::uuid[]) AND r.state = 'received' GROUP BY r.order_id, u.line_no
"""


async def load_credited(conn: Connection, orders: Sequence[UUID]) -> dict[UUID, dict[int, Credited]]:
    """What has been given back of the lines of orders, by order and line; nothing of those that are missing."""
    found: dict[UUID, dict[int, Credited]] = {order: {} for order in orders}
    for row in await conn.fetch(LOAD_CREDITED, orders):
        parts = Parts(row["net"], row["by_platform"], row["tax"], row["added"])
        found[row["order_id"]][row["line_no"]] = Credited(row["quantity"], row["unshipped"], parts)
    return found


async def load_credited_shipping(conn: Connection, orders: Sequence[UUID]) -> dict[UUID, set[int]]:
    """The numbers of the seller orders whose shipping has been given back, by order."""
    found: dict[UUID, set[int]] = {order: set() for order in orders}
    for row in await conn.fetch(LOAD_CREDITED_SHIPPING, orders):
        found[row["order_id"]].add(row["seller_no"])
    return found


async def load_shipped(conn: Connection, orders: Sequence[UUID]) -> dict[UUID, dict[int, tuple[int, bool]]]:
    """How many units of the lines of orders have been shipped, and whether all have arrived, by order and line."""
    found: dict[UUID, dict[int, tuple[int, bool]]] = {order: {} for order in orders}
    for row in await conn.fetch(LOAD_SHIPPED, orders):
        found[row["order_id"]][row["line_no"]] = (row["quantity"], row["arrived"])
    return found


async def load_came_back(conn: Connection, orders: Sequence[UUID]) -> dict[UUID, dict[int, int]]:
    """How many units returns have brought back, by order and line."""
    found: dict[UUID, dict[int, int]] = {order: {} for order in orders}
    for row in await conn.fetch(LOAD_CAME_BACK, orders):
        found[row["order_id"]][row["line_no"]] = row["units"]
    return found


async def insert_credits(
    conn: Connection, lines: Sequence[LineCredit], shipping: Sequence[ShippingCredit], now: datetime
) -> None:
    """Write what is given back."""
    await write(
        conn,
        Rows(
            "line_credits",
            LINE_CREDIT_COLUMNS,
            [(c.order_id, c.line_no, c.cause_id, c.quantity, c.unshipped, *_amounts(c.parts), now) for c in lines],
        ),
        Rows(
            "shipping_credits",
            SHIPPING_CREDIT_COLUMNS,
            [(c.order_id, c.seller_no, c.cause_id, *_amounts(c.parts), now) for c in shipping],
        ),
    )


def _amounts(parts: Parts) -> tuple[int, int, int, int]:
    return parts.net_minor, parts.platform_discount_minor, parts.tax_minor, parts.added_tax_minor
