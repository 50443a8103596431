"""Recorded freight as sellers' own shipping rates, so that the engine prices it like any other.

Invariant: a seller has a method for each amount that they ever took, flat and to everywhere, and an order chooses the
one of its amount. What it comes to is the engine's doing: chosen, priced, frozen and summed as for every order.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

import msgspec

from domain.accounts.address_model import PostalAddress
from domain.journal.model import SYSTEM, Event
from domain.journal.sql import insert_events
from domain.pricing.rate_cards import Card, CardKind, replaced, stream_of
from domain.pricing.rate_sql import write_card
from domain.pricing.shipping import Flat, ShippingMethod, ShippingRate, ShippingZone
from domain.pricing.version_sql import raise_version
from infra import postgres
from ops.olist import CURRENCY, RecordedOrder

SELLERS_AT_ONCE = 200
SOMEWHERE = PostalAddress(name="As recorded", line1="As recorded", city="São Paulo", country="BR")
"""Where every order goes: the files name no address, and the rates are for everywhere."""


def method_id(seller_id: UUID, amount_minor: int) -> UUID:
    """Derived from the seller's id, so that the same records make the same methods."""
    return uuid5(seller_id, f"freight {amount_minor}")


def methods_of(order: RecordedOrder) -> dict[UUID, UUID]:
    """By seller, the method that costs what was recorded."""
    return {seller: method_id(seller, amount) for seller, amount in order.freight_minor.items()}


def amounts_of(orders: Sequence[RecordedOrder]) -> dict[UUID, list[int]]:
    """What each seller ever took for shipping an order."""
    amounts: dict[UUID, set[int]] = {}
    for order in orders:
        for seller, amount in order.freight_minor.items():
            amounts.setdefault(seller, set()).add(amount)
    return {seller: sorted(taken) for seller, taken in amounts.items()}


async def write_freight(conn: Any, amounts: Mapping[UUID, Sequence[int]]) -> None:
    """Write the sellers' zones, methods and rates, with their events."""
    sellers = list(amounts)
    for start in range(0, len(sellers), SELLERS_AT_ONCE):
        async with postgres.transaction(conn):
            # First, for its lock.
            await raise_version(conn, "rates")
            for seller in sellers[start : start + SELLERS_AT_ONCE]:
                await _write_cards(conn, seller, amounts[seller])


async def _write_cards(conn: Any, seller: UUID, amounts: Sequence[int]) -> None:
    zone = ShippingZone(uuid5(seller, "everywhere"), "Everywhere")
    methods = tuple(ShippingMethod(method_id(seller, minor), f"Freight of {minor}") for minor in amounts)
    rates = tuple(ShippingRate(method_id(seller, minor), zone.id, CURRENCY, Flat(minor)) for minor in amounts)
    cards: dict[CardKind, tuple[Any, ...]] = {
        CardKind.SHIPPING_ZONES: (zone,),
        CardKind.SHIPPING_METHODS: methods,
        CardKind.SHIPPING_RATES: rates,
    }
    events = []
    for kind, items in cards.items():
        await write_card(conn, kind, seller, Card(items, 1), datetime.now(UTC))
        data = msgspec.json.encode(replaced(kind, seller, items)).decode()
        events.append(Event(stream_of(kind, seller), 1, "rate_card.replaced", data, SYSTEM, "replay"))
    await insert_events(conn, events)
