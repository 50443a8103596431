"""What events tell of stock and sales, held against the tables that they were not read from."""

from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from domain.insights.sales import SALES_TYPES, sales_of
from domain.insights.stock_days import LIVES, STOCK_TYPES, stock_days_of
from domain.journal.event_reads import stored
from domain.journal.events import StoredEvent
from domain.orders.crediting import NOTHING
from domain.orders.lifecycle import CONFIRMED
from domain.orders.model import Payment
from domain.orders.sql import load_open_orders

EVENTS = """
SELECT stream, version, type, data, actor, correlation, at, xid, position FROM events ORDER BY stream, version
"""
STOCK = "SELECT variant_id, seller_id, location, on_hand, reserved FROM stock"


async def all_events(conn: Any) -> list[StoredEvent]:
    """Every event, with those of a stream in the order of their versions."""
    return [stored(row) for row in await conn.fetch(EVENTS)]


def stock_told(events: Sequence[StoredEvent]) -> dict[Any, tuple[int, int]]:
    """On hand and reserved of each stock that anything is told of."""
    histories: dict[Any, list[StoredEvent]] = {}
    for event in events:
        if event.type in {*LIVES, "order.placed"}:
            histories.setdefault(event.stream, []).append(event)
    told: dict[Any, tuple[int, int]] = {}
    for key, day in stock_days_of([e for e in events if e.type in STOCK_TYPES], histories).items():
        of = (UUID(key.variant_id), UUID(key.seller_id), key.location)
        on_hand, reserved = told.get(of, (0, 0))
        told[of] = (on_hand + day.on_hand, reserved + day.reserved)
    return {key: figures for key, figures in told.items() if any(figures)}


async def stock_held(conn: Any) -> dict[Any, tuple[int, int]]:
    """On hand and reserved, as the table of stock has them."""
    return {tuple(row[:3]): tuple(row[3:]) for row in await conn.fetch(STOCK) if any(row[3:])}


def sales_told(events: Sequence[StoredEvent]) -> dict[Any, tuple[int, int]]:
    """What is left of units and amounts sold, by seller and currency."""
    units, amounts = Counter[Any](), Counter[Any]()
    for key, sales in sales_of([e for e in events if e.type in SALES_TYPES]).items():
        parts = sales.goods_minor - sales.discount_minor + sales.shipping_minor + sales.added_tax_minor
        assert parts == sales.total_minor
        units[key.seller_id, key.currency] += sales.units - sales.units_back
        amounts[key.seller_id, key.currency] += sales.total_minor - sales.back_minor
    return _some(units, amounts)


async def sales_held(conn: Any) -> dict[Any, tuple[int, int]]:
    """The same, as the tables of orders and credits have it."""
    ids = [row["id"] for row in await conn.fetch("SELECT id FROM orders ORDER BY id")]
    units, amounts = Counter[Any](), Counter[Any]()
    for order in (await load_open_orders(conn, ids)).values() if ids else ():
        if order.expired or order.payment not in CONFIRMED | {Payment.VOIDED}:
            continue
        for n, line in order.price.lines.items():
            credited = order.credited.get(n, NOTHING)
            units[order.sellers[n], order.currency] += order.quantities[n] - credited.quantity
            amounts[order.sellers[n], order.currency] += line.charged_minor - credited.parts.charged_minor
        for number, seller in enumerate(order.fulfilments):
            if number in order.price.shipping and number not in order.shipping_credited:
                amounts[seller, order.currency] += order.price.shipping[number].charged_minor
    return _some(units, amounts)


def _some(units: Counter[Any], amounts: Counter[Any]) -> dict[Any, tuple[int, int]]:
    return {key: (units[key], amounts[key]) for key in units.keys() | amounts.keys() if units[key] or amounts[key]}


async def differences(conn: Any) -> dict[str, list[str]]:
    """Where what events tell isn't what the tables hold; of what is at rest, nowhere."""
    events = await all_events(conn)
    pairs = {
        "stock_as_told": (stock_told(events), await stock_held(conn)),
        "sales_as_told": (sales_told(events), await sales_held(conn)),
    }
    found = {
        name: [f"{key}: told {told.get(key)}, held {held.get(key)}" for key in told.keys() | held.keys()
               if told.get(key) != held.get(key)]
        for name, (told, held) in pairs.items()
    }  # fmt: skip
    return {name: where for name, where in found.items() if where}
