"""Keep the journal small: old idempotency keys go in small steps, whole days of the journal by dropping them.

A day is dropped only when nothing of it is still queued or parked.
"""

from collections.abc import Sequence
from datetime import timedelta

from msgspec import Struct

from domain.journal import sql
from domain.journal.declare import Batch, batch
from domain.journal.model import BatchOutcome, Succeeded
from domain.journal.partitions import drop_partitions, ensure_partitions
from domain.journal.sweeps import PruneJournal

STEP_KEYS = 5_000


class Pruned(Struct, frozen=True):
    """What a step removed: idempotency keys and whole days of a table; whether there are more keys to remove."""

    keys: int
    partitions: int
    more: bool


@batch(PruneJournal, commands_max=10)
async def prune_journal(batch: Batch[PruneJournal]) -> Sequence[BatchOutcome]:
    """Take one step for the whole batch; every command gets the batch's result."""
    conn = batch.conn
    done = await conn.execute(sql.PRUNE_KEYS, batch.limits.idempotency_hours, STEP_KEYS)
    keys = int(done.rsplit(" ", 1)[1])
    await ensure_partitions(conn, batch.now)
    partitions = await drop_partitions(conn, batch.now - timedelta(days=batch.limits.journal_days))
    more = keys == STEP_KEYS
    if more:
        batch.follow_up(PruneJournal(), batch.commands[0].correlation)
    return [Succeeded(Pruned(keys, partitions, more))] * len(batch.commands)
