"""Answers: whoever waits hears at once, and of a lost notice a quarter of a second later."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
import redis

from api import submission, waiters
from api.accept import Accepted
from api.waiters import Waiters
from domain.journal.declare import Batch
from domain.journal.model import Status, Succeeded
from infra import notices
from infra.broker import Doorbell
from infra.clock import new_id
from infra.settings import Settings
from tests.builders import new, submit
from tests.engine.bells import redis_of
from tests.engine.parts import Note, Rig, batch_job, until
from workers.engine import Engine

pytestmark = pytest.mark.anyio

NEVER = 60.0


class Counting:
    """A pool that counts the queries made through it."""

    def __init__(self, pool: Any) -> None:
        self.pool = pool
        self.queries: list[list[UUID]] = []

    @asynccontextmanager
    async def acquire(self, **options: Any) -> AsyncIterator[Any]:
        async with self.pool.acquire(**options) as conn:

            async def fetch(query: str, ids: list[UUID], *args: Any) -> Any:
                self.queries.append(sorted(ids))
                return await conn.fetch(query, ids, *args)

            yield SimpleNamespace(fetch=fetch)


@asynccontextmanager
async def waiting(pool: Any, redis_url: str) -> AsyncIterator[Waiters]:
    made = Waiters(pool, redis_url)
    made.start()
    try:
        yield made
    finally:
        # A cancellation that came together with a wake-up was lost once, and the process never ended.
        await asyncio.wait_for(made.stop(), 5)


async def subscribed(settings: Settings, count: int = 1) -> None:
    with redis_of(settings) as client:

        async def listening() -> bool:
            return bool(client.pubsub_numsub(notices.CHANNEL)[0][1] == count)

        await until(listening, 5)


async def end(rig: Rig, *ids: UUID) -> None:
    await rig.conn.executemany("INSERT INTO outcomes (id, status) VALUES ($1, 'succeeded')", [(i,) for i in ids])


def tell(settings: Settings, *ids: UUID) -> None:
    bell = Doorbell(settings.redis_url)
    bell.tell(ids)
    bell.close()


async def test_a_process_has_one_subscription_however_many_wait(rig: Rig):
    async with waiting(rig.pool, rig.settings.redis_url) as made:
        futures = [made.register(new_id()) for _ in range(50)]
        await subscribed(rig.settings, 1)
        assert not any(f.done() for f in futures)


async def test_a_notice_is_answered_at_once(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(waiters, "LOOK_SECONDS", NEVER)
    ids = await submit(rig.conn, Note("a"), Note("b"))
    async with waiting(rig.pool, rig.settings.redis_url) as made:
        await subscribed(rig.settings)
        first, second = made.register(ids[0]), made.register(ids[1])
        await end(rig, ids[0])
        tell(rig.settings, ids[0])
        ended = await asyncio.wait_for(first, 2)
        assert ended is not None
        assert ended.status is Status.SUCCEEDED
        assert not second.done()


async def test_a_notice_without_an_outcome_answers_nobody(rig: Rig):
    """PostgreSQL answers, Redis only hints."""
    (command_id,) = await submit(rig.conn, Note("a"))
    async with waiting(rig.pool, rig.settings.redis_url) as made:
        await subscribed(rig.settings)
        future = made.register(command_id)
        tell(rig.settings, command_id)
        await asyncio.sleep(0.4)
        assert not future.done()


async def test_a_lost_notice_costs_a_quarter_of_a_second_and_one_query_for_all(rig: Rig):
    counting = Counting(rig.pool)
    ids = await submit(rig.conn, *[Note(str(n)) for n in range(40)])
    async with waiting(counting, rig.settings.redis_url) as made:
        await subscribed(rig.settings)
        futures = [made.register(command_id) for command_id in ids]
        await end(rig, *ids)
        started, before = time.monotonic(), len(counting.queries)
        await asyncio.wait_for(asyncio.gather(*futures), 3)
        assert time.monotonic() - started < waiters.LOOK_SECONDS + 0.5
        assert len(counting.queries) - before <= 3
        assert sorted(ids) in counting.queries, "one query asks for all"


async def test_a_notice_lost_with_the_connection_is_made_good_on_reconnect(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(waiters, "LOOK_SECONDS", NEVER)
    monkeypatch.setattr(waiters, "RECONNECT_SECONDS", 0.05)
    (command_id,) = await submit(rig.conn, Note("a"))
    async with waiting(rig.pool, rig.settings.redis_url) as made:
        await subscribed(rig.settings)
        future = made.register(command_id)
        await end(rig, command_id)
        with redis_of(rig.settings) as client:
            client.client_kill_filter(_type="pubsub")
        assert await asyncio.wait_for(future, 5) is not None


async def test_without_redis_answers_come_all_the_same(rig: Rig):
    (command_id,) = await submit(rig.conn, Note("a"))
    async with waiting(rig.pool, "redis://127.0.0.1:1/0") as made:
        future = made.register(command_id)
        await end(rig, command_id)
        assert await asyncio.wait_for(future, 3) is not None


async def test_a_parked_command_answers_too(rig: Rig):
    (command_id,) = await submit(rig.conn, Note("a"))
    await rig.conn.execute(
        "INSERT INTO parked (id, job, attempts, error) VALUES ($1, 'test_notes', 3, 'x')", command_id
    )
    async with waiting(rig.pool, rig.settings.redis_url) as made:
        ended = await asyncio.wait_for(made.register(command_id), 3)
        assert ended is not None
        assert ended.status is Status.FAILED


async def test_two_who_wait_for_one_command_both_hear_and_one_who_left_does_not(rig: Rig):
    (command_id,) = await submit(rig.conn, Note("a"))
    async with waiting(rig.pool, rig.settings.redis_url) as made:
        one, gone, two = [made.register(command_id) for _ in range(3)]
        made.forget(command_id, gone)
        await end(rig, command_id)
        assert all(await asyncio.wait_for(asyncio.gather(one, two), 3))
        assert not gone.done()
        assert not made._waiting, "nothing is left behind"


async def test_who_still_waits_at_the_end_goes_without_an_answer(rig: Rig):
    made = Waiters(rig.pool, rig.settings.redis_url)
    made.start()
    future = made.register(new_id())
    await made.stop()
    assert await asyncio.wait_for(future, 1) is None
    assert await asyncio.wait_for(made.register(new_id()), 1) is None


@pytest.mark.parametrize("turns", range(5))
async def test_an_end_that_comes_together_with_a_wake_up_is_an_end(rig: Rig, turns: int):
    """In Python 3.11 asyncio.wait_for loses such a cancellation: the process would never stop."""
    made = Waiters(rig.pool, rig.settings.redis_url)
    made.start()
    await subscribed(rig.settings)
    made._wake.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    stopping = asyncio.ensure_future(made.stop())
    done, _ = await asyncio.wait([stopping], timeout=2)
    assert done


async def test_the_waiter_is_registered_before_the_insert(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    """The outcome may be told before the insert's own answer; only who waits already hears of it."""
    monkeypatch.setattr(waiters, "LOOK_SECONDS", NEVER)
    command = new(Note("a"))
    async with waiting(rig.pool, rig.settings.redis_url) as made:
        await subscribed(rig.settings)

        class Accepting:
            async def submit(self, given: Any) -> Accepted:
                await end(rig, given.id)
                await asyncio.to_thread(tell, rig.settings, given.id)
                await asyncio.sleep(0.3)
                return Accepted(given.id, replayed=False)

        edge: Any = SimpleNamespace(accept=Accepting(), waiters=made)
        request: Any = SimpleNamespace(scope={"path": "/orders"})
        answer = await asyncio.wait_for(submission._submit_and_wait(request, edge, command, 2.0), 5)
    assert answer.status_code == 200


async def test_a_replay_hears_of_the_outcome_that_is_there_already(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(waiters, "LOOK_SECONDS", NEVER)
    (known,) = await submit(rig.conn, Note("a"))
    await end(rig, known)
    async with waiting(rig.pool, rig.settings.redis_url) as made:

        class Accepting:
            async def submit(self, _given: Any) -> Accepted:
                return Accepted(known, replayed=True)

        edge: Any = SimpleNamespace(accept=Accepting(), waiters=made)
        request: Any = SimpleNamespace(scope={"path": "/orders"})
        answer = await asyncio.wait_for(submission._submit_and_wait(request, edge, new(Note("a")), 2.0), 5)
        assert not made._waiting
    assert answer.status_code == 200


async def test_workers_publish_one_message_per_batch_after_its_commit(rig: Rig):
    async def run(batch: Batch[Note]) -> Any:
        return [Succeeded()] * len(batch.commands)

    ids = await submit(rig.conn, *[Note(str(n)) for n in range(30)])
    client = redis.Redis.from_url(rig.settings.redis_url)
    listener = client.pubsub(ignore_subscribe_messages=True)
    listener.subscribe(notices.CHANNEL)
    listener.get_message(timeout=1)
    engine = Engine(rig.settings, [batch_job(run, commands_max=10)])
    messages: list[list[UUID]] = []
    seen: list[list[str]] = []

    async def heard() -> bool:
        message = await asyncio.to_thread(listener.get_message, timeout=0.05)
        if message is not None:
            told = [UUID(bytes=identifier) for identifier in notices.unpack(message["data"])]
            messages.append(told)
            seen.append(await rig.statuses(told))
        return len(messages) == 3

    try:
        await engine.start()
        await until(heard, 5)
    finally:
        await engine.stop()
        listener.close()
        client.close()
    assert [len(message) for message in messages] == [10, 10, 10]
    assert {i for message in messages for i in message} == set(ids)
    assert seen == [["succeeded"] * 10] * 3, "told before the commit"


def test_notices_carry_any_number_of_ids():
    ids = [new_id() for _ in range(5)]
    assert [UUID(bytes=identifier) for identifier in notices.unpack(notices.pack(ids))] == ids
    assert list(notices.unpack(b"short")) == []
