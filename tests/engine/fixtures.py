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

# Those that others refer to by foreign key go last, in this order.
_REFERRED_TO = ["order_lines", "seller_orders", "orders", "stock", "offers", "variants", "products", "sellers"]


async def _empty(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        # A test may have left a connection with a transaction open.
        await connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        await connection.execute("DROP TABLE IF EXISTS written")
        tables = {
            row["relname"]
            for row in await connection.fetch(
                "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition"
                " AND relnamespace = 'public'::regnamespace AND relname <> 'migration'"
            )
        }
        ordered = [*sorted(tables - set(_REFERRED_TO)), *_REFERRED_TO]
        async with connection.transaction():
            for table in ordered:
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
