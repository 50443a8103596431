"""Statements of rate cards.

Invariant: whoever replaces a card has raised the version of rates before (``version_sql``), whose row is the lock: what
the new list was held against still holds when it is written.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from uuid import UUID

import msgspec

from domain.catalog.model import OfferKey
from domain.connection import Connection
from domain.pricing.rate_cards import Card, CardKind, card_from

LOAD_CARDS = (
    "SELECT kind, content::text AS content, version FROM rate_cards WHERE owner = $1 AND kind = ANY ($2::text[])"
)

WRITE_CARD = """
INSERT INTO rate_cards (kind, owner, version, content, updated_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (kind, owner) DO UPDATE
SET version = excluded.version, content = excluded.content, updated_at = excluded.updated_at
"""

LOAD_KNOWN_CATEGORIES = "SELECT id FROM categories WHERE id = ANY ($1::uuid[])"

LOAD_KNOWN_OFFERS = """
SELECT o.variant_id, o.seller_id FROM unnest($1::uuid[], $2::uuid[]) AS t (variant_id, seller_id)
JOIN offers o ON o.variant_id = t.variant_id AND o.seller_id = t.seller_id
"""


async def load_cards(conn: Connection, owner: UUID, kinds: Collection[CardKind]) -> Mapping[CardKind, Card]:
    """Read an owner's cards; one that was never written is empty, at version 0."""
    rows = await conn.fetch(LOAD_CARDS, owner, [kind.value for kind in kinds])
    found = {(kind := CardKind(row["kind"])): card_from(kind, row["content"], row["version"]) for row in rows}
    return {kind: found.get(kind, Card()) for kind in kinds}


async def write_card(conn: Connection, kind: CardKind, owner: UUID, card: Card, now: datetime) -> None:
    """Put a card in place of what was there."""
    await conn.execute(WRITE_CARD, kind.value, owner, card.version, msgspec.json.encode(card.items).decode(), now)


async def load_known_categories(conn: Connection, ids: Collection[UUID]) -> set[UUID]:
    """Which of some categories there are."""
    return {row["id"] for row in await conn.fetch(LOAD_KNOWN_CATEGORIES, list(ids))}


async def load_known_offers(conn: Connection, keys: Collection[OfferKey]) -> set[OfferKey]:
    """Which of some offers there are, sold now or not."""
    rows = await conn.fetch(LOAD_KNOWN_OFFERS, [variant for variant, _ in keys], [seller for _, seller in keys])
    return {(row["variant_id"], row["seller_id"]) for row in rows}
