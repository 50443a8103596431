"""What must be true of the catalog at every moment: checks for ``domain.invariants``, by name.

What events tell adds up to the rows: the last event of a stream has the row's version, and each field is as the last
event that names it says. What was deleted has no row, whatever came before.
"""

from collections.abc import Mapping

_PATHS_FOLLOW_PARENTS = """
SELECT c.id::text AS key
FROM categories c LEFT JOIN categories p ON p.id = c.parent_id
WHERE c.path IS DISTINCT FROM coalesce(p.path, '{}') || c.id
"""


def _last(field: str) -> str:
    """What the last event of a stream that names a field says of it."""
    return f"(array_agg(data ->> '{field}' ORDER BY version DESC) FILTER (WHERE data ? '{field}'))[1] AS {field}"


_CATEGORIES_MATCH_EVENTS = f"""
SELECT coalesce(c.id, e.stream)::text AS key
FROM categories c
FULL JOIN (
    SELECT stream, max(version) AS version, bool_or(type = 'category.deleted') AS deleted,
           {_last("name")}, {_last("slug")}, {_last("parent_id")}
    FROM events WHERE type LIKE 'category.%' GROUP BY stream
) e ON e.stream = c.id
WHERE (c.id IS NULL) <> coalesce(e.deleted, false)
   OR (c.id IS NOT NULL AND (c.version, c.name, c.slug, c.parent_id::text)
                            IS DISTINCT FROM (e.version, e.name, e.slug, e.parent_id))
"""

_ATTRIBUTES_MATCH_EVENTS = """
SELECT coalesce(a.id, e.stream)::text AS key
FROM attributes a
FULL JOIN (
    SELECT DISTINCT ON (stream) stream, version, type, data
    FROM events WHERE type LIKE 'attribute.%' ORDER BY stream, version DESC
) e ON e.stream = a.id
WHERE (a.id IS NULL) <> coalesce(e.type = 'attribute.deleted', false)
   OR (a.id IS NOT NULL AND (a.version, to_jsonb(a) - '{id,version,created_at}'::text[])
                            IS DISTINCT FROM (e.version, e.data))
"""

_ASSIGNMENTS_MATCH_EVENTS = """
SELECT concat_ws('/', coalesce(a.category_id, e.stream), coalesce(a.attribute_id, e.attribute_id)) AS key
FROM category_attributes a
FULL JOIN (
    SELECT DISTINCT ON (stream, data ->> 'attribute_id') stream, (data ->> 'attribute_id')::uuid AS attribute_id,
           type, (data ->> 'required')::boolean AS required, (data ->> 'position')::integer AS position
    FROM events WHERE type LIKE 'category.attribute_%'
    ORDER BY stream, data ->> 'attribute_id', version DESC
) e ON e.stream = a.category_id AND e.attribute_id = a.attribute_id
WHERE (a.category_id IS NULL) <> coalesce(e.type = 'category.attribute_unassigned', false)
   OR (a.category_id IS NOT NULL AND (a.required, a.position) IS DISTINCT FROM (e.required, e.position))
"""

TAXONOMY: Mapping[str, str] = {
    "paths_follow_parents": _PATHS_FOLLOW_PARENTS,
    "categories_match_events": _CATEGORIES_MATCH_EVENTS,
    "attributes_match_events": _ATTRIBUTES_MATCH_EVENTS,
    "assignments_match_events": _ASSIGNMENTS_MATCH_EVENTS,
}
"""Statements by name; each returns one row ``key`` (text) per violation."""

_VARIANTS_MATCH_EVENTS = """
SELECT coalesce(v.id, e.stream)::text AS key
FROM variants v
FULL JOIN (
    SELECT DISTINCT ON (stream) stream, version, data FROM events WHERE type LIKE 'variant.%'
    ORDER BY stream, version DESC
) e ON e.stream = v.id
WHERE (v.version, to_jsonb(v) - '{id,version,created_at}'::text[]) IS DISTINCT FROM (e.version, e.data)
"""

# The last event has the price; the last one that is about more than the price has everything else.
_OFFERS_MATCH_EVENTS = """
SELECT concat_ws('/', o.variant_id, o.seller_id) AS key
FROM offers o
LEFT JOIN (
    SELECT stream, max(version) AS version, (array_agg(data ORDER BY version DESC))[1] AS last,
           (array_agg(data ORDER BY version DESC) FILTER (WHERE data ? 'sku'))[1] AS terms
    FROM events WHERE type LIKE 'offer.%' GROUP BY stream
) e ON e.stream = md5(uuid_send(o.variant_id) || uuid_send(o.seller_id))::uuid
WHERE (o.version, o.price_minor, o.currency)
      IS DISTINCT FROM (e.version, (e.last ->> 'price_minor')::bigint, e.last ->> 'currency')
   OR (o.sku, o.active, o.valid_from, o.valid_until, o.quantity_max, o.quantity_window_seconds)
      IS DISTINCT FROM (e.terms ->> 'sku', (e.terms ->> 'active')::boolean, (e.terms ->> 'valid_from')::timestamptz,
                        (e.terms ->> 'valid_until')::timestamptz, (e.terms ->> 'quantity_max')::integer,
                        (e.terms ->> 'quantity_window_seconds')::integer)
"""

OFFERS: Mapping[str, str] = {
    "variants_match_events": _VARIANTS_MATCH_EVENTS,
    "offers_match_events": _OFFERS_MATCH_EVENTS,
}
"""Statements by name; each returns one row ``key`` (text) per violation."""
