"""A database after some trade, made once per test process; copied for a test that changes it."""

import asyncio
import itertools
import os
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest

from ops.stack import EmbeddedStack
from tests.ops.trade import Trade, trade

_numbers = itertools.count(1)


def _url(stack: EmbeddedStack, name: str) -> str:
    return stack.urls.database_url.replace("/ordermill?", f"/{name}?")


async def _admin(stack: EmbeddedStack, statement: str) -> None:
    connection: Any = await asyncpg.connect(_url(stack, "postgres"))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def _trade(url: str) -> Trade:
    connection: Any = await asyncpg.connect(url)
    try:
        return await trade(connection, url)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def traded_template(stack: EmbeddedStack, template: str) -> tuple[str, Trade]:
    name = f"traded_{os.getpid()}"
    asyncio.run(_admin(stack, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy"))
    return name, asyncio.run(_trade(_url(stack, name)))


@pytest.fixture(scope="session")
def traded_once(stack: EmbeddedStack, traded_template: tuple[str, Trade]) -> tuple[str, Trade]:
    """The same for tests that leave nothing behind."""
    name, what = traded_template
    return _url(stack, name), what


@pytest.fixture
def traded(stack: EmbeddedStack, traded_template: tuple[str, Trade]) -> Iterator[tuple[str, Trade]]:
    """The URL of a database of this test's own, and what was traded in it."""
    template, what = traded_template
    name = f"{template}_{next(_numbers)}"
    asyncio.run(_admin(stack, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy"))
    yield _url(stack, name), what
    asyncio.run(_admin(stack, f"DROP DATABASE {name} WITH (FORCE)"))
