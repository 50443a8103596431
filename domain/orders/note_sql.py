"""Statements of notes on orders."""

from collections.abc import Sequence
from uuid import UUID

from domain.connection import Connection
from domain.orders.notes import Note

INSERT_NOTES = """
INSERT INTO order_notes (id, order_id, seller_id, author, text, at)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::timestamptz[])
"""

_SHOWN = "id, order_id, seller_id, author, text, at"
LIST_NOTES = f"SELECT {_SHOWN} FROM order_notes WHERE order_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3"
LIST_NOTES_OF_SELLER = f"""
SELECT {_SHOWN} FROM order_notes WHERE order_id = $1 AND id < $2 AND seller_id = $4 ORDER BY id DESC LIMIT $3
"""

LOAD_SELLERS = "SELECT order_id, seller_id FROM seller_orders WHERE order_id = ANY ($1::uuid[])"


async def insert_notes(conn: Connection, notes: Sequence[Note]) -> None:
    """Write notes."""
    names = Note.__struct_fields__
    await conn.execute(INSERT_NOTES, *([getattr(note, name) for note in notes] for name in names))


async def list_notes(
    conn: Connection, *, order_id: UUID, seller_id: UUID | None, below: UUID, limit: int
) -> list[Note]:
    """Read a page of an order's notes, a seller's or everybody's, newest first."""
    if seller_id is None:
        rows = await conn.fetch(LIST_NOTES, order_id, below, limit)
    else:
        rows = await conn.fetch(LIST_NOTES_OF_SELLER, order_id, below, limit, seller_id)
    return [Note(**row) for row in rows]


async def load_sellers(conn: Connection, orders: Sequence[UUID]) -> dict[UUID, set[UUID]]:
    """The sellers that orders have a part of; orders that aren't there are missing."""
    found: dict[UUID, set[UUID]] = {}
    for row in await conn.fetch(LOAD_SELLERS, orders):
        found.setdefault(row["order_id"], set()).add(row["seller_id"])
    return found
