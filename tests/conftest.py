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
from tests.builders import SECRET_KEY
from tests.system import System

_numbers = itertools.count(1)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def stack() -> Iterator[EmbeddedStack]:
    # Not under pytest's own folder: that one is closed to the user PostgreSQL runs as when we are root.
    folder = Path(tempfile.mkdtemp(prefix="ordermill-test-"))
    folder.chmod(0o755)
    try:
        with EmbeddedStack(folder, postgres_settings={"max_connections": "200"}) as running:
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _database_url(stack: EmbeddedStack, name: str) -> str:
    return stack.urls.database_url.replace("/ordermill?", f"/{name}?")


async def _admin(stack: EmbeddedStack, *statements: str) -> None:
    # As the superuser: only it may end an autovacuum worker that is in a database to be dropped or copied.
    connection = await asyncpg.connect(_database_url(stack, "postgres"), user="postgres")
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def template(stack: EmbeddedStack) -> str:
    """A migrated database that each test copies."""
    name = "ordermill_template"
    asyncio.run(_admin(stack, f"CREATE DATABASE {name} OWNER ordermill"))
    asyncio.run(migrate(_database_url(stack, name)))
    return name


@pytest.fixture
def database_url(stack: EmbeddedStack, template: str) -> Iterator[str]:
    """A fresh, migrated database."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    asyncio.run(_admin(stack, f"CREATE DATABASE {name} OWNER ordermill TEMPLATE {template} STRATEGY file_copy"))
    yield _database_url(stack, name)
    asyncio.run(_admin(stack, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
def redis_url(stack: EmbeddedStack) -> str:
    """The Valkey of this test process, emptied."""
    client = redis.Redis.from_url(stack.urls.redis_url)
    client.flushall()
    client.close()
    return stack.urls.redis_url


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    return read({"DATABASE_URL": database_url, "REDIS_URL": redis_url, "SECRET_KEY": SECRET_KEY})


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
