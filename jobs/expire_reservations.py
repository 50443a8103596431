"""Expire reservations that are due, and the orders they belong to, if nobody has paid for those.

Without named orders one command takes one bounded step and follows itself up while there is more, so no
transaction grows with the backlog. Orders are locked before their reservations, as everywhere.
"""

from collections.abc import Sequence
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.inventory import sql as inventory
from domain.inventory.model import ExpireReservations
from domain.journal.declare import Batch, batch
from domain.journal.model import SYSTEM, BatchOutcome, Event, Succeeded
from domain.journal.sql import insert_events
from domain.orders.model import OrderExpired
from domain.orders.sql import expire_orders, load_reservations_of, lock_orders
from domain.payments.model import VoidPayment
from domain.pricing.use_sql import return_uses

STEP_RESERVATIONS = 1_000


class Expired(Struct, frozen=True):
    """The result of a step: how many reservations and orders it ended, and whether there was more to do."""

    reservations: int
    orders: int
    more: bool


@batch(ExpireReservations)
async def expire_reservations(batch: Batch[ExpireReservations]) -> Sequence[BatchOutcome]:
    """Expire what a batch names, or one step of whatever is due; every command gets the batch's result."""
    conn = batch.conn
    orders: set[UUID] = {order for claimed in batch.commands for order in claimed.command.orders}
    free: set[UUID] = set()
    sweeping = any(not claimed.command.orders for claimed in batch.commands)
    more = False
    if sweeping:
        due = await conn.fetch(inventory.DUE_ORDERS, batch.now, STEP_RESERVATIONS)
        more = len(due) == STEP_RESERVATIONS
        orders.update(row["order_id"] for row in due if row["order_id"] is not None)
        free.update(row["id"] for row in due if row["order_id"] is None)
    await lock_orders(conn, sorted(orders))
    expired = await expire_orders(conn, sorted(orders), batch.now)
    held = await load_reservations_of(conn, sorted(expired))
    ids = sorted(free | set(held))
    await inventory.lock_reservations(conn, ids)
    await return_uses(conn, [], sorted(expired), batch.now)
    ended = await inventory.expire_and_restock(conn, ids)
    correlation = batch.commands[0].correlation
    lines: dict[UUID, list[int]] = {order: [] for order in expired}
    for order, line_no in held.values():
        lines[order].append(line_no)
    await insert_events(conn, [_event(o, order.version, lines[o], correlation) for o, order in expired.items()])
    for gone in expired.values():
        # Should the money come all the same, the payment is late.
        if gone.payment_id is not None:
            batch.follow_up(VoidPayment(gone.payment_id), correlation)
    # A step that could end nothing must not follow itself up for ever.
    more = more and bool(ended)
    if more:
        batch.follow_up(ExpireReservations(), correlation)
    result = Succeeded(Expired(reservations=ended, orders=len(expired), more=more))
    return [result] * len(batch.commands)


def _event(order: UUID, version: int, lines: list[int], correlation: str) -> Event:
    data = msgspec.json.encode(OrderExpired(tuple(sorted(lines)))).decode()
    return Event(order, version, "order.expired", data, SYSTEM, correlation)
