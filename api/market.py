"""What an order that may come is decided against, for those who tell about it and write nothing."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from api.context import Edge
from domain.inventory.buyer_limits import keys_of, moment
from domain.inventory.hold_sql import load_holds
from domain.inventory.limit_sql import load_taken
from domain.orders.demand import Market, offers_of
from domain.orders.model import PlaceOrder
from domain.orders.pricing_reads import load_offers_and_book, load_pricing


async def load_market(conn: Any, edge: Edge, buyer: UUID, order: PlaceOrder) -> Market:
    """Read the offers an order names, the rules, and what else it is priced by."""
    offers, book = await load_offers_and_book(conn, offers_of([order]), edge.book)
    edge.book = book
    pricing = (await load_pricing(conn, [(buyer, order)], offers, book)).pricing
    holds = await load_holds(conn, order.reservation_ids) if order.reservation_ids else {}
    now = datetime.now(UTC)
    limited = keys_of(((buyer, key) for key in offers), offers)
    taken = await load_taken(conn, limited, offers, moment(now))
    return Market(offers, pricing, now, edge.limits.line_quantity_max, holds, taken)
