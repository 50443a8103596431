"""Apply promotions: lock unpaid orders and the counters they may move, price them again, write the next price versions.

Unlike placing, it locks counters before it decides: they are those of a few orders, and what an order uses already has
to be told from what others use.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

from domain.journal.declare import Batch, LockFirst, batch
from domain.journal.model import BatchOutcome
from domain.journal.sql import insert_events
from domain.orders import repricing
from domain.orders.basket import codes_given, counters_needed, limited_of
from domain.orders.cancellation import OpenOrder
from domain.orders.model import ApplyPromotions, ConfirmOrder
from domain.orders.price_sql import price_rows
from domain.orders.repricing import Rules, own_counters
from domain.orders.repricing_sql import load_later, load_own_uses, load_quote_lines, write_own_uses
from domain.orders.sql import load_open_orders, load_placings, lock_orders, set_versions
from domain.pricing.book import Book, empty_book
from domain.pricing.book_reads import load_book, load_codes, load_versions
from domain.pricing.codes import code_key
from domain.pricing.promotions import Live
from domain.pricing.use_sql import apply_uses, load_uses, lock_uses
from domain.pricing.uses import UseKey, usage_of
from domain.writing import write


@batch(ApplyPromotions, commands_max=100)
async def apply_promotions(batch: Batch[ApplyPromotions]) -> Sequence[BatchOutcome]:
    """Apply promotions to a batch of orders; outcomes in the order of the commands."""
    conn = batch.conn
    ids = sorted({claimed.command.order_id for claimed in batch.commands})
    # The placement's outcome first, then the order: an outcome seen here has its order visible below.
    placings = await load_placings(conn, ids)
    await lock_orders(conn, ids)
    orders = await load_open_orders(conn, ids)
    plan = repricing.decide(batch.commands, orders, placings, await _load_rules(batch, orders))
    if plan.price_versions:
        await write(conn, *price_rows(plan.price_versions))
        await set_versions(conn, plan.versions)
        await write_own_uses(conn, plan.redemptions, batch.now)
        await insert_events(conn, plan.events)
        if not await apply_uses(conn, {key: delta for key, delta in plan.uses.items() if delta}):
            raise LockFirst
    for order_id, correlation in plan.free.items():
        batch.follow_up(ConfirmOrder(order_id), correlation)
    return plan.outcomes


async def _load_rules(batch: Batch[ApplyPromotions], orders: Mapping[UUID, OpenOrder]) -> Rules:
    """Read what the orders are priced by, the counters they may move under lock."""
    conn = batch.conn
    held: Book = batch.held.get("book") or empty_book()
    book = batch.held["book"] = await load_book(conn, held, await load_versions(conn))
    texts = {code_key(text) for claimed in batch.commands for text in claimed.command.codes}
    codes = await load_codes(conn, sorted(texts)) if texts else {}
    lines = await load_quote_lines(conn, list(orders))
    own = await load_own_uses(conn, list(orders))
    limited: dict[UUID, Live] = {}
    needed: dict[UseKey, int] = {}
    for claimed in batch.commands:
        order = orders.get(claimed.command.order_id)
        if order is not None:
            facts = (lines[order.id][number].facts for number in order.price.lines)
            lives = limited_of(facts, codes_given(claimed.command.codes, codes), book)
            limited.update((live.promotion.id, live) for live in lives)
            needed.update(counters_needed(lives, order.buyer))
    used = [key for order_id, uses in own.items() for key in own_counters(uses, orders[order_id].buyer)]
    await lock_uses(conn, needed, also=used)
    counted = await load_uses(conn, {*needed, *used})
    first = any(live.content.first_order for live in limited.values())
    later = await load_later(conn, list(orders)) if first else set()
    usage = usage_of(counted, [live.promotion for live in limited.values()], set())
    return Rules(book, usage, codes, lines, own, later, counted, batch.now)
