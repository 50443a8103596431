"""The taxonomy on real rows: schemas that are inherited, a tree that holds still."""

from typing import Any
from uuid import UUID

import asyncpg
import pytest

from domain.catalog.category_reads import load_schemas
from domain.catalog.category_sql import hold_tree
from domain.catalog.model import TREE
from infra.clock import new_id

pytestmark = pytest.mark.anyio


async def write_category(conn: Any, *above: UUID) -> UUID:
    category = new_id()
    await conn.execute(
        "INSERT INTO categories (id, parent_id, name, slug, path) VALUES ($1, $2, 'C', $3, $4)",
        category,
        above[-1] if above else None,
        category.hex,
        [*above, category],
    )
    return category


async def write_attribute(conn: Any, code: str, *categories: UUID) -> UUID:
    attribute = new_id()
    await conn.execute(
        "INSERT INTO attributes (id, code, name, kind, choices) VALUES ($1, $2, 'A', 'choice', '{S,M}')",
        attribute,
        code,
    )
    for category in categories:
        await conn.execute(
            "INSERT INTO category_attributes (category_id, attribute_id) VALUES ($1, $2)", category, attribute
        )
    return attribute


async def test_a_category_inherits_from_all_above_it_and_from_nobody_else(conn):
    root = await write_category(conn)
    shelf = await write_category(conn, root)
    here, beside = await write_category(conn, root, shelf), await write_category(conn, root)
    await write_attribute(conn, "brand", root)
    await write_attribute(conn, "size", shelf, here)
    await write_attribute(conn, "colour", beside)
    schemas = await load_schemas(conn, [here, beside, root, new_id()])
    assert {
        category: [(a.code, a.inherited_from) for a in schema.attributes] for category, schema in schemas.items()
    } == {
        here: [("brand", root), ("size", None)],
        beside: [("brand", root), ("colour", None)],
        root: [("brand", None)],
    }


async def test_a_category_without_attributes_has_an_empty_schema(conn):
    category = await write_category(conn)
    assert (await load_schemas(conn, [category]))[category].attributes == ()


BAD_PATHS = {
    "a root with a parent": "UPDATE categories SET parent_id = id WHERE id = '{root}'",
    "a child without its parent in the path": "UPDATE categories SET path = ARRAY[id] WHERE id = '{child}'",
    "a path that ends elsewhere": "UPDATE categories SET path = path || '{root}'::uuid WHERE id = '{child}'",
}


@pytest.mark.parametrize("statement", BAD_PATHS.values(), ids=BAD_PATHS)
async def test_the_database_refuses_a_path_that_contradicts_the_parent(conn, statement):
    root = await write_category(conn)
    child = await write_category(conn, root)
    with pytest.raises(asyncpg.CheckViolationError, match="categories_path"):
        await conn.execute(statement.format(root=root, child=child))


async def test_the_tree_can_be_held_though_nobody_has_edited_it_yet(conn):
    await conn.execute("DELETE FROM catalog_changes WHERE thing = $1", TREE)
    await hold_tree(conn)
    assert await conn.fetchval("SELECT count(*) FROM catalog_changes WHERE thing = $1", TREE) == 1
