"""An accept loop of a test's own, and a pool that can be told to misbehave."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from api.accept import Accept


@asynccontextmanager
async def accepting(pool: Any, *, buffer_max: int = 1_000, group_max: int = 500) -> AsyncIterator[Any]:
    """An accept loop; ``rung`` collects what it rang for."""
    rung: list[set[tuple[str, str]]] = []
    made: Any = Accept(pool, buffer_max=buffer_max, group_max=group_max, ring=rung.append)
    made.rung = rung
    made.start()
    try:
        yield made
    finally:
        await made.stop()
        with suppress(asyncio.CancelledError):
            await made._loop_task


class Spying:
    """A pool that counts what goes through it, and can be told to misbehave around each use."""

    def __init__(self, pool: Any) -> None:
        self.pool = pool
        self.statements: list[str] = []
        self.before: Any = None
        self.after: Any = None

    @asynccontextmanager
    async def acquire(self, **options: Any) -> AsyncIterator[Any]:
        async with self.pool.acquire(**options) as conn:
            yield _Spied(conn, self)


class _Spied:
    def __init__(self, conn: Any, spying: Spying) -> None:
        self._conn = conn
        self._spying = spying

    async def fetch(self, query: str, *args: Any) -> Any:
        self._spying.statements.append(query)
        if self._spying.before is not None:
            await self._spying.before(self._conn, query)
        rows = await self._conn.fetch(query, *args)
        if self._spying.after is not None:
            await self._spying.after(self._conn, query)
        return rows

    def __getattr__(self, name: str) -> Any:
        return getattr(self._conn, name)
