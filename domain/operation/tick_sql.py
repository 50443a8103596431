"""The last tick of each sweep: what shows that a scheduler lives, and what the sweeps came to."""

from uuid import UUID

from msgspec import Struct

from domain.commands import SWEEPS
from domain.connection import Connection
from domain.journal.reads import load_ended

# By the scheduler that wrote it: others found the slot taken.
NOTE_TICK = """
INSERT INTO sweep_ticks (job, slot, period_seconds, command_id) VALUES ($1, $2, $3, $4)
ON CONFLICT (job) DO UPDATE SET slot = excluded.slot, period_seconds = excluded.period_seconds,
    command_id = excluded.command_id, at = now()
"""
LOAD_TICKS = """
SELECT job, period_seconds, command_id, extract(epoch FROM now() - at)::float8 AS age_seconds FROM sweep_ticks
WHERE job = ANY ($1::text[]) ORDER BY job
"""
LATE_PERIODS = 2
LATE_SECONDS = 30.0


class Tick(Struct, frozen=True):
    """The last tick of a sweep: how long ago, how often it is due, and how its command ended, if it has."""

    job: str
    age_seconds: float
    period_seconds: float
    status: str | None = None

    @property
    def is_late(self) -> bool:
        """Whether the next one should have come long ago."""
        return self.age_seconds > LATE_PERIODS * self.period_seconds + LATE_SECONDS


async def note_tick(conn: Connection, job: str, slot: int, period: float, command_id: UUID) -> None:
    """Note that a tick was written."""
    await conn.execute(NOTE_TICK, job, slot, period, command_id)


async def load_ticks(conn: Connection, *, ended: bool = False) -> list[Tick]:
    """Read the last tick of each sweep that had one; with how it ended, if that is asked for."""
    rows = await conn.fetch(LOAD_TICKS, list(SWEEPS))
    ids: list[UUID] = [row["command_id"] for row in rows]
    known = await load_ended(conn, ids) if ended and ids else {}
    return [
        Tick(
            row["job"],
            row["age_seconds"],
            row["period_seconds"],
            known[row["command_id"]].status.value if row["command_id"] in known else None,
        )
        for row in rows
    ]
