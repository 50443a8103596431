"""A connection beside all pools, for reads that take seconds: who works with the pools never waits for one of those."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import asyncpg

from infra import settings

T = TypeVar("T")
CONNECT_SECONDS_MAX = 5.0


async def connect(name: str) -> Any:
    """Connect, under a name that ``pg_stat_activity`` shows."""
    config = settings.load()
    pooled = config.database_pooler == "transaction"
    return await asyncpg.connect(
        config.database_url,
        timeout=CONNECT_SECONDS_MAX,
        statement_cache_size=0,
        server_settings=None if pooled else {"application_name": f"ordermill-{name}"[:63]},
    )


async def look(name: str, work: Callable[[Any], Awaitable[T]]) -> T:
    """Have something read over a connection of its own."""
    conn = await connect(name)
    try:
        return await work(conn)
    finally:
        # Also of a look that ran into its deadline: what the server still runs, its own limit ends.
        conn.terminate()
