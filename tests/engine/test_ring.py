"""Ring: a bell hangs once per job, costs nobody time, and isn't needed for safety."""

import asyncio
import socket
import threading
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest

from api import context
from api.context import Edge
from domain.journal.declare import Batch
from domain.journal.model import Succeeded
from infra import broker
from infra.broker import Doorbell, Silent
from infra.settings import Settings
from ops.stack import Supervisor
from ops.stack.valkey import Valkey
from tests.builders import submit
from tests.engine.bells import queued, redis_of, took, worker_of
from tests.engine.parts import Note, Rig, batch_job, until
from tests.system import eventually
from workers.engine import LOOK_SECONDS, Engine

JOB, LANE = "test_notes", "orders"


def doorbell(settings: Settings, request: pytest.FixtureRequest) -> Doorbell:
    made = Doorbell(settings.redis_url)
    request.addfinalizer(made.close)
    return made


@pytest.fixture
def silent_redis(settings: Settings):
    """Settings of a Redis that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield msgspec.structs.replace(settings, redis_url=f"redis://127.0.0.1:{server.getsockname()[1]}/0")


def test_only_the_first_to_ring_sends_a_message(settings: Settings, request: pytest.FixtureRequest):
    one, two = doorbell(settings, request), doorbell(settings, request)
    with redis_of(settings) as client:
        assert one.ring(JOB, LANE) is True
        assert [two.ring(JOB, LANE), one.ring(JOB, LANE)] == [False, False]
        assert queued(client, LANE) == 1
        assert 0 < client.pttl(broker.ring_key(JOB)) <= broker.RING_KEY_MS
        assert two.ring("another_job", LANE) is True, "each job has a bell of its own"


def test_a_bell_nobody_answers_rings_again_after_a_second(settings: Settings, request: pytest.FixtureRequest):
    bell = doorbell(settings, request)
    bell.ring(JOB, LANE)
    started = time.monotonic()
    eventually(lambda: bell.ring(JOB, LANE), 5)
    assert 0.8 < time.monotonic() - started < 3


def test_an_answered_bell_can_be_rung_again_at_once(settings: Settings, request: pytest.FixtureRequest):
    bell = doorbell(settings, request)
    bell.ring(JOB, LANE)
    bell.answered(JOB)
    assert bell.ring(JOB, LANE) is True


def test_a_redis_that_is_silent_costs_200_ms_and_then_nothing(silent_redis: Settings, request: pytest.FixtureRequest):
    bell = doorbell(silent_redis, request)

    def ring() -> None:
        with pytest.raises(Silent):
            bell.ring(JOB, LANE)

    for _ in range(3):
        assert 0.1 < took(ring) < 0.6
    assert took(ring) < 0.1, "the circuit is open"
    eventually(lambda: took(ring) > 0.1, 5)


@pytest.mark.anyio
async def test_ringing_does_not_hold_up_the_loop_that_rings(silent_redis: Settings):
    edge = Edge(silent_redis)
    await edge.start()
    try:
        started = time.monotonic()
        for _ in range(100):
            edge.ring({(JOB, LANE)})
        await asyncio.sleep(0)
        assert time.monotonic() - started < 0.1
    finally:
        await edge.stop()


@pytest.mark.anyio
async def test_a_bell_rung_while_one_is_being_rung_follows_it(rig: Rig):
    """It may be for a commit that the drain which the first one starts didn't see."""
    rung: list[str] = []
    go_on = threading.Event()
    edge = Edge(rig.settings)
    await edge.start()
    try:

        def ring(job: str, _lane: str) -> bool:
            rung.append(job)
            go_on.wait(5)
            return True

        edge.doorbell.ring = ring  # type: ignore[method-assign]
        for _ in range(5):
            edge.ring({(JOB, LANE)})
        go_on.set()

        async def twice() -> bool:
            return len(rung) >= 2

        await until(twice, 5)
        await asyncio.sleep(0.05)
        assert rung == [JOB, JOB]
    finally:
        await edge.stop()


@pytest.mark.anyio
async def test_a_bell_that_was_to_follow_is_left_out_once_the_process_stops(rig: Rig):
    """What rings has ended by then; the failure of a timer would be reported where nobody can help it."""
    edge = Edge(rig.settings)
    await edge.start()
    for _ in range(3):
        edge.ring({(JOB, LANE)})
    edge.doorbell.soon(lambda: None).result(5)
    await asyncio.sleep(0)
    assert not edge._again, "a timer is running"
    failures: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: failures.append(context))
    await edge.stop()
    await asyncio.sleep(context.RING_PAUSE_SECONDS * 2)
    assert failures == []


def test_the_actor_takes_the_bell_down_before_its_first_claim(settings: Settings):
    """So that a commit after the claim rings again."""
    seen: list[bool] = []
    with redis_of(settings) as client:

        async def run(batch: Batch[Note]) -> Any:
            seen.append(bool(client.exists(broker.ring_key(JOB))))
            return [Succeeded()] * len(batch.commands)

        with worker_of(settings, [batch_job(run)]) as bells:
            # Only bells wake it here.
            bells.engine._quiet_jobs = list
            asyncio.run(_submit(settings, "a"))
            bell = Doorbell(settings.redis_url)
            try:
                bell.ring(JOB, LANE)
                eventually(lambda: seen, 5)
            finally:
                bell.close()
    assert seen == [False]


async def _submit(settings: Settings, *texts: str) -> list[UUID]:
    conn = await asyncpg.connect(settings.database_url)
    try:
        return await submit(conn, *[Note(text) for text in texts])
    finally:
        await conn.close()


def test_a_worker_stops_though_redis_went_with_a_bell_in_hand(settings: Settings, tmp_path: Path):
    """Dramatiq's own consumer tries to acknowledge until Redis is back, and its thread outlives the stop."""
    supervisor = Supervisor()
    valkey = Valkey(folder=tmp_path, run=tmp_path, log=tmp_path / "log", user=None)
    supervisor.add(valkey.child())
    ran: list[int] = []

    async def run(batch: Batch[Note]) -> Any:
        supervisor.remove("valkey")
        ran.append(len(batch.commands))
        return [Succeeded()] * len(batch.commands)

    try:
        eventually(lambda: valkey.why_not_ready() is None)
        alone = msgspec.structs.replace(settings, redis_url=valkey.url)
        bell = Doorbell(alone.redis_url)
        with worker_of(alone, [batch_job(run)]) as bells:
            bells.engine._quiet_jobs = list
            asyncio.run(_submit(alone, "a"))
            eventually(lambda: bell.ring(JOB, LANE) or ran)
            eventually(lambda: ran)
        bell.close()
        assert [thread for thread in bells.worker.workers if thread.is_alive()] == []
    finally:
        supervisor.stop()


def test_an_idle_worker_wakes_at_once(settings: Settings):
    """Dramatiq's own consumer sleeps up to a second between looks."""
    ran: list[float] = []

    async def run(batch: Batch[Note]) -> Any:
        ran.append(time.monotonic())
        return [Succeeded()] * len(batch.commands)

    waits = []
    bell = Doorbell(settings.redis_url)
    try:
        with worker_of(settings, [batch_job(run)]) as bells:
            # Only bells wake it here.
            bells.engine._quiet_jobs = list
            for n in range(5):
                threading.Event().wait(0.3)
                asyncio.run(_submit(settings, "a"))
                started = time.monotonic()
                bell.ring(JOB, LANE)
                eventually(lambda n=n: len(ran) > n, 5)
                waits.append(ran[n] - started)
    finally:
        bell.close()
    assert sorted(waits)[2] < 0.15, waits


@pytest.mark.anyio
async def test_without_redis_a_worker_looks_by_itself_within_a_second(rig: Rig, silent_redis: Settings):
    ran: list[float] = []

    async def run(batch: Batch[Note]) -> Any:
        ran.append(time.monotonic())
        return [Succeeded()] * len(batch.commands)

    engine = Engine(silent_redis, [batch_job(run)])
    await engine.start()
    try:
        for n in range(2):
            (command_id,) = await submit(rig.conn, Note("a"))
            started = time.monotonic()

            async def done(command_id: UUID = command_id) -> bool:
                return await rig.statuses([command_id]) == ["succeeded"]

            await until(done, 5)
            assert ran[n] - started < LOOK_SECONDS * 2 + 0.5
    finally:
        await engine.stop()


def test_prefetch_is_the_number_of_threads(settings: Settings):
    with worker_of(settings, [batch_job(lambda _: None)], threads=3) as bells:
        consumer = bells.consume("orders", prefetch=bells.worker.queue_prefetch, timeout=1_000)
        try:
            assert consumer.prefetch == 3
        finally:
            consumer.close()


def test_an_empty_consumer_waits_on_pub_sub_and_a_full_one_on_an_acknowledgement(settings: Settings):
    bells = broker.BellBroker(settings.redis_url, threads=1, middleware=broker.middleware())
    bells.declare_queue(LANE)
    bell = Doorbell(settings.redis_url)
    consumer = bells.consume(LANE, prefetch=4, timeout=1_000)
    try:

        def heard() -> list[Any]:
            """What the consumer gives until its first message."""
            given = [next(consumer)]
            while given[-1] is None:
                assert len(given) < 6, "it doesn't wait"
                given.append(next(consumer))
            return given

        threading.Timer(0.3, bell.ring, (JOB, LANE)).start()
        started = time.monotonic()
        message = heard()[-1]
        assert 0.2 < time.monotonic() - started < 0.9, "woken by the bell, not at the end of its wait"
        assert message.actor_name == JOB
        bell.answered(JOB)
        bell.ring(JOB, LANE)
        threading.Timer(0.3, consumer.ack, (message,)).start()
        started = time.monotonic()
        assert next(consumer) is None, "one message is in hand, and there is one thread"
        assert 0.2 < time.monotonic() - started < 0.9, "woken by the acknowledgement"
        assert heard()[-1] is not None
    finally:
        consumer.close()
        bell.close()
        bells.client.close()
        bells.bell_client.close()
