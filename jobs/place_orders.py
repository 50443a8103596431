"""Place orders: load offers and rules, decide all orders in memory, write the rows, take uses and stock last.

Counters of promotions and stock rows are hot, so they are locked last and for the shortest time. When an order would be
refused for stock that expired holds still keep, or when stock or uses are visibly tight, the batch starts again with
them locked first.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from domain.catalog.model import Offer, OfferKey
from domain.ids import unix_ms
from domain.inventory import sql as inventory
from domain.inventory.buyer_limits import BuyerKey, keys_of
from domain.inventory.hold_sql import load_holds
from domain.inventory.limit_sql import has_due_of_buyers, load_taken, lock_buyers, lock_due_of_buyers
from domain.inventory.model import ReservationStatus, StockKey
from domain.journal.declare import Batch, LockFirst, batch
from domain.journal.model import SYSTEM, BatchOutcome
from domain.journal.tally import Tally
from domain.orders import placement
from domain.orders.basket import Pricing
from domain.orders.demand import offers_of
from domain.orders.model import ConfirmOrder, PlacementPlan, PlaceOrder
from domain.orders.pricing_reads import Read, load_offers_and_book, load_pricing
from domain.orders.sql import insert_placed
from domain.pricing.book import Book, empty_book
from domain.pricing.commission_sql import PART, mark_used
from domain.pricing.use_sql import apply_uses, lock_uses
from domain.pricing.uses import UseKey
from domain.pricing.version_sql import hold_version


@batch(PlaceOrder)
async def place_orders(batch: Batch[PlaceOrder]) -> Sequence[BatchOutcome]:
    """Place a batch of orders; outcomes in the order of the commands."""
    conn = batch.conn
    keys = offers_of(claimed.command for claimed in batch.commands)
    offers, read = await _load(batch, keys)
    buyers = _limited(batch, offers)
    await lock_buyers(conn, buyers)
    if batch.lock_first:
        await _lock(batch, offers, read.counters, buyers)
        offers, read = await _load(batch, keys)
    named = _named(batch)
    holds = await load_holds(conn, named) if named else {}
    taken = await load_taken(conn, buyers, offers, min(unix_ms(claimed.id) for claimed in batch.commands))
    pricing = read.pricing
    plan = placement.decide(
        batch.commands,
        offers,
        pricing,
        now=batch.now,
        hold=timedelta(seconds=batch.limits.reservation_seconds),
        line_quantity_max=batch.limits.line_quantity_max,
        holds=holds,
        taken=taken,
    )
    if not batch.lock_first and await _must_lock_first(batch, plan, offers, pricing):
        raise LockFirst
    await insert_placed(conn, plan)
    if plan.taken_over and not await _take_over(batch, plan):
        raise LockFirst
    if not await mark_used(conn, pricing.book.commission, pricing.book.versions.commission, plan.used_rules):
        raise LockFirst
    await lock_uses(conn, plan.limits)
    if not await apply_uses(conn, plan.uses):
        raise LockFirst
    if plan.stock:
        await inventory.lock_stock(conn, plan.stock)
        if not await inventory.apply_stock(conn, plan.stock):
            raise LockFirst
    _confirm_free(batch, plan)
    for order in plan.orders:
        batch.tally(Tally.ORDERS_PLACED, order.currency)
    return plan.outcomes


def _named(batch: Batch[PlaceOrder]) -> set[UUID]:
    """The holds that orders name."""
    return {held for claimed in batch.commands for held in claimed.command.reservation_ids}


def _limited(batch: Batch[PlaceOrder], offers: Mapping[OfferKey, Offer]) -> list[BuyerKey]:
    """Of which buyers it has to be counted what they have."""
    lines = ((claimed.principal, line) for claimed in batch.commands for line in claimed.command.lines)
    return keys_of(((buyer, (line.variant_id, line.seller_id)) for buyer, line in lines), offers)


async def _take_over(batch: Batch[PlaceOrder], plan: PlacementPlan) -> bool:
    """Release the holds that orders take over; False when one of them has ended meanwhile.

    Their units are part of what the plan takes of the stock.
    """
    ended = await inventory.end_reservations(
        batch.conn,
        sorted(plan.taken_over),
        ReservationStatus.RELEASED,
        actor={held: by.actor for held, by in plan.taken_over.items()},
        reason={held: f"taken over by order {by.order_id}" for held, by in plan.taken_over.items()},
        correlations={held: by.correlation for held, by in plan.taken_over.items()},
    )
    return len(ended.rows) == len(plan.taken_over)


async def _load(batch: Batch[PlaceOrder], keys: Sequence[OfferKey]) -> tuple[dict[OfferKey, Offer], Read]:
    """Read offers, rules and what the orders name besides, all as they are after the claim."""
    held: Book = batch.held.get("book") or empty_book()
    offers, book = await load_offers_and_book(batch.conn, keys, held)
    batch.held["book"] = book
    orders = [(claimed.principal, claimed.command) for claimed in batch.commands]
    return offers, await load_pricing(batch.conn, orders, offers, book)


async def _must_lock_first(
    batch: Batch[PlaceOrder], plan: PlacementPlan, offers: dict[OfferKey, Offer], pricing: Pricing
) -> bool:
    """Whether stock or uses are too tight to be taken last, or an order would fail for what expired holds keep."""
    if plan.over and await has_due_of_buyers(batch.conn, sorted(plan.over), batch.now):
        return True
    if any(0 < offers[key].available < 2 * units for key, units in plan.wanted.items()):
        return True
    for key, drawn in plan.uses.items():
        used, most = pricing.counters.get(key, (0, plan.limits[key]))
        if most - used < 2 * drawn and most > 1:
            return True
    return bool(plan.short) and await inventory.has_due(batch.conn, list(plan.short), batch.now)


async def _lock(
    batch: Batch[PlaceOrder],
    offers: dict[OfferKey, Offer],
    counters: Mapping[UseKey, int],
    buyers: Sequence[BuyerKey],
) -> None:
    """Lock all uses and stock the batch may need, after taking back what is due of offers and buyers that may be short.

    Commission rules, which a line may be the first to pay by, are kept as they are.
    """
    await hold_version(batch.conn, PART)
    wanted: dict[OfferKey, int] = {}
    for claimed in batch.commands:
        for line in claimed.command.lines:
            key = (line.variant_id, line.seller_id)
            wanted[key] = wanted.get(key, 0) + line.quantity
    short = [key for key, units in wanted.items() if key in offers and offers[key].available < units]
    named = _named(batch)
    if named:
        await inventory.lock_reservations(batch.conn, sorted(named))
    due = await lock_due_of_buyers(batch.conn, buyers, batch.now)
    ended = await inventory.expire_due_of_offers(batch.conn, short, batch.now, actor=SYSTEM, but=named, also=due)
    await lock_uses(batch.conn, counters)
    await inventory.restock(batch.conn, ended, lock_too=[StockKey(*key) for key in offers])
    for command in ended.follow_ups():
        batch.follow_up(command, batch.commands[0].correlation)


def _confirm_free(batch: Batch[PlaceOrder], plan: PlacementPlan) -> None:
    """Have orders confirmed that cost nothing: there is no payment to wait for."""
    correlations = {claimed.id: claimed.correlation for claimed in batch.commands}
    for order in plan.orders:
        if order.price.total_minor == 0:
            batch.follow_up(ConfirmOrder(order.id), correlations[order.id])
