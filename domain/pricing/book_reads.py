"""Read the rules that orders are priced by, as far as they have changed.

Invariant: a version rises in the transaction that changes its part. Who reads the versions after a change was
acknowledged, and then the parts whose versions it doesn't hold, holds that change.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from domain.catalog import sql as catalog
from domain.catalog.model import Offer, OfferKey
from domain.connection import Connection
from domain.pricing.book import Book, Promotions, Versions
from domain.pricing.commission import ENDED_KEPT, CommissionRules
from domain.pricing.commission_model import CommissionContent
from domain.pricing.contest import FoundCode
from domain.pricing.price_lists import PriceList, PriceLists
from domain.pricing.promotion_model import PromotionContent, PromotionState, StoredPromotion
from domain.pricing.shipping import Owner, ShippingMethod, ShippingRate, ShippingRates, ShippingZone
from domain.pricing.tax import TaxRate, TaxRates

PARTS = Versions.__struct_fields__
# A part that was never changed has no row. As one text, for it comes with every row of an offer.
LOAD_VERSIONS = f"""
SELECT concat_ws(',', {", ".join(f"coalesce(max(version) FILTER (WHERE part = '{part}'), 0)" for part in PARTS)})
FROM pricing_versions
"""

# One round trip for both: an order that comes alone waits for each of them.
LOAD_PRICED_OFFERS = f"SELECT o.*, ({LOAD_VERSIONS}) AS versions FROM ({catalog.LOAD_OFFERS}) AS o"

LOAD_PROMOTIONS = """
SELECT id, version, seller_id, state, content::text AS content, created_at FROM promotions WHERE state = 'active'
"""

# As they were at the version that was read, whatever has come since: an order tells by which version it was decided.
# Rules that ended are kept for a while, so that what was considered says so.
LOAD_COMMISSION_RULES = """
SELECT id, used, content::text AS content FROM commission_rules
WHERE from_version <= $1 AND (to_version IS NULL OR to_version > $1)
  AND coalesce((content ->> 'valid_until')::timestamptz, 'infinity') > now() - $2::interval - interval '1 hour'
"""

LOAD_RATE_CARDS = "SELECT kind, owner, content::text AS content FROM rate_cards"

LOAD_CODES = """
SELECT c.key, c.promotion_id, p.state FROM promotion_codes c JOIN promotions p ON p.id = c.promotion_id
WHERE c.key = ANY ($1::text[])
"""

_contents = msgspec.json.Decoder(PromotionContent)
_rules = msgspec.json.Decoder(CommissionContent)


async def load_priced_offers(
    conn: Connection, keys: Sequence[OfferKey]
) -> tuple[dict[OfferKey, Offer], Versions | None]:
    """Read offers as :func:`domain.catalog.sql.load_offers` does, and the versions of the rules with them.

    None without any offer: then there is nothing to price.
    """
    rows = await conn.fetch(LOAD_PRICED_OFFERS, [key[0] for key in keys], [key[1] for key in keys])
    offers = {(row["variant_id"], row["seller_id"]): catalog.offer_of(row) for row in rows}
    return offers, _versions(rows[0]["versions"]) if rows else None


async def load_versions(conn: Connection) -> Versions:
    """Read the versions of the rules."""
    return _versions(await conn.fetchval(LOAD_VERSIONS))


def _versions(by_part: str) -> Versions:
    return Versions(*map(int, by_part.split(",")))


async def load_book(conn: Connection, held: Book, versions: Versions) -> Book:
    """Bring a book up to versions that were read before: what has changed is read anew."""
    if held.versions == versions:
        return held
    promotions, commission = held.promotions, held.commission
    tax, shipping, price_lists = held.tax, held.shipping, held.price_lists
    if held.versions.promotions != versions.promotions:
        promotions = Promotions([stored_promotion(row) for row in await conn.fetch(LOAD_PROMOTIONS)])
    if held.versions.commission != versions.commission:
        rows = await conn.fetch(LOAD_COMMISSION_RULES, versions.commission, ENDED_KEPT)
        noted = [row["id"] for row in rows if row["used"]]
        commission = CommissionRules([_rules.decode(row["content"]).rule(row["id"]) for row in rows], noted)
    if held.versions.rates != versions.rates:
        tax, shipping, price_lists = _rates(await conn.fetch(LOAD_RATE_CARDS))
    return Book(versions, promotions, commission, tax, shipping, price_lists)


def stored_promotion(row: Any) -> StoredPromotion:
    """A promotion from its row."""
    return StoredPromotion(
        id=row["id"],
        version=row["version"],
        seller_id=row["seller_id"],
        state=PromotionState(row["state"]),
        content=_contents.decode(row["content"]),
        created_at=row["created_at"],
    )


def _rates(rows: Sequence[Any]) -> tuple[TaxRates, ShippingRates, PriceLists]:
    cards = {(row["kind"], row["owner"]): row["content"] for row in rows}
    owners = {owner for kind, owner in cards if kind.startswith("shipping_")}

    def card(kind: str, owner: UUID, item: Any) -> Any:
        content = cards.get((kind, owner))
        return () if content is None else msgspec.json.decode(content, type=tuple[item, ...])

    shipping = {
        owner: Owner(
            card("shipping_zones", owner, ShippingZone),
            card("shipping_methods", owner, ShippingMethod),
            card("shipping_rates", owner, ShippingRate),
        )
        for owner in owners
    }
    platform = UUID(int=0)
    tax = TaxRates(card("tax_rates", platform, TaxRate))
    return tax, ShippingRates(shipping), PriceLists(card("price_lists", platform, PriceList))


async def load_codes(conn: Connection, keys: Sequence[str]) -> dict[str, FoundCode]:
    """Find the promotions of codes, by their keys; unknown ones are missing."""
    rows = await conn.fetch(LOAD_CODES, keys)
    return {row["key"]: FoundCode(row["promotion_id"], PromotionState(row["state"])) for row in rows}
