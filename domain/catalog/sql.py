"""Statements of the catalog: write products and offers, read offers for placing.

Invariant: what changes appends its event in the same statement's transaction.
"""

from collections.abc import Sequence
from typing import Any

from domain.catalog.model import Offer, OfferKey
from domain.catalog.offer_sql import SELLABLE
from domain.connection import Connection

LOAD_OFFERS = f"""
SELECT t.variant_id, t.seller_id, o.sku, p.title, c.name AS category, p.attributes || v.attributes AS attributes,
       o.price_minor, o.currency, {SELLABLE} AS sellable,
       coalesce(k.on_hand + k.backorder_limit - k.reserved, 0) AS available,
       p.id AS product_id, c.path AS categories, coalesce(v.weight_grams, 0) AS weight_grams,
       o.quantity_max, o.quantity_window_seconds
FROM unnest($1::uuid[], $2::uuid[]) AS t (variant_id, seller_id)
JOIN offers o ON o.variant_id = t.variant_id AND o.seller_id = t.seller_id
JOIN variants v ON v.id = t.variant_id
JOIN products p ON p.id = v.product_id
JOIN sellers s ON s.id = t.seller_id
LEFT JOIN categories c ON c.id = p.category_id
LEFT JOIN stock k ON k.variant_id = t.variant_id AND k.seller_id = t.seller_id AND k.location = 0
"""

_BEFORE_CATEGORIES = Offer.__struct_fields__.index("categories")


async def load_offers(conn: Connection, keys: Sequence[OfferKey]) -> dict[OfferKey, Offer]:
    """Read offers with what a line freezes and what is available, unlocked; unknown ones are missing."""
    rows = await conn.fetch(LOAD_OFFERS, [key[0] for key in keys], [key[1] for key in keys])
    return {(row["variant_id"], row["seller_id"]): offer_of(row) for row in rows}


def offer_of(row: Any) -> Offer:
    """An offer from its row, whose columns stand in the order of the fields."""
    at = _BEFORE_CATEGORIES
    fields: tuple[Any, ...] = (*row[:at], tuple(row[at] or ()), *row[at + 1 : at + 4])
    return Offer(*fields)
