"""Offers as clients see them, the cheapest first within a currency."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct

from domain.catalog.model import OfferKey
from domain.catalog.offer_sql import SELLABLE, terms_of
from domain.connection import Connection
from domain.money import Currency, Minor, Money

_SELECT = f"""
SELECT o.variant_id, o.seller_id, s.name, o.sku, o.price_minor, o.currency, o.active, o.valid_from, o.valid_until,
       o.quantity_max, o.quantity_window_seconds, o.version, {SELLABLE} AS sellable,
       coalesce(k.on_hand + k.backorder_limit - k.reserved, 0) > 0 AS in_stock
"""
_JOINS = """
JOIN variants v ON v.id = o.variant_id
JOIN products p ON p.id = v.product_id
JOIN sellers s ON s.id = o.seller_id
LEFT JOIN stock k ON k.variant_id = o.variant_id AND k.seller_id = o.seller_id AND k.location = 0
"""

LOAD_OFFERS = f"""
{_SELECT} FROM unnest($1::uuid[], $2::uuid[]) AS t (variant_id, seller_id)
JOIN offers o ON o.variant_id = t.variant_id AND o.seller_id = t.seller_id {_JOINS}
"""

# What isn't for sale is for its seller ($2) and for those who see all ($3).
LIST_OFFERS = f"""
{_SELECT} FROM offers o {_JOINS}
WHERE o.variant_id = $1 AND ($3 OR o.seller_id = $2 OR {SELLABLE})
  AND (o.currency, o.price_minor, o.seller_id) > ($4, $5, $6)
ORDER BY o.currency, o.price_minor, o.seller_id LIMIT $7
"""


class SellerName(Struct, frozen=True):
    """Who sells."""

    id: UUID
    name: str


class OfferView(Struct, frozen=True):
    """An offer. ``in_stock`` says whether a unit is to be had, ``sellable`` whether it may be ordered now at all.

    A buyer may take ``quantity_max`` units in one order, or in ``quantity_window_seconds`` when they are set.
    """

    variant_id: UUID
    seller: SellerName
    sku: str
    price: Money
    in_stock: bool
    sellable: bool
    active: bool
    valid_from: datetime | None
    valid_until: datetime | None
    quantity_max: int | None
    quantity_window_seconds: int | None
    version: int


class OfferPlace(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a page of offers is sorted by."""

    currency: Currency
    price_minor: Minor
    seller_id: UUID


async def load_offer_views(conn: Connection, keys: Sequence[OfferKey]) -> dict[OfferKey, OfferView]:
    """Read offers in any state; unknown ones are missing."""
    rows = await conn.fetch(LOAD_OFFERS, [key[0] for key in keys], [key[1] for key in keys])
    return {(row["variant_id"], row["seller_id"]): _view(row) for row in rows}


async def list_offers(
    conn: Connection,
    variant_id: UUID,
    *,
    after: OfferPlace | None,
    limit: int,
    seller_id: UUID | None = None,
    every: bool = False,
) -> list[OfferView]:
    """Read a page of a variant's offers: those for sale, those of one seller, or every one."""
    place = after or OfferPlace("", 0, UUID(int=0))
    rows = await conn.fetch(
        LIST_OFFERS, variant_id, seller_id, every, place.currency, place.price_minor, place.seller_id, limit
    )
    return [_view(row) for row in rows]


def place_of(offer: OfferView) -> OfferPlace:
    """Where an offer stands among others of its variant."""
    return OfferPlace(offer.price.currency, offer.price.amount, offer.seller.id)


def _view(row: Any) -> OfferView:
    terms = terms_of(row)
    return OfferView(
        variant_id=row["variant_id"],
        seller=SellerName(row["seller_id"], row["name"]),
        sku=terms.sku,
        price=terms.price,
        in_stock=row["in_stock"],
        sellable=row["sellable"],
        active=terms.active,
        valid_from=terms.valid_from,
        valid_until=terms.valid_until,
        quantity_max=terms.quantity_max,
        quantity_window_seconds=terms.quantity_window_seconds,
        version=row["version"],
    )
