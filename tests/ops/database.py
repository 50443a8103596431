"""A look at a database from a test that runs no event loop of its own."""

import asyncio
from typing import Any

import asyncpg


def fetch(url: str, query: str, *args: object) -> list[Any]:
    async def run() -> list[Any]:
        connection: Any = await asyncpg.connect(url)
        try:
            return list(await connection.fetch(query, *args))
        finally:
            await connection.close()

    return asyncio.run(run())


def execute(url: str, statement: str, *args: object) -> None:
    fetch(url, statement, *args)
