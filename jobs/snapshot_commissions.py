"""Work out the commission of confirmed orders: lock them, decide on their last price, write one snapshot a line."""

from collections.abc import Sequence
from uuid import UUID

from domain.journal.declare import Batch, batch
from domain.journal.model import BatchOutcome
from domain.journal.sql import insert_events
from domain.orders import snapshots
from domain.orders.commission_sql import (
    FrozenLine,
    insert_snapshots,
    load_frozen_lines,
    load_rules_at,
    load_snapshotted,
)
from domain.orders.sql import load_open_orders, lock_orders, set_versions
from domain.pricing.snapshot import SnapshotCommissions


@batch(SnapshotCommissions)
async def snapshot_commissions(batch: Batch[SnapshotCommissions]) -> Sequence[BatchOutcome]:
    """Snapshot a batch; outcomes in the order of the commands."""
    conn = batch.conn
    ids = sorted({claimed.command.order_id for claimed in batch.commands})
    await lock_orders(conn, ids)
    orders = await load_open_orders(conn, ids)
    done = await load_snapshotted(conn, ids)
    lines: dict[UUID, list[FrozenLine]] = {order: [] for order in orders}
    for line in await load_frozen_lines(conn, list(orders)):
        lines[line.order_id].append(line)
    rules = await load_rules_at(conn, (line for found in lines.values() for line in found))
    plan = snapshots.decide(batch.commands, orders, lines, rules, done)
    await insert_snapshots(conn, plan.snapshots)
    await set_versions(conn, plan.versions)
    await insert_events(conn, plan.events)
    return plan.outcomes
