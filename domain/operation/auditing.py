"""The audit as commands: one check after the other, in pieces, each of which takes seconds.

Invariant: a check that doesn't come to its end in time says so (``finished``) and is never told as passed.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, ClassVar
from uuid import UUID

from msgspec import Meta, Struct

from domain.invariants import FIRST_ID, SAMPLE_MAX, Piece
from domain.journal.model import Command, Lane

Name = Annotated[str, Meta(min_length=1, max_length=100)]
Number = Annotated[int, Meta(ge=0, le=2**53)]


class SweepAudit(Command, frozen=True):
    """Have every check of the audit run, unless the last round is still going on."""

    job: ClassVar[str] = "sweep_audit"
    lane: ClassVar[Lane] = Lane.SWEEPS


class AuditCheck(Command, frozen=True):
    """Run a check of the audit from an id on; what its pieces before came to, it carries along."""

    job: ClassVar[str] = "audit_checks"
    lane: ClassVar[Lane] = Lane.SWEEPS

    check: Name
    after: UUID = FIRST_ID
    violations: Number = 0
    sample: tuple[Annotated[str, Meta(max_length=1_000)], ...] = ()
    took_ms: Number = 0


class Looked(Struct, frozen=True):
    """What one try of a check came to: its pieces, and whether the last of them ran out of time."""

    pieces: list[Piece]
    took_ms: int
    finished: bool


class Checked(Struct, frozen=True):
    """How a check stands: a row of ``audit_checks``. Not ``finished``: what is told is of a part."""

    name: str
    at: datetime
    took_ms: int
    finished: bool
    violations: int
    sample: list[str]


def go_on(command: AuditCheck, looked: Looked, now: datetime) -> Checked | AuditCheck:
    """What a try comes to: how the check stands, or the command that goes on with it."""
    violations = command.violations + sum(piece.violations for piece in looked.pieces)
    sample = [*command.sample, *(key for piece in looked.pieces for key in piece.sample)][:SAMPLE_MAX]
    took = command.took_ms + looked.took_ms
    until = looked.pieces[-1].until if looked.pieces else None
    if looked.finished and until is not None:
        return AuditCheck(command.check, until, violations, tuple(key[:1_000] for key in sample), took)
    return Checked(command.check, now, took, looked.finished, violations, sample)


def worst_first(checks: Sequence[Checked]) -> list[Checked]:
    """Those that are violated, the most first."""
    return sorted((each for each in checks if each.violations), key=lambda each: -each.violations)
