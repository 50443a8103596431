"""Expire reservations that are due, and the orders they belong to, if nobody has paid for those.

Without named orders one command takes one bounded step and follows itself up while there is more, so no
transaction grows with the backlog. Orders are locked before their reservations, as everywhere.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from msgspec import Struct

from domain.inventory import sql as inventory
from domain.inventory.model import ExpireReservations
from domain.journal.declare import Batch, batch
from domain.journal.model import BatchOutcome, Succeeded
from domain.orders.expiry_sql import expire_orders
from domain.orders.sql import lock_orders
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
    conn, correlation = batch.conn, batch.commands[0].correlation
    commands = [claimed.command for claimed in batch.commands]
    orders = {order for command in commands for order in command.orders}
    sweeps = [command for command in commands if not command.orders]
    due: Sequence[Any] = []
    if sweeps:
        starts = [command.since for command in sweeps if command.since is not None]
        since = min(starts) if len(starts) == len(sweeps) else None
        due = await inventory.load_due(conn, batch.now, since, STEP_RESERVATIONS)
    held: dict[UUID | None, list[UUID]] = {}
    for reservation, order, _ in due:
        held.setdefault(order, []).append(reservation)
    ids = held.pop(None, [])
    orders.update(order for order in held if order is not None)
    await lock_orders(conn, orders)
    expired = await expire_orders(conn, orders, batch.now, correlation)
    for order, gone in expired.items():
        found = held.get(order, ())
        ids += found if len(found) == len(gone.lines) else gone.reservations(order)
        # Should the money come all the same, the payment is late.
        if gone.payment_id is not None:
            batch.follow_up(VoidPayment(gone.payment_id), correlation)
    await inventory.lock_reservations(conn, ids)
    await return_uses(conn, [], sorted(expired), batch.now)
    ended = await inventory.expire_and_restock(conn, ids)
    # A step that could end nothing must not follow itself up for ever.
    more = len(due) == STEP_RESERVATIONS and bool(ended)
    if more:
        batch.follow_up(ExpireReservations(since=due[-1]["expires_at"]), correlation)
    result = Succeeded(Expired(reservations=ended, orders=len(expired), more=more))
    return [result] * len(batch.commands)
