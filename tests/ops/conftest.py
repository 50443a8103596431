"""A database after some trade, made once per test process; copied for a test that changes it."""

import asyncio
import itertools
import os
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest

from ops.stack import EmbeddedStack
from tests import databases
from tests.ops.trade import Trade, trade

_numbers = itertools.count(1)


async def _trade(url: str) -> Trade:
    connection: Any = await asyncpg.connect(url)
    try:
        return await trade(connection, url)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def traded_template(stack: EmbeddedStack, template: str) -> tuple[str, Trade]:
    name = f"traded_{os.getpid()}"
    return name, asyncio.run(_trade(databases.create(stack, name, template)))


@pytest.fixture(scope="session")
def traded_once(stack: EmbeddedStack, traded_template: tuple[str, Trade]) -> tuple[str, Trade]:
    """The same for tests that leave nothing behind."""
    name, what = traded_template
    return databases.url_of(stack, name), what


@pytest.fixture
def traded(stack: EmbeddedStack, traded_template: tuple[str, Trade]) -> Iterator[tuple[str, Trade]]:
    """The URL of a database of this test's own, and what was traded in it."""
    template, what = traded_template
    name = f"{template}_{next(_numbers)}"
    yield databases.create(stack, name, template), what
    databases.drop(stack, name)
