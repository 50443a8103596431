"""The statements that make a read model anew, beside the one that is in use.

Invariant: the new table and the one in use are compared where both have read as far: under the lock of the
subscription, which then doesn't go on. Each step is a short transaction; how far the new table is stands in its
comment, and moves with what is written to it.
"""

from typing import Any

from msgspec import Struct

from domain.connection import Connection
from domain.insights.sql import Projection, add_events
from domain.journal.event_reads import read_events
from domain.journal.events import BEGINNING, EventCursor, parse_cursor

WAIT_FOR_SUBSCRIPTION = "SELECT xid, position FROM subscriptions WHERE name = $1 FOR NO KEY UPDATE"
PLACE_OF_SUBSCRIPTION = "SELECT xid, position FROM subscriptions WHERE name = $1"
PLACE_OF_TABLE = "SELECT to_regclass($1) IS NOT NULL AS there, obj_description(to_regclass($1), 'pg_class') AS place"
DIFFERENCES_MAX = 100


class Difference(Struct, frozen=True):
    """A row that isn't the same: its key, what is in use, what events come to. A row that isn't there is all zeros."""

    key: dict[str, str]
    used: dict[str, int]
    rebuilt: dict[str, int]


class Piece(Struct, frozen=True):
    """What comparing some rows came to. ``last`` is where to go on, None at the end."""

    rows: int
    differing: int
    sample: list[Difference]
    last: tuple[Any, ...] | None


def shadow_of(projection: Projection) -> str:
    """The name of the table that is being made."""
    return f"{projection.table}_rebuilt"


async def begin(conn: Connection, projection: Projection) -> EventCursor:
    """Make the new table, unless it is there from a run that was broken off; return how far it is."""
    shadow = shadow_of(projection)
    row = await conn.fetchrow(PLACE_OF_TABLE, shadow)
    if row is not None and row["there"]:
        return parse_cursor(row["place"] or "") or BEGINNING
    await conn.execute(f"CREATE TABLE {shadow} (LIKE {projection.table} INCLUDING ALL)")
    await _note(conn, shadow, BEGINNING)
    return BEGINNING


async def place_in_use(conn: Connection, projection: Projection, *, held: bool = False) -> EventCursor | None:
    """How far the read model in use is, kept there for this transaction if it is to be; None if none has begun."""
    row = await conn.fetchrow(WAIT_FOR_SUBSCRIPTION if held else PLACE_OF_SUBSCRIPTION, projection.table)
    return None if row is None else EventCursor(row["xid"], row["position"])


async def advance(
    conn: Connection, projection: Projection, place: EventCursor, until: EventCursor, most: int
) -> EventCursor:
    """Add the next events to the new table, up to a place; return how far it is then."""
    if place >= until:
        return place
    portion = await read_events(conn, place, most, projection.types)
    reached = min(portion.cursor, until) if portion.full else until
    events = [event for event in portion.events if event.cursor <= reached]
    await add_events(conn, projection, events, shadow_of(projection))
    await _note(conn, shadow_of(projection), reached)
    return reached


async def _note(conn: Connection, shadow: str, place: EventCursor) -> None:
    await conn.execute(f"COMMENT ON TABLE {shadow} IS '{place}'")


async def compare(conn: Connection, projection: Projection, after: tuple[Any, ...] | None, most: int) -> Piece:
    """Compare the next rows by key, up to ``most`` of each table; rows of zeros are as good as none."""
    keys, sums = projection.keys, projection.sums
    key = ", ".join(keys)
    arguments: list[Any] = list(after or ())
    above = f"({key}) > ({', '.join(f'${n}' for n in range(1, len(keys) + 1))})" if after else "true"
    tables = (projection.table, shadow_of(projection))
    bounds = [
        await conn.fetchrow(
            f"SELECT {key} FROM {table} WHERE {above} ORDER BY {key} OFFSET {most - 1} LIMIT 1", *arguments
        )
        for table in tables
    ]
    ends = [tuple(bound) for bound in bounds if bound is not None]
    last = min(ends) if ends else None
    within = above
    if last is not None:
        start = len(arguments)
        within += f" AND ({key}) <= ({', '.join(f'${start + n}' for n in range(1, len(keys) + 1))})"
        arguments += last
    of_used = ", ".join(f"coalesce(u.{name}, 0) AS used_{name}" for name in sums)
    of_made = ", ".join(f"coalesce(m.{name}, 0) AS made_{name}" for name in sums)
    differ = " OR ".join(f"coalesce(u.{name}, 0) <> coalesce(m.{name}, 0)" for name in sums)
    rows = await conn.fetch(
        f"WITH u AS (SELECT * FROM {tables[0]} WHERE {within}), m AS (SELECT * FROM {tables[1]} WHERE {within}),"
        f" compared AS (SELECT {key}, {of_used}, {of_made}, ({differ}) AS differs FROM u FULL JOIN m USING ({key}))"
        f" SELECT *, count(*) OVER () AS rows, count(*) FILTER (WHERE differs) OVER () AS differing FROM compared"
        f" ORDER BY differs DESC, {key} LIMIT {DIFFERENCES_MAX}",
        *arguments,
    )
    sample = [_difference(projection, row) for row in rows if row["differs"]]
    return Piece(rows[0]["rows"] if rows else 0, rows[0]["differing"] if rows else 0, sample, last)


def _difference(projection: Projection, row: Any) -> Difference:
    return Difference(
        key={name: str(row[name]) for name in projection.keys},
        used={name: row[f"used_{name}"] for name in projection.sums},
        rebuilt={name: row[f"made_{name}"] for name in projection.sums},
    )


async def swap(conn: Connection, projection: Projection) -> None:
    """Put the new table in the place of the one in use; both are as far, and the subscription is held there."""
    table, shadow = projection.table, shadow_of(projection)
    await conn.execute(f"DROP TABLE {table}; ALTER TABLE {shadow} RENAME TO {table}; COMMENT ON TABLE {table} IS NULL")
    await conn.execute(f"ALTER INDEX {shadow}_pkey RENAME TO {table}_pkey")


async def drop(conn: Connection, projection: Projection) -> None:
    """Put the new table away."""
    await conn.execute(f"DROP TABLE IF EXISTS {shadow_of(projection)}")
