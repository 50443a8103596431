"""Statements of offers: read their terms, write what was decided about them.

Invariant: offers are changed under the locks of their variants' products (``variant_sql``); placing reads them without
any.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from domain.catalog.listing_sql import STANDS, refresh_listings
from domain.catalog.model import OfferKey, PriceChange
from domain.catalog.offers import OfferPlan, OfferState, OfferTerms, WantedOffer, decide
from domain.catalog.variant_sql import lock_products_of
from domain.connection import Connection
from domain.journal.sql import insert_events
from domain.money import Money
from domain.writing import Rows, write

_TERMS = (
    ("sku", "text"),
    ("price_minor", "bigint"),
    ("currency", "text"),
    ("active", "boolean"),
    ("valid_from", "timestamptz"),
    ("valid_until", "timestamptz"),
    ("quantity_max", "integer"),
    ("quantity_window_seconds", "integer"),
)
# Whether an offer may be ordered now. Of offers o, variants v, products p and sellers s.
SELLABLE = f"(p.status = 'active' AND {STANDS})"

COLUMNS = (("variant_id", "uuid"), ("seller_id", "uuid"), *_TERMS)

SKU_UNIQUE = "offers_seller_id_sku_key"

LOAD_STATES = f"""
SELECT o.variant_id, o.seller_id, o.version, {", ".join(f"o.{name}" for name, _ in _TERMS)}
FROM unnest($1::uuid[], $2::uuid[]) AS t (variant_id, seller_id)
JOIN offers o ON o.variant_id = t.variant_id AND o.seller_id = t.seller_id
"""

_CHANGED = (*COLUMNS, ("version", "integer"))
UPDATE = f"""
UPDATE offers o SET version = t.version, {", ".join(f"{name} = t.{name}" for name, _ in _TERMS)}
FROM unnest({", ".join(f"${n}::{kind}[]" for n, (_, kind) in enumerate(_CHANGED, start=1))})
    AS t ({", ".join(name for name, _ in _CHANGED)})
WHERE o.variant_id = t.variant_id AND o.seller_id = t.seller_id
"""


async def load_states(conn: Connection, keys: Sequence[OfferKey]) -> dict[OfferKey, OfferState]:
    """Read offers' terms and versions; unknown ones are missing."""
    rows = await conn.fetch(LOAD_STATES, [key[0] for key in keys], [key[1] for key in keys])
    return {(row["variant_id"], row["seller_id"]): OfferState(terms_of(row), row["version"]) for row in rows}


def terms_of(row: Any) -> OfferTerms:
    """The terms in a row of offers."""
    return OfferTerms(
        sku=row["sku"],
        price=Money(row["price_minor"], row["currency"]),
        active=row["active"],
        valid_from=row["valid_from"],
        valid_until=row["valid_until"],
        quantity_max=row["quantity_max"],
        quantity_window_seconds=row["quantity_window_seconds"],
    )


async def apply_offers(conn: Connection, plan: OfferPlan) -> None:
    """Write what was decided; a SKU that another offer of the seller has is a unique violation."""
    await write(conn, Rows("offers", COLUMNS, [_record(offer) for offer in plan.new]))
    if plan.changed:
        records = [(*_record(offer), version) for offer, version in plan.changed]
        await conn.execute(UPDATE, *(list(column) for column in zip(*records, strict=True)))
    await insert_events(conn, plan.events)


def _record(offer: WantedOffer) -> tuple[object, ...]:
    terms = offer.terms
    return (
        offer.variant_id,
        offer.seller_id,
        terms.sku,
        terms.price.amount,
        terms.price.currency,
        terms.active,
        terms.valid_from,
        terms.valid_until,
        terms.quantity_max,
        terms.quantity_window_seconds,
    )


async def change_prices(conn: Connection, changes: Sequence[PriceChange], *, actor: UUID, correlation: str = "") -> int:
    """Set prices of offers that are there, each in its own currency; return how many differed.

    Run it in a transaction.
    """
    products = await lock_products_of(conn, [change.variant_id for change in changes])
    keys = [(change.variant_id, change.seller_id) for change in changes]
    states = await load_states(conn, keys)
    wanted = [_at_price(change, states[key]) for change, key in zip(changes, keys, strict=True) if key in states]
    plan = decide(wanted, states, actor=actor, correlation=correlation)
    await apply_offers(conn, plan)
    await refresh_listings(conn, products)
    return len(plan.changed)


def _at_price(change: PriceChange, state: OfferState) -> WantedOffer:
    price = Money(change.price_minor, state.terms.price.currency)
    return WantedOffer(change.variant_id, change.seller_id, msgspec.structs.replace(state.terms, price=price))
