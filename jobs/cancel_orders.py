"""Cancel orders, whole or by line: lock the orders, decide, write, give money and stock back."""

from collections.abc import Sequence

from domain.journal.declare import Batch, batch
from domain.journal.model import BatchOutcome
from domain.orders import cancellation
from domain.orders.model import CancelOrder, ConfirmOrder
from domain.orders.sql import cancel_parked, load_placings
from domain.payments.settlement import SettlementPlan
from domain.payments.sql import load_accounts
from jobs.settling import write_plan


@batch(CancelOrder)
async def cancel_orders(batch: Batch[CancelOrder]) -> Sequence[BatchOutcome]:
    """Cancel a batch; outcomes in the order of the commands."""
    conn = batch.conn
    ids = sorted({claimed.command.order_id for claimed in batch.commands})
    # The placement's outcome first, then the order: an outcome seen here has its order visible below.
    placings = await load_placings(conn, ids)
    accounts = await load_accounts(conn, ids)
    orders = {order_id: account.order for order_id, account in accounts.items()}
    plan = SettlementPlan(cancelled=cancellation.decide(batch.commands, orders, placings))
    plan.orders.update({order_id: orders[order_id] for order_id in plan.cancelled.versions})
    await cancel_parked(conn, plan.cancelled.unplaced)
    await write_plan(batch, plan, accounts)
    correlations = {claimed.command.order_id: claimed.correlation for claimed in batch.commands}
    for order_id in plan.cancelled.free:
        batch.follow_up(ConfirmOrder(order_id), correlations[order_id])
    return plan.cancelled.outcomes
