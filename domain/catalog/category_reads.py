"""Reads of categories: their schemas."""

from collections.abc import Sequence
from uuid import UUID

from domain.catalog.inheritance import Assignment, effective
from domain.catalog.schema import Attribute, AttributeKind, Schema
from domain.connection import Connection

LOAD_SCHEMAS = """
SELECT c.id AS for_category, p.id AS category_id, p.depth, a.required AS overrides, a.position,
       t.id, t.code, t.name, t.kind, t.unit, t.required, t.choices, t.variant_making
FROM categories c
CROSS JOIN LATERAL unnest(c.path) WITH ORDINALITY AS p (id, depth)
LEFT JOIN category_attributes a ON a.category_id = p.id
LEFT JOIN attributes t ON t.id = a.attribute_id
WHERE c.id = ANY ($1)
"""


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
