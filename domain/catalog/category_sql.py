"""Statements that write categories, and what keeps the tree still.

Invariant: whoever edits categories or attributes notes ``TREE`` as changed first, which makes all such edits wait for
each other, and reads afterwards: a cycle, a depth or a use is judged on what nobody else is changing.
"""

from domain.catalog.model import TREE
from domain.connection import Connection

HOLD_TREE = "SELECT 1 AS held FROM catalog_changes WHERE thing = $1 FOR SHARE"
FOUND_TREE = "INSERT INTO catalog_changes (thing) VALUES ($1) ON CONFLICT (thing) DO NOTHING"


async def hold_tree(conn: Connection) -> None:
    """Keep categories and attributes as they are until this transaction ends.

    Who holds values against a schema and writes them does this before reading the schema: else an edit of the tree
    between the two could take away what a value relies on. Many hold it at once; only edits of the tree wait.
    """
    if await conn.fetchval(HOLD_TREE, TREE) is None:
        # Nobody has edited the tree yet, or retention has forgotten when.
        await conn.execute(FOUND_TREE, TREE)
        await conn.fetchval(HOLD_TREE, TREE)
