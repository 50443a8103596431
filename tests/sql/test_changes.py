"""Changes of the catalog: noted with their transaction, in one order."""

import asyncio
from typing import Any

import asyncpg
import pytest

from domain.journal.changes_sql import note_changes
from infra.clock import new_id

pytestmark = pytest.mark.anyio

NOTED = "SELECT xid = pg_current_xact_id() FROM catalog_changes WHERE thing = $1"


async def test_a_change_is_noted_with_the_last_transaction_that_made_one(conn: Any):
    thing = new_id()
    for _ in range(2):
        async with conn.transaction():
            await note_changes(conn, [thing, thing])
            assert await conn.fetchval(NOTED, thing)
    assert await conn.fetchval(NOTED, thing) is False
    await note_changes(conn, [])
    assert await conn.fetchval("SELECT count(*) FROM catalog_changes") == 1


async def test_edits_that_share_things_never_wait_in_a_circle(conn: Any, database_url: str):
    things = [new_id() for _ in range(20)]
    others = [await asyncpg.connect(database_url) for _ in range(4)]

    async def edit(connection: Any, rounds: int) -> None:
        for n in range(rounds):
            async with connection.transaction():
                await note_changes(connection, things[n % 7 :] if n % 2 else reversed(things))

    try:
        await asyncio.gather(*(edit(connection, 50) for connection in others))
    finally:
        await asyncio.gather(*(connection.close() for connection in others))
    assert await conn.fetchval("SELECT count(*) FROM catalog_changes") == len(things)
