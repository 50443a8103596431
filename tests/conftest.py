"""Real parts for every test: one embedded PostgreSQL and Valkey per test process, a fresh database per test."""

import asyncio
import itertools
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import redis

from infra.migrate import migrate
from infra.settings import Settings, read
from ops.stack import EmbeddedStack
from tests import databases
from tests.builders import SANDBOX_SECRET, SECRET_KEY
from tests.system import System

_numbers = itertools.count(1)
ROOM_BYTES = 3 * 2**30
"""Two test processes together have been seen to use half a gigabyte."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def _memory() -> str | None:
    """Where a cluster's files stay in memory, if there is room: a database per test is made six times as fast."""
    there = Path("/dev/shm")
    roomy = there.is_dir() and shutil.disk_usage(there).free >= ROOM_BYTES
    return str(there) if roomy else None


@pytest.fixture(scope="session")
def stack() -> Iterator[EmbeddedStack]:
    # Not under pytest's own folder: that one is closed to the user PostgreSQL runs as when we are root.
    folder = Path(tempfile.mkdtemp(prefix="ordermill-test-", dir=_memory()))
    folder.chmod(0o755)
    try:
        with EmbeddedStack(folder, postgres_settings={"max_connections": "200"}) as running:
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def template(stack: EmbeddedStack) -> str:
    """A migrated database that each test copies."""
    name = "ordermill_template"
    asyncio.run(migrate(databases.create(stack, name)))
    return name


@pytest.fixture
def database_url(stack: EmbeddedStack, template: str) -> Iterator[str]:
    """A fresh, migrated database."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    yield databases.create(stack, name, template)
    databases.drop(stack, name)


@pytest.fixture
def redis_url(stack: EmbeddedStack) -> str:
    """The Valkey of this test process, emptied."""
    client = redis.Redis.from_url(stack.urls.redis_url)
    client.flushall()
    client.close()
    return stack.urls.redis_url


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    return read(
        {
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "SECRET_KEY": SECRET_KEY,
            "SANDBOX_WEBHOOK_SECRET": SANDBOX_SECRET,
        }
    )


@pytest.fixture
async def conn(database_url: str) -> AsyncIterator[Any]:
    """A connection to the test's database, in autocommit."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture
def system(database_url: str, redis_url: str) -> Iterator[System]:
    """The processes of Ordermill on the test's database: start what the test needs."""
    running = System(database_url, redis_url)
    try:
        yield running
    finally:
        running.stop()
