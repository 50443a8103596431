"""Give back what was paid for orders: lock them, decide, write, give money and stock back."""

from collections.abc import Sequence

from domain.journal.declare import Batch, batch
from domain.journal.model import BatchOutcome
from domain.orders.sql import load_placings
from domain.payments import refunding
from domain.payments.refund_model import RefundOrder
from domain.payments.sql import load_accounts
from jobs.settling import write_plan


@batch(RefundOrder)
async def refund_orders(batch: Batch[RefundOrder]) -> Sequence[BatchOutcome]:
    """Refund a batch; outcomes in the order of the commands."""
    conn = batch.conn
    ids = sorted({claimed.command.order_id for claimed in batch.commands})
    # The placement's outcome first, then the order: an outcome seen here has its order visible below.
    placings = await load_placings(conn, ids)
    accounts = await load_accounts(conn, ids)
    outcomes, plan = refunding.decide(batch.commands, accounts, placings)
    await write_plan(batch, plan, accounts)
    return outcomes
