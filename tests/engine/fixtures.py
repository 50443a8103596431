"""One database per test process, emptied after each test: a copy of the template costs half a second each."""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest

from infra.settings import Settings
from ops.stack import EmbeddedStack
from tests import databases
from tests.engine.parts import WRITTEN, Rig, rig_of

_numbers = itertools.count(1)

# Those that others refer to by foreign key go after them.
_TABLES = """
WITH RECURSIVE tables AS (
    SELECT oid FROM pg_class
    WHERE relkind IN ('r', 'p') AND NOT relispartition AND relnamespace = 'public'::regnamespace
      AND relname <> 'migration'
), depth (oid, steps) AS (
    SELECT oid, 0 FROM tables
    UNION SELECT c.confrelid, d.steps + 1
    FROM depth d JOIN pg_constraint c ON c.contype = 'f' AND c.conrelid = d.oid AND c.confrelid <> d.oid
)
SELECT oid::regclass::text AS name FROM depth JOIN tables USING (oid) GROUP BY oid ORDER BY max(steps), oid
"""


async def _empty(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        # A test may have left a connection with a transaction open.
        await connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        await connection.execute("DROP TABLE IF EXISTS written")
        tables = [row["name"] for row in await connection.fetch(_TABLES)]
        async with connection.transaction():
            for table in tables:
                # The triggers that keep tables append-only stand in the way of this, too.
                await connection.execute(
                    f"ALTER TABLE {table} DISABLE TRIGGER USER; DELETE FROM {table};"
                    f" ALTER TABLE {table} ENABLE TRIGGER USER"
                )
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def reused_database(stack: EmbeddedStack, template: str) -> str:
    # Each folder of tests that takes this fixture gets a database of its own.
    return databases.create(stack, f"reused_{os.getpid()}_{next(_numbers)}", template)


@pytest.fixture
def database_url(reused_database: str) -> Iterator[str]:
    yield reused_database
    asyncio.run(_empty(reused_database))


@pytest.fixture
async def rig(settings: Settings, conn: Any) -> AsyncIterator[Rig]:
    await conn.execute(WRITTEN)
    async with rig_of(settings, conn) as made:
        yield made
