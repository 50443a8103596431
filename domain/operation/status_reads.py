"""How everything stands, for an operator: read with a few short statements, however much waits or has failed."""

from datetime import datetime

from msgspec import Struct

from domain.connection import Connection
from domain.journal.event_reads import SubscriptionFigures, load_subscriptions
from domain.journal.partitions import partition_days_left
from domain.operation.audit_sql import load_checks
from domain.operation.auditing import Checked
from domain.operation.reads import LaneView, load_lanes
from domain.operation.tick_sql import Tick, load_ticks

# What differs from one failure to the next of the same kind is left out: ids, numbers, what stands in quotes.
FAILURES = """
SELECT job, reason, count(*) AS commands, extract(epoch FROM now() - max(parked_at))::float8 AS age_seconds
FROM (
    SELECT job, parked_at, left(regexp_replace(regexp_replace(split_part(error, E'\n', 1),
        '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', '…', 'g'), '"[^"]*"|\\d+', '…', 'g'), 80) AS reason
    FROM parked ORDER BY id DESC LIMIT $1
) AS newest
GROUP BY job, reason ORDER BY commands DESC, job, reason LIMIT $2
"""
FAILURES_COUNTED_MAX = 10_000
REASONS_MAX = 9

WORKERS = """
SELECT name, lanes, version, extract(epoch FROM now() - started_at)::float8 AS age_seconds,
       extract(epoch FROM now() - heartbeat_at)::float8 AS silent_seconds
FROM workers WHERE heartbeat_at > now() - make_interval(secs => $1) ORDER BY started_at
"""
SILENT_TOLD_SECONDS = 600.0
"""Workers are told for so long after their last heartbeat."""

SERVER = """
SELECT current_setting('server_version') AS version, count(*) AS connections,
       current_setting('max_connections')::int AS connections_max,
       coalesce(max(extract(epoch FROM now() - xact_start)) FILTER (WHERE backend_type = 'client backend'), 0)::float8
           AS transaction_seconds
FROM pg_stat_activity
"""


class FailureReason(Struct, frozen=True):
    """Commands that could not be run, of one job and for one reason, and how long ago the last of them was."""

    job: str
    reason: str
    commands: int
    age_seconds: float


class WorkerState(Struct, frozen=True):
    """A worker process: its lanes, its version, how old it is, how long ago it gave a sign of life."""

    name: str
    lanes: list[str]
    version: str
    age_seconds: float
    silent_seconds: float


class ServerState(Struct, frozen=True):
    """PostgreSQL: its version, connections in use and allowed, the age of the oldest open transaction."""

    version: str
    connections: int
    connections_max: int
    transaction_seconds: float


class Standing(Struct, frozen=True):
    """How everything that PostgreSQL knows of stands."""

    server: ServerState
    partition_days: int
    lanes: list[LaneView]
    workers: list[WorkerState]
    failures: list[FailureReason]
    subscriptions: list[SubscriptionFigures]
    sweeps: list[Tick]
    checks: list[Checked]


async def load_standing(conn: Connection, now: datetime) -> Standing:
    """Read all of it."""
    server = await conn.fetchrow(SERVER)
    return Standing(
        server=ServerState(**dict(server or {})),
        partition_days=await partition_days_left(conn, now),
        lanes=await load_lanes(conn),
        workers=[WorkerState(**dict(row)) for row in await conn.fetch(WORKERS, SILENT_TOLD_SECONDS)],
        failures=[FailureReason(**dict(row)) for row in await conn.fetch(FAILURES, FAILURES_COUNTED_MAX, REASONS_MAX)],
        subscriptions=await load_subscriptions(conn),
        sweeps=await load_ticks(conn, ended=True),
        checks=await load_checks(conn),
    )
