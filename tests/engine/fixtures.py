"""One database per test process, emptied after each test: a copy of the template costs more."""

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

# Without the triggers that keep tables append-only and without foreign keys, so in any order. What no test has written
# to yet has no file to speak of.
_EMPTY = """
DO $$ DECLARE filled regclass; BEGIN
    SET LOCAL session_replication_role = replica;
    DROP TABLE IF EXISTS written;
    FOR filled IN
        SELECT oid FROM pg_class
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'migration'
          AND pg_relation_size(oid) > 0
    LOOP
        EXECUTE format('DELETE FROM %s', filled);
    END LOOP;
END $$
"""


async def _empty(url: str) -> None:
    connection = await asyncpg.connect(url, user="postgres")
    try:
        # A test may have left a connection with a transaction open.
        await connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        await connection.execute(_EMPTY)
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
