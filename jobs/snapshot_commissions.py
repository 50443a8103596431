"""Work out the commission of confirmed orders: lock them, decide on their last price, write one snapshot a line."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from domain.journal.declare import Batch, batch
from domain.journal.model import BatchOutcome
from domain.journal.sql import insert_events
from domain.orders import snapshots
from domain.orders.cancellation import OpenOrder, Reversal
from domain.orders.commission_sql import (
    FrozenLine,
    insert_snapshots,
    load_frozen_lines,
    load_rules_at,
    load_snapshotted,
)
from domain.orders.sql import load_open_orders, lock_orders, set_versions
from domain.payments.ledger_sql import write_postings
from domain.payments.postings import commission, commission_reversed
from domain.payments.sql import reverse_commission
from domain.pricing.snapshot import Snapshot, SnapshotCommissions


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
    await _post(batch, plan, orders)
    return plan.outcomes


async def _post(
    batch: Batch[SnapshotCommissions], plan: snapshots.SnapshotPlan, orders: Mapping[UUID, OpenOrder]
) -> None:
    """Post the commission of orders, less what goes with units that were given back before it was worked out."""
    made: dict[UUID, list[Snapshot]] = {}
    for snapshot in plan.snapshots:
        made.setdefault(snapshot.order_id, []).append(snapshot)
    reversals = [
        Reversal(s.order_id, s.line_no, s.order_id, orders[s.order_id].credited[s.line_no].parts.base_minor)
        for s in plan.snapshots
        if s.line_no in orders[s.order_id].credited
    ]
    taken_back = await reverse_commission(batch.conn, reversals)
    posted = [posting for order_id, lines in made.items() for posting in commission(orders[order_id], lines)]
    for (order_id, cause_id), amounts in taken_back.items():
        posted += commission_reversed(orders[order_id], cause_id, amounts)
    await write_postings(batch.conn, posted, batch.now)
