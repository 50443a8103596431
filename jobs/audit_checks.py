"""Run checks of the audit, and write down how they stand.

An effect, though all it does is read: a check may take seconds, and inside a batch's transaction it would hold up
whoever reads events. It looks over a connection of its own, in read-only transactions.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.invariants import INVARIANTS, Piece, run_piece
from domain.journal.declare import Attempt, Batch, effect
from domain.journal.model import Answered, BatchOutcome, EffectOutcome, Succeeded
from domain.journal.tally import Tally
from domain.operation.audit_sql import save_checks
from domain.operation.auditing import AuditCheck, Checked, Looked, go_on
from infra import inspection, postgres, telemetry

log = telemetry.logger()
TRY_SECONDS = 5.0
"""After that no further piece is begun; one takes at most as long as a statement may."""


class ViolatedError(Exception):
    """An invariant of the data doesn't hold; the message says which and where."""


class Look(Struct, frozen=True):
    """What a try did: how many pieces it ran, and how many violations it found in them."""

    pieces: int
    violations: int


async def settle(batch: Batch[AuditCheck], answers: Mapping[UUID, Looked]) -> Sequence[BatchOutcome]:
    """Go on with checks that aren't through, write the others down, raise an alarm for what is violated."""
    ended: dict[str, Checked] = {}
    for claimed in batch.commands:
        match go_on(claimed.command, answers[claimed.id], batch.now):
            case AuditCheck() as further:
                batch.follow_up(further, claimed.correlation)
            case checked:
                ended[checked.name] = checked
    await save_checks(batch.conn, [(each, msgspec.json.encode(each.sample).decode()) for each in ended.values()])
    for each in ended.values():
        _tell(batch, each)
    looks = [answers[claimed.id].pieces for claimed in batch.commands]
    return [Succeeded(Look(len(pieces), sum(piece.violations for piece in pieces))) for pieces in looks]


def _tell(batch: Batch[AuditCheck], checked: Checked) -> None:
    if checked.violations:
        figures = {"check": checked.name, "violations": checked.violations, "sample": checked.sample}
        log.error("audit_violated", **figures)
        batch.tally(Tally.ALARMS, "audit_violated")
        telemetry.report(ViolatedError(f"audit_violated: {figures}"), job=AuditCheck.job)
    if not checked.finished:
        log.warning("audit_unfinished", check=checked.name, took_ms=checked.took_ms)


@effect(AuditCheck, settle=settle, lease_seconds=60.0, attempts_max=5, concurrency=1)
async def audit_checks(attempt: Attempt[AuditCheck]) -> EffectOutcome:
    """Run a check for a few seconds. One that there isn't any more is done with."""
    command = attempt.command
    if command.check not in INVARIANTS:
        return Succeeded()

    async def look(conn: Any) -> Looked:
        pieces: list[Piece] = []
        started, after, finished = time.monotonic(), command.after, True
        while True:
            try:
                pieces.append(await run_piece(conn, command.check, after))
            except Exception as error:
                if not postgres.ran_out_of_time(error):
                    raise
                finished = False
                break
            until = pieces[-1].until
            if until is None or time.monotonic() - started >= TRY_SECONDS:
                break
            after = until
        return Looked(pieces, round((time.monotonic() - started) * 1000), finished)

    return Answered(await inspection.look(attempt.idempotency_key("look"), look))
