"""Note which things of the catalog changed: what reads that were kept are held against.

Invariant: a thing that changes is noted in the transaction that changes it. Followers ask by transaction and not by
time, because commits land out of order. It stands here because sellers are things of the catalog, too, and accounts
know nothing of the catalog.
"""

from collections.abc import Iterable
from uuid import UUID

from domain.connection import Connection

# In the order of their ids, so that two edits that share things never wait for each other in a circle.
NOTE_CHANGES = """
INSERT INTO catalog_changes (thing)
SELECT thing FROM unnest($1::uuid[]) AS t (thing) ORDER BY thing
ON CONFLICT (thing) DO UPDATE SET at = now(), xid = pg_current_xact_id()
"""


async def note_changes(conn: Connection, things: Iterable[UUID]) -> None:
    """Note that things changed in this transaction; whoever notes one of them next waits for its end."""
    noted = list(set(things))
    if noted:
        await conn.execute(NOTE_CHANGES, noted)


# Longer than any kept read lives: those that are older than a change must still be held against it. What an edit holds,
# such as the tree, is left: waiting for it with other rows in hand, which the edit is about to note, would be a circle.
PRUNE_CHANGES = """
DELETE FROM catalog_changes WHERE thing = ANY (ARRAY(
    SELECT thing FROM catalog_changes WHERE at < now() - interval '1 hour'
    ORDER BY at LIMIT $1 FOR UPDATE SKIP LOCKED
))
"""


async def prune_changes(conn: Connection, step: int) -> int:
    """Forget up to ``step`` changes that no kept read can be older than; return how many there were."""
    done = await conn.execute(PRUNE_CHANGES, step)
    return int(done.rsplit(" ", 1)[1])
