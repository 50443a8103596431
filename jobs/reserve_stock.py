"""Hold units that no order asks for yet: load offers, decide all requests in memory, write, take the stock last.

As in placing orders, stock is hot and locked last, unless it is visibly tight or a request would be refused for what
expired holds still keep: then the batch starts again with the stock locked first.
"""

from collections.abc import Mapping, Sequence

from domain import ids
from domain.catalog.model import Offer, OfferKey
from domain.catalog.sql import load_offers
from domain.inventory import sql as inventory
from domain.inventory.buyer_limits import BuyerKey, keys_of
from domain.inventory.hold_model import HoldLine, ReserveStock
from domain.inventory.holding import HoldPlan, add_up, decide
from domain.inventory.limit_sql import has_due_of_buyers, limited_rows, load_taken, lock_buyers, lock_due_of_buyers
from domain.inventory.model import StockKey
from domain.journal.declare import Batch, LockFirst, batch
from domain.journal.model import SYSTEM, BatchOutcome, Claimed
from domain.journal.sql import event_rows
from domain.writing import write


@batch(ReserveStock)
async def reserve_stock(batch: Batch[ReserveStock]) -> Sequence[BatchOutcome]:
    """Hold for a batch; outcomes in the order of the commands."""
    conn = batch.conn
    keys = list({(line.variant_id, line.seller_id): None for _, line in _lines(batch)})
    offers = await load_offers(conn, keys)
    asked = [(claimed.principal, (line.variant_id, line.seller_id)) for claimed, line in _lines(batch)]
    buyers = keys_of(asked, offers)
    await lock_buyers(conn, buyers)
    if batch.lock_first:
        await _lock(batch, offers, buyers)
        offers = await load_offers(conn, keys)
    taken = await load_taken(conn, buyers, offers, min(ids.unix_ms(claimed.id) for claimed in batch.commands))
    plan = decide(batch.commands, offers, taken, now=batch.now, limits=batch.limits)
    if not batch.lock_first and await _must_lock_first(batch, plan, offers):
        raise LockFirst
    if plan.stock:
        await write(
            conn,
            inventory.reservation_rows(plan.reservations),
            inventory.movement_rows(plan.movements),
            event_rows(plan.events),
            limited_rows(plan.limited),
        )
        await inventory.lock_stock(conn, plan.stock)
        if not await inventory.apply_stock(conn, plan.stock):
            raise LockFirst
    return plan.outcomes


def _lines(batch: Batch[ReserveStock]) -> list[tuple[Claimed[ReserveStock], HoldLine]]:
    return [(claimed, line) for claimed in batch.commands for line in claimed.command.lines]


async def _must_lock_first(batch: Batch[ReserveStock], plan: HoldPlan, offers: Mapping[OfferKey, Offer]) -> bool:
    """Whether stock is too tight to be taken last, or a request would fail for what expired holds keep."""
    if await has_due_of_buyers(batch.conn, sorted(plan.over), batch.now):
        return True
    if any(0 < offers[key].available < 2 * units for key, units in plan.wanted.items()):
        return True
    return bool(plan.short) and await inventory.has_due(batch.conn, list(plan.short), batch.now)


async def _lock(batch: Batch[ReserveStock], offers: Mapping[OfferKey, Offer], buyers: Sequence[BuyerKey]) -> None:
    """Lock all stock the batch may need, after taking back what is due of offers and buyers that may be short."""
    wanted = add_up([line for _, line in _lines(batch)])
    short = [key for key, units in wanted.items() if key in offers and offers[key].available < units]
    due = await lock_due_of_buyers(batch.conn, buyers, batch.now)
    ended = await inventory.expire_due_of_offers(batch.conn, short, batch.now, actor=SYSTEM, also=due)
    await inventory.restock(batch.conn, ended, lock_too=[StockKey(*key) for key in offers])
    for command in ended.follow_ups():
        batch.follow_up(command, batch.commands[0].correlation)
