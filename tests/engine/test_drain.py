"""Drain: one bell is worth a bounded amount of work, and one drain of a job runs in a process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import dramatiq
import pytest
from dramatiq.middleware import AsyncIO

from domain.journal.declare import Batch, Job
from domain.journal.model import Deferred, Succeeded
from infra import broker
from infra.settings import Settings
from tests.builders import submit
from tests.engine.bells import queued, redis_of, worker_of
from tests.engine.parts import Call, Note, Rig, Step, batch_job, effect_job, until
from tests.system import eventually
from workers import engine as engine_module
from workers.engine import Engine


@asynccontextmanager
async def engine_of(settings: Settings, *jobs: Job, looks: bool = False) -> AsyncIterator[Engine]:
    """An engine that only drains when told to, unless it ``looks`` by itself."""
    made: Any = Engine(settings, jobs)
    if not looks:
        made._quiet_jobs = list
        made._look_again = lambda *_: None
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


async def succeed(batch: Batch[Any]) -> Any:
    return [Succeeded()] * len(batch.commands)


async def left(rig: Rig) -> int:
    return int(await rig.conn.fetchval("SELECT count(*) FROM pending"))


def record_rings(engine: Engine, events: list[str]) -> None:
    """Have an engine's rings noted among other events."""
    ring = engine.doorbell.ring

    def rung(job: str, lane: str) -> bool:
        events.append("ring")
        return ring(job, lane)

    engine.doorbell.ring = rung  # type: ignore[method-assign]


async def said(engine: Engine) -> None:
    """Wait until everything the engine had to say is said."""
    await asyncio.wrap_future(engine.doorbell.soon(lambda: None))


@pytest.mark.anyio
@pytest.mark.parametrize("limit", [("DRAIN_BATCHES_MAX", 3), ("DRAIN_SECONDS_MAX", 0.25)])
async def test_a_bell_drains_so_many_batches_or_so_long_then_rings_again_and_returns(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, limit: tuple[str, float]
):
    monkeypatch.setattr(engine_module, *limit)
    # Full batches call for help as well: here once, after the first.
    monkeypatch.setattr(engine_module, "CALL_SECONDS", 60.0)
    events: list[str] = []

    async def run(batch: Batch[Note]) -> Any:
        await asyncio.sleep(0.1)
        events.append("batch")
        return [Succeeded()] * len(batch.commands)

    await submit(rig.conn, *[Note(str(n)) for n in range(10)])
    async with engine_of(rig.settings, batch_job(run, commands_max=1)) as engine:
        record_rings(engine, events)
        await engine.drain("test_notes")
        await said(engine)
    assert 2 <= events.count("batch") <= 3
    assert await left(rig) == 10 - events.count("batch")
    assert events[-1] == "ring", "others get their turn, then this job goes on"


@pytest.mark.anyio
async def test_a_full_batch_calls_another_worker_at_once(rig: Rig):
    rung_at_second_batch = []

    async def run(batch: Batch[Note]) -> Any:
        with redis_of(rig.settings) as client:
            rung_at_second_batch.append(queued(client, "orders"))
        await asyncio.sleep(0.1)
        return [Succeeded()] * len(batch.commands)

    await submit(rig.conn, *[Note(str(n)) for n in range(3)])
    async with engine_of(rig.settings, batch_job(run, commands_max=1)) as engine:
        await engine.drain("test_notes")
    assert rung_at_second_batch[0] == 0
    assert rung_at_second_batch[-1] >= 1


@pytest.mark.anyio
async def test_a_drain_that_ran_dry_does_not_ring(rig: Rig):
    await submit(rig.conn, Note("a"))
    async with engine_of(rig.settings, batch_job(succeed)) as engine:
        await engine.drain("test_notes")
        engine.doorbell.soon(lambda: None).result(5)
        with redis_of(rig.settings) as client:
            assert queued(client, "orders") == 0


@pytest.mark.anyio
async def test_a_bell_that_was_cut_short_is_taken_up_again_without_redis(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(engine_module, "DRAIN_BATCHES_MAX", 2)
    ids = await submit(rig.conn, *[Note(str(n)) for n in range(10)])
    async with engine_of(rig.settings, batch_job(succeed, commands_max=1), looks=True) as engine:
        await engine.drain("test_notes")

        async def done() -> bool:
            return await left(rig) == 0

        await until(done, 5)
    assert await rig.statuses(ids) == ["succeeded"] * 10


@pytest.mark.anyio
async def test_between_batches_it_looks_at_the_stop_flag(rig: Rig):
    inside, go_on = asyncio.Event(), asyncio.Event()

    async def run(batch: Batch[Note]) -> Any:
        inside.set()
        await go_on.wait()
        return [Succeeded()] * len(batch.commands)

    ids = await submit(rig.conn, *[Note(str(n)) for n in range(5)])
    async with engine_of(rig.settings, batch_job(run, commands_max=1)) as engine:
        draining = asyncio.ensure_future(engine.drain("test_notes"))
        await inside.wait()
        stopping = asyncio.ensure_future(engine.stop())
        await asyncio.sleep(0.05)
        assert not stopping.done(), "the batch in hand is finished first"
        go_on.set()
        await draining
        await stopping
        assert sorted(await rig.statuses(ids)) == ["pending"] * 4 + ["succeeded"]
        await engine.drain("test_notes")
        assert await left(rig) == 4, "no new batch once it stops"


@pytest.mark.anyio
async def test_a_second_bell_during_a_drain_returns_at_once_and_is_not_lost(rig: Rig):
    inside, go_on, running, batches = asyncio.Event(), asyncio.Event(), [0], []

    async def run(batch: Batch[Note]) -> Any:
        running[0] += 1
        assert running[0] == 1, "two drains of a job in one process"
        batches.append(len(batch.commands))
        inside.set()
        await go_on.wait()
        running[0] -= 1
        return [Succeeded()] * len(batch.commands)

    await submit(rig.conn, Note("a"))
    async with engine_of(rig.settings, batch_job(run)) as engine:
        draining = asyncio.ensure_future(engine.drain("test_notes"))
        await inside.wait()
        await submit(rig.conn, Note("b"))
        await asyncio.wait_for(engine.drain("test_notes"), 0.5)
        go_on.set()
        await draining
    assert batches == [1, 1]
    assert await left(rig) == 0


@pytest.mark.anyio
async def test_drains_of_different_jobs_run_side_by_side(rig: Rig):
    both = asyncio.Barrier(2)

    async def meet(batch: Batch[Any]) -> Any:
        await asyncio.wait_for(both.wait(), 2)
        return [Succeeded()] * len(batch.commands)

    ids = await submit(rig.conn, Note("a"), Step(thing=engine_module.new_id()))
    async with engine_of(rig.settings, batch_job(meet), batch_job(meet, Step)) as engine:
        await asyncio.gather(engine.drain("test_notes"), engine.drain("test_steps"))
    assert await rig.statuses(ids) == ["succeeded"] * 2


@pytest.mark.anyio
async def test_what_was_put_off_is_looked_at_when_it_is_due(rig: Rig):
    times = []

    async def run(batch: Batch[Note]) -> Any:
        times.append(asyncio.get_running_loop().time())
        return [Deferred(0.1) if len(times) < 3 else Succeeded()] * len(batch.commands)

    (command_id,) = await submit(rig.conn, Note("a"))
    async with engine_of(rig.settings, batch_job(run), looks=True) as engine:
        engine._quiet_jobs = list  # type: ignore[method-assign]
        await engine.drain("test_notes")

        async def done() -> bool:
            return await rig.statuses([command_id]) == ["succeeded"]

        await until(done, 5)
    # The engine's own looks are off: only what it arranged for the deferred one brought it back.
    assert len(times) == 3


@pytest.mark.anyio
async def test_a_drain_that_fails_is_tried_again_and_ends_no_worker(rig: Rig):
    failures = [2]

    async def run(batch: Batch[Note]) -> Any:
        if failures[0]:
            failures[0] -= 1
            raise ConnectionResetError("PostgreSQL went away")
        return [Succeeded()] * len(batch.commands)

    (command_id,) = await submit(rig.conn, Note("a"))
    async with engine_of(rig.settings, batch_job(run), looks=True) as engine:
        await engine.drain("test_notes")

        async def done() -> bool:
            return await rig.statuses([command_id]) == ["succeeded"]

        await until(done, 5)
    assert failures == [0], "it failed twice before"


@pytest.mark.anyio
async def test_the_engine_drains_effects_too(rig: Rig):
    async def act(_attempt: Any) -> Succeeded:
        return Succeeded()

    ids = await submit(rig.conn, *[Call(str(n)) for n in range(20)])
    async with engine_of(rig.settings, effect_job(act)) as engine:
        await engine.drain("test_calls")
    assert await rig.statuses(ids) == ["succeeded"] * 20


def test_actors_have_no_retries_and_no_limits_and_the_middleware_list_is_explicit(settings: Settings):
    (only,) = broker.middleware()
    assert isinstance(only, AsyncIO)
    with worker_of(settings, [batch_job(succeed)]) as bells:
        named = {type(m).__name__ for m in bells.middleware}
        assert named == {type(only).__name__, "EngineLifecycle", "_WorkerMiddleware"}
        assert bells.get_actor("test_notes").options == {}
        assert bells.get_actor("test_notes").queue_name == "orders"


def test_a_message_whose_actor_fails_is_not_tried_again(settings: Settings):
    calls = []
    with worker_of(settings, [batch_job(succeed)]) as bells, redis_of(settings) as client:

        def fail() -> None:
            calls.append(1)
            raise ZeroDivisionError

        actor = dramatiq.actor(broker=bells, actor_name="test_failing", queue_name="orders")(fail)
        actor.send()
        actor.send()
        eventually(lambda: len(calls) == 2, 5)
        eventually(lambda: queued(client, "orders") == 0, 5)
    assert len(calls) == 2
