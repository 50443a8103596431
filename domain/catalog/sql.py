"""Statements of the catalog: write products and offers, change prices, read offers for placing.

Invariant: what changes appends its event in the same statement's transaction.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from domain import ids
from domain.catalog.model import NewOffer, NewSeller, Offer, OfferKey, PriceChange
from domain.connection import Connection
from domain.journal.model import Event
from domain.journal.sql import insert_events

LOAD_OFFERS = """
SELECT t.variant_id, t.seller_id, o.sku, p.title, p.category, v.attributes, o.price_minor, o.currency,
       o.active AND v.active AND p.status = 'active' AND s.status = 'approved' AS sellable,
       coalesce(k.on_hand + k.backorder_limit - k.reserved, 0) AS available
FROM unnest($1::uuid[], $2::uuid[]) AS t (variant_id, seller_id)
JOIN offers o ON o.variant_id = t.variant_id AND o.seller_id = t.seller_id
JOIN variants v ON v.id = t.variant_id
JOIN products p ON p.id = v.product_id
JOIN sellers s ON s.id = t.seller_id
LEFT JOIN stock k ON k.variant_id = t.variant_id AND k.seller_id = t.seller_id AND k.location = 0
"""

CHANGE_PRICES = """
WITH wanted AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS t (variant_id, seller_id, price_minor)
), locked AS (
    SELECT o.variant_id, o.seller_id, o.price_minor AS before, w.price_minor AS after
    FROM offers o JOIN wanted w USING (variant_id, seller_id)
    ORDER BY o.variant_id, o.seller_id
    FOR NO KEY UPDATE OF o
)
UPDATE offers o SET price_minor = l.after, version = o.version + 1
FROM locked l
WHERE o.variant_id = l.variant_id AND o.seller_id = l.seller_id AND l.before <> l.after
RETURNING o.variant_id, o.seller_id, o.version, o.currency, l.before, l.after
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
    await conn.copy_records_to_table(
        "variants",
        records=[(o.variant_id, o.product_id, o.attributes) for o in variants.values()],
        columns=("id", "product_id", "attributes"),
    )
    await conn.copy_records_to_table(
        "offers",
        records=[(o.variant_id, o.seller_id, o.sku, o.price_minor, o.currency) for o in offers],
        columns=("variant_id", "seller_id", "sku", "price_minor", "currency"),
    )
    events = [
        Event(o.product_id, 1, "product.activated", _json({"title": o.title, "category": o.category}), actor, "")
        for o in products.values()
    ]
    events += [
        Event(
            ids.offer_stream(o.variant_id, o.seller_id),
            1,
            "offer.created",
            _json(_offer_data(o.variant_id, o.seller_id, price_minor=o.price_minor, currency=o.currency)),
            actor,
            "",
        )
        for o in offers
    ]
    await insert_events(conn, events)


async def change_prices(conn: Connection, changes: Sequence[PriceChange], *, actor: UUID, correlation: str = "") -> int:
    """Set offers' prices, with an event for each that differs; return how many did. Run it in a transaction."""
    rows: Sequence[Any] = await conn.fetch(
        CHANGE_PRICES,
        [c.variant_id for c in changes],
        [c.seller_id for c in changes],
        [c.price_minor for c in changes],
    )
    events = [
        Event(
            ids.offer_stream(row["variant_id"], row["seller_id"]),
            row["version"],
            "offer.price_changed",
            _json(
                _offer_data(
                    row["variant_id"],
                    row["seller_id"],
                    price_minor=row["after"],
                    before_minor=row["before"],
                    currency=row["currency"],
                )
            ),
            actor,
            correlation,
        )
        for row in rows
    ]
    await insert_events(conn, events)
    return len(rows)


def _offer_data(variant_id: UUID, seller_id: UUID, **data: object) -> dict[str, object]:
    return {"variant_id": variant_id, "seller_id": seller_id, **data}
