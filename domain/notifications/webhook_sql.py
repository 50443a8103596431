"""Statements of webhooks: who listens, what is delivered, what came of each try, and edits of endpoints.

Invariant: deliveries are written before endpoints, those in the order of their ids. An event is told to an endpoint
once: who tells it again writes nothing.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct

from domain.connection import Connection
from domain.notifications.webhook_model import Endpoint
from domain.notifications.webhooks import Addressed, Listener, Outcome, Reply
from domain.writing import Rows, write

LOAD_LISTENERS = "SELECT seller_id, events, id FROM webhook_endpoints WHERE enabled ORDER BY id"

INSERT_DELIVERIES = """
INSERT INTO webhook_deliveries (id, endpoint_id, seller_id, stream, version, event_type, body, next_at)
SELECT t.*, $8 FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::integer[], $6::text[], $7::text[])
    AS t (id, endpoint_id, seller_id, stream, version, event_type, body)
ON CONFLICT (endpoint_id, stream, version) DO NOTHING
RETURNING id
"""

LOAD_DUE = """
SELECT d.id, d.endpoint_id, d.state, d.attempts, d.attempts_before, d.body, e.url, e.secret,
       CASE WHEN e.old_secret_until > $2 THEN e.old_secret END AS old_secret, e.enabled,
       e.failing_since IS NOT NULL AS failing
FROM webhook_deliveries d LEFT JOIN webhook_endpoints e ON e.id = d.endpoint_id
WHERE d.id = ANY ($1::uuid[])
"""

LOCK_DELIVERIES = """
SELECT id, endpoint_id, seller_id, event_type, state, attempts, attempts_before FROM webhook_deliveries
WHERE id = ANY ($1::uuid[]) ORDER BY id FOR NO KEY UPDATE
"""

SAVE_DELIVERIES = """
UPDATE webhook_deliveries d
SET state = t.state, attempts = t.attempts, status = t.status, error = t.error, latency_ms = t.latency,
    next_at = CASE WHEN t.state = 'pending' THEN $8::timestamptz + make_interval(secs => t.next_seconds) END,
    ended_at = CASE WHEN t.state <> 'pending' THEN $8::timestamptz END
FROM unnest($1::uuid[], $2::text[], $3::integer[], $4::smallint[], $5::text[], $6::integer[], $7::float8[])
    AS t (id, state, attempts, status, error, latency, next_seconds)
WHERE d.id = t.id
"""

CLOSE_DELIVERIES = """
UPDATE webhook_deliveries SET state = 'failed', error = $2, next_at = NULL, ended_at = $3
WHERE id = ANY ($1::uuid[]) AND state = 'pending'
"""

ATTEMPT_COLUMNS = (
    ("delivery_id", "uuid"),
    ("attempt_no", "integer"),
    ("at", "timestamptz"),
    ("url", "text"),
    ("status", "smallint"),
    ("latency_ms", "integer"),
    ("error", "text"),
    ("response", "text"),
)

# Most take what they get and have taken the last one, too: nothing is written of those.
NOTE_TAKEN = """
UPDATE webhook_endpoints SET failing_since = NULL WHERE id IN (
    SELECT id FROM webhook_endpoints WHERE id = ANY ($1::uuid[]) AND failing_since IS NOT NULL
    ORDER BY id FOR NO KEY UPDATE
)
"""

NOTE_FAILING = """
UPDATE webhook_endpoints SET failing_since = $2 WHERE id IN (
    SELECT id FROM webhook_endpoints WHERE id = ANY ($1::uuid[]) AND failing_since IS NULL AND enabled
    ORDER BY id FOR NO KEY UPDATE
)
"""

_ENDPOINT = """
id, seller_id, url, events, description, enabled, disabled_reason, failing_since,
CASE WHEN old_secret_until > now() THEN old_secret_until END AS old_secret_until, version, created_at
"""
LOCK_ENDPOINTS = f"""
SELECT {_ENDPOINT} FROM webhook_endpoints WHERE id = ANY ($1::uuid[]) ORDER BY id FOR NO KEY UPDATE
"""
LOAD_ENDPOINT = f"SELECT {_ENDPOINT} FROM webhook_endpoints WHERE id = $1"
LIST_ENDPOINTS = f"""
SELECT {_ENDPOINT} FROM webhook_endpoints WHERE id < $1 ORDER BY id DESC LIMIT $2
"""
LIST_ENDPOINTS_OF = f"""
SELECT {_ENDPOINT} FROM webhook_endpoints WHERE seller_id = $3 AND id < $1 ORDER BY id DESC LIMIT $2
"""

# Whoever makes one holds its seller's row; for the platform's there is one lock.
LOCK_OWNER = "SELECT id FROM sellers WHERE id = $1 FOR NO KEY UPDATE"
LOCK_PLATFORM = "SELECT pg_advisory_xact_lock(hashtext('ordermill webhook endpoints'))"
COUNT_ENDPOINTS = "SELECT count(*) FROM webhook_endpoints WHERE seller_id IS NOT DISTINCT FROM $1"

INSERT_ENDPOINT = """
INSERT INTO webhook_endpoints (id, seller_id, url, events, description, secret, created_by, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""

SAVE_ENDPOINT = """
UPDATE webhook_endpoints
SET url = $2, events = $3, description = $4, enabled = $5, disabled_reason = $6, failing_since = $7, version = $8
WHERE id = $1
"""

SAVE_ROTATED = """
UPDATE webhook_endpoints
SET old_secret = CASE WHEN $3::timestamptz IS NOT NULL THEN secret END, old_secret_until = $3, secret = $2, version = $4
WHERE id = $1
"""

DELETE_ENDPOINT = "DELETE FROM webhook_endpoints WHERE id = $1"

REOPEN_DELIVERY = """
UPDATE webhook_deliveries SET state = 'pending', attempts_before = attempts, next_at = $2, ended_at = NULL
WHERE id = $1 AND state <> 'pending' RETURNING attempts
"""

# Of those that are still to be sent none goes, however old.
PRUNE_DELIVERIES = """
WITH old AS (
    SELECT id FROM webhook_deliveries
    WHERE id < $1 AND state <> 'pending' ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED
), tries AS (
    DELETE FROM webhook_attempts a USING old WHERE a.delivery_id = old.id
)
DELETE FROM webhook_deliveries d USING old WHERE d.id = old.id RETURNING d.id
"""


class Due(Struct, frozen=True):
    """A delivery that may be tried, with what it needs: secrets as they are sealed. ``url`` is None when its endpoint
    is gone.
    """

    id: UUID
    endpoint_id: UUID
    state: str
    attempts: int
    attempts_before: int
    body: str
    url: str | None
    secret: bytes | None
    old_secret: bytes | None
    enabled: bool | None
    failing: bool


class Tried(Struct, frozen=True):
    """A delivery under lock that was tried."""

    id: UUID
    endpoint_id: UUID
    seller_id: UUID | None
    event_type: str
    state: str
    attempts: int
    attempts_before: int


async def load_listeners(conn: Connection) -> list[Listener]:
    """Read every endpoint that is sent something."""
    return [Listener(*row) for row in await conn.fetch(LOAD_LISTENERS)]


async def insert_deliveries(conn: Connection, made: Mapping[UUID, Addressed], now: datetime) -> set[UUID]:
    """Write deliveries by their ids; return those that are new."""
    if not made:
        return set()
    rows = await conn.fetch(
        INSERT_DELIVERIES,
        list(made),
        [each.endpoint_id for each in made.values()],
        [each.seller_id for each in made.values()],
        [each.event.stream for each in made.values()],
        [each.event.version for each in made.values()],
        [each.event.type for each in made.values()],
        [each.body for each in made.values()],
        now,
    )
    return {row["id"] for row in rows}


async def load_due(conn: Connection, ids: Collection[UUID], now: datetime) -> dict[UUID, Due]:
    """Read deliveries with their endpoints; unknown ones are missing."""
    return {row["id"]: Due(*row) for row in await conn.fetch(LOAD_DUE, list(ids), now)}


async def lock_deliveries(conn: Connection, ids: Collection[UUID]) -> dict[UUID, Tried]:
    """Lock deliveries in the order of their ids; unknown ones are missing."""
    return {row["id"]: Tried(*row) for row in await conn.fetch(LOCK_DELIVERIES, list(ids))}


async def save_tries(conn: Connection, tries: Sequence[tuple[Tried, Reply, Outcome]], now: datetime) -> None:
    """Write what came of tries of locked deliveries."""
    if not tries:
        return
    records = [
        (
            tried.id,
            tried.attempts + 1,
            now,
            reply.url,
            reply.status,
            reply.latency_ms,
            reply.error,
            reply.response,
        )
        for tried, reply, _ in tries
    ]
    await write(conn, Rows("webhook_attempts", ATTEMPT_COLUMNS, records))
    await conn.execute(
        SAVE_DELIVERIES,
        [tried.id for tried, _, _ in tries],
        [outcome.state.value for _, _, outcome in tries],
        [tried.attempts + 1 for tried, _, _ in tries],
        [reply.status for _, reply, _ in tries],
        [reply.error for _, reply, _ in tries],
        [reply.latency_ms for _, reply, _ in tries],
        [outcome.next_seconds for _, _, outcome in tries],
        now,
    )


async def close_deliveries(conn: Connection, ids: Collection[UUID], why: str, now: datetime) -> None:
    """Give deliveries up that are to be sent to nobody any more."""
    if ids:
        await conn.execute(CLOSE_DELIVERIES, sorted(ids), why, now)


async def note_endpoints(conn: Connection, taken: Collection[UUID], failing: Collection[UUID], now: datetime) -> None:
    """Note which endpoints have taken something, and which have failed."""
    if taken:
        await conn.execute(NOTE_TAKEN, sorted(taken))
    if failing:
        await conn.execute(NOTE_FAILING, sorted(failing), now)


async def lock_endpoints(conn: Connection, ids: Collection[UUID]) -> dict[UUID, Endpoint]:
    """Lock endpoints in the order of their ids; unknown ones are missing."""
    rows = await conn.fetch(LOCK_ENDPOINTS, sorted(ids)) if ids else []
    return {row["id"]: Endpoint(*row) for row in rows}


async def load_endpoint(conn: Connection, endpoint_id: UUID) -> Endpoint | None:
    """Read an endpoint; None where there is none."""
    row = await conn.fetchrow(LOAD_ENDPOINT, endpoint_id)
    return None if row is None else Endpoint(*row)


async def list_endpoints(conn: Connection, *, seller_id: UUID | None, below: UUID, limit: int) -> list[Endpoint]:
    """Read endpoints, newest first: a seller's, or without one everybody's."""
    if seller_id is None:
        rows: Sequence[Any] = await conn.fetch(LIST_ENDPOINTS, below, limit)
    else:
        rows = await conn.fetch(LIST_ENDPOINTS_OF, below, limit, seller_id)
    return [Endpoint(*row) for row in rows]


async def count_locked(conn: Connection, seller_id: UUID | None) -> int:
    """Hold off others who make endpoints of an owner, and count those there are."""
    if seller_id is None:
        await conn.execute(LOCK_PLATFORM)
    else:
        await conn.execute(LOCK_OWNER, seller_id)
    return int((await conn.fetchval(COUNT_ENDPOINTS, seller_id)) or 0)


async def insert_endpoint(conn: Connection, made: Endpoint, sealed: bytes, actor: UUID) -> None:
    """Write a new endpoint."""
    await conn.execute(
        INSERT_ENDPOINT,
        made.id,
        made.seller_id,
        made.url,
        made.events,
        made.description,
        sealed,
        actor,
        made.created_at,
    )


async def save_endpoint(conn: Connection, endpoint: Endpoint) -> None:
    """Write a locked endpoint as it is now, but for its secrets."""
    await conn.execute(
        SAVE_ENDPOINT,
        endpoint.id,
        endpoint.url,
        endpoint.events,
        endpoint.description,
        endpoint.enabled,
        endpoint.disabled_reason,
        endpoint.failing_since,
        endpoint.version,
    )


async def save_secret(
    conn: Connection, endpoint_id: UUID, sealed: bytes, old_until: datetime | None, version: int
) -> None:
    """Give a locked endpoint another secret; until a time the one it had signs as well."""
    await conn.execute(SAVE_ROTATED, endpoint_id, sealed, old_until, version)


async def delete_endpoint(conn: Connection, endpoint_id: UUID) -> None:
    """Forget a locked endpoint; what was delivered to it stays for a while."""
    await conn.execute(DELETE_ENDPOINT, endpoint_id)


async def reopen_delivery(conn: Connection, delivery_id: UUID, now: datetime) -> int | None:
    """Have a delivery that has ended sent anew; return how often it was tried, None when it hasn't ended."""
    found: int | None = await conn.fetchval(REOPEN_DELIVERY, delivery_id, now)
    return found


async def prune_deliveries(conn: Connection, below: UUID, limit: int) -> int:
    """Forget deliveries that are older than an id; return how many."""
    return len(await conn.fetch(PRUNE_DELIVERIES, below, limit))
