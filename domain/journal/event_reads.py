"""Reading events in an order that nobody can commit into any more.

Invariant: no reader goes by the position alone, or up to a transaction that is still open.
"""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from msgspec import Struct

from domain.connection import Connection
from domain.journal.events import EventCursor, Portion, StoredEvent

# So many events are looked at; of those that aren't wanted only the last one comes along, as the place to go on from.
READ_EVENTS = """
WITH next AS MATERIALIZED (
    SELECT stream, version, type, data, actor, correlation, at, xid, position FROM events
    WHERE (xid, position) > ($1, $2) AND xid < event_horizon()
    ORDER BY xid, position LIMIT $3
)
SELECT n.stream, n.version, n.type, n.data, n.actor, n.correlation, n.at, n.xid, n.position,
    n.type = ANY ($4::text[]) OR $4 IS NULL AS wanted, (SELECT count(*) FROM next) AS looked_at
FROM next n
WHERE n.type = ANY ($4::text[]) OR $4 IS NULL
   OR (n.xid, n.position) = (SELECT xid, position FROM next ORDER BY xid DESC, position DESC LIMIT 1)
ORDER BY n.xid, n.position
"""

LOAD_HORIZON = "SELECT event_horizon()::text::bigint"

LOAD_EVENTS = """
SELECT e.stream, e.version, e.type, e.data, e.actor, e.correlation, e.at, e.xid, e.position
FROM unnest($1::uuid[], $2::integer[]) AS t (stream, version)
JOIN events e ON e.stream = t.stream AND e.version = t.version
"""

LOAD_STREAMS = """
SELECT stream, version, type, data, actor, correlation, at, xid, position FROM events
WHERE stream = ANY ($1::uuid[]) AND type = ANY ($2::text[]) ORDER BY stream, version
"""

LIST_FAILURES = """
SELECT f.name, f.stream, f.version, f.error, f.at, e.type
FROM subscription_failures f JOIN events e ON e.stream = f.stream AND e.version = f.version
WHERE f.name = $1 OR $1 IS NULL ORDER BY f.at, f.position LIMIT $2
"""

# Whoever looks here has something to read, or knows when to look again: what is held back by an open transaction can be
# read when that has ended.
LOAD_DUE = """
SELECT s.name,
    EXISTS (SELECT FROM events e WHERE (e.xid, e.position) > (s.xid, s.position) AND e.xid < event_horizon()) AS due,
    EXISTS (SELECT FROM events e WHERE (e.xid, e.position) > (s.xid, s.position)) AS behind
FROM subscriptions s
WHERE s.name = ANY ($1::text[]) AND NOT EXISTS (SELECT FROM paused_lanes WHERE lane = $2)
"""

LOAD_SUBSCRIPTIONS = """
SELECT s.name, s.xid, s.position, s.updated_at, unread.lag, unread.oldest_seconds,
    (SELECT count(*) FROM subscription_failures f WHERE f.name = s.name) AS failures
FROM subscriptions s CROSS JOIN LATERAL (
    SELECT count(*) AS lag, extract(epoch FROM now() - min(at))::float8 AS oldest_seconds
    FROM (
        SELECT at FROM events e WHERE (e.xid, e.position) > (s.xid, s.position) ORDER BY e.xid, e.position LIMIT $1
    ) AS next
) AS unread
ORDER BY s.name
"""

LAG_COUNTED_MAX = 10_001


class SubscriptionFigures(Struct, frozen=True):
    """How a subscription stands: events it hasn't looked at (counted up to 10,001), age of the oldest, failures."""

    name: str
    lag: int
    oldest_seconds: float | None
    failures: int


def stored(row: Any) -> StoredEvent:
    """An event from its row, whose columns stand in the order of all statements here."""
    stream, version, kind, data, actor, correlation, at, xid, position = row[:9]
    return StoredEvent(stream, version, kind, data, actor, correlation, at, EventCursor(xid, position))


async def read_events(conn: Connection, after: EventCursor, limit: int, types: Iterable[str] | None = None) -> Portion:
    """Look at the ``limit`` events after a cursor and return those of some types; None is all types."""
    wanted = None if types is None else sorted(types)
    rows = await conn.fetch(READ_EVENTS, after.xid, after.position, limit, wanted)
    if not rows:
        return Portion([], after, full=False)
    last = EventCursor(rows[-1]["xid"], rows[-1]["position"])
    return Portion([stored(row) for row in rows if row["wanted"]], last, full=rows[-1]["looked_at"] == limit)


async def load_end(conn: Connection) -> EventCursor:
    """The place behind all that can be read just now."""
    return EventCursor(await conn.fetchval(LOAD_HORIZON), 0)


async def load_events(conn: Connection, keys: Sequence[tuple[Any, int]]) -> list[StoredEvent]:
    """Return events by their streams and versions, in the order in which they are read."""
    rows = await conn.fetch(LOAD_EVENTS, [stream for stream, _ in keys], [version for _, version in keys])
    return sorted((stored(row) for row in rows), key=lambda event: event.cursor)


async def load_streams(
    conn: Connection, streams: Sequence[UUID], types: Iterable[str]
) -> dict[UUID, list[StoredEvent]]:
    """Return the events of some types of whole streams, in the order of their versions."""
    found: dict[UUID, list[StoredEvent]] = {}
    for row in await conn.fetch(LOAD_STREAMS, streams, sorted(types)):
        found.setdefault(row["stream"], []).append(stored(row))
    return found


async def load_failures(conn: Connection, name: str | None, limit: int) -> Sequence[Any]:
    """The oldest events that a subscription, or any, could not take: name, stream, version, type, error, at."""
    return await conn.fetch(LIST_FAILURES, name, limit)


async def load_due(conn: Connection, names: Sequence[str], lane: str) -> tuple[list[str], bool]:
    """Name the subscriptions that have something to read; and whether any has what can't be read just yet."""
    rows = await conn.fetch(LOAD_DUE, names, lane)
    return [row["name"] for row in rows if row["due"]], any(row["behind"] and not row["due"] for row in rows)


async def load_subscriptions(conn: Connection) -> list[SubscriptionFigures]:
    """Read how every subscription stands."""
    rows = await conn.fetch(LOAD_SUBSCRIPTIONS, LAG_COUNTED_MAX)
    return [SubscriptionFigures(row["name"], row["lag"], row["oldest_seconds"], row["failures"]) for row in rows]
