"""Keys that are looked up: together, one query at a time, and none that was remembered."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from api.freshness import Freshness
from api.known_keys import LOOK_KEYS_MAX, KnownKeys
from domain.accounts.key_model import REPLACED, HashedKey
from domain.accounts.key_sql import insert_keys, note_state
from domain.accounts.model import Role, Scope
from infra.api_keys import hash_of, make
from infra.clock import new_id
from infra.security import BadTokenError
from tests.builders import write_account

pytestmark = pytest.mark.anyio


class CountingPool:
    """A pool that counts who has a connection."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self.times = self.now = self.most = 0

    @asynccontextmanager
    async def acquire(self, **kwargs: Any) -> AsyncIterator[Any]:
        async with self._pool.acquire(**kwargs) as conn:
            self.times += 1
            self.now += 1
            self.most = max(self.most, self.now)
            try:
                yield conn
            finally:
                self.now -= 1


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[CountingPool]:
    async with asyncpg.create_pool(database_url, min_size=0, max_size=8) as pool:
        yield CountingPool(pool)


@pytest.fixture
async def freshness(database_url: str) -> AsyncIterator[Freshness]:
    async with asyncpg.create_pool(database_url, min_size=0, max_size=2) as pool:
        followed = Freshness(pool)
        await followed.ensure()
        yield followed
        await followed.stop()


async def write_key(conn: Any) -> tuple[UUID, str]:
    account, key_id, now = await write_account(conn), new_id(), datetime.now(UTC)
    key = make(key_id)
    scopes = frozenset({Scope.ORDERS_READ})
    await insert_keys(conn, [HashedKey(key_id, account, "test", hash_of(key), scopes, now, now + timedelta(days=1))])
    return key_id, key


async def test_made_up_keys_are_looked_up_together_one_query_at_a_time(conn, pool, freshness):
    keys = KnownKeys(pool, freshness)
    _, real = await write_key(conn)
    made_up = [make(new_id()) for _ in range(4 * LOOK_KEYS_MAX)]
    asked = [asyncio.create_task(keys.verify(key)) for key in made_up]
    principal = await keys.verify(real)
    assert principal.roles == {Role.BUYER}
    refused = await asyncio.gather(*asked, return_exceptions=True)
    assert {type(error) for error in refused} == {BadTokenError}
    assert pool.most == 1
    assert pool.times <= 6
    before = pool.times
    for key in (*made_up[:10], *made_up[-10:]):
        with pytest.raises(BadTokenError):
            await keys.verify(key)
    assert pool.times == before, "that they are unknown is remembered"
    assert await keys.verify(real) == principal
    assert pool.times == before, "and so is who is known"


async def test_a_wrong_secret_of_a_known_key_costs_no_query(conn, pool, freshness):
    keys = KnownKeys(pool, freshness)
    key_id, real = await write_key(conn)
    await keys.verify(real)
    before = pool.times
    for _ in range(100):
        with pytest.raises(BadTokenError):
            await keys.verify(make(key_id))
    assert pool.times == before


async def test_who_waits_hears_that_the_database_is_away_and_the_next_look_succeeds(conn, pool, freshness):
    keys = KnownKeys(pool, freshness)
    _, real = await write_key(conn)
    await conn.execute("ALTER TABLE api_keys RENAME TO away")
    errors = await asyncio.gather(keys.verify(real), keys.verify(real), return_exceptions=True)
    assert {type(error) for error in errors} == {asyncpg.UndefinedTableError}
    await conn.execute("ALTER TABLE away RENAME TO api_keys")
    assert (await keys.verify(real)).scopes == {Scope.ORDERS_READ}


async def test_a_key_that_was_replaced_is_looked_up_once_more_and_then_remembered(conn, pool, freshness):
    keys = KnownKeys(pool, freshness)
    key_id, real = await write_key(conn)
    other, _ = await write_key(conn)
    await keys.verify(real)
    await conn.execute("UPDATE api_keys SET replaced_by = $2 WHERE id = $1", key_id, other)
    await note_state(conn, [key_id], REPLACED)
    await freshness._look_once()
    before = pool.times
    for _ in range(3):
        await keys.verify(real)
    assert pool.times == before + 1


async def test_one_that_goes_away_takes_nothing_from_those_who_wait_for_the_same_key(conn, pool, freshness):
    keys = KnownKeys(pool, freshness)
    _, real = await write_key(conn)
    first, second = asyncio.create_task(keys.verify(real)), asyncio.create_task(keys.verify(real))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).roles == {Role.BUYER}


async def test_uses_that_could_not_be_noted_are_noted_later(conn, pool, freshness):
    keys = KnownKeys(pool, freshness)
    key_id, real = await write_key(conn)
    await keys.verify(real)
    await conn.execute("ALTER TABLE api_keys RENAME TO away")
    await keys._note()
    await conn.execute("ALTER TABLE away RENAME TO api_keys")
    await keys.stop()
    assert await conn.fetchval("SELECT used_at FROM api_keys WHERE id = $1", key_id) is not None
    # At most once a minute.
    noted = await conn.fetchval("SELECT used_at FROM api_keys WHERE id = $1", key_id)
    again = KnownKeys(pool, freshness)
    await again.verify(real)
    await again.stop()
    assert await conn.fetchval("SELECT used_at FROM api_keys WHERE id = $1", key_id) == noted
