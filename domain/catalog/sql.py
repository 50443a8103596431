"""Statements of the catalog: write products and offers, read offers for placing.

Invariant: what changes appends its event in the same statement's transaction.
"""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from domain.catalog.model import NewOffer, NewSeller, Offer, OfferKey
from domain.catalog.offer_sql import SELLABLE, apply_offers
from domain.catalog.offers import OfferTerms, WantedOffer, decide
from domain.catalog.variant_sql import insert_variants
from domain.catalog.variants import Variant
from domain.connection import Connection
from domain.journal.model import Event
from domain.journal.sql import insert_events
from domain.money import Money

LOAD_OFFERS = f"""
SELECT t.variant_id, t.seller_id, o.sku, p.title, p.category, v.attributes, o.price_minor, o.currency,
       {SELLABLE} AS sellable,
       coalesce(k.on_hand + k.backorder_limit - k.reserved, 0) AS available
FROM unnest($1::uuid[], $2::uuid[]) AS t (variant_id, seller_id)
JOIN offers o ON o.variant_id = t.variant_id AND o.seller_id = t.seller_id
JOIN variants v ON v.id = t.variant_id
JOIN products p ON p.id = v.product_id
JOIN sellers s ON s.id = t.seller_id
LEFT JOIN stock k ON k.variant_id = t.variant_id AND k.seller_id = t.seller_id AND k.location = 0
"""


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


async def load_offers(conn: Connection, keys: Sequence[OfferKey]) -> dict[OfferKey, Offer]:
    """Read offers with what a line freezes and what is available, unlocked; unknown ones are missing."""
    rows = await conn.fetch(LOAD_OFFERS, [key[0] for key in keys], [key[1] for key in keys])
    return {(row[0], row[1]): Offer(*row) for row in rows}


async def insert_sellers(conn: Connection, sellers: Sequence[NewSeller], *, actor: UUID) -> None:
    """Write approved sellers and their events."""
    await conn.copy_records_to_table(
        "sellers", records=[(s.id, s.name, "approved") for s in sellers], columns=("id", "name", "status")
    )
    await insert_events(conn, [Event(s.id, 1, "seller.approved", _json({"name": s.name}), actor, "") for s in sellers])


async def insert_offers(conn: Connection, offers: Sequence[NewOffer], *, actor: UUID) -> None:
    """Write active products with a variant and an offer each; a product, a variant may recur with another seller."""
    products: dict[UUID, NewOffer] = {}
    variants: dict[UUID, NewOffer] = {}
    for offer in offers:
        products.setdefault(offer.product_id, offer)
        variants.setdefault(offer.variant_id, offer)
    await conn.copy_records_to_table(
        "products",
        records=[(o.product_id, o.seller_id, o.title, o.category, "active") for o in products.values()],
        columns=("id", "seller_id", "title", "category", "status"),
    )
    events = [
        Event(o.product_id, 1, "product.activated", _json({"title": o.title, "category": o.category}), actor, "")
        for o in products.values()
    ]
    await insert_events(conn, events)
    made = [Variant(o.variant_id, o.product_id, msgspec.json.decode(o.attributes)) for o in variants.values()]
    await insert_variants(conn, made, actor=actor, correlation="")
    terms = [OfferTerms(o.sku, Money(o.price_minor, o.currency)) for o in offers]
    wanted = [WantedOffer(o.variant_id, o.seller_id, t) for o, t in zip(offers, terms, strict=True)]
    await apply_offers(conn, decide(wanted, {}, actor=actor, correlation=""))
