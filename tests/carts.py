"""Carts as tests write them, by the domain's own statements."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from domain.journal.model import Event
from domain.journal.sql import insert_events
from domain.money import Money
from domain.orders.cart_model import (
    Cart,
    CartCheckedOut,
    CartContent,
    CartFacts,
    CartLine,
    CartStatus,
    line_facts,
)
from domain.orders.cart_sql import insert_carts, note_checkout
from infra.clock import new_id
from ops.goods import NewOffer


async def write_cart(conn: Any, owner: UUID, *offers: NewOffer, order_id: UUID | None = None) -> Cart:
    """Write a cart with a unit of each offer; one that became an order, if there is one."""
    now = datetime.now(UTC)
    lines = tuple(CartLine(o.variant_id, o.seller_id, 1, Money(o.price_minor, o.currency)) for o in offers)
    content = CartContent(offers[0].currency, lines)
    cart = Cart(new_id(), owner, 1, CartStatus.OPEN, None, content, now, now)
    await insert_carts(conn, [cart])
    facts = CartFacts(owner, content.currency, line_facts(content))
    events = [_event(cart.id, 1, "cart.created", facts, owner)]
    if order_id is not None:
        await note_checkout(conn, cart.id, order_id, 2)
        events.append(_event(cart.id, 2, "cart.checked_out", CartCheckedOut(order_id), owner))
    await insert_events(conn, events)
    return cart


def _event(cart_id: UUID, version: int, kind: str, data: object, actor: UUID) -> Event:
    return Event(cart_id, version, kind, msgspec.json.encode(data).decode(), actor, "")
