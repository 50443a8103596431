"""Kept reads: shared by Redis, never older than what every process knows, and no worse for Redis being gone."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
import redis.asyncio

from api import kept
from api.freshness import Freshness
from api.kept import KeptReads, Read
from domain.journal.changes_sql import note_changes
from infra import postgres
from infra.settings import Settings
from tests.system import free_port

pytestmark = pytest.mark.anyio


class Shelf:
    """One process's kept reads over a table of texts, and how often it asked PostgreSQL for one."""

    def __init__(self, pool: Any, redis_url: str) -> None:
        self.freshness = Freshness(pool)
        self.reads = KeptReads(pool, self.freshness, redis_url)
        self.loads = 0
        self.before_load: Callable[[], Awaitable[None]] | None = None
        self.after_load: Callable[[], Awaitable[None]] | None = None
        self.made_of: tuple[UUID, ...] = ()

    async def text(self, thing: UUID) -> str | None:
        async def load(conn: Any) -> Read | None:
            self.loads += 1
            if self.before_load is not None:
                await self.before_load()
            found = await conn.fetchval("SELECT text FROM texts WHERE id = $1", thing)
            if self.after_load is not None:
                await self.after_load()
            return None if found is None else Read(found.encode(), 1, (thing, *self.made_of))

        read = await self.reads.get("text", thing, load)
        return None if read is None else read.body.decode()

    async def look(self) -> None:
        """What the loop of a process does four times a second."""
        await self.freshness._look()

    async def settled(self) -> None:
        await asyncio.gather(*self.reads._sending)


@pytest.fixture
async def shelf_of(conn: Any, settings: Settings) -> AsyncIterator[Callable[..., Shelf]]:
    await conn.execute("CREATE TABLE texts (id uuid PRIMARY KEY, text text NOT NULL)")
    pool = await postgres.create_pool(settings, size=8, name="test")
    made: list[Shelf] = []

    def make(redis_url: str = settings.redis_url) -> Shelf:
        made.append(Shelf(pool, redis_url))
        return made[-1]

    yield make
    for shelf in made:
        await shelf.reads.close()
        await shelf.freshness.stop()
    pool.terminate()


async def write(conn: Any, thing: UUID, text: str) -> None:
    async with conn.transaction():
        await note_changes(conn, [thing])
        await conn.execute(
            "INSERT INTO texts VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET text = excluded.text", thing, text
        )


async def test_what_one_process_read_another_takes_from_redis(conn: Any, shelf_of: Callable[..., Shelf]):
    here, there, thing = shelf_of(), shelf_of(), uuid4()
    await write(conn, thing, "one")
    assert [await here.text(thing), await here.text(thing)] == ["one", "one"]
    await here.settled()
    assert await there.text(thing) == "one"
    assert (here.loads, there.loads) == (1, 0)


async def test_an_edit_is_seen_by_every_process_that_has_looked_since(conn: Any, shelf_of: Callable[..., Shelf]):
    here, there, thing = shelf_of(), shelf_of(), uuid4()
    await write(conn, thing, "one")
    for shelf in (here, there):
        assert await shelf.text(thing) == "one"
        await shelf.settled()
    await write(conn, thing, "two")
    for shelf in (here, there):
        await shelf.look()
        assert await shelf.text(thing) == "two"
        await shelf.settled()
    assert (here.loads, there.loads) == (2, 0)


async def test_a_read_is_dropped_by_an_edit_of_anything_it_is_made_of(conn: Any, shelf_of: Callable[..., Shelf]):
    here, there, thing, part = shelf_of(), shelf_of(), uuid4(), uuid4()
    here.made_of = there.made_of = (part,)
    await write(conn, thing, "one")
    await here.text(thing)
    await here.settled()
    await note_changes(conn, [part])
    await there.text(thing)
    assert there.loads == 1, "what Redis holds is held against the part, too"
    await here.look()
    await there.settled()
    await here.text(thing)
    assert here.loads == 1, "and what the other one read since is good"


async def test_a_read_that_began_before_an_edit_is_not_given_to_who_came_after(
    conn: Any, shelf_of: Callable[..., Shelf]
):
    shelf, thing = shelf_of(), uuid4()
    await write(conn, thing, "one")
    read, go_on = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        read.set()
        await go_on.wait()

    shelf.after_load = wait
    early = asyncio.create_task(shelf.text(thing))
    await read.wait()
    await write(conn, thing, "two")
    await shelf.look()
    late = asyncio.create_task(shelf.text(thing))
    await asyncio.sleep(0)
    go_on.set()
    assert await late == "two"
    assert await early in {"one", "two"}
    assert await shelf.text(thing) == "two"


async def test_many_who_ask_at_once_are_answered_by_one_read(conn: Any, shelf_of: Callable[..., Shelf]):
    shelf, thing = shelf_of(), uuid4()
    await write(conn, thing, "one")
    assert set(await asyncio.gather(*(shelf.text(thing) for _ in range(50)))) == {"one"}
    assert shelf.loads == 1


async def test_what_is_not_there_is_asked_for_again(conn: Any, shelf_of: Callable[..., Shelf]):
    shelf, thing = shelf_of(), uuid4()
    assert await shelf.text(thing) is None
    await write(conn, thing, "one")
    assert await shelf.text(thing) == "one"


async def test_with_redis_gone_reads_come_from_postgresql_and_stay_right(conn: Any, shelf_of: Callable[..., Shelf]):
    shelf, thing = shelf_of(f"redis://127.0.0.1:{free_port()}/0"), uuid4()
    await write(conn, thing, "one")
    assert [await shelf.text(thing), await shelf.text(thing)] == ["one", "one"]
    assert shelf.loads == 1
    await write(conn, thing, "two")
    await shelf.look()
    assert await shelf.text(thing) == "two"


async def test_what_redis_holds_in_another_form_is_read_anew(
    conn: Any, shelf_of: Callable[..., Shelf], settings: Settings
):
    here, there, thing = shelf_of(), shelf_of(), uuid4()
    await write(conn, thing, "one")
    await here.text(thing)
    await here.settled()
    client = redis.asyncio.Redis.from_url(settings.redis_url)
    (key,) = [key async for key in client.scan_iter("kept:*")]
    assert 0 < await client.ttl(key) <= kept.REDIS_SECONDS
    await client.set(key, b"\xc1 something else")
    await client.aclose()
    assert await there.text(thing) == "one"
    assert there.loads == 1


async def test_memory_is_bounded_and_the_least_used_goes_first(
    conn: Any, shelf_of: Callable[..., Shelf], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(kept, "LOCAL_BYTES_MAX", 100)
    monkeypatch.setattr(kept, "ENTRY_BYTES_MAX", 60)
    shelf, things = shelf_of(f"redis://127.0.0.1:{free_port()}/0"), [uuid4() for _ in range(4)]
    for thing, size in zip(things, (40, 40, 40, 61), strict=True):
        await write(conn, thing, "x" * size)
    for thing in (*things[:2], things[0], things[2], things[3]):
        await shelf.text(thing)
    assert shelf.reads._bytes == 80
    loads = shelf.loads
    await shelf.text(things[0])
    assert shelf.loads == loads, "used since"
    await shelf.text(things[1])
    await shelf.text(things[3])
    assert shelf.loads == loads + 2, "pushed out, and too large to keep"
