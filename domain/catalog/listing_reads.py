"""Lists of products, page by page, over any number of products in about the same time.

A page is found in one of two ways. To *walk* is to go along the order from a place, look at a bounded number of
products and keep those that fit: at once for filters that many products pass, and its cost doesn't grow with the
catalog. To *gather* is to find all that fit by the indexes of what is filtered by and to sort them: for filters that
few pass. Which one it is can't be told beforehand, for attributes depend on each other and on categories; so a page is
walked for first, and gathered only when that has shown that few fit.

Walks are planned once. What is gathered is planned for its very arguments: which index to go by depends on how common
each value is. Tested in ``tests/sql/test_listing_plans.py``.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct

from domain.catalog.listing import SEPARATOR, Key, ListQuery, Place, Sort, start_of, tokens_of
from domain.catalog.product_lifecycle import ProductStatus
from domain.catalog.product_reads import CategoryName, SellerName, category_of, prices_of
from domain.connection import Connection
from domain.money import Money

WALK_MIN = 250
WALK_TIMES = 5
"""The first walk for a page looks at so many times as many products as it is to find: about half a millisecond."""
WALK_ON_TIMES_MAX = 8
"""The second one looks at no more than so many times as many as the first."""
WALK_ON_MARGIN = 1.4
"""It looks at so much more than what fits in the first would ask for."""

DESCENDANTS = "SELECT id FROM categories WHERE path @> ARRAY[$1::uuid]"

# $1 statuses, $2 and $3 the place, $4 each statement's own, $5 how many to find, $6 the currency, $7 and $8 prices. And
# the filters that need not be there: $9 categories, $10 values, $11 lists of values one of each of which, $12 seller,
# $13 owner.
_FITS = f"""
l.price_minor BETWEEN $7 AND $8
AND ($10::text[] IS NULL OR l.tokens @> $10)
AND ($11::text[] IS NULL OR NOT EXISTS (
    SELECT FROM unnest($11::text[]) AS any_of
    WHERE NOT l.tokens && string_to_array(any_of, chr({ord(SEPARATOR)}))))
AND ($12::uuid IS NULL OR l.sellers @> ARRAY[$12::uuid])
AND ($13::uuid IS NULL OR l.seller_id = $13)
"""


# $4 is how many to look at. A list of categories is looked up in a hash.
def _walk(key: str, ahead: str, order: str) -> str:
    # Along prices, those out of bounds aren't looked at.
    bounds = "l.price_minor BETWEEN $7 AND $8" if key == "price_minor" else "true"
    return f"""
WITH walked AS MATERIALIZED (
    SELECT t.* FROM unnest($1::text[]) AS s (status) CROSS JOIN LATERAL (
        SELECT l.product_id, l.{key} AS key, l.price_minor, l.category_id, l.seller_id, l.sellers, l.tokens
        FROM listings l
        WHERE l.currency = $6 AND l.status = s.status AND (l.{key}, l.product_id) {ahead} ($2, $3) AND {bounds}
        ORDER BY l.{key} {order}, l.product_id {order} LIMIT $4
    ) AS t ORDER BY t.key {order}, t.product_id {order} LIMIT $4
)
SELECT n.seen, f.product_id, f.key FROM (SELECT count(*) AS seen FROM walked) AS n LEFT JOIN (
    SELECT l.product_id, l.key FROM walked l
    WHERE ($9::uuid[] IS NULL OR l.category_id IN (SELECT unnest($9::uuid[]))) AND {_FITS}
    ORDER BY l.key {order}, l.product_id {order} LIMIT $5
) AS f ON true ORDER BY f.key {order}, f.product_id {order}
"""


# All of them before the first is sorted out: an order that happens to have an index must not be walked again. $4 is a
# list of values, any of which: the first that $11 says, in a form that an index takes.
def _gather(key: str, ahead: str, order: str) -> str:
    return f"""
WITH gathered AS MATERIALIZED (
    SELECT l.product_id, l.{key} AS key FROM listings l
    WHERE l.currency = $6 AND l.status = ANY ($1::text[]) AND ($9::uuid[] IS NULL OR l.category_id = ANY ($9))
      AND (l.{key}, l.product_id) {ahead} ($2, $3) AND ($4::text[] IS NULL OR l.tokens && $4) AND {_FITS}
)
SELECT product_id, key FROM gathered ORDER BY key {order}, product_id {order} LIMIT $5
"""


_ORDERS = {
    Sort.NEWEST: ("created_at", "<", "DESC"),
    Sort.TITLE: ("slug", ">", "ASC"),
    Sort.PRICE: ("price_minor", ">", "ASC"),
    Sort.DEAREST: ("price_minor", "<", "DESC"),
}
WALKS: Mapping[Sort, str] = {sort: _walk(*order) for sort, order in _ORDERS.items()}
GATHERINGS: Mapping[Sort, str] = {sort: _gather(*order) for sort, order in _ORDERS.items()}

LOAD_CARDS = """
SELECT p.id, p.seller_id, s.name AS seller, p.category_id, c.name AS category, c.slug AS category_slug, p.title, p.slug,
       p.status, p.version, p.created_at, p.updated_at, l.currencies, l.prices
FROM unnest($1::uuid[]) WITH ORDINALITY AS t (id, place)
JOIN products p ON p.id = t.id JOIN sellers s ON s.id = p.seller_id LEFT JOIN categories c ON c.id = p.category_id
CROSS JOIN LATERAL (
    SELECT array_agg(currency ORDER BY currency) AS currencies, array_agg(price_minor ORDER BY currency) AS prices
    FROM listings WHERE product_id = p.id AND currency <> ''
) AS l
WHERE p.status = ANY ($2::text[]) ORDER BY t.place
"""


class ProductCard(Struct, frozen=True):
    """A product in a list; ``prices`` are its lowest, by currency, at most some seconds old."""

    id: UUID
    seller: SellerName
    category: CategoryName | None
    title: str
    slug: str
    status: ProductStatus
    prices: list[Money]
    version: int
    created_at: datetime
    updated_at: datetime


class Wanted(Struct, frozen=True):
    """A page to find: its query, the place it begins after, the categories meant, how many products at most."""

    query: ListQuery
    place: Place | None
    categories: Sequence[UUID] | None
    limit: int

    def arguments(self, fourth: object) -> list[object]:
        """What the statements are given; the fourth is each one's own."""
        query = self.query
        attributes = [tokens_of(code, values) for code, values in query.attributes]
        every = [tokens[0] for tokens in attributes if len(tokens) == 1]
        any_of = [SEPARATOR.join(tokens) for tokens in attributes if len(tokens) > 1]
        return [
            [status.value for status in query.statuses],
            *start_of(query, self.place),
            fourth,
            self.limit,
            query.currency or "",
            query.price_min,
            query.price_max,
            self.categories,
            every or None,
            any_of or None,
            query.seller_id,
            query.owner_id,
        ]


Found = list[tuple[UUID, Key]]
"""Products in their order, each with what they are ordered by."""


async def load_descendants(conn: Connection, category_id: UUID) -> list[UUID]:
    """A category and all below it; none of one that isn't there."""
    return [row["id"] for row in await conn.fetch(DESCENDANTS, category_id)]


async def walk(conn: Connection, wanted: Wanted) -> Found | None:
    """Find a page by going along its order; None when too few fit to be found like that."""
    if wanted.query.is_plain:
        return (await _walk_to(conn, wanted, wanted.limit))[0]
    near = max(WALK_MIN, WALK_TIMES * wanted.limit)
    found, seen = await _walk_to(conn, wanted, near)
    if len(found) == wanted.limit or seen < near:
        return found
    far = math.ceil(near * WALK_ON_MARGIN * wanted.limit / max(len(found), 1))
    if far > near * WALK_ON_TIMES_MAX:
        return None
    found, seen = await _walk_to(conn, wanted, far)
    return found if len(found) == wanted.limit or seen < far else None


async def _walk_to(conn: Connection, wanted: Wanted, window: int) -> tuple[Found, int]:
    rows = await conn.fetch(WALKS[wanted.query.sort], *wanted.arguments(window))
    return [(row["product_id"], row["key"]) for row in rows if row["product_id"] is not None], rows[0]["seen"]


async def gather(conn: Connection, wanted: Wanted) -> Found:
    """Find a page among all that fits. Run it where statements are planned for their arguments."""
    choices = (tokens_of(code, values) for code, values in wanted.query.attributes)
    any_of = next((tokens for tokens in choices if len(tokens) > 1), None)
    rows = await conn.fetch(GATHERINGS[wanted.query.sort], *wanted.arguments(any_of))
    return [(row["product_id"], row["key"]) for row in rows]


async def load_cards(
    conn: Connection, products: Sequence[UUID], statuses: Sequence[ProductStatus]
) -> list[ProductCard]:
    """Products as lists show them, in the order given, without those that have left these states meanwhile."""
    rows = await conn.fetch(LOAD_CARDS, products, [status.value for status in statuses])
    return [_card(row) for row in rows]


def _card(row: Any) -> ProductCard:
    return ProductCard(
        id=row["id"],
        seller=SellerName(row["seller_id"], row["seller"]),
        category=category_of(row),
        title=row["title"],
        slug=row["slug"],
        status=ProductStatus(row["status"]),
        prices=prices_of(row),
        version=row["version"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
