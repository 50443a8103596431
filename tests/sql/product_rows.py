"""Over 10,000 products with their listings for the tests of plans, and parameters for the statements about them."""

from typing import Any
from uuid import UUID

from domain.catalog import listing_reads, listing_sql, product_reads, product_sql, relist_sql

# Of each product one variant, that one offered by its owner.
FILL = """
INSERT INTO product_slugs (slug, product_id) SELECT 't-' || n, variant FROM numbers;
INSERT INTO products (id, seller_id, title, status, slug)
    SELECT variant, seller, 'T', CASE WHEN n % 20 = 0 THEN 'draft' ELSE 'active' END, 't-' || n FROM numbers;
INSERT INTO listings (product_id, status, seller_id, slug, created_at, sellers, tokens)
    SELECT variant, CASE WHEN n % 20 = 0 THEN 'draft' ELSE 'active' END, seller, 't-' || n, now(), ARRAY[seller],
        ARRAY['colour=' || n % 7, 'size=' || n % 11] FROM numbers;
INSERT INTO relistings (seller_id) SELECT seller FROM numbers;
INSERT INTO listing_prices (product_id, currency, price_minor, status)
    SELECT product_id, 'USD', 100, status FROM listings;
"""


def statements(sample: Any) -> dict[tuple[str, str], tuple[Any, ...]]:
    """Arguments for each statement, by module and name; a product of the sample has its variant's id."""
    products: list[UUID] = sample["variants"]
    count = len(products)
    texts, objects, ones, nothing = [f"t{n}" for n in range(count)], ["{}"] * count, [1] * count, [None] * count
    decided = (["draft"] * count, texts, ones, [""] * count, texts, nothing, texts, objects, texts, texts)
    c, x = listing_reads.__name__, relist_sql.__name__
    p, r, s = product_sql.__name__, product_reads.__name__, listing_sql.__name__
    return {
        (p, "LOCK_PRODUCTS"): (products,),
        (p, "UPDATE_PRODUCTS"): (products, *decided),
        (p, "TAKE_SLUGS"): (products, texts, ones),
        (r, "LOAD_PRODUCTS"): (products,),
        (r, "LOAD_VARIANTS"): (products,),
        (r, "FIND_SLUG"): ("t-7",),
        (r, "HAVE_VARIANTS"): (products,),
        (r, "LOAD_HISTORY"): (products[0], 9, 50),
        (s, "REFRESH_LISTINGS"): (products,),
        (s, "REFRESH_PRICES"): (products,),
        (c, "DESCENDANTS"): (products[0],),
        (c, "LOAD_CARDS"): (products, ["active"]),
        (x, "DUE"): (500,),
        (x, "RELIST_SELLERS"): (sample["sellers"],),
        (x, "TAKE_SELLER"): (),
        (x, "OFFERED"): (sample["sellers"][0], "", 500),
        (x, "ADVANCE"): (sample["sellers"][0], "1"),
        (x, "FINISH"): (sample["sellers"][0],),
    }
