"""Change stock by hand: lock the rows, decide, write figures, movements and events.

The rows are locked first: a count is meant for the figures as they are. Nobody waits long for that: one change is a few
rows, and a list of ten thousand is written by three statements.
"""

from collections.abc import Sequence

from domain.inventory import stocktaking
from domain.inventory.stock_model import ImportStock, SetStock, key_of
from domain.inventory.stock_sql import lock_figures, write_stock
from domain.inventory.stocktaking import StockPlan
from domain.journal.declare import Batch, batch
from domain.journal.model import BatchOutcome
from infra import telemetry

log = telemetry.logger()


@batch(SetStock)
async def set_stock(batch: Batch[SetStock]) -> Sequence[BatchOutcome]:
    """Change the stock of some offers; outcomes in the order of the commands."""
    keys = [key_of(c.command.variant_id, c.command.seller_id) for c in batch.commands]
    plan = stocktaking.decide(batch.commands, await lock_figures(batch.conn, keys))
    await write_stock(batch.conn, plan)
    _alert(plan)
    return plan.outcomes


@batch(ImportStock, commands_max=10)
async def import_stock(batch: Batch[ImportStock]) -> Sequence[BatchOutcome]:
    """Change the stock of many offers; outcomes in the order of the commands."""
    lists = [claimed.command for claimed in batch.commands]
    keys = [key_of(row.variant_id, each.seller_id) for each in lists for row in each.changes.items]
    plan = stocktaking.decide_imports(batch.commands, await lock_figures(batch.conn, keys))
    await write_stock(batch.conn, plan)
    _alert(plan)
    return plan.outcomes


def _alert(plan: StockPlan) -> None:
    """Have an operator see what was forced: somebody has to decide about orders for units that nobody has."""
    for key, shortfall in plan.forced[:100]:
        log.warning("stock_forced", variant_id=str(key.variant_id), seller_id=str(key.seller_id), shortfall=shortfall)
