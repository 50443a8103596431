"""End holds that belong to no order: lock them, decide, release or confirm them, give the stock back last."""

from collections.abc import Sequence

from domain.inventory.ending import decide_ends
from domain.inventory.hold_model import EndHold
from domain.inventory.hold_sql import lock_holds
from domain.inventory.sql import Ended, end_reservations, restock
from domain.journal.declare import Batch, batch
from domain.journal.model import BatchOutcome


@batch(EndHold)
async def end_holds(batch: Batch[EndHold]) -> Sequence[BatchOutcome]:
    """End a batch of holds; outcomes in the order of the commands."""
    conn = batch.conn
    holds = await lock_holds(conn, (claimed.command.reservation_id for claimed in batch.commands))
    plan = decide_ends(batch.commands, holds)
    all_ended = Ended([], {})
    for status, ids in plan.ending.items():
        ended = await end_reservations(
            conn,
            sorted(ids),
            status,
            actor={held: who for held, (who, _) in plan.by.items()},
            reason="by request",
            correlations={held: correlation for held, (_, correlation) in plan.by.items()},
        )
        all_ended = all_ended.with_others(ended)
    await restock(conn, all_ended)
    return plan.outcomes
