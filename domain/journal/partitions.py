"""The journal's daily partitions: made ahead, told how far they reach, dropped when their day is over.

Invariant: there is no default partition. A day nobody made refuses its rows, and clients hear 503; so partitions
are made two weeks ahead, and health tells when fewer than three days are left (docs/decisions/0007).
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from domain.connection import Connection

JOURNAL_TABLES = ("commands", "outcomes")
LEAD_DAYS = 14
LEAD_DAYS_LOW = 3


def partition_name(table: str, day: datetime) -> str:
    """Name the partition of a journal table that holds a day (UTC): ``commands_20260131``."""
    return f"{table}_{day:%Y%m%d}"


def _first_id(day: datetime) -> UUID:
    return UUID(int=int(day.timestamp() * 1000) << 80)


def _days(now: datetime, offsets: Sequence[int]) -> list[datetime]:
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return [today + timedelta(days=offset) for offset in offsets]


async def _missing(conn: Connection, names: Sequence[str]) -> set[str]:
    rows = await conn.fetch("SELECT name FROM unnest($1::text[]) AS t (name) WHERE to_regclass(name) IS NULL", names)
    return {row["name"] for row in rows}


async def partition_days_left(conn: Connection, now: datetime) -> int:
    """Count the days from now on, today among them, that every journal table has a partition for."""
    days = _days(now, range(LEAD_DAYS + 1))
    names = [partition_name(table, day) for day in days for table in JOURNAL_TABLES]
    missing = await _missing(conn, names)
    for left, day in enumerate(days):
        if missing.intersection(partition_name(table, day) for table in JOURNAL_TABLES):
            return left
    return len(days)


async def ensure_partitions(conn: Connection, now: datetime, *, days: int = LEAD_DAYS) -> int:
    """Make the journal's daily partitions from yesterday until ``days`` ahead; return how many were new.

    A partition is made on its own and then attached: attaching doesn't stop readers and writers.
    """
    wanted = [(table, day) for table in JOURNAL_TABLES for day in _days(now, range(-1, days + 1))]
    missing = await _missing(conn, [partition_name(table, day) for table, day in wanted])
    new = [(table, day) for table, day in wanted if partition_name(table, day) in missing]
    for table, day in new:
        name = partition_name(table, day)
        await conn.execute(
            f"CREATE TABLE {name} (LIKE {table} INCLUDING ALL);"
            f"ALTER TABLE {table} ATTACH PARTITION {name}"
            f" FOR VALUES FROM ('{_first_id(day)}') TO ('{_first_id(day + timedelta(days=1))}');"
        )
    return len(new)


async def drop_partitions(conn: Connection, before: datetime) -> int:
    """Drop the oldest day of each journal table if it ended before a time and nothing of it is unfinished.

    One day a call: dropping waits for everyone who reads the table, and must not hold them up for long.
    Returns how many partitions were dropped.
    """
    rows = await conn.fetch(
        "SELECT p.relname AS parent, min(c.relname) AS child FROM pg_inherits i"
        " JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent"
        " WHERE p.relname = ANY ($1) AND c.relkind = 'r' GROUP BY p.relname",
        list(JOURNAL_TABLES),
    )
    dropped = 0
    for row in rows:
        day = datetime.strptime(row["child"].rsplit("_", 1)[1], "%Y%m%d").replace(tzinfo=UTC)
        end = day + timedelta(days=1)
        if end > before:
            continue
        unfinished = await conn.fetchval(
            "SELECT EXISTS (SELECT FROM pending WHERE id < $1) OR EXISTS (SELECT FROM parked WHERE id < $1)",
            _first_id(end),
        )
        if not unfinished:
            await conn.execute(
                f"ALTER TABLE {row['parent']} DETACH PARTITION {row['child']}; DROP TABLE {row['child']}"
            )
            dropped += 1
    return dropped
