"""Begin a round of the audit: a command for each check, so that each is a piece of work by itself."""

from collections.abc import Sequence

from msgspec import Struct

from domain.invariants import INVARIANTS
from domain.journal.declare import Batch, batch
from domain.journal.model import BatchOutcome, Succeeded
from domain.operation.audit_sql import forget_checks, goes_on
from domain.operation.auditing import AuditCheck, SweepAudit


class AuditBegun(Struct, frozen=True):
    """How many checks will be run: none while an earlier round goes on."""

    checks: int


@batch(SweepAudit, commands_max=10)
async def sweep_audit(batch: Batch[SweepAudit]) -> Sequence[BatchOutcome]:
    """Begin one round for the whole batch; every command gets the batch's result."""
    if await goes_on(batch.conn):
        return [Succeeded(AuditBegun(0))] * len(batch.commands)
    await forget_checks(batch.conn, INVARIANTS)
    for name in INVARIANTS:
        batch.follow_up(AuditCheck(name), batch.commands[0].correlation)
    return [Succeeded(AuditBegun(len(INVARIANTS)))] * len(batch.commands)
