"""Statements that write categories, what they are decided on, and what keeps the tree still.

Invariant: whoever edits categories or attributes notes ``TREE`` as changed first, which makes all such edits wait for
each other, and reads afterwards: a cycle, a depth or a use is judged on what nobody else is changing. Each change
appends its event, with the category's version, in the same transaction.
"""

from collections.abc import Sequence
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.catalog.model import TREE
from domain.catalog.taxonomy import (
    Assigned,
    AttributeAssigned,
    AttributeUnassigned,
    Category,
    CategoryChanged,
    CategoryCreated,
    CategoryDeleted,
    CategoryMoved,
)
from domain.catalog.tree import CategoryUse
from domain.connection import Connection
from domain.journal.model import Event
from domain.journal.sql import insert_events

HOLD_TREE = "SELECT 1 AS held FROM catalog_changes WHERE thing = $1 FOR SHARE"
FOUND_TREE = "INSERT INTO catalog_changes (thing) VALUES ($1) ON CONFLICT (thing) DO NOTHING"

LOAD_CATEGORIES = """
SELECT id, parent_id, name, slug, path, position, version FROM categories WHERE id = ANY ($1)
"""

TAKEN_SLUGS = "SELECT slug FROM categories WHERE slug = ANY ($1) AND id <> $2"

LEVELS = """
SELECT max(cardinality(b.path)) - cardinality(c.path) + 1 AS levels
FROM categories c JOIN categories b ON b.path @> ARRAY[c.id]
WHERE c.id = $1 GROUP BY c.id
"""

LOAD_USES = """
SELECT t.id, (SELECT count(*) FROM categories c WHERE c.parent_id = t.id) AS children,
       (SELECT count(*) FROM products p WHERE p.category_id = t.id) AS products,
       (SELECT count(*) FROM category_attributes a WHERE a.category_id = t.id) AS attributes
FROM unnest($1::uuid[]) AS t (id)
"""

# The largest schema among a category and those below it, were it to stand below other categories ($2) and to ask for
# more attributes ($3).
LARGEST_SCHEMA = """
SELECT coalesce(max(attributes), 0) AS attributes FROM (
    SELECT count(DISTINCT attribute_id) AS attributes
    FROM categories b CROSS JOIN LATERAL (
        SELECT a.attribute_id
        FROM unnest($2::uuid[] || b.path[array_position(b.path, $1):]) AS p (id)
        JOIN category_attributes a ON a.category_id = p.id
        UNION ALL SELECT unnest($3::uuid[])
    ) AS asked
    WHERE b.path @> ARRAY[$1::uuid] GROUP BY b.id
) AS sizes
"""

EDIT_CATEGORIES = """
UPDATE categories c SET name = t.name, slug = t.slug, version = t.version
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::integer[]) AS t (id, name, slug, version) WHERE c.id = t.id
"""

MOVE_CATEGORY = """
UPDATE categories SET
    path = $2::uuid[] || path[array_position(path, $1) + 1:],
    parent_id = CASE WHEN id = $1 THEN $3 ELSE parent_id END,
    position = CASE WHEN id = $1 THEN $4 ELSE position END,
    version = CASE WHEN id = $1 THEN $5 ELSE version END
WHERE path @> ARRAY[$1::uuid]
"""

DELETE_CATEGORIES = "DELETE FROM categories WHERE id = ANY ($1)"

LOAD_ASSIGNED = """
SELECT a.category_id, a.attribute_id, a.required, a.position, c.version
FROM category_attributes a JOIN categories c ON c.id = a.category_id
WHERE a.category_id = ANY ($1)
"""

ASSIGN = """
INSERT INTO category_attributes (category_id, attribute_id, required, position)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::boolean[], $4::integer[])
ON CONFLICT (category_id, attribute_id) DO UPDATE SET required = excluded.required, position = excluded.position
"""

UNASSIGN = """
DELETE FROM category_attributes a USING unnest($1::uuid[], $2::uuid[]) AS t (category_id, attribute_id)
WHERE a.category_id = t.category_id AND a.attribute_id = t.attribute_id
"""

SET_VERSIONS = """
UPDATE categories c SET version = t.version
FROM (SELECT id, max(version) AS version FROM unnest($1::uuid[], $2::integer[]) AS t (id, version) GROUP BY id) t
WHERE c.id = t.id
"""


async def hold_tree(conn: Connection) -> None:
    """Keep categories and attributes as they are until this transaction ends.

    Who holds values against a schema and writes them does this before reading the schema: else an edit of the tree
    between the two could take away what a value relies on. Many hold it at once; only edits of the tree wait.
    """
    if await conn.fetchval(HOLD_TREE, TREE) is None:
        # Nobody has edited the tree yet, or retention has forgotten when.
        await conn.execute(FOUND_TREE, TREE)
        await conn.fetchval(HOLD_TREE, TREE)


async def load_categories(conn: Connection, ids: Sequence[UUID]) -> dict[UUID, Category]:
    """Categories as they stand; unknown ones are missing."""
    rows = await conn.fetch(LOAD_CATEGORIES, ids)
    return {
        row["id"]: Category(
            row["id"], row["parent_id"], row["name"], row["slug"], tuple(row["path"]), row["position"], row["version"]
        )
        for row in rows
    }


async def load_taken_slugs(conn: Connection, slugs: Sequence[str], *, but: UUID) -> set[str]:
    """Which of some slugs belong to other categories than ``but``."""
    return {row["slug"] for row in await conn.fetch(TAKEN_SLUGS, slugs, but)}


async def load_levels(conn: Connection, category: UUID) -> int:
    """How many levels a category and all below it take up."""
    return int(await conn.fetchval(LEVELS, category))


async def load_category_uses(conn: Connection, ids: Sequence[UUID]) -> dict[UUID, CategoryUse]:
    """What stands in the way of deleting categories."""
    rows = await conn.fetch(LOAD_USES, ids)
    return {row["id"]: CategoryUse(row["children"], row["products"], row["attributes"]) for row in rows}


async def load_largest_schema(
    conn: Connection, category: UUID, *, above: Sequence[UUID], more: Sequence[UUID] = ()
) -> int:
    """The size of the largest schema of a category and those below it, were it below ``above`` and asked for ``more``.

    ``above`` holds the ids from the root to the parent, without the category itself.
    """
    return int(await conn.fetchval(LARGEST_SCHEMA, category, above, more))


async def load_assigned(conn: Connection, categories: Sequence[UUID]) -> dict[tuple[UUID, UUID], Assigned]:
    """What categories ask for by themselves, by category and attribute."""
    rows = await conn.fetch(LOAD_ASSIGNED, categories)
    return {(row["category_id"], row["attribute_id"]): Assigned(*row) for row in rows}


async def insert_categories(
    conn: Connection, categories: Sequence[Category], *, actor: UUID, correlation: str = ""
) -> None:
    """Write new categories; parents may be among them."""
    await conn.copy_records_to_table(
        "categories",
        records=[(c.id, c.parent_id, c.name, c.slug, list(c.path), c.position, c.version) for c in categories],
        columns=("id", "parent_id", "name", "slug", "path", "position", "version"),
    )
    await insert_events(
        conn,
        [
            Event(
                c.id,
                c.version,
                "category.created",
                _json(CategoryCreated(c.name, c.slug, c.parent_id, c.position)),
                actor,
                correlation,
            )
            for c in categories
        ],
    )


async def edit_categories(
    conn: Connection, categories: Sequence[Category], *, actor: UUID, correlation: str = ""
) -> None:
    """Write names and slugs as given, with the versions given."""
    await conn.execute(
        EDIT_CATEGORIES,
        [c.id for c in categories],
        [c.name for c in categories],
        [c.slug for c in categories],
        [c.version for c in categories],
    )
    await insert_events(
        conn,
        [
            Event(c.id, c.version, "category.changed", _json(CategoryChanged(c.name, c.slug)), actor, correlation)
            for c in categories
        ],
    )


async def move_category(conn: Connection, category: Category, *, actor: UUID, correlation: str = "") -> None:
    """Put a category where it says it is, and all below it along."""
    c = category
    await conn.execute(MOVE_CATEGORY, c.id, c.path, c.parent_id, c.position, c.version)
    data = _json(CategoryMoved(c.parent_id, c.position))
    await insert_events(conn, [Event(c.id, c.version, "category.moved", data, actor, correlation)])


async def delete_categories(
    conn: Connection, categories: Sequence[Category], *, actor: UUID, correlation: str = ""
) -> None:
    """Delete categories that nothing uses."""
    await conn.execute(DELETE_CATEGORIES, [c.id for c in categories])
    await insert_events(
        conn,
        [
            Event(c.id, c.version + 1, "category.deleted", _json(CategoryDeleted(c.name, c.slug)), actor, correlation)
            for c in categories
        ],
    )


async def assign_attributes(
    conn: Connection, assigned: Sequence[Assigned], *, actor: UUID, correlation: str = ""
) -> None:
    """Have categories ask for attributes as given, with the versions given: one more for each."""
    await conn.execute(
        ASSIGN,
        [a.category_id for a in assigned],
        [a.attribute_id for a in assigned],
        [a.required for a in assigned],
        [a.position for a in assigned],
    )
    await _set_versions(conn, assigned)
    await insert_events(
        conn,
        [
            Event(
                a.category_id,
                a.version,
                "category.attribute_assigned",
                _json(AttributeAssigned(a.attribute_id, a.required, a.position)),
                actor,
                correlation,
            )
            for a in assigned
        ],
    )


async def unassign_attributes(
    conn: Connection, assigned: Sequence[Assigned], *, actor: UUID, correlation: str = ""
) -> None:
    """Have categories no longer ask for attributes by themselves, with the versions given: one more for each."""
    await conn.execute(UNASSIGN, [a.category_id for a in assigned], [a.attribute_id for a in assigned])
    await _set_versions(conn, assigned)
    await insert_events(
        conn,
        [
            Event(
                a.category_id,
                a.version,
                "category.attribute_unassigned",
                _json(AttributeUnassigned(a.attribute_id)),
                actor,
                correlation,
            )
            for a in assigned
        ],
    )


async def _set_versions(conn: Connection, assigned: Sequence[Assigned]) -> None:
    await conn.execute(SET_VERSIONS, [a.category_id for a in assigned], [a.version for a in assigned])


def _json(data: Struct) -> str:
    return msgspec.json.encode(data).decode()
