"""Databases on the test stack, made and dropped as the superuser: only it may end an autovacuum worker in one."""

import asyncio

import asyncpg

from ops.stack import EmbeddedStack


def url_of(stack: EmbeddedStack, name: str) -> str:
    return stack.urls.database_url.replace("/ordermill?", f"/{name}?")


def create(stack: EmbeddedStack, name: str, template: str = "template1") -> str:
    """Make a database, empty or a copy of another one, and return its URL."""
    _administer(stack, f"CREATE DATABASE {name} OWNER ordermill TEMPLATE {template} STRATEGY file_copy")
    return url_of(stack, name)


def drop(stack: EmbeddedStack, name: str) -> None:
    """Drop a database and end whoever is in it."""
    _administer(stack, f"DROP DATABASE {name} WITH (FORCE)")


def _administer(stack: EmbeddedStack, statement: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(url_of(stack, "postgres"), user="postgres")
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(run())
