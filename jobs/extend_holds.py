"""Hold units for longer: lock the holds, decide, write when they expire from now on."""

from collections.abc import Sequence

from domain.inventory import hold_sql
from domain.inventory.ending import decide_extensions
from domain.inventory.hold_model import ExtendHold
from domain.journal.declare import Batch, batch
from domain.journal.model import BatchOutcome
from domain.journal.sql import insert_events


@batch(ExtendHold)
async def extend_holds(batch: Batch[ExtendHold]) -> Sequence[BatchOutcome]:
    """Extend a batch of holds; outcomes in the order of the commands."""
    holds = await hold_sql.lock_holds(batch.conn, (claimed.command.reservation_id for claimed in batch.commands))
    plan = decide_extensions(batch.commands, holds, batch.limits)
    await hold_sql.extend_holds(batch.conn, plan.extended)
    await insert_events(batch.conn, plan.events)
    return plan.outcomes
