"""What late payments may take: stock, uses of promotions and what buyers may have, all locked before it is decided.

What is left of the holds of their orders is given back first, so that an order competes with others alone.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from domain.accounts.seller_reads import load_approved
from domain.inventory.buyer_limits import BuyerKey, LimitedHold
from domain.inventory.limit_sql import load_limited, load_quotas, lock_buyers
from domain.inventory.model import ReservationStatus, StockKey
from domain.inventory.sale_sql import load_available
from domain.inventory.sql import end_reservations, restock
from domain.journal.declare import Batch
from domain.journal.model import SYSTEM
from domain.orders.sql import load_stock_lines
from domain.payments.settlement import Account, Shelf, Wanted
from domain.pricing.use_sql import load_order_uses, load_uses, lock_uses
from domain.pricing.uses import UseKey, keys_of_use


async def shelf_of(batch: Batch[Any], accounts: Mapping[UUID, Account], late: Collection[UUID]) -> Shelf:
    """What there is to take for orders whose payment may have come too late."""
    if not late:
        return Shelf({}, {}, {})
    conn = batch.conn
    lines = await load_stock_lines(conn, list(accounts))
    lapsed = [hold for order_id in late for hold in accounts[order_id].held]
    ended = await end_reservations(conn, sorted(lapsed), ReservationStatus.EXPIRED, actor=SYSTEM, reason="due")
    for order_id in late:
        accounts[order_id].held.clear()
    limits = await _limits(batch, {order_id: accounts[order_id] for order_id in late}, lines)
    uses = await load_order_uses(conn, list(accounts))
    counters = {key for use in uses for key in _counters(use)}
    await lock_uses(conn, {}, also=counters)
    await restock(conn, ended, lock_too={key for found in lines.values() for key, _ in found.values()})
    sellers = await load_approved(conn, {s for order_id in late for s in accounts[order_id].order.sellers.values()})
    wanted = {order_id: _wanted(accounts[order_id], lines[order_id], uses, sellers, limits) for order_id in late}
    keys = {key for each in wanted.values() for key, _ in each.lines.values()}
    room = {key: most - used for key, (used, most) in (await load_uses(conn, counters)).items()}
    quotas = await load_quotas(conn, list(limits.values()), int(batch.now.timestamp() * 1_000)) if limits else {}
    return Shelf(wanted, await load_available(conn, keys), room, quotas)


async def _limits(
    batch: Batch[Any], accounts: Mapping[UUID, Account], lines: Mapping[UUID, Mapping[int, tuple[StockKey, int]]]
) -> dict[UUID, LimitedHold]:
    """The limits per buyer that orders' holds were made under, by hold; their buyers are locked."""
    holds = [
        (BuyerKey(key.variant_id, key.seller_id, account.order.buyer), account.order.hold_of(number))
        for order_id, account in accounts.items()
        for number, (key, _) in lines[order_id].items()
    ]
    limits = await load_limited(batch.conn, holds)
    await lock_buyers(batch.conn, sorted({limit.key for limit in limits.values()}))
    return limits


def _counters(use: Any) -> list[UseKey]:
    return keys_of_use(use["promotion_id"], use["buyer"], first_order=use["first_order"])


def _wanted(
    account: Account,
    lines: Mapping[int, tuple[StockKey, int]],
    uses: Sequence[Any],
    sellers: set[UUID],
    limits: Mapping[UUID, LimitedHold],
) -> Wanted:
    order = account.order
    applied = {part.promotion_id for part in order.price.applied}
    gone = [
        use
        for use in uses
        if use["order_id"] == order.id and use["returned"] and use["promotion_id"] in applied and order.expired
    ]
    return Wanted(
        lines={number: lines[number] for number in order.price.lines},
        uses=[key for use in gone for key in _counters(use)],
        promotions=[use["promotion_id"] for use in gone],
        sellable=all(order.sellers[number] in sellers for number in order.price.lines),
        limits={n: limits[order.hold_of(n)] for n in order.price.lines if order.hold_of(n) in limits},
    )
