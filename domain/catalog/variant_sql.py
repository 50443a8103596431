"""Statements of variants: lock what they belong to, write new ones, change them.

Invariant: whoever writes variants or offers of a product holds its row's lock, so two writers of one product follow
each other, and each reads what the other left. Lock in one statement, read in the next.
"""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from domain.catalog.variants import Variant, changed, created
from domain.connection import Connection
from domain.journal.sql import insert_events
from domain.writing import Rows, write

COLUMNS = (
    ("id", "uuid"),
    ("product_id", "uuid"),
    ("attributes", "jsonb"),
    ("active", "boolean"),
    ("barcode", "text"),
    ("weight_grams", "integer"),
)

LOCK_PRODUCTS_OF = """
SELECT id FROM products WHERE id IN (SELECT product_id FROM variants WHERE id = ANY ($1::uuid[]))
ORDER BY id FOR NO KEY UPDATE
"""

UPDATE = """
UPDATE variants v SET active = t.active, barcode = t.barcode, weight_grams = t.weight_grams, version = t.version
FROM unnest($1::uuid[], $2::boolean[], $3::text[], $4::int[], $5::int[])
    AS t (id, active, barcode, weight_grams, version)
WHERE v.id = t.id
"""


async def lock_products_of(conn: Connection, variants: Sequence[UUID]) -> list[UUID]:
    """Lock the products of variants, in id order; return their ids."""
    return [row["id"] for row in await conn.fetch(LOCK_PRODUCTS_OF, variants)]


async def insert_variants(conn: Connection, variants: Sequence[Variant], *, actor: UUID, correlation: str) -> None:
    """Write new variants and their events; a combination that its product has already is a unique violation."""
    records = [
        (v.id, v.product_id, msgspec.json.encode(v.attributes).decode(), v.active, v.barcode, v.weight_grams)
        for v in variants
    ]
    await write(conn, Rows("variants", COLUMNS, records))
    await insert_events(conn, [created(v, actor=actor, correlation=correlation) for v in variants])


async def update_variants(conn: Connection, variants: Sequence[Variant], *, actor: UUID, correlation: str) -> None:
    """Write variants as they are now, decided under their products' locks, and their events."""
    await conn.execute(
        UPDATE,
        [v.id for v in variants],
        [v.active for v in variants],
        [v.barcode for v in variants],
        [v.weight_grams for v in variants],
        [v.version for v in variants],
    )
    await insert_events(conn, [changed(v, actor=actor, correlation=correlation) for v in variants])
