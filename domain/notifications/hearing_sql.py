"""Reading what events leave out, and what has to be known to tell who may hear of them."""

from collections.abc import Collection, Iterable
from uuid import UUID

from domain.connection import Connection
from domain.journal.events import StoredEvent
from domain.notifications.hearing import NOTHING_KNOWN, Ear, Known, Line, wanted

LOAD_LINES = """
SELECT l.order_id, l.line_no, l.seller_id, s.seller_no FROM order_lines l
JOIN seller_orders s ON s.order_id = l.order_id AND s.seller_id = l.seller_id
WHERE l.order_id = ANY ($1::uuid[]) ORDER BY l.order_id, l.line_no
"""

LOAD_PRODUCT_SELLERS = "SELECT id, seller_id FROM products WHERE id = ANY ($1::uuid[])"


async def load_known(conn: Connection, events: Collection[StoredEvent], ears: Iterable[Ear]) -> Known:
    """Read what has to be known of events for those who listen: nothing, where none of them is a seller."""
    if all(ear.seller_id is None for ear in ears):
        return NOTHING_KNOWN
    orders, products = wanted(events)
    lines: dict[UUID, list[Line]] = {}
    for row in await conn.fetch(LOAD_LINES, list(orders)) if orders else []:
        lines.setdefault(row["order_id"], []).append(Line(row["line_no"], row["seller_id"], row["seller_no"]))
    return Known(lines, await load_product_sellers(conn, products))


async def load_product_sellers(conn: Connection, products: Collection[UUID]) -> dict[UUID, UUID]:
    """Whose products are."""
    rows = await conn.fetch(LOAD_PRODUCT_SELLERS, list(products)) if products else []
    return {row["id"]: row["seller_id"] for row in rows}
