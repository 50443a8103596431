"""Place orders: load the offers, decide all orders in memory, write the rows, take the stock last.

Stock rows are hot, so they are locked last and for the shortest time. When an order would be refused for stock
that expired holds still keep, or when stock is visibly tight, the batch starts again with its stock locked first.
"""

from collections.abc import Sequence
from datetime import timedelta

import msgspec

from domain.catalog.model import Offer, OfferKey
from domain.catalog.sql import load_offers
from domain.inventory import sql as inventory
from domain.inventory.model import ExpireReservations, StockKey
from domain.journal.declare import Batch, LockFirst, batch
from domain.journal.model import SYSTEM, BatchOutcome
from domain.orders import placement
from domain.orders.model import PlacementPlan, PlaceOrder
from domain.orders.sql import insert_placed


@batch(PlaceOrder)
async def place_orders(batch: Batch[PlaceOrder]) -> Sequence[BatchOutcome]:
    """Place a batch of orders; outcomes in the order of the commands."""
    conn = batch.conn
    keys = placement.offers_of(batch.commands)
    offers = await load_offers(conn, keys)
    if batch.lock_first:
        await _take_back_due(batch, offers)
        offers = await load_offers(conn, keys)
    plan = placement.decide(
        batch.commands,
        offers,
        now=batch.now,
        hold=timedelta(seconds=batch.limits.reservation_seconds),
        line_quantity_max=batch.limits.line_quantity_max,
    )
    if not batch.lock_first and await _must_lock_first(batch, plan, offers):
        raise LockFirst
    await insert_placed(conn, plan)
    if plan.stock:
        await inventory.lock_stock(conn, plan.stock)
        if not await inventory.apply_stock(conn, plan.stock):
            raise LockFirst
    return plan.outcomes


async def _must_lock_first(batch: Batch[PlaceOrder], plan: PlacementPlan, offers: dict[OfferKey, Offer]) -> bool:
    """Whether some stock is too tight to be taken last, or an order would fail for what expired holds keep."""
    if any(0 < offers[key].available < 2 * units for key, units in plan.wanted.items()):
        return True
    return bool(plan.short) and await inventory.has_due(batch.conn, list(plan.short), batch.now)


async def _take_back_due(batch: Batch[PlaceOrder], offers: dict[OfferKey, Offer]) -> None:
    """Lock all stock the batch may need, after taking back what is due of offers that may be short."""
    wanted: dict[OfferKey, int] = {}
    for claimed in batch.commands:
        for line in claimed.command.lines:
            key = (line.variant_id, line.seller_id)
            wanted[key] = wanted.get(key, 0) + line.quantity
    short = [key for key, units in wanted.items() if key in offers and offers[key].available < units]
    stock = [StockKey(*key) for key in offers]
    orders = await inventory.expire_due_of_offers(batch.conn, short, batch.now, actor=SYSTEM, lock_too=stock)
    for start in range(0, len(orders), 100):
        command = ExpireReservations(orders=tuple(orders[start : start + 100]))
        payload = msgspec.json.encode(command).decode()
        batch.follow_up(command, payload, batch.commands[0].correlation, SYSTEM)
