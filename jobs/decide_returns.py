"""Write down what sellers say to returns: lock the orders, decide, write."""

from collections.abc import Sequence

from domain.journal.declare import Batch, batch
from domain.journal.model import BatchOutcome
from domain.journal.sql import insert_events
from domain.orders import returning
from domain.orders.return_model import DecideReturn
from domain.orders.return_sql import decide_returns as write_decided
from domain.orders.return_sql import load_sent_back
from domain.orders.sql import load_open_orders, lock_orders, set_versions


@batch(DecideReturn)
async def decide_returns(batch: Batch[DecideReturn]) -> Sequence[BatchOutcome]:
    """Carry out a batch; outcomes in the order of the commands."""
    conn = batch.conn
    ids = returning.orders_of(batch.commands)
    await lock_orders(conn, ids)
    orders = await load_sent_back(conn, await load_open_orders(conn, ids))
    plan = returning.decide(batch.commands, orders)
    await write_decided(conn, plan.decided, batch.now)
    await set_versions(conn, plan.versions)
    await insert_events(conn, plan.events)
    return plan.outcomes
