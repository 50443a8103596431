"""Statements of invoices and credit notes.

Invariant: a seller's numbers of a kind have no gap. Whoever issues locks the counters last of all, in the order of
their keys, and looks once more at what is issued: a number that is given is written in the same transaction, or not
at all.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec

from domain.accounts.address_model import PostalAddress
from domain.connection import Connection
from domain.orders.price_sql import PRICE_NAMES, price_from
from domain.payments.invoice_model import Document, DocumentKey, DocumentKind
from domain.payments.invoicing import CounterKey, Given, Seller, SoldLine, SoldOrder
from domain.pricing.tax import TaxTerms
from domain.writing import Rows, write

LOAD_SOLD_ORDERS = f"""
SELECT o.id, o.number, o.currency, o.placed_at, o.ship_to, o.sold_at, {PRICE_NAMES}
FROM orders o
CROSS JOIN LATERAL (
    SELECT {PRICE_NAMES} FROM price_versions v WHERE v.order_id = o.id ORDER BY version DESC LIMIT 1
) p
WHERE o.id = ANY ($1::uuid[]) AND o.sold_at IS NOT NULL
"""

LOAD_SOLD_LINES = """
SELECT l.order_id, l.line_no, s.seller_no, l.sku, l.title, l.quantity, l.unit_price_minor, l.tax_rate_ppm,
       l.tax_inclusive
FROM order_lines l JOIN seller_orders s ON s.order_id = l.order_id AND s.seller_id = l.seller_id
WHERE l.order_id = ANY ($1::uuid[])
"""

LOAD_SELLERS = """
SELECT s.order_id, s.seller_no, s.seller_id, n.name
FROM seller_orders s JOIN sellers n ON n.id = s.seller_id WHERE s.order_id = ANY ($1::uuid[])
"""

LOAD_GIVEN = """
SELECT c.order_id, c.cause_id, s.seller_no, c.at, c.net_minor, c.tax_minor, c.added_tax_minor, c.line_no, c.quantity
FROM line_credits c
JOIN order_lines l ON l.order_id = c.order_id AND l.line_no = c.line_no
JOIN seller_orders s ON s.order_id = l.order_id AND s.seller_id = l.seller_id
WHERE c.order_id = ANY ($1::uuid[])
UNION ALL
SELECT c.order_id, c.cause_id, c.seller_no, c.at, c.net_minor, c.tax_minor, c.added_tax_minor, NULL, 0
FROM shipping_credits c WHERE c.order_id = ANY ($1::uuid[])
"""

LOAD_ORDER_IDS = "SELECT id FROM orders WHERE id = ANY ($1::uuid[])"
LOAD_ISSUED = "SELECT order_id, seller_no, cause_id, number FROM invoices WHERE order_id = ANY ($1::uuid[])"

# A counter that is there is locked, one that isn't is made.
LOCK_COUNTERS = """
INSERT INTO invoice_counters AS c (seller_id, kind, last)
SELECT t.seller_id, t.kind, 0 FROM unnest($1::uuid[], $2::text[]) AS t (seller_id, kind)
ORDER BY t.seller_id, t.kind COLLATE "C"
ON CONFLICT (seller_id, kind) DO UPDATE SET last = c.last
RETURNING seller_id, kind, last
"""

SET_COUNTERS = """
UPDATE invoice_counters c SET last = t.last
FROM unnest($1::uuid[], $2::text[], $3::integer[]) AS t (seller_id, kind, last)
WHERE c.seller_id = t.seller_id AND c.kind = t.kind
"""

DOCUMENT_COLUMNS = (
    ("order_id", "uuid"),
    ("seller_no", "smallint"),
    ("cause_id", "uuid"),
    ("seller_id", "uuid"),
    ("kind", "text"),
    ("number", "integer"),
    ("issued_at", "timestamptz"),
    ("content", "json"),
)

_address = msgspec.json.Decoder(PostalAddress)


async def load_sold_orders(conn: Connection, orders: Sequence[UUID]) -> list[SoldOrder]:
    """Read those of some orders that were sold."""
    rows = await conn.fetch(LOAD_SOLD_ORDERS, orders)
    sold = [row["id"] for row in rows]
    lines: dict[UUID, dict[int, SoldLine]] = {order: {} for order in sold}
    sellers: dict[UUID, dict[int, Seller]] = {order: {} for order in sold}
    given: dict[UUID, list[Given]] = {order: [] for order in sold}
    for row in await conn.fetch(LOAD_SOLD_LINES, sold):
        lines[row["order_id"]][row["line_no"]] = _line(row)
    for row in await conn.fetch(LOAD_SELLERS, sold):
        sellers[row["order_id"]][row["seller_no"]] = Seller(row["seller_id"], row["name"])
    for row in await conn.fetch(LOAD_GIVEN, sold):
        order_id, *told = row
        given[order_id].append(Given(*told))
    return [
        SoldOrder(
            id=row["id"],
            number=row["number"],
            currency=row["currency"],
            placed_at=row["placed_at"],
            sold_at=row["sold_at"],
            ship_to=None if row["ship_to"] is None else _address.decode(row["ship_to"]),
            price=price_from(row),
            lines=lines[row["id"]],
            sellers=sellers[row["id"]],
            given=given[row["id"]],
        )
        for row in rows
    ]


def _line(row: Any) -> SoldLine:
    rate = row["tax_rate_ppm"]
    return SoldLine(
        row["line_no"],
        row["seller_no"],
        row["sku"],
        row["title"],
        row["quantity"],
        row["unit_price_minor"],
        None if rate is None else TaxTerms(rate, row["tax_inclusive"]),
    )


async def load_issued(conn: Connection, orders: Sequence[UUID]) -> dict[DocumentKey, int]:
    """The numbers of what is issued for orders."""
    rows = await conn.fetch(LOAD_ISSUED, orders)
    return {DocumentKey(row["order_id"], row["seller_no"], row["cause_id"]): row["number"] for row in rows}


async def lock_counters(conn: Connection, keys: Collection[CounterKey]) -> dict[CounterKey, int]:
    """Lock counters, and make those that aren't there; their last numbers."""
    found = list(keys)
    rows = await conn.fetch(LOCK_COUNTERS, [seller for seller, _ in found], [kind.value for _, kind in found])
    return {(row["seller_id"], DocumentKind(row["kind"])): row["last"] for row in rows}


async def insert_documents(conn: Connection, documents: Sequence[Document]) -> None:
    """Write documents whose counters are locked, and move these on."""
    records = [
        (
            each.key.order_id,
            each.key.seller_no,
            each.key.cause_id,
            each.seller_id,
            each.key.kind.value,
            each.number,
            each.issued_at,
            msgspec.json.encode(each.content).decode(),
        )
        for each in documents
    ]
    await write(conn, Rows("invoices", DOCUMENT_COLUMNS, records))
    last: Mapping[CounterKey, int] = {(each.seller_id, each.key.kind): each.number for each in documents}
    if last:
        sellers, kinds = [seller for seller, _ in last], [kind.value for _, kind in last]
        await conn.execute(SET_COUNTERS, sellers, kinds, list(last.values()))


async def load_order_ids(conn: Connection, orders: Sequence[UUID]) -> set[UUID]:
    """Which of some orders are there."""
    return {row["id"] for row in await conn.fetch(LOAD_ORDER_IDS, orders)}
