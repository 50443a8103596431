"""Reads of attributes: views, and pages of them by code."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from domain.catalog.schema import AttributeKind
from domain.catalog.taxonomy import AttributeView
from domain.connection import Connection

_COLUMNS = """
       t.id, t.code, t.name, t.kind, t.unit, t.required, t.choices, t.variant_making, t.version, t.created_at,
       (SELECT count(*) FROM category_attributes a WHERE a.attribute_id = t.id) AS categories
"""

LOAD_VIEWS = f"SELECT {_COLUMNS} FROM attributes t WHERE t.id = ANY ($1)"
LIST_ATTRIBUTES = f"SELECT {_COLUMNS} FROM attributes t WHERE t.code > $1 ORDER BY t.code LIMIT $2"


async def load_attribute_views(conn: Connection, ids: Sequence[UUID]) -> dict[UUID, AttributeView]:
    """Attributes as clients see them; unknown ones are missing."""
    return {row["id"]: _view(row) for row in await conn.fetch(LOAD_VIEWS, ids)}


async def list_attributes(conn: Connection, *, after: str, limit: int) -> list[AttributeView]:
    """Attributes by code."""
    return [_view(row) for row in await conn.fetch(LIST_ATTRIBUTES, after, limit)]


def _view(row: Any) -> AttributeView:
    return AttributeView(
        id=row["id"],
        code=row["code"],
        name=row["name"],
        kind=AttributeKind(row["kind"]),
        unit=row["unit"],
        required=row["required"],
        choices=tuple(row["choices"]),
        variant_making=row["variant_making"],
        categories=row["categories"],
        version=row["version"],
        created_at=row["created_at"],
    )
