"""Statements that write attributes, and what they are decided on.

Invariant: as for categories (``category_sql``): whoever edits attributes has noted ``TREE`` first, and each change
appends its event, with the attribute's version, in the same transaction.
"""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from domain.catalog.attribute_edit import AttributeUse
from domain.catalog.schema import AttributeKind
from domain.catalog.taxonomy import AttributeDeleted, AttributeEdit, StoredAttribute
from domain.connection import Connection
from domain.journal.model import Event
from domain.journal.sql import insert_events

LOAD_ATTRIBUTES = """
SELECT id, version, code, name, kind, unit, required, choices, variant_making FROM attributes WHERE id = ANY ($1)
"""

TAKEN_CODES = "SELECT code FROM attributes WHERE code = ANY ($1) AND id <> $2"

LOAD_USES = """
SELECT t.id, (SELECT count(*) FROM category_attributes a WHERE a.attribute_id = t.id) AS categories
FROM unnest($1::uuid[]) AS t (id)
"""

EDIT_ATTRIBUTE = """
UPDATE attributes
SET version = $2, code = $3, name = $4, kind = $5, unit = $6, required = $7, choices = $8, variant_making = $9
WHERE id = $1
"""

DELETE_ATTRIBUTES = "DELETE FROM attributes WHERE id = ANY ($1)"

_COLUMNS = ("id", "version", "code", "name", "kind", "unit", "required", "choices", "variant_making")


async def load_attributes(conn: Connection, ids: Sequence[UUID]) -> dict[UUID, StoredAttribute]:
    """Attributes as they stand; unknown ones are missing."""
    return {
        row["id"]: StoredAttribute(
            row["id"],
            row["version"],
            AttributeEdit(
                code=row["code"],
                name=row["name"],
                kind=AttributeKind(row["kind"]),
                unit=row["unit"],
                required=row["required"],
                choices=tuple(row["choices"]),
                variant_making=row["variant_making"],
            ),
        )
        for row in await conn.fetch(LOAD_ATTRIBUTES, ids)
    }


async def load_taken_codes(conn: Connection, codes: Sequence[str], *, but: UUID) -> set[str]:
    """Which of some codes belong to other attributes than ``but``."""
    return {row["code"] for row in await conn.fetch(TAKEN_CODES, codes, but)}


async def load_attribute_uses(conn: Connection, ids: Sequence[UUID]) -> dict[UUID, AttributeUse]:
    """Who uses attributes."""
    return {row["id"]: AttributeUse(row["categories"]) for row in await conn.fetch(LOAD_USES, ids)}


async def insert_attributes(
    conn: Connection, attributes: Sequence[StoredAttribute], *, actor: UUID, correlation: str = ""
) -> None:
    """Write new attributes."""
    await conn.copy_records_to_table("attributes", records=[_record(a) for a in attributes], columns=_COLUMNS)
    await insert_events(
        conn,
        [Event(a.id, a.version, "attribute.created", _json(a.content), actor, correlation) for a in attributes],
    )


async def edit_attribute(conn: Connection, attribute: StoredAttribute, *, actor: UUID, correlation: str = "") -> None:
    """Write an attribute as given, with the version given."""
    a = attribute
    await conn.execute(EDIT_ATTRIBUTE, *_record(a))
    await insert_events(conn, [Event(a.id, a.version, "attribute.changed", _json(a.content), actor, correlation)])


async def delete_attributes(
    conn: Connection, attributes: Sequence[StoredAttribute], *, actor: UUID, correlation: str = ""
) -> None:
    """Delete attributes that nothing uses."""
    await conn.execute(DELETE_ATTRIBUTES, [a.id for a in attributes])
    await insert_events(
        conn,
        [
            Event(a.id, a.version + 1, "attribute.deleted", _json(AttributeDeleted(a.content.code)), actor, correlation)
            for a in attributes
        ],
    )


def _record(attribute: StoredAttribute) -> tuple[object, ...]:
    c = attribute.content
    return (
        attribute.id,
        attribute.version,
        c.code,
        c.name,
        c.kind.value,
        c.unit,
        c.required,
        list(c.choices),
        c.variant_making,
    )


def _json(data: AttributeEdit | AttributeDeleted) -> str:
    return msgspec.json.encode(data).decode()
