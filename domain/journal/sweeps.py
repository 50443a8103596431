"""Commands that keep the journal itself in order."""

from typing import ClassVar

from domain.journal.model import Command, Lane


class RescueRuns(Command, frozen=True):
    """Have what dead workers left in hand run alone, and forget silent workers."""

    job: ClassVar[str] = "rescue_runs"
    lane: ClassVar[Lane] = Lane.SWEEPS


class PruneJournal(Command, frozen=True):
    """Drop old idempotency keys in small steps, make the partitions to come and drop those that are over."""

    job: ClassVar[str] = "prune_journal"
    lane: ClassVar[Lane] = Lane.SWEEPS


class PruneExpired(Command, frozen=True):
    """Drop, in small steps, what expires: sessions, tokens, revocations, notes of what changed."""

    job: ClassVar[str] = "prune_expired"
    lane: ClassVar[Lane] = Lane.SWEEPS
