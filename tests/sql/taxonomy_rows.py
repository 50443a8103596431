"""Over 10,000 categories and attributes for the tests of plans, and parameters for the statements about them."""

from typing import Any
from uuid import UUID

from domain.catalog import category_reads, category_sql
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


def _nth(kind: int, n: int) -> UUID:
    return UUID(f"{kind:08x}-0000-7000-8000-{n:012x}")


def statements() -> dict[tuple[str, str], tuple[Any, ...]]:
    """Arguments for each statement, by module and name."""
    categories = [_nth(4, n) for n in (100, 200, 300)]
    r, s = category_reads.__name__, category_sql.__name__
    return {
        (r, "LOAD_SCHEMAS"): (categories,),
        (s, "HOLD_TREE"): (TREE,),
        (s, "FOUND_TREE"): (TREE,),
    }
