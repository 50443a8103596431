"""The statements of subscriptions: their places among the events, and what they could not take.

Invariant: a subscription's place moves in the transaction that writes what it made of the events it passes.
"""

from collections.abc import Sequence
from uuid import UUID

from domain.connection import Connection
from domain.journal.events import EventCursor

# One that starts now has read all that is below the horizon.
FOUND_SUBSCRIPTIONS = """
INSERT INTO subscriptions (name, xid, position)
SELECT t.name, CASE WHEN t.now THEN event_horizon() ELSE '0' END, 0
FROM unnest($1::text[], $2::boolean[]) AS t (name, now) ORDER BY t.name
ON CONFLICT (name) DO NOTHING
"""

# By whichever worker comes first; the others find something else to do.
LOCK_SUBSCRIPTION = "SELECT xid, position FROM subscriptions WHERE name = $1 FOR NO KEY UPDATE SKIP LOCKED"

MOVE_SUBSCRIPTION = "UPDATE subscriptions SET xid = $2, position = $3, updated_at = now() WHERE name = $1"

NOTE_FAILURES = """
INSERT INTO subscription_failures (name, stream, version, position, error)
SELECT $1, t.stream, t.version, t.position, t.error
FROM unnest($2::uuid[], $3::integer[], $4::bigint[], $5::text[]) AS t (stream, version, position, error)
ON CONFLICT (name, stream, version) DO UPDATE SET error = excluded.error, at = now()
"""

# Whoever plays them again holds them; what fails again is noted anew.
TAKE_FAILURES = """
DELETE FROM subscription_failures f USING unnest($2::uuid[], $3::integer[]) AS t (stream, version)
WHERE f.name = $1 AND f.stream = t.stream AND f.version = t.version
RETURNING f.stream, f.version
"""

# Writers wait: none may append by the old clock after the new one was read off the last event.
HOLD_EVENTS = "LOCK TABLE events IN SHARE ROW EXCLUSIVE MODE"

# No transaction that has begun here has a number as high as the end of the snapshot.
LAST_AGAINST_CLOCK = """
SELECT coalesce((SELECT xid::text::bigint FROM events ORDER BY xid DESC, position DESC LIMIT 1), 0) AS event_xid,
    coalesce((SELECT max(xid)::text::bigint FROM subscriptions), 0) AS cursor_xid,
    pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS oldest,
    pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS following,
    event_horizon()::text::bigint - pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS ahead
"""

SET_CLOCK = """
CREATE OR REPLACE FUNCTION event_xid() RETURNS xid8 LANGUAGE sql STABLE
    AS $$ SELECT (pg_current_xact_id()::text::bigint + {ahead})::text::xid8 $$;
CREATE OR REPLACE FUNCTION event_horizon() RETURNS xid8 LANGUAGE sql STABLE
    AS $$ SELECT (pg_snapshot_xmin(pg_current_snapshot())::text::bigint + {ahead})::text::xid8 $$;
"""

# Transactions of the cluster these come from; asked about here they would be an error.
FORGET_RUNS = "DELETE FROM runs WHERE xid >= $1"


async def found_subscriptions(conn: Connection, starts: Sequence[tuple[str, bool]]) -> None:
    """Give those subscriptions a place that have none yet: (name, whether it starts now) each."""
    await conn.execute(FOUND_SUBSCRIPTIONS, [name for name, _ in starts], [now for _, now in starts])


async def lock_subscription(conn: Connection, name: str) -> EventCursor | None:
    """Take a subscription for this transaction and return its place; None when somebody else has it."""
    row = await conn.fetchrow(LOCK_SUBSCRIPTION, name)
    return None if row is None else EventCursor(row["xid"], row["position"])


async def move_subscription(conn: Connection, name: str, to: EventCursor) -> None:
    """Set a subscription's place."""
    await conn.execute(MOVE_SUBSCRIPTION, name, to.xid, to.position)


async def note_failures(conn: Connection, name: str, failed: Sequence[tuple[UUID, int, int, str]]) -> None:
    """Note events a subscription could not take: (stream, version, position, error) each."""
    if failed:
        streams, versions, positions, errors = (list(column) for column in zip(*failed, strict=True))
        await conn.execute(NOTE_FAILURES, name, streams, versions, positions, errors)


async def take_failures(conn: Connection, name: str, keys: Sequence[tuple[UUID, int]]) -> list[tuple[UUID, int]]:
    """Take events off those a subscription could not take; return which ones were there."""
    rows = await conn.fetch(TAKE_FAILURES, name, [stream for stream, _ in keys], [version for _, version in keys])
    return [(row["stream"], row["version"]) for row in rows]


async def rebase_clock(conn: Connection) -> bool:
    """Go on counting where the stored events end, when they come from a cluster that was further; tell whether so.

    After a dump was restored into a new cluster its transactions have lower numbers than those that are stored, and
    readers would wait for them, or pass what is new as read. Run it in a transaction, before anything is written.
    """
    event, cursor, oldest, following, ahead = await _clock(conn)
    if event < following + ahead and cursor <= following + ahead:
        return False
    await conn.execute(HOLD_EVENTS)
    event, cursor, oldest, following, ahead = await _clock(conn)
    # Counted from the oldest transaction that is open: whoever waits for the lock is above all that is stored as well.
    await conn.execute(SET_CLOCK.format(ahead=max(event, cursor) + 1 - oldest))
    await conn.execute(FORGET_RUNS, following)
    return True


async def _clock(conn: Connection) -> tuple[int, int, int, int, int]:
    (row,) = await conn.fetch(LAST_AGAINST_CLOCK)
    return row["event_xid"], row["cursor_xid"], row["oldest"], row["following"], row["ahead"]
