"""Statements of uses: count them, grant them, give them back.

Invariant: a use is granted under the lock of its counters, in the order (promotion, user), after reservations and
before stock; and the row itself refuses one too many. Who needs a counter that isn't there makes it first: two who do
so at once wait for each other there, in the same order.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct, structs

from domain.connection import Connection
from domain.pricing.uses import UseKey, keys_of_use
from domain.writing import Rows

LOAD_USES = """
SELECT u.promotion_id, u.user_id, u.used, u.most
FROM unnest($1::uuid[], $2::uuid[]) AS t (promotion_id, user_id)
JOIN promotion_uses u ON u.promotion_id = t.promotion_id AND u.user_id = t.user_id
"""

OPEN_USES = """
INSERT INTO promotion_uses (promotion_id, user_id, used, most)
SELECT t.promotion_id, t.user_id, 0, t.most
FROM unnest($1::uuid[], $2::uuid[], $3::int[]) AS t (promotion_id, user_id, most)
ORDER BY t.promotion_id, t.user_id
ON CONFLICT (promotion_id, user_id) DO NOTHING
"""

# Only the number of locks comes back: asyncpg 0.32 writes past the end of a row without columns.
LOCK_USES = """
SELECT count(*) FROM (
    SELECT FROM promotion_uses u
    JOIN unnest($1::uuid[], $2::uuid[]) AS t (promotion_id, user_id)
      ON u.promotion_id = t.promotion_id AND u.user_id = t.user_id
    ORDER BY u.promotion_id, u.user_id
    FOR NO KEY UPDATE OF u
) AS locked
"""

# The condition is the check made again under the lock; a counter without room isn't updated and isn't returned.
APPLY_USES = """
UPDATE promotion_uses u SET used = u.used + t.delta
FROM unnest($1::uuid[], $2::uuid[], $3::int[]) AS t (promotion_id, user_id, delta)
WHERE u.promotion_id = t.promotion_id AND u.user_id = t.user_id AND u.used + t.delta <= u.most
RETURNING 1
"""

RETURN_REDEMPTIONS = """
UPDATE redemptions r SET returned_at = $3
FROM unnest($1::uuid[], $2::uuid[]) AS t (order_id, promotion_id)
WHERE r.order_id = t.order_id AND r.promotion_id = t.promotion_id AND r.returned_at IS NULL
RETURNING r.promotion_id, r.buyer
"""

SET_REDEEMED = """
UPDATE redemptions r SET amount_minor = t.amount
FROM unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS t (order_id, promotion_id, amount)
WHERE r.order_id = t.order_id AND r.promotion_id = t.promotion_id AND r.amount_minor <> t.amount
"""

RETURN_ALL_REDEMPTIONS = """
UPDATE redemptions SET returned_at = $2 WHERE order_id = ANY ($1::uuid[]) AND returned_at IS NULL
RETURNING promotion_id, buyer
"""

LOAD_ORDER_USES = """
SELECT r.order_id, r.promotion_id, r.buyer, r.returned_at IS NOT NULL AS returned,
       coalesce((p.content ->> 'first_order')::boolean, false) AS first_order
FROM redemptions r LEFT JOIN promotions p ON p.id = r.promotion_id
WHERE r.order_id = ANY ($1::uuid[])
"""

TAKE_USES_AGAIN = """
UPDATE redemptions r SET returned_at = NULL
FROM unnest($1::uuid[], $2::uuid[]) AS t (order_id, promotion_id)
WHERE r.order_id = t.order_id AND r.promotion_id = t.promotion_id
"""

LOAD_FIRST_ORDER = """
SELECT id FROM promotions WHERE id = ANY ($1::uuid[]) AND (content ->> 'first_order')::boolean
"""


def _columns(keys: Sequence[UseKey]) -> tuple[list[UUID], list[UUID]]:
    return [key[0] for key in keys], [key[1] for key in keys]


async def load_uses(conn: Connection, keys: Iterable[UseKey]) -> dict[UseKey, tuple[int, int]]:
    """Read counters, unlocked: how often used, and how often at most. Those that were never needed are missing."""
    rows = await conn.fetch(LOAD_USES, *_columns(list(keys)))
    return {(row["promotion_id"], row["user_id"]): (row["used"], row["most"]) for row in rows}


async def open_uses(conn: Connection, keys: Mapping[UseKey, int]) -> None:
    """Make counters that aren't there yet, each to be used as often at most as is said."""
    if not keys:
        return
    ordered = sorted(keys)
    await conn.execute(OPEN_USES, *_columns(ordered), [keys[key] for key in ordered])


async def lock_uses(conn: Connection, keys: Mapping[UseKey, int], *, also: Iterable[UseKey] = ()) -> None:
    """Lock counters in key order; one that isn't there yet is made, to be used as often at most as is said.

    ``also`` are locked in the same order, if they are there.
    """
    await open_uses(conn, keys)
    ordered = sorted({*keys, *also})
    if ordered:
        await conn.execute(LOCK_USES, *_columns(ordered))


async def apply_uses(conn: Connection, deltas: Mapping[UseKey, int]) -> bool:
    """Add to locked counters; False when one would be used too often.

    The caller goes back to its savepoint on False: others have been changed.
    """
    if not deltas:
        return True
    keys = sorted(deltas)
    rows = await conn.fetch(APPLY_USES, *_columns(keys), [deltas[key] for key in keys])
    return len(rows) == len(keys)


REDEMPTION_COLUMNS = (
    ("order_id", "uuid"),
    ("promotion_id", "uuid"),
    ("version", "integer"),
    ("code", "text"),
    ("buyer", "uuid"),
    ("currency", "text"),
    ("amount_minor", "bigint"),
)


class Redemption(Struct, frozen=True):
    """An order's use of a promotion: its version, the code that brought it, and what it takes off."""

    order_id: UUID
    promotion_id: UUID
    version: int
    code: str | None
    buyer: UUID
    currency: str
    amount_minor: int


def redemption_rows(redemptions: Sequence[Redemption]) -> Rows:
    """Uses as rows to write."""
    return Rows("redemptions", REDEMPTION_COLUMNS, [structs.astuple(redemption) for redemption in redemptions])


async def return_uses(
    conn: Connection, redemptions: Sequence[tuple[UUID, UUID]], orders: Sequence[UUID], now: datetime
) -> None:
    """Give back uses, each once: those of (order, promotion), and all those of orders. The orders are locked."""
    rows: list[Any] = []
    if redemptions:
        rows += await conn.fetch(RETURN_REDEMPTIONS, *_columns(redemptions), now)
    if orders:
        rows += await conn.fetch(RETURN_ALL_REDEMPTIONS, list(orders), now)
    if not rows:
        return
    promotions = sorted({row["promotion_id"] for row in rows})
    first = {row["id"] for row in await conn.fetch(LOAD_FIRST_ORDER, promotions)}
    deltas: dict[UseKey, int] = {}
    for row in rows:
        promotion, buyer = row["promotion_id"], row["buyer"]
        for key in keys_of_use(promotion, buyer, first_order=promotion in first):
            deltas[key] = deltas.get(key, 0) - 1
    ordered = sorted(deltas)
    await conn.execute(LOCK_USES, *_columns(ordered))
    # Promotions without a limit have no counters, and there is nothing to count back.
    await conn.execute(APPLY_USES, *_columns(ordered), [deltas[key] for key in ordered])


async def set_redeemed(conn: Connection, amounts: Mapping[tuple[UUID, UUID], int]) -> None:
    """Say what promotions take off of orders that are locked, by (order, promotion)."""
    if amounts:
        await conn.execute(SET_REDEEMED, *_columns(list(amounts)), list(amounts.values()))


async def load_order_uses(conn: Connection, orders: Sequence[UUID]) -> Sequence[Any]:
    """The uses of orders, given back or not: order_id, promotion_id, buyer, returned, first_order."""
    return await conn.fetch(LOAD_ORDER_USES, orders)


async def take_uses_again(conn: Connection, uses: Sequence[tuple[UUID, UUID]]) -> None:
    """Have uses that were given back stand again: (order id, promotion id). Their counters are the caller's."""
    if uses:
        await conn.execute(TAKE_USES_AGAIN, [use[0] for use in uses], [use[1] for use in uses])
