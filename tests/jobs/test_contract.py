"""The contract every batch job keeps, whatever it does: run twice, duplicated, killed after its writes, shuffled.

Parametrised over all registered jobs, so a new one is held to it as soon as it exists.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import msgspec
import pytest

import jobs
from domain.commands import COMMANDS
from domain.journal.declare import Batch, BatchJob
from tests.builders import submit
from tests.engine.parts import Rig, until
from tests.gateways import gateways_here
from tests.jobs.invariants import violations
from tests.jobs.rows import contents, results
from tests.jobs.samples import SAMPLES

pytestmark = pytest.mark.anyio

JOBS = jobs.load()
BATCHES = sorted(name for name, job in JOBS.items() if isinstance(job, BatchJob))


@pytest.fixture(name="rig")
async def with_gateways(rig: Rig) -> AsyncIterator[Rig]:
    """Payments are made at the gateways of this process."""
    async with gateways_here(rig.settings):
        yield rig


def test_every_job_is_a_known_command_with_samples():
    assert {command.job for command in COMMANDS} == set(JOBS)
    assert set(SAMPLES) == set(JOBS), "give each job a builder of sample commands in tests/jobs/samples.py"


@pytest.mark.parametrize("name", BATCHES)
async def test_a_job_ends_every_command_and_breaks_no_invariant(rig: Rig, name: str):
    ids = await submit(rig.conn, *await SAMPLES[name](rig))
    await rig.drain(rig.runner(JOBS[name]))
    statuses = await rig.statuses(ids)
    assert set(statuses) <= {"succeeded", "rejected"}
    assert "succeeded" in statuses
    assert await violations(rig.conn) == {}


@pytest.mark.parametrize("name", BATCHES)
async def test_a_job_that_runs_twice_has_one_effect(rig: Rig, name: str):
    ids = await submit(rig.conn, *await SAMPLES[name](rig))
    await rig.drain(rig.runner(JOBS[name]))
    before = await contents(rig.conn)
    await rig.conn.execute(
        "INSERT INTO pending (id, job, aggregate) SELECT id, job, aggregate FROM commands WHERE id = ANY ($1)", ids
    )
    await rig.drain(rig.runner(JOBS[name]))
    assert await contents(rig.conn) == before


@pytest.mark.parametrize("name", BATCHES)
async def test_a_job_run_again_without_the_memory_of_it_leaves_what_it_did(rig: Rig, name: str):
    """Even with its outcomes gone, a second run is refused by keys and states, not by luck."""
    ids = await submit(rig.conn, *await SAMPLES[name](rig))
    await rig.drain(rig.runner(JOBS[name]))
    journal = frozenset({"outcomes", "pending", "parked", "commands"})
    before = await contents(rig.conn, but=journal)
    await rig.conn.execute("DELETE FROM outcomes WHERE id = ANY ($1)", ids)
    await rig.conn.execute(
        "INSERT INTO pending (id, job, aggregate) SELECT id, job, aggregate FROM commands WHERE id = ANY ($1)", ids
    )
    await rig.drain(rig.runner(JOBS[name]))
    assert await contents(rig.conn, but=journal) == before


@pytest.mark.parametrize("name", BATCHES)
async def test_duplicates_inside_a_batch_break_no_invariant(rig: Rig, name: str):
    samples = await SAMPLES[name](rig)
    ids = await submit(rig.conn, *samples, *samples, *samples)
    reports = await rig.drain(rig.runner(JOBS[name]))
    assert "pending" not in await rig.statuses(ids)
    assert "failed" not in await rig.statuses(ids)
    assert sum(report.claimed for report in reports) >= len(ids)
    assert await violations(rig.conn) == {}


@pytest.mark.parametrize("name", BATCHES)
async def test_a_crash_after_the_writes_leaves_everything_as_before_and_the_next_run_succeeds(rig: Rig, name: str):
    job = JOBS[name]
    ids = await submit(rig.conn, *await SAMPLES[name](rig))
    before = await contents(rig.conn)
    crashed = []

    async def write_and_lose_the_connection(batch: Batch[Any]) -> Any:
        outcomes = await job.run(batch)
        pid = await batch.conn.fetchval("SELECT pg_backend_pid()")
        await rig.conn.execute("SELECT pg_terminate_backend($1, 5000)", pid)
        crashed.append(len(outcomes))
        return outcomes

    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)):
        await rig.run(rig.runner(msgspec.structs.replace(job, run=write_and_lose_the_connection)))
    assert crashed
    assert await contents(rig.conn) == before, "a rollback leaves nothing behind, no attempt counted"
    await rig.drain(rig.runner(job))
    assert set(await rig.statuses(ids)) <= {"succeeded", "rejected"}
    assert await violations(rig.conn) == {}


def _shuffled(job: BatchJob, seed: int) -> BatchJob:
    chance = random.Random(seed)

    async def run(batch: Batch[Any]) -> Any:
        order = list(range(len(batch.commands)))
        chance.shuffle(order)
        shuffled: Batch[Any] = Batch(
            batch.conn,
            [batch.commands[n] for n in order],
            now=batch.now,
            limits=batch.limits,
            lock_first=batch.lock_first,
            new_id=batch.new_id,
        )
        shuffled.follow_ups = batch.follow_ups
        outcomes = await job.run(shuffled)
        return [outcomes[order.index(n)] for n in range(len(order))]

    return msgspec.structs.replace(job, run=run)


@pytest.mark.parametrize("name", BATCHES)
async def test_the_order_of_independent_commands_changes_no_outcome(rig: Rig, name: str):
    in_order = await submit(rig.conn, *await SAMPLES[name](rig))
    await rig.drain(rig.runner(JOBS[name]))
    for seed in (1, 2):
        shuffled = await submit(rig.conn, *await SAMPLES[name](rig))
        await rig.drain(rig.runner(_shuffled(JOBS[name], seed)))
        assert await results(rig, shuffled) == await results(rig, in_order), seed
    assert await violations(rig.conn) == {}


@pytest.mark.parametrize("name", BATCHES)
async def test_two_workers_at_once_do_what_one_does(rig: Rig, name: str):
    job = msgspec.structs.replace(JOBS[name], commands_max=2)
    samples = await SAMPLES[name](rig)
    ids = await submit(rig.conn, *samples, *samples)

    async def ended() -> bool:
        await asyncio.gather(rig.drain(rig.runner(job)), rig.drain(rig.runner(job)))
        return "pending" not in await rig.statuses(ids)

    # Those put off for an earlier one of the same thing come due a little later.
    await until(ended)
    assert "failed" not in await rig.statuses(ids)
    assert await violations(rig.conn) == {}
