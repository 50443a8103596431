"""Jobs as clients and operators see them: read from the journal, never from Redis."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.connection import Connection
from domain.journal.model import Status
from domain.rejections import Rejection

# Bounds on ids keep partitions that can't matter out of the plan.
LOAD_JOBS = """
SELECT c.id, c.job, c.principal, c.created_at,
       CASE WHEN o.id IS NOT NULL THEN o.status
            WHEN k.id IS NOT NULL THEN 'failed'
            WHEN q.lease IS NOT NULL AND q.run_at > now() THEN 'running'
            WHEN EXISTS (
                SELECT FROM runs r WHERE r.job = c.job AND c.id = ANY (r.ids)
                  AND pg_xact_status(r.xid) = 'in progress') THEN 'running'
            ELSE 'queued' END AS status,
       coalesce(o.attempts, k.attempts, q.attempts, 0) AS attempts,
       coalesce(o.finished_at, k.parked_at) AS finished_at, o.result, o.problem,
       coalesce(k.error, q.error) AS error
FROM unnest($1::uuid[]) AS t (id)
JOIN commands c ON c.id = t.id AND c.id BETWEEN $2 AND $3
LEFT JOIN outcomes o ON o.id = t.id AND o.id BETWEEN $2 AND $3
LEFT JOIN parked k ON k.id = t.id
LEFT JOIN pending q ON q.id = t.id
"""

LOAD_ENDED = """
SELECT o.id, o.status, o.attempts, o.finished_at, o.result, o.problem, NULL AS error
FROM unnest($1::uuid[]) AS t (id) JOIN outcomes o ON o.id = t.id AND o.id BETWEEN $2 AND $3
UNION ALL
SELECT k.id, 'failed', k.attempts, k.parked_at, NULL, NULL, k.error
FROM parked k WHERE k.id = ANY ($1)
"""

LIST_JOBS_OF = """
SELECT id FROM commands WHERE principal = $1 AND id < $2 AND id >= $3 ORDER BY id DESC LIMIT $4
"""
LIST_JOBS = "SELECT id FROM commands WHERE id < $1 AND id >= $2 ORDER BY id DESC LIMIT $3"
LIST_PARKED = "SELECT id FROM parked WHERE id < $1 ORDER BY id DESC LIMIT $2"

# SKIP LOCKED: a command that is running at this moment can't be cancelled, and nobody waits to learn that.
CANCEL_QUEUED = """
WITH gone AS (
    DELETE FROM pending WHERE id = (
        SELECT id FROM pending WHERE id = $1 AND lease IS NULL FOR UPDATE SKIP LOCKED
    ) RETURNING id, attempts
), unparked AS (
    DELETE FROM parked WHERE id = $1 RETURNING id, attempts
)
INSERT INTO outcomes (id, status, attempts)
SELECT id, 'cancelled', attempts FROM gone UNION ALL SELECT id, 'cancelled', attempts FROM unparked
RETURNING id
"""

LANE_FIGURES = """
SELECT j AS job, q.depth, q.oldest_seconds, k.parked
FROM unnest($1::text[]) AS j
CROSS JOIN LATERAL (
    SELECT count(*) AS depth FROM (SELECT FROM pending WHERE job = j LIMIT $2) AS limited
) AS d (depth)
CROSS JOIN LATERAL (
    SELECT d.depth, extract(epoch FROM now() - (SELECT min(run_at) FROM pending WHERE job = j))::float8
) AS q (depth, oldest_seconds)
CROSS JOIN LATERAL (SELECT count(*) FROM parked WHERE job = j) AS k (parked)
"""

PAUSE_LANE = "INSERT INTO paused_lanes (lane, paused_by) VALUES ($1, $2) ON CONFLICT DO NOTHING"
RESUME_LANE = "DELETE FROM paused_lanes WHERE lane = $1"
PAUSED_LANES = "SELECT lane, paused_at FROM paused_lanes"
LIVE_WORKERS = """
SELECT id, name, lanes, started_at, heartbeat_at FROM workers
WHERE heartbeat_at > now() - interval '5 seconds' ORDER BY started_at
"""


class JobState(Struct, frozen=True):
    """A command and what became of it. ``result`` is raw JSON; ``error`` tells why it is parked, or why it waits."""

    id: UUID
    job: str
    principal: UUID
    status: Status
    attempts: int
    created_at: datetime
    finished_at: datetime | None
    result: str | None
    problem: Rejection | None
    error: str | None


def _problem(text: str | None) -> Rejection | None:
    return None if text is None else msgspec.json.decode(text, type=Rejection)


async def load_jobs(conn: Connection, ids: Sequence[UUID]) -> dict[UUID, JobState]:
    """Read jobs by id; unknown ones are missing."""
    if not ids:
        return {}
    rows: Sequence[Any] = await conn.fetch(LOAD_JOBS, ids, min(ids), max(ids))
    return {
        row["id"]: JobState(
            id=row["id"],
            job=row["job"],
            principal=row["principal"],
            status=Status(row["status"]),
            attempts=row["attempts"],
            created_at=row["created_at"],
            finished_at=row["finished_at"],
            result=row["result"],
            problem=_problem(row["problem"]),
            error=row["error"],
        )
        for row in rows
    }


class Ended(Struct, frozen=True):
    """How a command ended; see :class:`JobState`."""

    status: Status
    attempts: int
    finished_at: datetime
    result: str | None
    problem: Rejection | None
    error: str | None


async def load_ended(conn: Connection, ids: Sequence[UUID]) -> dict[UUID, Ended]:
    """Of some commands, those that have ended."""
    rows: Sequence[Any] = await conn.fetch(LOAD_ENDED, ids, min(ids), max(ids))
    return {
        row["id"]: Ended(
            Status(row["status"]),
            row["attempts"],
            row["finished_at"],
            row["result"],
            _problem(row["problem"]),
            row["error"],
        )
        for row in rows
    }
