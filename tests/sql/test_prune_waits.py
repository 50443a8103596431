"""What forgets old rows waits for nobody: who holds two of them takes them in an order that pruning can't know."""

import asyncio
from typing import Any

import asyncpg
import pytest

from domain.accounts.expiry_sql import prune_accounts
from domain.catalog.category_sql import hold_tree
from domain.catalog.model import TREE
from domain.journal.changes_sql import note_changes, prune_changes
from infra.clock import new_id
from tests.builders import write_account

pytestmark = pytest.mark.anyio

WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"
WRITE_SESSION = "INSERT INTO sessions (id, account_id, expires_at) VALUES ($1, $2, now() - $3 * interval '1 day')"
WRITE_LINK = """
INSERT INTO one_time_tokens (id, account_id, purpose, expires_at)
VALUES ($1, $2, 'verify_email', now() - $3 * interval '1 day')
"""
WRITE_REVOCATION = "INSERT INTO revocations (subject, epoch, at) VALUES ($1, 2, now() - $2 * interval '1 day')"
WRITE_CHANGE = "INSERT INTO catalog_changes (thing, at) VALUES ($1, now() - $2 * interval '1 day')"


async def settled(conn: Any, task: asyncio.Task[int]) -> None:
    """Wait until a statement has ended or waits for a lock."""
    async with asyncio.timeout(10):
        while not task.done() and not await conn.fetchval(WAITING):
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("table", ["sessions", "one_time_tokens", "revocations"])
async def test_pruning_accounts_never_waits_in_a_circle(conn: Any, database_url: str, table: str):
    account, held, wanted = await write_account(conn), new_id(), [new_id() for _ in range(20)]
    # Oldest and written first: pruning comes to most of the wanted rows before the held one.
    for row, days in [*((row, 50) for row in wanted), (held, 40)]:
        await conn.execute(WRITE_SESSION, row, account, days)
        await conn.execute(WRITE_LINK, row, account, days)
        await conn.execute(WRITE_REVOCATION, row, days)
    key = "subject" if table == "revocations" else "id"
    lock = f"SELECT 1 FROM {table} WHERE {key} = ANY ($1::uuid[]) FOR NO KEY UPDATE"
    pruner = await asyncpg.connect(database_url)
    try:
        async with conn.transaction():
            await conn.fetchval(lock, [held])
            pruning = asyncio.create_task(prune_accounts(pruner, 100))
            await settled(conn, pruning)
            await conn.fetchval(lock, wanted)
        assert await pruning == 62, "all but the row that was held"
        assert await prune_accounts(pruner, 100) == 1, "which goes the next time"
    finally:
        await pruner.close()


async def test_pruning_changes_never_waits_in_a_circle_with_an_edit(conn: Any, database_url: str):
    """An edit holds the tree and notes its products at the end."""
    products = [new_id() for _ in range(20)]
    for thing in (*products, TREE):
        await conn.execute(WRITE_CHANGE, thing, 1)
    pruner = await asyncpg.connect(database_url)
    try:
        async with conn.transaction():
            await hold_tree(conn)
            pruning = asyncio.create_task(prune_changes(pruner, 100))
            await settled(conn, pruning)
            await note_changes(conn, products)
        assert await pruning == len(products)
    finally:
        await pruner.close()
    left = {row["thing"] for row in await conn.fetch("SELECT thing FROM catalog_changes")}
    assert left == {TREE, *products}
