"""Ways to break what is true of the taxonomy."""

from tests.ops.breaking import Ways

WAYS = Ways()
breaks = WAYS.breaks


@breaks("paths_follow_parents")
async def a_category_is_left_behind_when_its_parent_moves(conn, _trade):
    await conn.execute("UPDATE categories SET path = path[2:] WHERE cardinality(path) = 3")


@breaks("categories_match_events")
async def a_category_is_renamed_without_an_event(conn, _trade):
    await conn.execute("UPDATE categories SET name = name || '!'")


@breaks("categories_match_events")
async def a_category_has_a_version_too_many(conn, _trade):
    await conn.execute("UPDATE categories SET version = version + 1")


@breaks("categories_match_events")
async def a_category_vanishes(conn, _trade):
    await conn.execute(
        "DELETE FROM categories WHERE id NOT IN (SELECT category_id FROM category_attributes)"
        " AND id NOT IN (SELECT category_id FROM products WHERE category_id IS NOT NULL)"
    )


@breaks("attributes_match_events")
async def a_choice_is_added_without_an_event(conn, _trade):
    await conn.execute("UPDATE attributes SET choices = choices || 'XXL'::text WHERE kind = 'choice'")


@breaks("attributes_match_events")
async def an_attribute_comes_back(conn, _trade):
    await conn.execute(
        "INSERT INTO attributes (id, code, name, kind) SELECT stream, 'back', 'Back', 'text' FROM events"
        " WHERE type = 'attribute.deleted'"
    )


@breaks("assignments_match_events")
async def an_attribute_is_required_without_an_event(conn, _trade):
    await conn.execute("UPDATE category_attributes SET required = false")


@breaks("assignments_match_events")
async def an_assignment_vanishes(conn, _trade):
    await conn.execute("DELETE FROM category_attributes")
