"""End holds that belong to no order: lock them, decide, release or confirm them, give the stock back last."""

from collections.abc import Sequence

from domain.inventory.ending import decide_ends
from domain.inventory.hold_model import EndHold
from domain.inventory.hold_sql import lock_holds
from domain.inventory.model import ReservationStatus
from domain.inventory.sale_sql import together
from domain.inventory.sql import Ended, end_reservations, restock
from domain.journal.declare import Batch, batch
from domain.journal.model import BatchOutcome


@batch(EndHold)
async def end_holds(batch: Batch[EndHold]) -> Sequence[BatchOutcome]:
    """End a batch of holds; outcomes in the order of the commands."""
    holds = await lock_holds(batch.conn, (claimed.command.reservation_id for claimed in batch.commands))
    plan = decide_ends(batch.commands, holds)
    actors = {held: who for held, (who, _) in plan.by.items()}
    correlations = {held: correlation for held, (_, correlation) in plan.by.items()}

    async def end(status: ReservationStatus) -> Ended:
        ids = sorted(plan.ending[status])
        return await end_reservations(
            batch.conn, ids, status, actor=actors, reason="by request", correlations=correlations
        )

    released, confirmed = await end(ReservationStatus.RELEASED), await end(ReservationStatus.CONFIRMED)
    await restock(batch.conn, together(released, confirmed))
    return plan.outcomes
