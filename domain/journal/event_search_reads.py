"""Events as they are looked for: of a stream, or along the order in which all of them are read; oldest first.

Invariant: nothing that is listed later can belong before what was listed. A page looks at so many events at most,
however few of them fit: what is rare is looked for page by page, and the place to go on from is always told.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.connection import Connection
from domain.journal.event_reads import load_events
from domain.journal.events import BEGINNING, EventCursor

LOOKED_AT_MAX = 20_000
LATE_MAX = timedelta(minutes=1)
"""How much later than the beginning of its transaction, which is an event's time, it got its place."""

# By its stream there is no order that could be walked along, but few to sort.
OF_STREAM = """
SELECT stream, version, xid, position
FROM events
WHERE stream = $1 AND (xid, position) > ($2, $3) AND xid < event_horizon()
  AND (type = $5 OR $5 IS NULL) AND (starts_with(type, $6) OR $6 IS NULL) AND (correlation = $7 OR $7 IS NULL)
  AND (at >= $8 OR $8 IS NULL) AND (at < $9 OR $9 IS NULL)
ORDER BY xid, position LIMIT $4
"""

# The last one that was looked at comes along behind them, as the place to go on from.
ALONG_ALL = """
WITH next AS MATERIALIZED (
    SELECT stream, version, xid, position, at,
        (type = $5 OR $5 IS NULL) AND (starts_with(type, $6) OR $6 IS NULL) AND (correlation = $7 OR $7 IS NULL)
        AND (at >= $8 OR $8 IS NULL) AND (at < $9 OR $9 IS NULL) AS fits
    FROM events WHERE (xid, position) > ($1, $2) AND xid < event_horizon()
    ORDER BY xid, position LIMIT $3
)
(SELECT *, 0 AS looked_at FROM next WHERE fits ORDER BY xid, position LIMIT $4)
UNION ALL (SELECT *, (SELECT count(*) FROM next) FROM next ORDER BY xid DESC, position DESC LIMIT 1)
"""

# Events have no index by time, which every order would pay for: times go up with transactions nearly, so the first one
# is found by halving.
FIRST_SINCE = """
WITH RECURSIVE search (low, high) AS (
    SELECT (SELECT xid::text::bigint FROM events ORDER BY xid, position LIMIT 1),
           (SELECT xid::text::bigint + 1 FROM events ORDER BY xid DESC, position DESC LIMIT 1)
    UNION ALL
    SELECT CASE WHEN early THEN middle + 1 ELSE low END, CASE WHEN early THEN high ELSE middle END
    FROM (
        SELECT low, high, middle, (
            SELECT e.at < $1 FROM events e WHERE e.xid >= middle::text::xid8 ORDER BY e.xid, e.position LIMIT 1
        ) AS early
        FROM (SELECT low, high, (low + high) / 2 AS middle FROM search WHERE low < high) AS halved
    ) AS looked_at
)
SELECT low FROM search WHERE low = high
"""


class EventSearch(Struct, frozen=True):
    """What is looked for; all that is given must fit. ``prefix`` is what types begin with."""

    stream: UUID | None = None
    type: str | None = None
    prefix: str | None = None
    correlation: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class EventView(Struct, frozen=True):
    """An event as operators see it. ``cursor`` is its place among all events."""

    stream: UUID
    version: int
    type: str
    data: msgspec.Raw
    actor: UUID
    correlation: str
    at: datetime
    cursor: str


class FoundEvents(Struct, frozen=True):
    """Events that fit, where to go on, and whether there is more to look at there just now."""

    items: list[EventView]
    cursor: EventCursor
    more: bool


async def search_events(conn: Connection, wanted: EventSearch, after: EventCursor | None, limit: int) -> FoundEvents:
    """Find up to ``limit`` events behind a place; without one, from the beginning or from about ``since`` on."""
    start = after or await _beginning(conn, wanted)
    filters = (wanted.type, wanted.prefix, wanted.correlation, wanted.since, wanted.until)
    if wanted.stream is not None:
        found = await conn.fetch(OF_STREAM, wanted.stream, start.xid, start.position, limit + 1, *filters)
        end, more = start, False
    else:
        rows = await conn.fetch(ALONG_ALL, start.xid, start.position, LOOKED_AT_MAX, limit + 1, *filters)
        found, last = rows[:-1], rows[-1] if rows else None
        end = start if last is None else _place(last)
        late = last is not None and wanted.until is not None and last["at"] >= wanted.until + LATE_MAX
        more = last is not None and last["looked_at"] == LOOKED_AT_MAX and not late
    shown = found[:limit]
    if shown and (wanted.stream is not None or len(found) > limit):
        end = _place(shown[-1])
    return FoundEvents(await _shown(conn, shown), end, more or len(found) > limit)


async def _beginning(conn: Connection, wanted: EventSearch) -> EventCursor:
    if wanted.since is None or wanted.stream is not None:
        return BEGINNING
    first = await conn.fetchval(FIRST_SINCE, wanted.since - LATE_MAX)
    return BEGINNING if first is None else EventCursor(first, 0)


async def _shown(conn: Connection, found: Sequence[Any]) -> list[EventView]:
    events = await load_events(conn, [(row["stream"], row["version"]) for row in found])
    return [
        EventView(
            stream=event.stream,
            version=event.version,
            type=event.type,
            data=msgspec.Raw(event.data.encode()),
            actor=event.actor,
            correlation=event.correlation,
            at=event.at,
            cursor=str(event.cursor),
        )
        for event in events
    ]


def _place(row: Any) -> EventCursor:
    return EventCursor(row["xid"], row["position"])
