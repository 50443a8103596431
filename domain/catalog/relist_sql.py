"""What has to be listed anew though nobody wrote it: validity that began or ended, sellers who may sell or not.

Invariant: a listing that isn't what its rows say now is due: its ``due_at`` has passed, or a seller of it stands in
``relistings`` with a SKU before its own.
"""

from collections.abc import Sequence
from uuid import UUID

from msgspec import Struct

from domain.connection import Connection

DUE = "SELECT product_id FROM listings WHERE due_at <= now() ORDER BY due_at LIMIT $1"

RELIST_SELLERS = """
INSERT INTO relistings (seller_id) SELECT seller_id FROM unnest($1::uuid[]) AS t (seller_id) ORDER BY seller_id
ON CONFLICT (seller_id) DO UPDATE SET after = ''
"""

TAKE_SELLER = "SELECT seller_id, after FROM relistings ORDER BY seller_id LIMIT 1 FOR UPDATE SKIP LOCKED"

OFFERED = """
SELECT o.sku, v.product_id FROM offers o JOIN variants v ON v.id = o.variant_id
WHERE o.seller_id = $1 AND o.sku > $2 ORDER BY o.sku LIMIT $3
"""

ADVANCE = "UPDATE relistings SET after = $2 WHERE seller_id = $1"
FINISH = "DELETE FROM relistings WHERE seller_id = $1"


class Due(Struct, frozen=True):
    """Products to list anew; whether there are more."""

    products: list[UUID]
    more: bool


async def relist_sellers(conn: Connection, seller_ids: Sequence[UUID]) -> None:
    """Have the sweep list anew whatever these sellers offer: they may sell from now on, or may not."""
    await conn.execute(RELIST_SELLERS, seller_ids)


async def take_due(conn: Connection, limit: int) -> Due:
    """Products whose offers' validity began or ended, and a step of one seller's; that seller's place moves on.

    List them anew in the same transaction.
    """
    due = [row["product_id"] for row in await conn.fetch(DUE, limit)]
    seller = await conn.fetchrow(TAKE_SELLER)
    if seller is None:
        return Due(due, len(due) == limit)
    offered = await conn.fetch(OFFERED, seller["seller_id"], seller["after"], limit)
    if len(offered) == limit:
        await conn.execute(ADVANCE, seller["seller_id"], offered[-1]["sku"])
    else:
        await conn.execute(FINISH, seller["seller_id"])
    # There may be another seller: a look costs little.
    return Due(sorted({*due, *(row["product_id"] for row in offered)}), more=True)
