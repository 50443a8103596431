"""Take in what came back: lock the orders, decide, write, give money and stock back."""

from collections.abc import Sequence

from domain.journal.declare import Batch, batch
from domain.journal.model import BatchOutcome
from domain.orders.return_model import ReceiveReturn
from domain.orders.return_sql import load_sent_back
from domain.orders.return_sql import receive_returns as write_received
from domain.payments import receiving
from domain.payments.sql import load_accounts
from jobs.settling import write_plan


@batch(ReceiveReturn)
async def receive_returns(batch: Batch[ReceiveReturn]) -> Sequence[BatchOutcome]:
    """Carry out a batch; outcomes in the order of the commands."""
    conn = batch.conn
    accounts = await load_accounts(conn, {claimed.command.order_id for claimed in batch.commands})
    orders = await load_sent_back(conn, {order_id: account.order for order_id, account in accounts.items()})
    made = receiving.decide(batch.commands, accounts, orders)
    await write_received(conn, made.received, batch.now)
    await write_plan(batch, made.plan, accounts)
    return made.outcomes
