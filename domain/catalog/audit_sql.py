"""What must be true of the taxonomy at every moment: checks for ``domain.invariants``, by name.

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
