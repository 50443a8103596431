"""Statements of the catalog: write products and offers, read offers for placing.

Invariant: what changes appends its event in the same statement's transaction.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec

from domain.catalog.model import NewOffer, NewSeller, Offer, OfferKey
from domain.catalog.offer_sql import SELLABLE, apply_offers
from domain.catalog.offers import OfferTerms, WantedOffer, decide
from domain.catalog.product_lifecycle import ProductStatus, Step
from domain.catalog.product_model import Product, ProductDetails
from domain.catalog.product_sql import change_products, insert_products, take_slugs
from domain.catalog.variant_sql import insert_variants
from domain.catalog.variants import Variant
from domain.connection import Connection
from domain.journal.model import Event
from domain.journal.sql import insert_events
from domain.money import Money

LOAD_OFFERS = f"""
SELECT t.variant_id, t.seller_id, o.sku, p.title, c.name AS category, p.attributes || v.attributes AS attributes,
       o.price_minor, o.currency, {SELLABLE} AS sellable,
       coalesce(k.on_hand + k.backorder_limit - k.reserved, 0) AS available
FROM unnest($1::uuid[], $2::uuid[]) AS t (variant_id, seller_id)
JOIN offers o ON o.variant_id = t.variant_id AND o.seller_id = t.seller_id
JOIN variants v ON v.id = t.variant_id
JOIN products p ON p.id = v.product_id
JOIN sellers s ON s.id = t.seller_id
LEFT JOIN categories c ON c.id = p.category_id
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


async def insert_offers(
    conn: Connection, offers: Sequence[NewOffer], categories: Mapping[str, UUID], *, actor: UUID
) -> None:
    """Write active products with a variant and an offer each; a product, a variant may recur with another seller.

    ``categories`` has the ids of those that the offers name.
    """
    products: dict[UUID, NewOffer] = {}
    variants: dict[UUID, NewOffer] = {}
    for offer in offers:
        products.setdefault(offer.product_id, offer)
        variants.setdefault(offer.variant_id, offer)
    slugs = await take_slugs(conn, [(o.product_id, o.title) for o in products.values()])
    drafts = [_draft(o, slugs[o.product_id], categories) for o in products.values()]
    await insert_products(conn, drafts, actor=actor)
    made = [Variant(o.variant_id, o.product_id, msgspec.json.decode(o.attributes)) for o in variants.values()]
    await insert_variants(conn, made, actor=actor, correlation="")
    terms = [OfferTerms(o.sku, Money(o.price_minor, o.currency)) for o in offers]
    wanted = [WantedOffer(o.variant_id, o.seller_id, t) for o, t in zip(offers, terms, strict=True)]
    await apply_offers(conn, decide(wanted, {}, actor=actor, correlation=""))
    # What is imported was approved where it comes from.
    active = [msgspec.structs.replace(p, status=ProductStatus.ACTIVE, version=p.version + 1) for p in drafts]
    await change_products(conn, list(zip(drafts, active, strict=True)), Step.ACTIVATE, actor=actor)


def _draft(offer: NewOffer, slug: str, categories: Mapping[str, UUID]) -> Product:
    category_id = None if offer.category is None else categories[offer.category]
    return Product(
        offer.product_id, offer.seller_id, ProductStatus.DRAFT, slug, 1, ProductDetails(offer.title, category_id)
    )
