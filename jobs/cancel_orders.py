"""Cancel orders that aren't paid, whole or by line: lock the orders, decide, write, give the stock back last."""

from collections.abc import Sequence

from domain.inventory.model import ReservationStatus
from domain.inventory.sql import end_reservations, restock
from domain.journal.declare import Batch, batch
from domain.journal.model import BatchOutcome
from domain.journal.sql import insert_events
from domain.orders import cancellation
from domain.orders.model import CancelOrder, ConfirmOrder
from domain.orders.sql import apply_cancellations, cancel_parked, load_open_orders, load_placings, lock_orders
from domain.pricing.use_sql import return_uses, set_redeemed


@batch(CancelOrder)
async def cancel_orders(batch: Batch[CancelOrder]) -> Sequence[BatchOutcome]:
    """Cancel a batch; outcomes in the order of the commands."""
    conn = batch.conn
    ids = sorted({claimed.command.order_id for claimed in batch.commands})
    # The placement's outcome first, then the order: an outcome seen here has its order visible below.
    placings = await load_placings(conn, ids)
    await lock_orders(conn, ids)
    orders = await load_open_orders(conn, ids)
    plan = cancellation.decide(batch.commands, orders, placings)
    await cancel_parked(conn, plan.unplaced)
    await apply_cancellations(conn, plan)
    await insert_events(conn, plan.events)
    released = await end_reservations(
        conn,
        sorted(plan.reservations),
        ReservationStatus.RELEASED,
        actor=plan.reservations,
        reason="order cancelled",
    )
    await return_uses(conn, plan.freed, [], batch.now)
    await set_redeemed(conn, plan.redeemed)
    await restock(conn, released)
    correlations = {claimed.command.order_id: claimed.correlation for claimed in batch.commands}
    for order_id in plan.free:
        batch.follow_up(ConfirmOrder(order_id), correlations[order_id])
    return plan.outcomes
