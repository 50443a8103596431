"""The read model of product lists: what a list filters and sorts by, kept with every change.

Invariant: at every commit a product's listing says what its rows say: its state, category, slug, owner, who offers it,
its attributes, and its lowest price in each currency among the offers that stand. Whoever changes a product, its
variants or its offers calls :func:`refresh_listings` at the end of the transaction, under the product's lock: so the
last of two writers lists what both have written.

Prices change without a writer as well, when an offer's validity begins or ends and when a seller is suspended or
approved. The sweep ``relist_products`` follows those, so a list may be some seconds late; an order never is.
"""

from collections.abc import Sequence
from uuid import UUID

from domain.catalog.listing import SEPARATOR, TOKEN_LENGTH_MAX
from domain.connection import Connection
from domain.journal.changes_sql import note_changes

STANDS = """(
    o.active AND v.active AND s.status = 'approved'
    AND (o.valid_from IS NULL OR o.valid_from <= now()) AND (o.valid_until IS NULL OR o.valid_until > now())
)"""
"""Whether an offer stands: it is sellable as soon as its product is active. Of offers o, variants v and sellers s."""

# The offers of a product p. OFFSET 0 keeps the planner from beginning with all approved sellers and all they offer,
# which it does while it takes them for few.
_OFFERED = """
variants v JOIN offers o ON o.variant_id = v.id
CROSS JOIN LATERAL (SELECT status FROM sellers WHERE id = o.seller_id OFFSET 0) AS s
WHERE v.product_id = p.id
"""

# Each product by itself, so that many take as many times as long as one. Rows that stay the same are left alone: most
# changes change little of a listing.
REFRESH_LISTINGS = f"""
WITH gone AS (
    DELETE FROM listings p USING unnest($1::uuid[]) AS t (id)
    WHERE p.product_id = t.id AND p.currency <> '' AND NOT EXISTS (
        SELECT FROM {_OFFERED.replace("p.id", "p.product_id")} AND o.currency = p.currency AND {STANDS})
)
INSERT INTO listings AS l (product_id, currency, price_minor, status, seller_id, category_id, slug, created_at, sellers,
    tokens, due_at)
SELECT p.id, r.currency, r.price_minor, p.status, p.seller_id, p.category_id, p.slug, p.created_at, f.sellers, t.tokens,
       CASE r.currency WHEN '' THEN f.due_at END
FROM products p
CROSS JOIN LATERAL (
    SELECT coalesce(array_agg(DISTINCT token ORDER BY token), '{{}}') AS tokens
    FROM (
        SELECT e.key, e.value FROM jsonb_each(p.attributes) AS e
        UNION ALL
        SELECT e.key, e.value FROM variants v CROSS JOIN LATERAL jsonb_each(v.attributes) AS e
        WHERE v.product_id = p.id AND v.active
    ) AS said
    CROSS JOIN LATERAL jsonb_array_elements(
        CASE jsonb_typeof(value) WHEN 'array' THEN value ELSE jsonb_build_array(value) END) AS x
    CROSS JOIN LATERAL concat(key, '=', CASE jsonb_typeof(x)
        WHEN 'number' THEN trim_scale((x #>> '{{}}')::numeric)::text ELSE x #>> '{{}}' END) AS word
    CROSS JOIN LATERAL (
        SELECT CASE WHEN length(word) > {TOKEN_LENGTH_MAX} OR strpos(word, chr({ord(SEPARATOR)})) > 0
            THEN md5(word) ELSE word END AS token
    ) AS w
) AS t
CROSS JOIN LATERAL (
    SELECT ARRAY(
               SELECT DISTINCT u
               FROM unnest(p.seller_id || array_agg(o.seller_id) FILTER (WHERE {STANDS})) AS u ORDER BY u
           ) AS sellers,
           min(CASE WHEN o.valid_from > now() THEN o.valid_from ELSE o.valid_until END)
               FILTER (WHERE o.active AND (o.valid_from > now() OR o.valid_until > now())) AS due_at
    FROM {_OFFERED}
) AS f
CROSS JOIN LATERAL (
    SELECT '' AS currency, 0 AS price_minor
    UNION ALL
    SELECT o.currency, min(o.price_minor) FROM {_OFFERED} AND {STANDS} GROUP BY o.currency
) AS r
WHERE p.id = ANY ($1::uuid[])
ON CONFLICT (product_id, currency) DO UPDATE SET price_minor = excluded.price_minor, status = excluded.status,
    category_id = excluded.category_id, slug = excluded.slug, sellers = excluded.sellers, tokens = excluded.tokens,
    due_at = excluded.due_at
WHERE (l.price_minor, l.status, l.category_id, l.slug, l.sellers, l.tokens, l.due_at) IS DISTINCT FROM (
    excluded.price_minor, excluded.status, excluded.category_id, excluded.slug, excluded.sellers, excluded.tokens,
    excluded.due_at)
"""


async def refresh_listings(conn: Connection, product_ids: Sequence[UUID]) -> None:
    """List products as they are now, and note their change; the caller holds their locks and has written all else."""
    if product_ids:
        await conn.execute(REFRESH_LISTINGS, product_ids)
        await note_changes(conn, product_ids)
