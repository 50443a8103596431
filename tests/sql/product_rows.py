"""Over 10,000 products with their listings for the tests of plans, and parameters for the statements about them."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from domain.catalog import listing_reads, listing_sql, product_reads, product_sql, relist_sql
from domain.catalog.listing import Sort

# Of each product one variant, that one offered by its owner.
FILL = """
INSERT INTO product_slugs (slug, product_id) SELECT 't-' || n, variant FROM numbers;
INSERT INTO products (id, seller_id, title, status, slug)
    SELECT variant, seller, 'T', CASE WHEN n % 20 = 0 THEN 'draft' ELSE 'active' END, 't-' || n FROM numbers;
INSERT INTO listings (product_id, currency, price_minor, status, seller_id, category_id, slug, created_at, sellers,
    tokens)
    SELECT variant, currency, CASE currency WHEN '' THEN 0 ELSE n END,
        CASE WHEN n % 20 = 0 THEN 'draft' ELSE 'active' END, seller, pg_temp.nth(4, n % 300), 't-' || n,
        now() - make_interval(secs => n), ARRAY[seller], ARRAY['colour=' || n % 7, 'n=' || n]
    FROM numbers, unnest('{"",USD}'::text[]) AS currency;
INSERT INTO relistings (seller_id) SELECT seller FROM numbers;
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
        **_of_lists(),
        (c, "DESCENDANTS"): (products[0],),
        (c, "LOAD_CARDS"): (products, ["active"]),
        (x, "DUE"): (500,),
        (x, "RELIST_SELLERS"): (sample["sellers"],),
        (x, "TAKE_SELLER"): (),
        (x, "OFFERED"): (sample["sellers"][0], "", 500),
        (x, "ADVANCE"): (sample["sellers"][0], "1"),
        (x, "FINISH"): (sample["sellers"][0],),
    }


def _of_lists() -> dict[tuple[str, str], tuple[Any, ...]]:
    """For a page in the middle of each order, without filters but for a price and a value."""
    starts = {Sort.NEWEST: datetime.now(UTC), Sort.TITLE: "t-5", Sort.PRICE: 50, Sort.DEAREST: 5_000}
    rest = (51, "USD", 0, 10**15, None, ["colour=3"], None, None, None)
    c = listing_reads.__name__
    walks = {(c, f"WALKS {sort}"): (["active"], start, UUID(int=7), 250, *rest) for sort, start in starts.items()}
    gatherings = {
        (c, f"GATHERINGS {sort}"): (["active"], start, UUID(int=7), None, *rest) for sort, start in starts.items()
    }
    return walks | gatherings
