"""A few hundred products of every kind, and an oracle that lists them by looking at each."""

import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.catalog.category_sql import insert_categories
from domain.catalog.listing import Key, ListQuery, Sort
from domain.catalog.listing_sql import refresh_listings
from domain.catalog.offer_sql import apply_offers
from domain.catalog.offers import OfferTerms, WantedOffer, decide
from domain.catalog.product_lifecycle import ProductStatus
from domain.catalog.product_model import Product, ProductDetails
from domain.catalog.product_sql import insert_products, take_slugs
from domain.catalog.taxonomy import Category
from domain.catalog.variant_sql import insert_variants
from domain.catalog.variants import Variant
from domain.journal.model import SYSTEM
from domain.money import MINOR_MAX, Money
from infra import postgres
from infra.clock import new_id
from ops.catalog import write_sellers
from ops.goods import NewSeller

COLOURS = ("red", "blue", "green", "slate", "olive")
SIZES = ("S", "M", "L")
CURRENCIES = ("USD", "EUR", "JPY")
WORDS = ("Mug", "mug", "Ärmel", "Kettle", "Über", "kettle, copper", "Łamp", "zebra", "…")
LONG = "a long text " * 40
_STATUSES = [*ProductStatus, *[ProductStatus.ACTIVE] * 20]

ROWS = """
SELECT p.id, p.status, p.slug, p.category_id, p.seller_id, p.created_at, p.attributes, c.path,
       (SELECT coalesce(json_agg(v.attributes), '[]')
        FROM variants v WHERE v.product_id = p.id AND v.active) AS variants,
       (SELECT coalesce(json_agg(json_build_array(o.seller_id, o.currency, o.price_minor)), '[]')
        FROM variants v JOIN offers o ON o.variant_id = v.id JOIN sellers s ON s.id = o.seller_id
        WHERE v.product_id = p.id AND v.active AND o.active AND s.status = 'approved'
          AND coalesce(o.valid_from, '-infinity') <= now() AND coalesce(o.valid_until, 'infinity') > now()) AS offers
FROM products p LEFT JOIN categories c ON c.id = p.category_id
"""


class Row(Struct, frozen=True):
    """A product as the oracle sees it."""

    id: UUID
    status: str
    slug: str
    path: list[UUID]
    owner: UUID
    created_at: datetime
    said: Mapping[str, set[Any]]
    sellers: set[UUID]
    prices: Mapping[str, int]


class World(Struct, frozen=True):
    """What there is to filter by, and all products."""

    sellers: list[UUID]
    categories: list[UUID]
    rows: list[Row]

    def listed(self, query: ListQuery) -> list[tuple[UUID, Key]]:
        """All that a query lists, in its order."""
        keys = [(self._key(row, query), row.id) for row in self.rows if fits(row, query)]
        keys.sort(reverse=query.sort in {Sort.NEWEST, Sort.DEAREST})
        return [(product_id, key) for key, product_id in keys]

    @staticmethod
    def _key(row: Row, query: ListQuery) -> Any:
        if query.by_price:
            return row.prices[query.currency or ""]
        return row.slug if query.sort is Sort.TITLE else row.created_at


def fits(row: Row, query: ListQuery) -> bool:
    return (
        ProductStatus(row.status) in query.statuses
        and (query.category_id is None or query.category_id in row.path)
        and (query.seller_id is None or query.seller_id in row.sellers)
        and (query.owner_id is None or query.owner_id == row.owner)
        and (query.currency is None or query.price_min <= row.prices.get(query.currency, -1) <= query.price_max)
        and all(any(_says(row, code, value) for value in values) for code, values in query.attributes)
    )


def _says(row: Row, code: str, value: str) -> bool:
    def same(said: Any) -> bool:
        if isinstance(said, bool):
            return value == str(said).lower()
        if isinstance(said, int | float):
            try:
                return float(value) == said
            except ValueError:
                return False
        return bool(value == said)

    return any(same(said) for said in row.said.get(code, ()))


async def write_world(conn: Any, *, products: int = 300, seed: int = 1) -> World:
    """Write products, drawn with a seed; the last seller is suspended."""
    draw = random.Random(seed)
    sellers = [NewSeller(new_id(), f"Seller {n}") for n in range(5)]
    ids = [seller.id for seller in sellers]
    async with postgres.transaction(conn):
        await write_sellers(conn, sellers, actor=SYSTEM)
        categories = await _write_tree(conn)
        drawn = [_product(draw, ids, categories) for _ in range(products)]
        slugs = await take_slugs(conn, [(p.id, p.details.title) for p in drawn])
        made = [msgspec.structs.replace(p, slug=slugs[p.id]) for p in drawn]
        await insert_products(conn, made, actor=SYSTEM)
        await conn.execute(
            "UPDATE products SET created_at = t.at FROM unnest($1::uuid[], $2::timestamptz[]) AS t (i, at)"
            " WHERE id = t.i",
            [p.id for p in made],
            [_moment(draw) for _ in made],
        )
        await _write_variants(conn, draw, made, ids)
        await conn.execute("UPDATE sellers SET status = 'suspended' WHERE id = $1", ids[-1])
        await refresh_listings(conn, [p.id for p in made])
    await conn.execute("ANALYZE products, listings, categories")
    return World(ids, categories, [_row(row) for row in await conn.fetch(ROWS)])


async def _write_tree(conn: Any) -> list[UUID]:
    paths: list[tuple[UUID, ...]] = []
    for _ in range(2):
        root = (new_id(),)
        for branch in [(*root, new_id()) for _ in range(2)]:
            paths += [branch, *[(*branch, new_id()) for _ in range(2)]]
        paths.append(root)
    paths.sort(key=len)
    tree = [
        Category(path[-1], path[-2] if path[1:] else None, f"C{n}", f"c-{path[-1].hex}", path, n, 1)
        for n, path in enumerate(paths)
    ]
    await insert_categories(conn, tree, actor=SYSTEM)
    return [category.id for category in tree]


def _product(draw: random.Random, sellers: Sequence[UUID], categories: Sequence[UUID]) -> Product:
    said: dict[str, Any] = {
        "colour": draw.choice(COLOURS),
        "size": draw.sample(SIZES, draw.randint(1, 3)),
        "weight": draw.choice([0, 1, 1.5, 100, 0.001, -3]),
        "organic": draw.random() < 0.5,
        "note": draw.choice(["short", LONG, "1.50", "true", "a\x1fb"]),
    }
    said = {code: value for code, value in said.items() if draw.random() < 0.8}
    category = draw.choice([*categories, None])
    details = ProductDetails(draw.choice(WORDS), category, attributes=said)
    return Product(new_id(), draw.choice(sellers), draw.choice(_STATUSES), "", 1, details)


def _moment(draw: random.Random) -> datetime:
    # Some at the same moment.
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=draw.randint(0, 200), microseconds=draw.choice([0, 7]))


async def _write_variants(conn: Any, draw: random.Random, products: Sequence[Product], sellers: Sequence[UUID]) -> None:
    variants = [
        Variant(new_id(), product.id, {"shade": shade}, active=True)
        for product in products
        for shade in draw.sample(COLOURS, draw.randint(0, 3))
    ]
    await insert_variants(conn, variants, actor=SYSTEM, correlation="")
    hidden = [variant.id for variant in variants if draw.random() < 0.2]
    await conn.execute("UPDATE variants SET active = false WHERE id = ANY ($1)", hidden)
    wanted = [
        WantedOffer(variant.id, seller, _terms(draw, n))
        for n, variant in enumerate(variants)
        for seller in draw.sample(sellers, draw.randint(0, 3))
    ]
    await apply_offers(conn, decide(wanted, {}, actor=SYSTEM, correlation=""))


def _terms(draw: random.Random, number: int) -> OfferTerms:
    now, day = datetime.now(UTC), timedelta(days=1)
    begins, ends = draw.choice([(None, None)] * 6 + [(now + day, None), (None, now - day), (now - day, now + day)])
    price = Money(draw.randint(1, 40) * 100, draw.choice(CURRENCIES))
    return OfferTerms(f"s{number}", price, draw.random() < 0.9, valid_from=begins, valid_until=ends)


def _row(row: Any) -> Row:
    said: dict[str, set[Any]] = {}
    for attributes in (msgspec.json.decode(row["attributes"]), *msgspec.json.decode(row["variants"])):
        for code, value in attributes.items():
            said.setdefault(code, set()).update(value if isinstance(value, list) else [value])
    prices: dict[str, int] = {}
    offers = msgspec.json.decode(row["offers"])
    for _, currency, price in offers:
        prices[currency] = min(price, prices.get(currency, price))
    return Row(
        id=row["id"],
        status=row["status"],
        slug=row["slug"],
        path=list(row["path"] or ()),
        owner=row["seller_id"],
        created_at=row["created_at"],
        said=said,
        sellers={row["seller_id"], *(UUID(seller) for seller, _, _ in offers)},
        prices=prices,
    )


def draw_query(draw: random.Random, world: World) -> ListQuery:
    """A query with any combination of filters; some values fit nothing."""

    def maybe(value: Any, share: float = 0.4) -> Any:
        return value if draw.random() < share else None

    sort = draw.choice(list(Sort))
    currency = draw.choice(CURRENCIES) if sort in {Sort.PRICE, Sort.DEAREST} else maybe(draw.choice(CURRENCIES))
    low = draw.choice([0, 0, 500, 1_000])
    codes = draw.sample(list(VALUES), draw.choice([0, 0, 1, 1, 2, 3]))
    return ListQuery(
        sort=sort,
        statuses=tuple(draw.sample(list(ProductStatus), 3)) if draw.random() < 0.2 else (ProductStatus.ACTIVE,),
        category_id=maybe(draw.choice(world.categories)),
        seller_id=maybe(draw.choice(world.sellers), 0.2),
        owner_id=maybe(draw.choice(world.sellers), 0.1),
        currency=currency,
        price_min=low if currency else 0,
        price_max=low + draw.choice([0, 500, 10_000, MINOR_MAX - low]) if currency else MINOR_MAX,
        attributes=tuple((code, tuple(draw.sample(VALUES[code], draw.randint(1, 2)))) for code in sorted(codes)),
    )


VALUES: Mapping[str, list[str]] = {
    "colour": [*COLOURS, "mauve"],
    "size": list(SIZES),
    "weight": ["0", "1", "1.0", "1.5", "1.50", "100", "1e2", "0.001", "-3", "many"],
    "organic": ["true", "false"],
    "note": ["short", LONG, "1.50", "1.5", "true", "a\x1fb"],
    "shade": list(COLOURS),
}
