"""Rescue: what a dead worker had in hand runs alone from now on, an attempt counted.

Workers do the same when they boot, before their first claim; this sweep finds what dies while others live on.
"""

from collections.abc import Sequence

from msgspec import Struct

from domain.journal.declare import Batch, batch
from domain.journal.model import BatchOutcome, Succeeded
from domain.journal.rescue import forget_silent_workers, mark_dead_runs
from domain.journal.sweeps import RescueRuns

WORKER_DAYS = 1


class Rescued(Struct, frozen=True):
    """How many commands were marked to run alone."""

    commands: int


@batch(RescueRuns)
async def rescue_runs(batch: Batch[RescueRuns]) -> Sequence[BatchOutcome]:
    """Mark once for the whole batch; every command gets the batch's result."""
    ids = await mark_dead_runs(batch.conn, silence_seconds=batch.limits.worker_silence_seconds)
    await forget_silent_workers(batch.conn, seconds=WORKER_DAYS * 86_400.0)
    return [Succeeded(Rescued(len(ids)))] * len(batch.commands)
