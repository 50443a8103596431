"""Statements that write promotions: lock them, write new ones and changed ones, compare what was counted.

Invariant: whoever changes a promotion holds its row's lock. Each version has its row in ``promotion_versions`` and its
event, written in the transaction that makes it. When what orders are priced by changes, the version of the rules rises
last: nobody waits for its row longer than a commit takes. Locks come in the order promotions, counters, that row.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.connection import Connection
from domain.journal.model import Event
from domain.journal.sql import event_rows
from domain.pricing.book_reads import stored_promotion
from domain.pricing.promotion_edit import PromotionChanged, PromotionCreated, Step
from domain.pricing.promotion_model import PromotionState, StoredPromotion
from domain.pricing.promotion_sweep import UsesDiffer
from domain.pricing.use_sql import open_uses
from domain.pricing.uses import ALL_USERS
from domain.pricing.version_sql import raise_version
from domain.writing import Rows, write

PART = "promotions"
_COLUMNS = "id, version, seller_id, state, content::text AS content, created_at"

LOCK_PROMOTIONS = f"""
SELECT {_COLUMNS} FROM promotions WHERE id = ANY ($1::uuid[]) ORDER BY id FOR NO KEY UPDATE
"""

# One that somebody has in hand is left to the next step.
LOCK_OVER = f"""
SELECT {_COLUMNS} FROM promotions
WHERE state IN ('active', 'paused') AND ends_at <= $1
ORDER BY ends_at LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
"""

UPDATE_PROMOTIONS = """
UPDATE promotions p SET version = t.version, state = t.state, content = t.content, starts_at = t.starts_at,
    ends_at = t.ends_at, updated_at = $7
FROM unnest($1::uuid[], $2::int[], $3::text[], $4::jsonb[], $5::timestamptz[], $6::timestamptz[])
    AS t (id, version, state, content, starts_at, ends_at)
WHERE p.id = t.id
"""

SET_MOST = f"""
UPDATE promotion_uses SET most = $2
WHERE promotion_id = $1 AND user_id = '{ALL_USERS}' AND used <= $2
RETURNING most
"""

NEXT_LIMITED = """
SELECT id FROM promotions
WHERE id > $1 AND state IN ('active', 'paused')
  AND (content ? 'uses_max' OR content ? 'uses_per_user_max')
ORDER BY id LIMIT $2
"""

# One statement, so one snapshot: a use and its count are written together, and seen together or not at all.
COMPARE_USES = f"""
SELECT p.id, u.used AS counted, r.used AS redeemed, u.of_users AS counted_of_users, r.of_users AS redeemed_of_users
FROM unnest($1::uuid[]) AS t (id)
JOIN promotions p ON p.id = t.id
CROSS JOIN LATERAL (
    SELECT coalesce(sum(used) FILTER (WHERE user_id = '{ALL_USERS}'), 0)::bigint AS used,
           coalesce(sum(used) FILTER (WHERE user_id <> '{ALL_USERS}'), 0)::bigint AS of_users
    FROM promotion_uses WHERE promotion_id = t.id
) u
CROSS JOIN LATERAL (
    SELECT CASE WHEN p.content ? 'uses_max' THEN count(*) ELSE 0 END AS used,
           CASE WHEN p.content ? 'uses_per_user_max' THEN count(*) ELSE 0 END AS of_users
    FROM redemptions WHERE promotion_id = t.id AND returned_at IS NULL
) r
WHERE (u.used, u.of_users) IS DISTINCT FROM (r.used, r.of_users)
ORDER BY p.id
"""

EVENTS = {
    Step.EDIT: "promotion.changed",
    Step.ACTIVATE: "promotion.activated",
    Step.PAUSE: "promotion.paused",
    Step.END: "promotion.ended",
}
_PROMOTION_COLUMNS = (
    ("id", "uuid"),
    ("seller_id", "uuid"),
    ("state", "text"),
    ("version", "integer"),
    ("content", "jsonb"),
    ("starts_at", "timestamptz"),
    ("ends_at", "timestamptz"),
    ("created_at", "timestamptz"),
    ("updated_at", "timestamptz"),
)
_VERSION_COLUMNS = (("promotion_id", "uuid"), ("version", "integer"), ("content", "jsonb"), ("actor", "uuid"))
_encode = msgspec.json.Encoder().encode


class Change(Struct, frozen=True):
    """A locked promotion as it is from now on, and the event that says so; of an event without data, none."""

    before: StoredPromotion
    after: StoredPromotion
    event: str
    data: bytes = b"{}"


def change_of(before: StoredPromotion, after: StoredPromotion, step: Step) -> Change:
    """A step that a promotion has taken."""
    data = _encode(PromotionChanged(after.content)) if step is Step.EDIT else b"{}"
    return Change(before, after, EVENTS[step], data)


async def lock_promotions(conn: Connection, ids: Sequence[UUID]) -> dict[UUID, StoredPromotion]:
    """Lock promotions, in the order of their ids, and read them as they are then; unknown ones are missing."""
    return {row["id"]: stored_promotion(row) for row in await conn.fetch(LOCK_PROMOTIONS, ids)}


async def lock_over(conn: Connection, now: datetime, limit: int) -> list[StoredPromotion]:
    """Lock promotions whose time is over and that haven't ended, the first due first."""
    return [stored_promotion(row) for row in await conn.fetch(LOCK_OVER, now, limit)]


async def insert_promotions(
    conn: Connection, promotions: Sequence[StoredPromotion], *, actor: UUID, correlation: str
) -> None:
    """Write new drafts."""
    await write(
        conn,
        Rows("promotions", _PROMOTION_COLUMNS, [_record(promotion) for promotion in promotions]),
        _version_rows(promotions, actor),
        event_rows([_created(promotion, actor, correlation) for promotion in promotions]),
    )


def _record(promotion: StoredPromotion) -> tuple[object, ...]:
    content = promotion.content
    return (
        promotion.id,
        promotion.seller_id,
        promotion.state.value,
        promotion.version,
        _encode(content).decode(),
        content.starts_at,
        content.ends_at,
        promotion.created_at,
        promotion.created_at,
    )


def _version_rows(promotions: Sequence[StoredPromotion], actor: UUID) -> Rows:
    records = [(p.id, p.version, _encode(p.content).decode(), actor) for p in promotions]
    return Rows("promotion_versions", _VERSION_COLUMNS, records)


def _created(promotion: StoredPromotion, actor: UUID, correlation: str) -> Event:
    data = _encode(PromotionCreated(promotion.seller_id, promotion.content)).decode()
    return Event(promotion.id, promotion.version, "promotion.created", data, actor, correlation)


async def change_promotions(
    conn: Connection, changes: Sequence[Change], now: datetime, *, actor: UUID, correlation: str
) -> None:
    """Write locked promotions as they are from now on, and raise the version of the rules if orders are to know."""
    if not changes:
        return
    after = [change.after for change in changes]
    await conn.execute(
        UPDATE_PROMOTIONS,
        [p.id for p in after],
        [p.version for p in after],
        [p.state.value for p in after],
        [_encode(p.content).decode() for p in after],
        [p.content.starts_at for p in after],
        [p.content.ends_at for p in after],
        now,
    )
    events = [Event(c.after.id, c.after.version, c.event, c.data.decode(), actor, correlation) for c in changes]
    await write(conn, _version_rows(after, actor), event_rows(events))
    most = {(p.id, ALL_USERS): p.content.uses_max for p in after if p.state is PromotionState.ACTIVE}
    await open_uses(conn, {key: uses for key, uses in most.items() if uses is not None})
    if any(_is_felt(change) for change in changes):
        await raise_version(conn, PART)


def _is_felt(change: Change) -> bool:
    """Whether orders are priced by what changes."""
    before, after = change.before, change.after
    return PromotionState.ACTIVE in {before.state, after.state} and (before.state, before.content) != (
        after.state,
        after.content,
    )


async def set_most(conn: Connection, promotion: StoredPromotion) -> bool:
    """Let a promotion that counts its uses have as many as it says now; False if it was used more often already."""
    return await conn.fetchval(SET_MOST, promotion.id, promotion.content.uses_max) is not None


async def next_limited(conn: Connection, after: UUID, limit: int) -> list[UUID]:
    """The next promotions, by id, that are going on and count their uses."""
    return [row["id"] for row in await conn.fetch(NEXT_LIMITED, after, limit)]


async def compare_uses(conn: Connection, promotions: Sequence[UUID]) -> list[UsesDiffer]:
    """Those of some promotions whose counters differ from their redemptions."""
    return [_differing(row) for row in await conn.fetch(COMPARE_USES, promotions)]


def _differing(row: Any) -> UsesDiffer:
    return UsesDiffer(row["id"], row["counted"], row["redeemed"], row["counted_of_users"], row["redeemed_of_users"])
