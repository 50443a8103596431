"""What must be true of products and their lists at every moment: checks for ``domain.invariants``, by name.

What events tell adds up to the rows: each field is as the last event that names it says. Streams that began before
products had details don't begin with all of them, and only their versions are compared.
"""

from collections.abc import Mapping

from domain.catalog.listing_sql import STANDS

_FIELDS = ("status", "slug", "title", "category_id", "description", "meta_title", "meta_description", "reason")

_PRODUCTS_MATCH_EVENTS = f"""
WITH told AS (SELECT stream, version, type, data FROM events WHERE type LIKE 'product.%'),
facts AS (
    SELECT stream, version, f.key, f.value
    FROM told CROSS JOIN LATERAL jsonb_each(data - '{{seller_id,attributes}}'::text[]) AS f
    WHERE type = 'product.created'
    UNION ALL
    SELECT stream, version, 'attributes.' || a.key, a.value
    FROM told CROSS JOIN LATERAL jsonb_each(data -> 'attributes') AS a WHERE type = 'product.created'
    UNION ALL
    SELECT stream, version, c.key, c.value -> 'after'
    FROM told CROSS JOIN LATERAL jsonb_each(data -> 'changes') AS c
), last AS (
    SELECT DISTINCT ON (stream, key) stream, key, value FROM facts ORDER BY stream, key, version DESC
), said AS (
    SELECT stream, jsonb_object_agg(key, value) AS said FROM last GROUP BY stream
), streams AS (
    SELECT stream, max(version) AS version, count(*) AS events, bool_or(type = 'product.created') AS whole
    FROM told GROUP BY stream
)
SELECT coalesce(p.id, t.stream)::text AS key
FROM products p FULL JOIN streams t ON t.stream = p.id LEFT JOIN said s ON s.stream = p.id
WHERE (p.version, p.version::bigint) IS DISTINCT FROM (t.version, t.events)
   OR (t.whole AND jsonb_strip_nulls('{{"reason": ""}}' || s.said) <> jsonb_strip_nulls(
        jsonb_build_object({", ".join(f"'{field}', p.{field}" for field in _FIELDS)})
        || coalesce((SELECT jsonb_object_agg('attributes.' || key, value) FROM jsonb_each(p.attributes)), '{{}}')))
"""

_SLUGS_LEAD_TO_PRODUCTS = """
SELECT s.slug AS key FROM product_slugs s LEFT JOIN products p ON p.id = s.product_id WHERE p.id IS NULL
UNION ALL
SELECT p.slug FROM products p LEFT JOIN product_slugs s ON s.slug = p.slug WHERE s.product_id IS DISTINCT FROM p.id
"""

_PRODUCTS_ARE_LISTED = """
SELECT coalesce(p.id, l.product_id)::text AS key
FROM products p FULL JOIN (SELECT * FROM listings WHERE currency = '') l ON l.product_id = p.id
WHERE (p.id, p.status, p.seller_id, p.category_id, p.slug, p.created_at)
      IS DISTINCT FROM (l.product_id, l.status, l.seller_id, l.category_id, l.slug, l.created_at)
   OR NOT p.seller_id = ANY (l.sellers)
"""

# What the sweep has yet to list anew is left out.
_LOWEST_PRICES_ARE_LISTED = f"""
SELECT concat_ws('/', coalesce(e.product_id, l.product_id), coalesce(e.currency, l.currency)) AS key
FROM (
    SELECT v.product_id, o.currency, min(o.price_minor) AS price_minor
    FROM variants v JOIN offers o ON o.variant_id = v.id JOIN sellers s ON s.id = o.seller_id
    WHERE {STANDS} GROUP BY v.product_id, o.currency
) e
FULL JOIN (SELECT * FROM listings WHERE currency <> '') l ON l.product_id = e.product_id AND l.currency = e.currency
LEFT JOIN listings b ON b.product_id = coalesce(e.product_id, l.product_id) AND b.currency = ''
WHERE (e.price_minor, b.status, b.category_id, b.slug, b.tokens)
      IS DISTINCT FROM (l.price_minor, l.status, l.category_id, l.slug, l.tokens)
  AND coalesce(b.due_at > now(), true) AND NOT EXISTS (SELECT FROM relistings)
"""

PRODUCTS: Mapping[str, str] = {
    "products_match_events": _PRODUCTS_MATCH_EVENTS,
    "slugs_lead_to_products": _SLUGS_LEAD_TO_PRODUCTS,
    "products_are_listed": _PRODUCTS_ARE_LISTED,
    "lowest_prices_are_listed": _LOWEST_PRICES_ARE_LISTED,
}
"""Statements by name; each returns one row ``key`` (text) per violation."""
