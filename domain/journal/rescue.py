"""Rescue: what a dead process had in hand runs alone from now on.

Invariant: a command that kills its process is tried a bounded number of times, alone from the second on, and
then parked. It never takes its neighbours with it for long.
"""

from uuid import UUID

from domain.connection import Connection
from domain.journal import sql


async def mark_dead_runs(conn: Connection, *, silence_seconds: float) -> list[UUID]:
    """Mark the commands of dead runs solo, an attempt counted; return their ids. Run it in a transaction.

    A run is dead when its transaction ended without a commit and its worker hasn't beaten for
    ``silence_seconds``.
    """
    rows = await conn.fetch(sql.TAKE_DEAD_RUNS, silence_seconds)
    ids: list[UUID] = sorted({identifier for row in rows if row["aborted"] for identifier in row["ids"]})
    if ids:
        await conn.execute(sql.MARK_SOLO, ids, 1)
    return ids


async def forget_silent_workers(conn: Connection, *, seconds: float) -> None:
    """Drop the rows of workers that haven't beaten for so long."""
    await conn.execute(sql.PRUNE_WORKERS, seconds)
