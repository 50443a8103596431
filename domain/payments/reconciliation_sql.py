"""Statements of comparing books: which payments nobody has heard of, how far gateways' books were compared, orphans."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from domain.connection import Connection
from domain.payments.news import AttemptState, News
from domain.payments.reconciliation import KnownPayment

# Those whose own start is still being tried, or that are being looked up, are left to that.
TAKE_STALE = """
UPDATE payments p SET checked_at = $2
FROM (
    SELECT s.id FROM (
        SELECT id FROM payments
        WHERE state IN ('pending', 'action_required', 'authorized') AND updated_at < $1
          AND (checked_at IS NULL OR checked_at < $1)
        UNION
        SELECT payment_id FROM refunds WHERE state = 'pending' AND created_at < $1
    ) s
    JOIN payments q ON q.id = s.id AND (q.checked_at IS NULL OR q.checked_at < $1)
    WHERE NOT EXISTS (SELECT FROM pending e WHERE e.id = s.id OR e.aggregate = s.id)
    ORDER BY s.id LIMIT $3
    FOR NO KEY UPDATE OF q SKIP LOCKED
) stale
WHERE p.id = stale.id
RETURNING p.id
"""

LOAD_RECONCILED = """
SELECT t.gateway, r.until FROM unnest($1::text[], $2::uuid[]) AS t (gateway, books)
LEFT JOIN reconciliations r ON r.gateway = t.gateway
WHERE NOT EXISTS (SELECT FROM pending e WHERE e.aggregate = t.books)
"""

SAVE_RECONCILED = """
INSERT INTO reconciliations AS r (gateway, until) VALUES ($1, $2)
ON CONFLICT (gateway) DO UPDATE SET until = greatest(r.until, excluded.until)
"""

LOAD_KNOWN = """
SELECT id, gateway, reference, state, captured_minor, refunded_minor FROM payments WHERE id = ANY ($1::uuid[])
"""

INSERT_ORPHANS = """
INSERT INTO orphaned_charges (gateway, reference, payment_id, amount_minor, currency, found_at)
SELECT $1, t.reference, t.payment_id, t.amount, t.currency, $6
FROM unnest($2::text[], $3::uuid[], $4::bigint[], $5::text[]) AS t (reference, payment_id, amount, currency)
ON CONFLICT (gateway, reference) DO NOTHING
RETURNING reference
"""

END_ORPHANS = """
UPDATE orphaned_charges c SET refunded_at = $3
FROM unnest($1::text[], $2::text[]) AS t (gateway, reference)
WHERE c.gateway = t.gateway AND c.reference = t.reference AND c.refunded_at IS NULL
"""


async def take_stale(conn: Connection, before: datetime, now: datetime, most: int) -> list[UUID]:
    """Payments to look up: nothing was heard of them, or of a refund of theirs, since a time; noted as asked about."""
    return [row["id"] for row in await conn.fetch(TAKE_STALE, before, now, most)]


async def load_reconciled(
    conn: Connection, gateways: Sequence[str], books: Sequence[UUID]
) -> dict[str, datetime | None]:
    """Until when gateways' books were compared; those that are being compared now are missing."""
    return {row["gateway"]: row["until"] for row in await conn.fetch(LOAD_RECONCILED, gateways, books)}


async def save_reconciled(conn: Connection, gateway: str, until: datetime) -> None:
    """Note until when a gateway's books were compared."""
    await conn.execute(SAVE_RECONCILED, gateway, until)


async def load_known(conn: Connection, payment_ids: Collection[UUID]) -> dict[UUID, KnownPayment]:
    """Payments as our books have them, unlocked."""
    rows = await conn.fetch(LOAD_KNOWN, list(payment_ids)) if payment_ids else []
    return {row["id"]: KnownPayment(**{**row, "state": AttemptState(row["state"])}) for row in rows}


async def insert_orphans(conn: Connection, gateway: str, orphans: Sequence[News], now: datetime) -> set[str]:
    """Note orphaned charges; return the references of those nobody knew of."""
    if not orphans:
        return set()
    rows = await conn.fetch(
        INSERT_ORPHANS,
        gateway,
        [news.reference for news in orphans],
        [news.payment_id for news in orphans],
        [left_of(news) for news in orphans],
        [news.currency for news in orphans],
        now,
    )
    return {row["reference"] for row in rows}


def left_of(news: News) -> int:
    """What an orphaned charge holds, in minor units."""
    return (news.captured_minor or 0) - (news.refunded_minor or 0) or news.amount_minor or 0


async def end_orphans(conn: Connection, charges: Sequence[tuple[str, str]], now: datetime) -> None:
    """Note that charges, by (gateway, reference), were given back."""
    await conn.execute(END_ORPHANS, [charge[0] for charge in charges], [charge[1] for charge in charges], now)
