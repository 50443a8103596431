"""Lanes as operators see them, and what changed a moment ago, as every api process sees it."""

from datetime import datetime

from msgspec import Struct

from domain.commands import jobs_by_lane
from domain.connection import Connection
from domain.journal import reads
from domain.journal.model import Lane

# One snapshot: everything below its horizon has ended. What isn't was perhaps not seen by the look before.
LOOK = """
SELECT 'horizon' AS kind, NULL::uuid AS thing, pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS number
UNION ALL SELECT 'revoked', subject, epoch FROM revocations WHERE xid >= $1::text::xid8
UNION ALL SELECT 'changed', thing, xid::text::bigint FROM catalog_changes WHERE xid >= $1::text::xid8
"""


class JobFigures(Struct, frozen=True):
    """A job's queue: commands waiting (counted up to 100,001), age of the oldest in seconds, parked ones."""

    job: str
    depth: int
    oldest_seconds: float | None
    parked: int


class LaneView(Struct, frozen=True):
    """A lane: whether it is paused, its jobs' queues, how many live workers serve it."""

    lane: Lane
    paused: bool
    paused_at: datetime | None
    workers: int
    jobs: list[JobFigures]


class LaneList(Struct, frozen=True):
    """All lanes."""

    items: list[LaneView]


DEPTH_COUNTED_MAX = 100_001


async def load_lanes(conn: Connection) -> list[LaneView]:
    """Read all lanes."""
    lanes = jobs_by_lane()
    names = [name for jobs in lanes.values() for name in jobs]
    figures = {row["job"]: row for row in await conn.fetch(reads.LANE_FIGURES, names, DEPTH_COUNTED_MAX)}
    paused = {row["lane"]: row["paused_at"] for row in await conn.fetch(reads.PAUSED_LANES)}
    workers = await conn.fetch(reads.LIVE_WORKERS)
    return [
        LaneView(
            lane=lane,
            paused=lane.value in paused,
            paused_at=paused.get(lane.value),
            workers=sum(lane.value in worker["lanes"] for worker in workers),
            jobs=[
                JobFigures(
                    job=name,
                    depth=figures[name]["depth"],
                    oldest_seconds=figures[name]["oldest_seconds"],
                    parked=figures[name]["parked"],
                )
                for name in jobs
            ],
        )
        for lane, jobs in lanes.items()
    ]
