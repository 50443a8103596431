"""A catalog of any size, drawn with a fixed seed: three levels of categories, six attributes, three variants a product.

Products, variants and offers are written in a few statements, for an import of 200,000 variants through the routes'
functions takes many minutes; the lists are made of them by the same function as ever.
"""

import json
from typing import Any
from uuid import UUID

from msgspec import Struct

from domain.catalog.attribute_sql import insert_attributes
from domain.catalog.category_sql import assign_attributes, insert_categories
from domain.catalog.listing_sql import refresh_listings
from domain.catalog.schema import AttributeKind
from domain.catalog.taxonomy import Assigned, AttributeEdit, Category, StoredAttribute
from domain.journal.model import SYSTEM
from infra.clock import new_id
from ops.catalog import analyse, write_sellers
from ops.goods import NewSeller

CURRENCY = "USD"
SELLERS = 100
ROOTS, BRANCHES, LEAVES = 8, 6, 5
COLOURS = ("black", "white", "slate", "red", "blue", "green", "olive", "pink", "sand", "teal", "plum", "rust")
SIZES = ("S", "M", "L")
MATERIALS = ("wool", "cotton", "linen", "steel", "oak", "glass", "paper", "leather")
STEP_PRODUCTS = 2_000

# One product in twenty isn't active. Colours, brands and prices lean to one end, as such things do.
DRAW = f"""
CREATE TEMP TABLE drawn AS
SELECT n, md5('product ' || n)::uuid AS id, 'product-' || n AS slug,
       CASE WHEN random() < 0.95 THEN 'active' ELSE 'inactive' END AS status,
       ($2::uuid[])[1 + floor(random() * cardinality($2::uuid[]))::int] AS seller,
       ($3::uuid[])[1 + floor(random() * cardinality($3::uuid[]))::int] AS category,
       jsonb_build_object(
           'colour', ('{{{",".join(COLOURS)}}}'::text[])[1 + floor(random() * random() * {len(COLOURS)})::int],
           'material', ('{{{",".join(MATERIALS)}}}'::text[])[1 + floor(random() * {len(MATERIALS)})::int],
           'brand', 'Brand ' || floor(random() * random() * 300),
           'organic', random() < 0.2, 'weight', floor(random() * 5000), 'size', '{json.dumps(SIZES)}'::jsonb) AS said,
       now() - random() * interval '365 days' AS made
FROM generate_series(1, $1::int) AS n
"""
VARIANTS = f"""
SELECT d.id AS product_id, md5(d.id || size)::uuid AS id, size, d.seller
FROM drawn d CROSS JOIN unnest('{{{",".join(SIZES)}}}'::text[]) AS size
"""
PRICE = "(300 + random() * random() * 60000)::bigint"
# Every tenth variant is offered by somebody else, too.
FILL = f"""
INSERT INTO product_slugs (slug, product_id) SELECT slug, id FROM drawn;
INSERT INTO products (id, seller_id, title, status, category_id, slug, attributes, created_at, updated_at)
    SELECT id, seller, 'Product ' || n, status, category, slug, said, made, made FROM drawn;
INSERT INTO variants (id, product_id, attributes)
    SELECT id, product_id, jsonb_build_object('size', size) FROM ({VARIANTS}) v;
INSERT INTO offers (variant_id, seller_id, sku, price_minor, currency)
    SELECT id, seller, id::text, {PRICE}, '{CURRENCY}' FROM ({VARIANTS}) v;
INSERT INTO offers (variant_id, seller_id, sku, price_minor, currency)
    SELECT v.id, s.id, v.id::text, {PRICE}, '{CURRENCY}' FROM ({VARIANTS}) v
    CROSS JOIN LATERAL (SELECT id FROM sellers WHERE id > v.seller ORDER BY id LIMIT 1) s WHERE random() < 0.1;
ANALYZE products, variants, offers;
"""


class Filled(Struct, frozen=True):
    """What a catalog can be asked for: its inner categories and its active products."""

    categories: list[UUID]
    products: list[UUID]


async def fill(conn: Any, variants: int) -> Filled:
    """Fill an empty database with products that have about so many variants together."""
    sellers = [NewSeller(new_id(), f"Seller {number}") for number in range(SELLERS)]
    await write_sellers(conn, sellers, actor=SYSTEM)
    tree = _tree()
    await insert_categories(conn, tree, actor=SYSTEM)
    await _ask_for_attributes(conn, tree)
    await conn.fetchval("SELECT setseed(0.5)")
    leaves = [category.id for category in tree if len(category.path) == 3]
    await conn.execute(DRAW, variants // len(SIZES), [seller.id for seller in sellers], leaves)
    await conn.execute(FILL)
    ids = [row["id"] for row in await conn.fetch("SELECT id FROM drawn ORDER BY n")]
    for start in range(0, len(ids), STEP_PRODUCTS):
        await refresh_listings(conn, ids[start : start + STEP_PRODUCTS])
    active = await conn.fetch("SELECT id FROM drawn WHERE status = 'active' ORDER BY n")
    await conn.execute("DROP TABLE drawn")
    await conn.execute("VACUUM")
    await analyse(conn)
    return Filled([category.id for category in tree if len(category.path) < 3], [row["id"] for row in active])


def _tree() -> list[Category]:
    tree: list[Category] = []

    def grow(above: tuple[UUID, ...], name: str, widths: tuple[int, ...]) -> None:
        for number in range(widths[0] if widths else 0):
            made = (*above, new_id())
            slug = f"{name}-{number}"
            tree.append(Category(made[-1], above[-1] if above else None, slug, slug, made, number, 1))
            grow(made, slug, widths[1:])

    grow((), "category", (ROOTS, BRANCHES, LEAVES))
    return sorted(tree, key=lambda category: len(category.path))


async def _ask_for_attributes(conn: Any, tree: list[Category]) -> None:
    contents = [
        AttributeEdit("colour", "Colour", AttributeKind.CHOICE, choices=COLOURS),
        AttributeEdit("material", "Material", AttributeKind.CHOICE, choices=MATERIALS),
        AttributeEdit("brand", "Brand", AttributeKind.TEXT),
        AttributeEdit("organic", "Organic", AttributeKind.BOOLEAN),
        AttributeEdit("weight", "Weight", AttributeKind.NUMBER, unit="g"),
        AttributeEdit("size", "Size", AttributeKind.CHOICE, choices=SIZES, variant_making=True),
    ]
    attributes = [StoredAttribute(new_id(), 1, content) for content in contents]
    await insert_attributes(conn, attributes, actor=SYSTEM)
    roots = [category for category in tree if len(category.path) == 1]
    asked = [
        Assigned(root.id, attribute.id, None, number, 2 + number)
        for root in roots
        for number, attribute in enumerate(attributes)
    ]
    await assign_attributes(conn, asked, actor=SYSTEM)
