"""Statements of fulfilment: read what sellers have to ship of locked orders, write what they did.

Invariant: an order's row is the lock of its seller orders and shipments: whoever changes them holds it, and has read
them after it had it.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from msgspec import Struct

from domain.connection import Connection
from domain.orders.fulfilment import FulfilledOrder, FulfilmentPlan, Part, Shipment
from domain.orders.model import Fulfilment, Payment
from domain.orders.sql import lock_orders, set_fulfilments
from domain.writing import Rows, write

SHIPMENT_COLUMNS = (
    ("id", "uuid"),
    ("order_id", "uuid"),
    ("seller_no", "smallint"),
    ("seller_id", "uuid"),
    ("lines", "smallint[]"),
    ("quantities", "integer[]"),
    ("carrier", "text"),
    ("tracking", "text"),
    ("shipped_at", "timestamptz"),
)

LOAD_FULFILLED = """
SELECT id, payment, expired_at IS NOT NULL AS expired, version FROM orders WHERE id = ANY ($1::uuid[])
"""

LOAD_PARTS = """
SELECT order_id, seller_no, seller_id, fulfilment FROM seller_orders WHERE order_id = ANY ($1::uuid[])
ORDER BY order_id, seller_no
"""

LOAD_UNITS = """
SELECT l.order_id, l.line_no, l.seller_id, l.quantity, c.line_no IS NOT NULL AS cancelled,
       coalesce((SELECT sum(k.unshipped) FROM line_credits k
                 WHERE k.order_id = l.order_id AND k.line_no = l.line_no), 0)::integer AS withdrawn
FROM order_lines l LEFT JOIN cancelled_lines c ON c.order_id = l.order_id AND c.line_no = l.line_no
WHERE l.order_id = ANY ($1::uuid[])
"""

LOAD_SHIPMENTS = """
SELECT id, order_id, seller_no, lines, quantities, state = 'delivered' AS arrived
FROM shipments WHERE order_id = ANY ($1::uuid[])
"""

DELIVER_SHIPMENTS = "UPDATE shipments SET state = 'delivered', delivered_at = $2 WHERE id = ANY ($1::uuid[])"

FIND_TRACKED = """
SELECT t.carrier, t.tracking, s.id, s.order_id, s.seller_no, s.state = 'delivered' AS arrived
FROM unnest($1::text[], $2::text[]) AS t (carrier, tracking)
JOIN shipments s ON s.carrier = t.carrier AND s.tracking = t.tracking
ORDER BY s.id
"""


class Tracked(Struct, frozen=True):
    """A shipment that a carrier knows by its tracking number."""

    id: UUID
    order_id: UUID
    seller_no: int
    arrived: bool


async def lock_fulfilled(conn: Connection, order_ids: Collection[UUID]) -> dict[UUID, FulfilledOrder]:
    """Lock orders and read them as their sellers see them; unknown ones are missing."""
    keys = sorted(order_ids)
    await lock_orders(conn, keys)
    rows = await conn.fetch(LOAD_FULFILLED, keys)
    orders = {
        row["id"]: FulfilledOrder(row["id"], Payment(row["payment"]), row["expired"], row["version"], {})
        for row in rows
    }
    of_seller: dict[tuple[UUID, UUID], Part] = {}
    for row in await conn.fetch(LOAD_PARTS, keys):
        part = Part(row["seller_id"], Fulfilment(row["fulfilment"]))
        orders[row["order_id"]].parts[row["seller_no"]] = of_seller[row["order_id"], row["seller_id"]] = part
    for row in await conn.fetch(LOAD_UNITS, keys):
        part, number = of_seller[row["order_id"], row["seller_id"]], row["line_no"]
        part.quantities[number] = row["quantity"]
        if row["withdrawn"]:
            part.withdrawn[number] = row["withdrawn"]
        if row["cancelled"]:
            part.cancelled.add(number)
    for row in await conn.fetch(LOAD_SHIPMENTS, keys):
        part = orders[row["order_id"]].parts[row["seller_no"]]
        part.arrived[row["id"]] = row["arrived"]
        for number, units in zip(row["lines"], row["quantities"], strict=True):
            part.shipped[number] = part.shipped.get(number, 0) + units
    return orders


async def save_fulfilments(conn: Connection, plan: FulfilmentPlan, now: datetime) -> None:
    """Write shipments, those that have arrived, and where seller orders stand."""
    await write(conn, Rows("shipments", SHIPMENT_COLUMNS, [_record(s, now) for s in plan.shipments]))
    if plan.arrived:
        await conn.execute(DELIVER_SHIPMENTS, plan.arrived, now)
    await set_fulfilments(conn, plan.fulfilments)


def _record(shipment: Shipment, now: datetime) -> tuple[object, ...]:
    return (
        shipment.id,
        shipment.order_id,
        shipment.seller_no,
        shipment.seller_id,
        [units.line_no for units in shipment.lines],
        [units.quantity for units in shipment.lines],
        shipment.carrier,
        shipment.tracking,
        now,
    )


async def find_tracked(conn: Connection, names: Sequence[tuple[str, str]]) -> dict[tuple[str, str], list[Tracked]]:
    """Shipments by (carrier, tracking number); a number may have been given to several."""
    found: dict[tuple[str, str], list[Tracked]] = {}
    for row in await conn.fetch(FIND_TRACKED, [carrier for carrier, _ in names], [number for _, number in names]):
        tracked = Tracked(row["id"], row["order_id"], row["seller_no"], row["arrived"])
        found.setdefault((row["carrier"], row["tracking"]), []).append(tracked)
    return found
