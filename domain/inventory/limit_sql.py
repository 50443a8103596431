"""Statements of limits per buyer: who counts is locked, what counts is read, what counts from now on is written.

Invariant: whoever takes units of an offer with such a limit holds the buyer's lock before counting, until the commit,
so of two orders of one buyer the second one sees what the first one took. These locks come before those of any row
but an order's, in the order of their keys.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from domain.catalog.model import Offer, OfferKey
from domain.connection import Connection
from domain.inventory.buyer_limits import BuyerKey, LimitedHold, Taken
from domain.writing import Rows

# By a hash: two buyers who share one wait for each other, and count their own.
LOCK_BUYERS = """
SELECT pg_advisory_xact_lock(k) FROM (
    SELECT DISTINCT hashtextextended(concat_ws('/', variant_id, seller_id, buyer), 7) AS k
    FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS t (variant_id, seller_id, buyer)
    ORDER BY k
) AS ordered
"""

# Units that were sold and put back count no more.
LOAD_TAKEN = """
SELECT t.variant_id, t.seller_id, t.buyer, r.id, r.quantity
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[]) AS t (variant_id, seller_id, buyer, since)
JOIN limited_holds l ON l.variant_id = t.variant_id AND l.seller_id = t.seller_id AND l.buyer = t.buyer
 AND l.reservation_id >= t.since
JOIN reservations r ON r.id = l.reservation_id AND r.status IN ('active', 'confirmed')
WHERE NOT EXISTS (SELECT FROM movements m WHERE m.cause_id = r.id AND m.kind = 'returned')
"""

LOAD_LIMITED = """
SELECT l.variant_id, l.seller_id, l.buyer, l.reservation_id, l.most, l.window_seconds
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[]) AS t (variant_id, seller_id, buyer, reservation_id)
JOIN limited_holds l ON l.variant_id = t.variant_id AND l.seller_id = t.seller_id AND l.buyer = t.buyer
 AND l.reservation_id = t.reservation_id
"""

HAS_DUE_OF_BUYERS = """
SELECT EXISTS (
    SELECT FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS t (variant_id, seller_id, buyer)
    JOIN limited_holds l ON l.variant_id = t.variant_id AND l.seller_id = t.seller_id AND l.buyer = t.buyer
    JOIN reservations r ON r.id = l.reservation_id AND r.status = 'active' AND r.expires_at <= $4
)
"""

# What another transaction holds is being taken care of there.
LOCK_DUE_OF_BUYERS = """
SELECT r.id FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS t (variant_id, seller_id, buyer)
JOIN limited_holds l ON l.variant_id = t.variant_id AND l.seller_id = t.seller_id AND l.buyer = t.buyer
JOIN reservations r ON r.id = l.reservation_id AND r.status = 'active' AND r.expires_at <= $4
LIMIT 500
FOR UPDATE OF r SKIP LOCKED
"""

LIMITED_COLUMNS = (
    ("variant_id", "uuid"),
    ("seller_id", "uuid"),
    ("buyer", "uuid"),
    ("reservation_id", "uuid"),
    ("most", "integer"),
    ("window_seconds", "integer"),
)


def _columns(keys: Sequence[BuyerKey]) -> tuple[list[UUID], list[UUID], list[UUID]]:
    return [k.variant_id for k in keys], [k.seller_id for k in keys], [k.buyer for k in keys]


async def lock_buyers(conn: Connection, keys: Sequence[BuyerKey]) -> None:
    """Lock what buyers may still take of offers, until the end of the transaction."""
    if keys:
        await conn.execute(LOCK_BUYERS, *_columns(keys))


async def load_taken(
    conn: Connection, keys: Sequence[BuyerKey], offers: Mapping[OfferKey, Offer], accepted_ms: int
) -> Taken:
    """Read what buyers have of offers: all that counts for who was accepted at a moment, or later."""
    if not keys:
        return {}
    windows = (offers[key.variant_id, key.seller_id].quantity_window_seconds or 0 for key in keys)
    since = [UUID(int=max(accepted_ms - 1_000 * window, 0) << 80) for window in windows]
    taken: Taken = {}
    for variant_id, seller_id, buyer, held, units in await conn.fetch(LOAD_TAKEN, *_columns(keys), since):
        taken.setdefault(BuyerKey(variant_id, seller_id, buyer), {})[held] = units
    return taken


async def has_due_of_buyers(conn: Connection, keys: Sequence[BuyerKey], now: datetime) -> bool:
    """Whether any of the buyers has a reservation that counts, and is due but not yet taken back."""
    return bool(keys) and bool(await conn.fetchval(HAS_DUE_OF_BUYERS, *_columns(keys), now))


async def lock_due_of_buyers(conn: Connection, keys: Sequence[BuyerKey], now: datetime) -> list[UUID]:
    """Lock reservations of buyers that count and are due, at most 500."""
    return [row["id"] for row in await conn.fetch(LOCK_DUE_OF_BUYERS, *_columns(keys), now)] if keys else []


async def load_limited(conn: Connection, holds: Sequence[tuple[BuyerKey, UUID]]) -> dict[UUID, LimitedHold]:
    """The limits that reservations were made under, by reservation; those without one are missing."""
    keys = [key for key, _ in holds]
    rows = await conn.fetch(LOAD_LIMITED, *_columns(keys), [held for _, held in holds])
    return {
        row["reservation_id"]: LimitedHold(
            BuyerKey(row["variant_id"], row["seller_id"], row["buyer"]),
            row["reservation_id"],
            row["most"],
            row["window_seconds"],
        )
        for row in rows
    }


async def load_quotas(conn: Connection, limits: Sequence[LimitedHold], now_ms: int) -> dict[BuyerKey, int]:
    """How many units buyers, who are locked, may take of offers at a moment, by the limits of former reservations."""
    quotas = {limit.key: limit.most for limit in limits}
    keys = sorted(quotas)
    windows = {limit.key: limit.window_seconds for limit in limits}
    since = [UUID(int=max(now_ms - 1_000 * windows[key], 0) << 80) for key in keys]
    for variant_id, seller_id, buyer, _, units in await conn.fetch(LOAD_TAKEN, *_columns(keys), since):
        quotas[BuyerKey(variant_id, seller_id, buyer)] -= units
    return quotas


def limited_rows(holds: Sequence[LimitedHold]) -> Rows:
    """Reservations that count, as rows to write."""
    return Rows(
        "limited_holds",
        LIMITED_COLUMNS,
        [(*hold.key, hold.reservation_id, hold.most, hold.window_seconds) for hold in holds],
    )
