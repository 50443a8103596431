"""Write down what buyers ask to send back: lock the orders, decide, write."""

from collections.abc import Sequence

from domain.journal.declare import Batch, batch
from domain.journal.model import BatchOutcome
from domain.journal.sql import insert_events
from domain.orders import returning
from domain.orders.return_model import RequestReturn
from domain.orders.return_sql import insert_returns, load_sent_back
from domain.orders.sql import load_open_orders, load_placings, lock_orders, set_versions


@batch(RequestReturn)
async def request_returns(batch: Batch[RequestReturn]) -> Sequence[BatchOutcome]:
    """Carry out a batch; outcomes in the order of the commands."""
    conn = batch.conn
    ids = returning.orders_of(batch.commands)
    # The placement's outcome first, then the order: an outcome seen here has its order visible below.
    placings = await load_placings(conn, ids)
    await lock_orders(conn, ids)
    orders = await load_sent_back(conn, await load_open_orders(conn, ids))
    plan = returning.request(batch.commands, orders, placings, batch.now, batch.limits.return_seconds)
    await insert_returns(conn, plan.requested, batch.now)
    await set_versions(conn, plan.versions)
    await insert_events(conn, plan.events)
    return plan.outcomes
