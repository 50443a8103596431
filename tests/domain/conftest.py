"""A database for tests that look at rows: each runs in a transaction that is rolled back."""

import os
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from ops.stack import EmbeddedStack
from tests import databases


@pytest.fixture(scope="session")
def rows_database(stack: EmbeddedStack, template: str) -> str:
    return databases.create(stack, f"rows_{os.getpid()}", template)


@pytest.fixture
async def conn(rows_database: str) -> AsyncIterator[Any]:
    """A connection inside a transaction; a statement that must fail needs a savepoint of its own."""
    connection = await asyncpg.connect(rows_database)
    transaction = connection.transaction()
    await transaction.start()
    yield connection
    await transaction.rollback()
    await connection.close()
