"""Over 10,000 categories and attributes for the tests of plans, and parameters for the statements about them."""

from typing import Any
from uuid import UUID

from domain.catalog import attribute_reads, attribute_sql, category_reads, category_sql, use_sql
from domain.catalog.model import TREE

# Twenty roots with 600 categories each below them; every category asks for an attribute.
FILL = """
CREATE TEMP TABLE tree AS SELECT n, pg_temp.nth(4, n) AS id, pg_temp.nth(5, n) AS attribute,
    CASE WHEN n > 20 THEN pg_temp.nth(4, n % 20 + 1) END AS parent FROM numbers;
INSERT INTO categories (id, parent_id, name, slug, path)
    SELECT id, parent, 'C', n, array_remove(ARRAY[parent, id], NULL) FROM tree ORDER BY n;
INSERT INTO attributes (id, code, name, kind, choices)
    SELECT attribute, 'a' || n, 'A', 'choice', '{S,M}' FROM tree;
INSERT INTO category_attributes (category_id, attribute_id) SELECT id, attribute FROM tree;
"""


def nth(kind: int, n: int) -> UUID:
    """The id that FILL gives to the n-th thing of a kind."""
    return UUID(f"{kind:08x}-0000-7000-8000-{n:012x}")


def statements() -> dict[tuple[str, str], tuple[Any, ...]]:
    """Arguments for each statement, by module and name."""
    categories, attributes = ([nth(kind, n) for n in (100, 200, 300)] for kind in (4, 5))
    first, three = categories[0], [1, 2, 3]
    r, s, u = category_reads.__name__, category_sql.__name__, use_sql.__name__
    return {
        (r, "LOAD_VIEWS"): (categories,),
        (r, "LIST_CATEGORIES"): (first, 50),
        (r, "LIST_CHILDREN"): (nth(4, 1), 0, "C", first, 50),
        (r, "LIST_ROOTS"): (0, "C", first, 50),
        (r, "LOAD_SCHEMAS"): (categories,),
        (s, "HOLD_TREE"): (TREE,),
        (s, "FOUND_TREE"): (TREE,),
        (s, "LOAD_CATEGORIES"): (categories,),
        (s, "TAKEN_SLUGS"): (["a", "b"], first),
        (s, "LEVELS"): (first,),
        (s, "LOAD_USES"): (categories,),
        (s, "LARGEST_SCHEMA"): (first, categories[1:], attributes),
        (s, "EDIT_CATEGORIES"): (categories, ["A", "B", "C"], ["a", "b", "c"], three),
        (s, "MOVE_CATEGORY"): (first, [first], None, 1, 2),
        (s, "DELETE_CATEGORIES"): (categories,),
        (s, "LOAD_ASSIGNED"): (categories,),
        (s, "ASSIGN"): (categories, attributes, [None, True, False], three),
        (s, "UNASSIGN"): (categories, attributes),
        (s, "SET_VERSIONS"): (categories, three),
        (u, "COUNT_LOSERS"): (nth(4, 1), attributes, 1),
        (u, "COUNT_VALUES"): (nth(5, 1), "a1"),
        (u, "COUNT_CHOICES"): (nth(5, 1), "a1", ["S"]),
        **_of_attributes(attributes),
    }


def _of_attributes(attributes: list[UUID]) -> dict[tuple[str, str], tuple[Any, ...]]:
    r, s = attribute_reads.__name__, attribute_sql.__name__
    return {
        (r, "LOAD_VIEWS"): (attributes,),
        (r, "LIST_ATTRIBUTES"): ("a1", 50),
        (s, "LOAD_ATTRIBUTES"): (attributes,),
        (s, "TAKEN_CODES"): (["a1"], attributes[0]),
        (s, "LOAD_USES"): (attributes,),
        (s, "EDIT_ATTRIBUTE"): (attributes[0], 2, "b", "B", "choice", None, False, ["S"], False),
        (s, "DELETE_ATTRIBUTES"): (attributes,),
    }
