"""How many products and variants rely on what an edit of the taxonomy would take away.

A product relies on an attribute if its category asks for it and its values, or those of its variants, have one.
Invariant: these counts are exact where they are used, because who writes values holds the tree (``hold_tree``) and who
edits the taxonomy has noted it as changed before counting.
"""

from collections.abc import Collection, Sequence
from uuid import UUID

from domain.catalog.attribute_edit import ValueUse
from domain.connection import Connection, Row

# Of a category and those below it ($1), the products that have a value of an attribute ($2) which no category on the
# way to them asks for any more, the first $3 of which no longer count.
COUNT_LOSERS = """
SELECT count(DISTINCT p.id) AS products, array_agg(DISTINCT t.code) AS codes
FROM categories b
JOIN products p ON p.category_id = b.id
CROSS JOIN attributes t
WHERE b.path @> ARRAY[$1::uuid] AND t.id = ANY ($2)
  AND NOT EXISTS (SELECT 1 FROM category_attributes a
                  WHERE a.attribute_id = t.id AND a.category_id = ANY (b.path[$3::integer + 1:]))
  AND (p.attributes ? t.code
       OR EXISTS (SELECT 1 FROM variants v WHERE v.product_id = p.id AND v.attributes ? t.code))
"""

_ASKING = """
(SELECT DISTINCT b.id FROM category_attributes a JOIN categories b ON b.path @> ARRAY[a.category_id]
 WHERE a.attribute_id = $1)
"""

COUNT_VALUES = f"""
SELECT count(*) FILTER (WHERE p.attributes ? $2) AS products,
       coalesce(sum((SELECT count(*) FROM variants v WHERE v.product_id = p.id AND v.attributes ? $2)), 0) AS variants
FROM {_ASKING} AS b JOIN products p ON p.category_id = b.id
"""

COUNT_CHOICES = f"""
SELECT count(*) FILTER (WHERE p.attributes -> $2 ?| $3::text[]) AS products,
       coalesce(sum((SELECT count(*) FROM variants v
                     WHERE v.product_id = p.id AND v.attributes ->> $2 = ANY ($3::text[]))), 0) AS variants
FROM {_ASKING} AS b JOIN products p ON p.category_id = b.id
"""


async def count_losers(
    conn: Connection, category: UUID, attributes: Collection[UUID], *, above: int
) -> tuple[int, list[str]]:
    """How many products of a category, or of one below it, would lose a value, and of which attributes, by code.

    ``attributes`` are those that the first ``above`` categories on the way ask for no more.
    """
    row = await conn.fetchrow(COUNT_LOSERS, category, list(attributes), above)
    return (0, []) if row is None else (row["products"], row["codes"] or [])


async def count_values(conn: Connection, attribute: UUID, code: str) -> ValueUse:
    """How many products and variants have a value of an attribute."""
    return _use(await conn.fetchrow(COUNT_VALUES, attribute, code))


async def count_choices(conn: Connection, attribute: UUID, code: str, choices: Sequence[str]) -> ValueUse:
    """How many products and variants hold one of some choices of an attribute."""
    return _use(await conn.fetchrow(COUNT_CHOICES, attribute, code, choices))


def _use(row: Row | None) -> ValueUse:
    return ValueUse() if row is None else ValueUse(row["products"], int(row["variants"]))
