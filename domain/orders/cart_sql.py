"""Statements of carts. Lock a cart in one statement and read it in the next; its row stands for its lines."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.accounts.address_model import PostalAddress
from domain.connection import Connection
from domain.journal.keys import digest
from domain.money import Money
from domain.orders.cart_model import Cart, CartContent, CartLine, CartStatus
from domain.orders.model import CodesMode

# The command of a checkout is queued, being carried out or parked until the order is there, or until it was refused or
# cancelled: its row of the queue goes in the transaction that writes what came of it.
STATUS = """
CASE WHEN c.order_id IS NULL THEN 'open'
     WHEN EXISTS (SELECT FROM orders o WHERE o.id = c.order_id) THEN 'ordered'
     WHEN EXISTS (SELECT FROM pending q WHERE q.id = c.order_id) THEN 'ordering'
     WHEN EXISTS (SELECT FROM parked k WHERE k.id = c.order_id) THEN 'ordering'
     ELSE 'open' END AS status
"""
_NAMES = "currency, codes, promotions, email, shipping_address_id, shipping_address, shipping_methods"
_SET = ", ".join(f"{name} = t.{name}" for name in _NAMES.split(", "))
_ROWS = """
json_to_recordset($1::json) AS t (
    id uuid, owner uuid, version integer, currency text, codes text[], promotions text, email text,
    shipping_address_id uuid, shipping_address jsonb, shipping_methods jsonb
)
"""

# Who makes a cart counts those there are: a guest has no row that could be locked for it.
LOCK_OWNER = "SELECT pg_advisory_xact_lock($1)"
COUNT_CARTS = """
SELECT count(*) FROM carts c WHERE owner = $1 AND NOT EXISTS (SELECT FROM orders o WHERE o.id = c.order_id)
"""

LOCK_CARTS = "SELECT id FROM carts WHERE id = ANY ($1::uuid[]) ORDER BY id FOR NO KEY UPDATE"
LOCK_CARTS_OF = "SELECT id FROM carts WHERE owner = ANY ($1::uuid[]) ORDER BY id FOR NO KEY UPDATE"

LOAD_CARTS = f"""
SELECT id, owner, currency, codes, promotions, email, shipping_address_id, shipping_address::text AS shipping_address,
       shipping_methods::text AS shipping_methods, version, order_id, created_at, updated_at, {STATUS}
FROM carts c WHERE id = ANY ($1::uuid[])
"""

LOAD_LINES = """
SELECT cart_id, variant_id, seller_id, quantity, unit_price_minor FROM cart_lines
WHERE cart_id = ANY ($1::uuid[]) ORDER BY cart_id, line_no
"""

INSERT_CARTS = f"""
INSERT INTO carts (id, owner, version, {_NAMES}) SELECT id, owner, version, {_NAMES} FROM {_ROWS}
RETURNING id, updated_at
"""

REPLACE_CARTS = f"""
UPDATE carts c SET owner = t.owner, version = t.version, {_SET}, updated_at = now()
FROM {_ROWS} WHERE c.id = t.id RETURNING c.id, c.updated_at
"""

INSERT_LINES = """
INSERT INTO cart_lines (cart_id, line_no, variant_id, seller_id, quantity, unit_price_minor)
SELECT * FROM unnest($1::uuid[], $2::smallint[], $3::uuid[], $4::uuid[], $5::integer[], $6::bigint[])
"""

DELETE_LINES = "DELETE FROM cart_lines WHERE cart_id = ANY ($1::uuid[])"
DELETE_CARTS = "DELETE FROM carts WHERE id = ANY ($1::uuid[])"

NOTE_CHECKOUT = "UPDATE carts SET order_id = $2, version = $3, updated_at = now() WHERE id = $1"

_SUMMARIES = f"""
       id, owner, currency, version, order_id, created_at, updated_at, {STATUS},
       (SELECT count(*) FROM cart_lines l WHERE l.cart_id = c.id) AS lines
FROM carts c
"""
LIST_CARTS_OF = f"SELECT {_SUMMARIES} WHERE owner = $1 AND id < $2 ORDER BY id DESC LIMIT $3"
LIST_CARTS = f"SELECT {_SUMMARIES} WHERE id < $1 ORDER BY id DESC LIMIT $2"

PRUNE_CARTS = """
WITH gone AS (
    DELETE FROM carts WHERE id = ANY (ARRAY(
        SELECT id FROM carts WHERE updated_at < now() - make_interval(days => $2)
        ORDER BY updated_at LIMIT $1 FOR UPDATE SKIP LOCKED
    )) RETURNING id
)
SELECT count(*) FROM gone
"""


class CartSummary(Struct, frozen=True):
    """A cart in a list; ``lines`` is how many it has."""

    id: UUID
    owner: UUID
    currency: str
    version: int
    status: CartStatus
    order_id: UUID | None
    lines: int
    created_at: datetime
    updated_at: datetime


async def lock_owner(conn: Connection, owner: UUID) -> None:
    """Keep others from making carts for somebody until the transaction ends."""
    await conn.execute(LOCK_OWNER, int.from_bytes(digest(b"carts", owner.bytes)[:8], signed=True))


async def count_carts(conn: Connection, owner: UUID) -> int:
    """How many carts somebody has that aren't ordered."""
    count: int = await conn.fetchval(COUNT_CARTS, owner)
    return count


async def lock_carts(conn: Connection, cart_ids: Sequence[UUID]) -> None:
    """Lock carts."""
    await conn.fetch(LOCK_CARTS, list(cart_ids))


async def lock_carts_of(conn: Connection, owners: Sequence[UUID]) -> list[UUID]:
    """Lock all carts of some owners."""
    return [row["id"] for row in await conn.fetch(LOCK_CARTS_OF, list(owners))]


async def load_carts(conn: Connection, cart_ids: Sequence[UUID]) -> dict[UUID, Cart]:
    """Read carts with their lines, whosever they are."""
    rows = await conn.fetch(LOAD_CARTS, list(cart_ids))
    lines: dict[UUID, list[Any]] = {row["id"]: [] for row in rows}
    for line in await conn.fetch(LOAD_LINES, list(lines)) if lines else ():
        lines[line["cart_id"]].append(line)
    return {row["id"]: _cart(row, lines[row["id"]]) for row in rows}


def _cart(row: Any, lines: Sequence[Any]) -> Cart:
    address = row["shipping_address"]
    currency = row["currency"]
    content = CartContent(
        currency=currency,
        lines=tuple(
            CartLine(line["variant_id"], line["seller_id"], line["quantity"], Money(line["unit_price_minor"], currency))
            for line in lines
        ),
        codes=tuple(row["codes"]),
        promotions=CodesMode(row["promotions"]),
        email=row["email"],
        shipping_address_id=row["shipping_address_id"],
        shipping_address=None if address is None else msgspec.json.decode(address, type=PostalAddress),
        shipping_methods=msgspec.json.decode(row["shipping_methods"], type=dict[UUID, UUID]),
    )
    return Cart(
        id=row["id"],
        owner=row["owner"],
        version=row["version"],
        status=CartStatus(row["status"]),
        order_id=row["order_id"],
        content=content,
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def _rows(carts: Sequence[Cart]) -> str:
    known = ("id", "owner", "version")
    rows = [
        {name: getattr(cart, name) for name in known}
        | {name: value for name, value in msgspec.structs.asdict(cart.content).items() if name != "lines"}
        for cart in carts
    ]
    return msgspec.json.encode(rows).decode()


async def insert_carts(conn: Connection, carts: Sequence[Cart]) -> dict[UUID, datetime]:
    """Write new carts; return when, by cart."""
    rows = await conn.fetch(INSERT_CARTS, _rows(carts))
    await _insert_lines(conn, carts)
    return {row["id"]: row["updated_at"] for row in rows}


async def replace_carts(conn: Connection, carts: Sequence[Cart]) -> dict[UUID, datetime]:
    """Write locked carts anew: owner, version and content; return when, by cart."""
    rows = await conn.fetch(REPLACE_CARTS, _rows(carts))
    await conn.execute(DELETE_LINES, [cart.id for cart in carts])
    await _insert_lines(conn, carts)
    return {row["id"]: row["updated_at"] for row in rows}


async def _insert_lines(conn: Connection, carts: Sequence[Cart]) -> None:
    lines = [(cart.id, n, line) for cart in carts for n, line in enumerate(cart.content.lines)]
    await conn.execute(
        INSERT_LINES,
        [cart_id for cart_id, _, _ in lines],
        [n for _, n, _ in lines],
        [line.variant_id for _, _, line in lines],
        [line.seller_id for _, _, line in lines],
        [line.quantity for _, _, line in lines],
        [None if line.unit_price is None else line.unit_price.amount for _, _, line in lines],
    )


async def delete_carts(conn: Connection, cart_ids: Sequence[UUID]) -> None:
    """Forget carts, with their lines."""
    await conn.execute(DELETE_CARTS, list(cart_ids))


async def note_checkout(conn: Connection, cart_id: UUID, order_id: UUID, version: int) -> None:
    """Note the order that a locked cart is to become."""
    await conn.execute(NOTE_CHECKOUT, cart_id, order_id, version)


async def list_carts(conn: Connection, *, owner: UUID | None, below: UUID, limit: int) -> list[CartSummary]:
    """Read a page of somebody's carts, or of all, newest first."""
    if owner is None:
        rows = await conn.fetch(LIST_CARTS, below, limit)
    else:
        rows = await conn.fetch(LIST_CARTS_OF, owner, below, limit)
    return [CartSummary(**(dict(row) | {"status": CartStatus(row["status"])})) for row in rows]


async def prune_carts(conn: Connection, step: int, days: int) -> int:
    """Delete up to ``step`` carts that nobody touched for so many days; return how many there were."""
    return int(await conn.fetchval(PRUNE_CARTS, step, days))
