"""Products as clients see them: one whole, by its slug, and what happened to it.

Invariant: :func:`load_product` reads everything that is shown of a product, in two statements. Whatever makes one of
them give another answer is noted in ``catalog_changes``: the product, its seller, the tree. An offer's validity that
begins or ends, and a seller's status, are noted for the product by the sweep ``relist_products``.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.catalog.listing_sql import STANDS
from domain.catalog.product_lifecycle import ProductStatus
from domain.catalog.product_model import Change, ProductCreated
from domain.connection import Connection
from domain.money import Money

LOAD_PRODUCTS = """
SELECT p.id, p.seller_id, s.name AS seller, p.category_id, c.name AS category, c.slug AS category_slug, p.title, p.slug,
       p.description, p.attributes, p.meta_title, p.meta_description, p.status, p.reason, p.version, p.created_at,
       p.updated_at
FROM products p JOIN sellers s ON s.id = p.seller_id LEFT JOIN categories c ON c.id = p.category_id
WHERE p.id = ANY ($1::uuid[])
"""

LOAD_VARIANTS = f"""
SELECT v.product_id, v.id, v.attributes, v.active, l.currencies, l.prices
FROM variants v
CROSS JOIN LATERAL (
    SELECT array_agg(currency ORDER BY currency) AS currencies, array_agg(price_minor ORDER BY currency) AS prices
    FROM (
        SELECT o.currency, min(o.price_minor) AS price_minor
        FROM offers o JOIN sellers s ON s.id = o.seller_id WHERE o.variant_id = v.id AND {STANDS} GROUP BY o.currency
    ) AS lowest
) AS l
WHERE v.product_id = ANY ($1::uuid[]) ORDER BY v.product_id, v.id
"""

FIND_SLUG = """
SELECT s.product_id, p.slug FROM product_slugs s JOIN products p ON p.id = s.product_id WHERE s.slug = $1
"""

HAVE_VARIANTS = "SELECT DISTINCT product_id FROM variants WHERE product_id = ANY ($1::uuid[])"

LOAD_HISTORY = """
SELECT version, type, data, actor, at FROM events WHERE stream = $1 AND version < $2 ORDER BY version DESC LIMIT $3
"""
VERSION_MAX = 2**31 - 1


class SellerName(Struct, frozen=True):
    """Whose it is."""

    id: UUID
    name: str


class CategoryName(Struct, frozen=True):
    """Where it stands."""

    id: UUID
    name: str
    slug: str


class ProductVariant(Struct, frozen=True):
    """What of a product can be bought; ``prices`` are the lowest, by currency, of the offers that stand."""

    id: UUID
    attributes: msgspec.Raw
    active: bool
    prices: list[Money]


class ProductView(Struct, frozen=True):
    """A product. ``reason`` says why it was rejected, until it is submitted again.

    ``prices`` are the lowest of its variants', by currency; of a product that isn't active they are what will be asked.
    """

    id: UUID
    seller: SellerName
    category: CategoryName | None
    title: str
    slug: str
    description: str
    attributes: msgspec.Raw
    meta_title: str
    meta_description: str
    status: ProductStatus
    reason: str | None
    version: int
    created_at: datetime
    updated_at: datetime
    prices: list[Money]
    variants: list[ProductVariant]


class _Told(Struct, frozen=True):
    """What an event tells; of those from before products had details nothing is shown."""

    changes: dict[str, Change] = {}


class HistoryEntry(Struct, frozen=True):
    """Something that happened to a product: who did it, and each field that was other afterwards."""

    version: int
    type: str
    actor: UUID
    at: datetime
    changes: dict[str, Change]


async def load_product(conn: Connection, product_id: UUID) -> ProductView | None:
    """Read one product whole."""
    rows = await conn.fetch(LOAD_PRODUCTS, [product_id])
    if not rows:
        return None
    (row,) = rows
    variants = [_variant(variant) for variant in await conn.fetch(LOAD_VARIANTS, [product_id])]
    return ProductView(
        id=row["id"],
        seller=SellerName(row["seller_id"], row["seller"]),
        category=category_of(row),
        title=row["title"],
        slug=row["slug"],
        description=row["description"],
        attributes=msgspec.Raw(row["attributes"].encode()),
        meta_title=row["meta_title"],
        meta_description=row["meta_description"],
        status=ProductStatus(row["status"]),
        reason=row["reason"] or None,
        version=row["version"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        prices=_lowest([price for variant in variants for price in variant.prices]),
        variants=variants,
    )


def category_of(row: Any) -> CategoryName | None:
    """The category in a row, if it has one."""
    if row["category_id"] is None:
        return None
    return CategoryName(row["category_id"], row["category"], row["category_slug"])


def _variant(row: Any) -> ProductVariant:
    return ProductVariant(row["id"], msgspec.Raw(row["attributes"].encode()), row["active"], prices_of(row))


def prices_of(row: Any) -> list[Money]:
    """The prices in a row's two arrays."""
    return [Money(*price) for price in zip(row["prices"] or (), row["currencies"] or (), strict=True)]


def _lowest(prices: Sequence[Money]) -> list[Money]:
    lowest: dict[str, int] = {}
    for price in prices:
        lowest[price.currency] = min(price.amount, lowest.get(price.currency, price.amount))
    return [Money(lowest[currency], currency) for currency in sorted(lowest)]


async def find_slug(conn: Connection, slug: str) -> tuple[UUID, str] | None:
    """The product that has or had a slug, and the one it has now."""
    found = await conn.fetchrow(FIND_SLUG, slug)
    return None if found is None else (found["product_id"], found["slug"])


async def have_variants(conn: Connection, product_ids: Sequence[UUID]) -> set[UUID]:
    """Which of some products have variants."""
    return {row["product_id"] for row in await conn.fetch(HAVE_VARIANTS, product_ids)}


async def load_history(
    conn: Connection, product_id: UUID, *, before: int = VERSION_MAX, limit: int
) -> list[HistoryEntry]:
    """Read a page of what happened to a product, the latest first."""
    return [_entry(row) for row in await conn.fetch(LOAD_HISTORY, product_id, before, limit)]


def _entry(row: Any) -> HistoryEntry:
    if row["type"] == "product.created":
        created = msgspec.json.decode(row["data"], type=ProductCreated)
        changes = {name: Change(None, value) for name, value in msgspec.structs.asdict(created).items()}
    else:
        changes = msgspec.json.decode(row["data"], type=_Told).changes
    return HistoryEntry(row["version"], row["type"], row["actor"], row["at"], changes)
