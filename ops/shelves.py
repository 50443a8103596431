"""Put up the categories and attributes that goods to import need; what stands already is used as it is.

Invariant: what is put up could have been made by an admin over HTTP: it goes through the same decisions and statements.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec

from domain.catalog import attribute_sql, category_sql
from domain.catalog.attribute_edit import check_form
from domain.catalog.category_reads import load_schemas
from domain.catalog.model import TREE
from domain.catalog.schema import ATTRIBUTES_MAX, Schema
from domain.catalog.slugs import slugs_of
from domain.catalog.taxonomy import Assigned, AttributeEdit, Category, NewCategory, StoredAttribute
from domain.catalog.tree import path_below
from domain.journal.changes_sql import note_changes
from domain.journal.model import SYSTEM
from infra.clock import new_id
from ops.goods import CatalogError, Path, Shelf, allowed, well_formed

CATEGORIES_BY_NAME = "SELECT id, parent_id, name FROM categories WHERE name = ANY ($1) ORDER BY id DESC"
ATTRIBUTES_BY_CODE = "SELECT id FROM attributes WHERE code = ANY ($1)"


async def put_up(
    conn: Any, shelves: Sequence[Shelf], attributes: Sequence[AttributeEdit], *, actor: UUID
) -> dict[Path, Schema]:
    """Make what of categories and attributes isn't there; return the schemas of the shelves.

    Parents come before their children. Run it in a transaction; raises CatalogError.
    """
    # First, so that nobody else edits the tree meanwhile.
    await note_changes(conn, [TREE])
    ids = await _categories(conn, [shelf.path for shelf in shelves], actor)
    codes = await _attributes(conn, attributes, actor)
    await _assign(conn, {ids[shelf.path]: shelf for shelf in shelves}, codes, actor)
    schemas = await load_schemas(conn, list(ids.values()))
    for path, category_id in ids.items():
        if len(schemas[category_id].attributes) > ATTRIBUTES_MAX:
            raise CatalogError(f"{'/'.join(path)}: a category has at most {ATTRIBUTES_MAX} attributes")
    return {path: schemas[category_id] for path, category_id in ids.items()}


async def _categories(conn: Any, paths: Sequence[Path], actor: UUID) -> dict[Path, UUID]:
    rows = await conn.fetch(CATEGORIES_BY_NAME, list({path[-1] for path in paths}))
    # The oldest of two with one name and one parent comes last, and counts.
    known = {(row["parent_id"], row["name"]): row["id"] for row in rows}
    above = await category_sql.load_categories(conn, list(known.values()))
    ids: dict[Path, UUID] = {}
    made: list[Category] = []
    ways: dict[Path, tuple[UUID, ...]] = {(): ()}
    for path in paths:
        parent = ids.get(path[:-1])
        found = known.get((parent, path[-1]))
        if found is None:
            well_formed(NewCategory(path[-1]))
            category_id = new_id()
            way = allowed(path_below(ways[path[:-1]], category_id, 1))
            made.append(Category(category_id, parent, path[-1], "", way, len(made), 1))
            ids[path], ways[path] = category_id, way
        else:
            ids[path], ways[path] = found, above[found].path
    await category_sql.insert_categories(conn, await _with_slugs(conn, made), actor=actor)
    return ids


async def _with_slugs(conn: Any, categories: Sequence[Category]) -> list[Category]:
    wanted = {category.id: slugs_of(category.name, category.id) for category in categories}
    taken = await category_sql.load_taken_slugs(conn, [slug for slugs in wanted.values() for slug in slugs], but=SYSTEM)
    named: list[Category] = []
    for category in categories:
        slug = next(slug for slug in wanted[category.id] if slug not in taken)
        taken.add(slug)
        named.append(msgspec.structs.replace(category, slug=slug))
    return named


async def _attributes(conn: Any, wanted: Sequence[AttributeEdit], actor: UUID) -> dict[str, UUID]:
    """The ids of attributes by code; one that stands gets the choices it lacks."""
    rows = await conn.fetch(ATTRIBUTES_BY_CODE, [edit.code for edit in wanted])
    stored = await attribute_sql.load_attributes(conn, [row["id"] for row in rows])
    standing = {attribute.content.code: attribute for attribute in stored.values()}
    made = [StoredAttribute(new_id(), 1, _checked(edit)) for edit in wanted if edit.code not in standing]
    await attribute_sql.insert_attributes(conn, made, actor=actor)
    for edit in wanted:
        if edit.code in standing:
            await _extend(conn, standing[edit.code], edit, actor)
    return {attribute.content.code: attribute.id for attribute in (*standing.values(), *made)}


async def _extend(conn: Any, standing: StoredAttribute, wanted: AttributeEdit, actor: UUID) -> None:
    content = standing.content
    if (content.kind, content.variant_making) != (wanted.kind, wanted.variant_making):
        raise CatalogError(f"the attribute {wanted.code} is there already, and of another kind")
    lacking = tuple(choice for choice in wanted.choices if choice not in content.choices)
    if lacking:
        more = _checked(msgspec.structs.replace(content, choices=(*content.choices, *lacking)))
        await attribute_sql.edit_attribute(conn, StoredAttribute(standing.id, standing.version + 1, more), actor=actor)


def _checked(edit: AttributeEdit) -> AttributeEdit:
    allowed(check_form(well_formed(edit)))
    return edit


async def _assign(conn: Any, shelves: Mapping[UUID, Shelf], codes: Mapping[str, UUID], actor: UUID) -> None:
    known = await category_sql.load_assigned(conn, list(shelves))
    categories = await category_sql.load_categories(conn, list(shelves))
    assigned: list[Assigned] = []
    for category_id, shelf in shelves.items():
        version = categories[category_id].version
        for position, code in enumerate(shelf.asks):
            if (category_id, codes[code]) not in known:
                version += 1
                required = True if code in shelf.required else None
                assigned.append(Assigned(category_id, codes[code], required, position, version))
    if assigned:
        await category_sql.assign_attributes(conn, assigned, actor=actor)
