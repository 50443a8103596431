"""Reads of categories: views with their way from the root, pages of them, effective schemas."""

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from domain.catalog.inheritance import Assignment, effective
from domain.catalog.schema import Attribute, AttributeKind, Schema
from domain.catalog.taxonomy import (
    NAME_LENGTH_MAX,
    POSITION_MAX,
    AssignmentView,
    CategorySummary,
    CategoryView,
    Crumb,
)
from domain.connection import Connection

_SUMMARY = """
       c.id, c.parent_id, c.name, c.slug, cardinality(c.path) AS depth, c.position, c.version, c.created_at,
       (SELECT count(*) FROM categories b WHERE b.parent_id = c.id) AS children,
       (SELECT json_agg(json_build_object('id', a.id, 'name', a.name, 'slug', a.slug)
                        ORDER BY array_position(c.path, a.id))
        FROM categories a WHERE a.id = ANY (c.path)) AS path
"""

LOAD_VIEWS = f"""
SELECT {_SUMMARY},
       (SELECT json_agg(json_build_object('attribute_id', t.id, 'code', t.code, 'required', x.required,
                                          'position', x.position) ORDER BY x.position, t.code)
        FROM category_attributes x JOIN attributes t ON t.id = x.attribute_id WHERE x.category_id = c.id) AS attributes
FROM categories c WHERE c.id = ANY ($1)
"""

LIST_CATEGORIES = f"SELECT {_SUMMARY} FROM categories c WHERE c.id > $1 ORDER BY c.id LIMIT $2"

LIST_CHILDREN = f"""
SELECT {_SUMMARY}
FROM categories c WHERE c.parent_id = $1 AND (c.position, c.name, c.id) > ($2::integer, $3::text, $4::uuid)
ORDER BY c.position, c.name, c.id LIMIT $5
"""

LIST_ROOTS = f"""
SELECT {_SUMMARY}
FROM categories c WHERE c.parent_id IS NULL AND (c.position, c.name, c.id) > ($1::integer, $2::text, $3::uuid)
ORDER BY c.position, c.name, c.id LIMIT $4
"""

LOAD_SCHEMAS = """
SELECT c.id AS for_category, p.id AS category_id, p.depth, a.required AS overrides, a.position,
       t.id, t.code, t.name, t.kind, t.unit, t.required, t.choices, t.variant_making
FROM categories c
CROSS JOIN LATERAL unnest(c.path) WITH ORDINALITY AS p (id, depth)
LEFT JOIN category_attributes a ON a.category_id = p.id
LEFT JOIN attributes t ON t.id = a.attribute_id
WHERE c.id = ANY ($1)
"""


class SiblingKey(Struct, frozen=True, array_like=True):
    """Where a category stands among its siblings: what a page goes on after."""

    position: Annotated[int, Meta(ge=-1, le=POSITION_MAX)] = -1
    name: Annotated[str, Meta(max_length=NAME_LENGTH_MAX)] = ""
    id: UUID = UUID(int=0)


async def load_category_views(conn: Connection, ids: Sequence[UUID]) -> dict[UUID, CategoryView]:
    """Categories with the attributes they ask for by themselves; unknown ones are missing."""
    return {
        row["id"]: CategoryView(
            **_summary(row) | {"attributes": msgspec.json.decode(row["attributes"] or "[]", type=list[AssignmentView])}
        )
        for row in await conn.fetch(LOAD_VIEWS, ids)
    }


async def list_categories(conn: Connection, *, after: UUID, limit: int) -> list[CategorySummary]:
    """All categories in the order they were made."""
    return [CategorySummary(**_summary(row)) for row in await conn.fetch(LIST_CATEGORIES, after, limit)]


async def list_children(
    conn: Connection, parent: UUID | None, *, after: SiblingKey, limit: int
) -> list[CategorySummary]:
    """The categories right below one, or the roots, in the order siblings are shown."""
    key = (after.position, after.name, after.id, limit)
    rows = await conn.fetch(LIST_ROOTS, *key) if parent is None else await conn.fetch(LIST_CHILDREN, parent, *key)
    return [CategorySummary(**_summary(row)) for row in rows]


def _summary(row: Any) -> dict[str, Any]:
    return {**row, "path": msgspec.json.decode(row["path"], type=list[Crumb])}


async def load_schemas(conn: Connection, category_ids: Sequence[UUID]) -> dict[UUID, Schema]:
    """The effective schemas of categories; unknown ones are missing."""
    found: dict[UUID, list[Assignment]] = {}
    for row in await conn.fetch(LOAD_SCHEMAS, category_ids):
        assignments = found.setdefault(row["for_category"], [])
        if row["id"] is None:
            continue
        attribute = Attribute(
            id=row["id"],
            code=row["code"],
            name=row["name"],
            kind=AttributeKind(row["kind"]),
            unit=row["unit"],
            required=row["required"],
            choices=tuple(row["choices"]),
            variant_making=row["variant_making"],
        )
        assignments.append(Assignment(row["category_id"], row["depth"], row["overrides"], row["position"], attribute))
    return {category_id: effective(category_id, assignments) for category_id, assignments in found.items()}
