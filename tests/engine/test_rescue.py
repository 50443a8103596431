"""Rescue: what a dead process had in hand runs again, alone, a bounded number of times."""

from typing import Any

import pytest

from domain.journal.declare import Batch
from domain.journal.model import Succeeded
from domain.journal.rescue import mark_dead_runs
from domain.journal.sweeps import RescueRuns
from infra.clock import new_id
from jobs.rescue_runs import rescue_runs
from tests.builders import submit
from tests.engine.killer_worker import DEADLY, DEADLY_ONCE
from tests.engine.parts import Call, Note, Rig, until, write_texts
from tests.system import System

pytestmark = pytest.mark.anyio


async def run_of(rig: Rig, ids: list[Any], *, beat: bool, fate: str) -> None:
    """Leave a worker's note of a run whose transaction committed, was rolled back or is still open."""
    worker = new_id()
    if beat:
        await rig.conn.execute("INSERT INTO workers (id, name, lanes) VALUES ($1, 'w', '{orders}')", worker)
    async with rig.pool.acquire() as other:
        await other.execute("BEGIN")
        xid = await other.fetchval("SELECT pg_current_xact_id()")
        await other.execute({"committed": "COMMIT", "aborted": "ROLLBACK"}[fate])
    await rig.conn.execute(
        "INSERT INTO runs (worker, job, xid, ids) VALUES ($1, 'test_notes', $2, $3)", worker, xid, ids
    )


async def rescue(rig: Rig) -> set[Any]:
    async with rig.conn.transaction():
        return set(await mark_dead_runs(rig.conn, silence_seconds=5))


async def test_the_commands_of_a_dead_run_are_marked_solo_and_an_attempt_is_counted(rig: Rig):
    dead, other = await submit(rig.conn, Note("a"), Note("b"))
    await run_of(rig, [dead], beat=False, fate="aborted")
    assert await rescue(rig) == {dead}
    row = await rig.pending(dead)
    assert (row["solo"], row["attempts"]) == (True, 1)
    row = await rig.pending(other)
    assert (row["solo"], row["attempts"]) == (False, 0)
    assert await rescue(rig) == set(), "once"
    assert (await rig.pending(dead))["attempts"] == 1


async def test_a_run_whose_worker_beats_is_left_alone(rig: Rig):
    """Its transaction was rolled back by an error, and the worker sees to that itself."""
    (command_id,) = await submit(rig.conn, Note("a"))
    await run_of(rig, [command_id], beat=True, fate="aborted")
    assert await rescue(rig) == set()
    assert not (await rig.pending(command_id))["solo"]
    await rig.conn.execute("UPDATE workers SET heartbeat_at = now() - interval '6 seconds'")
    assert await rescue(rig) == {command_id}


async def test_a_run_that_committed_before_its_worker_died_blames_nobody(rig: Rig):
    """What it deferred is in the queue under the same id, and did not kill anything."""
    (command_id,) = await submit(rig.conn, Note("a"))
    await run_of(rig, [command_id], beat=False, fate="committed")
    assert await rescue(rig) == set()
    assert not (await rig.pending(command_id))["solo"]
    assert await rig.conn.fetchval("SELECT count(*) FROM runs") == 0, "the note has served"


async def test_a_silent_worker_whose_transaction_is_open_is_not_dead(rig: Rig):
    (command_id,) = await submit(rig.conn, Note("a"))
    seen = []

    async def run(batch: Batch[Any]) -> Any:
        seen.append(await rescue(rig))
        return await write_texts(batch)

    await rig.drain(rig.runner(run))
    assert seen == [set()]
    assert await rig.statuses([command_id]) == ["succeeded"]


async def test_the_sweep_rescues_and_forgets_workers_long_silent(rig: Rig):
    (dead,) = await submit(rig.conn, Note("a"))
    await run_of(rig, [dead], beat=False, fate="aborted")
    await rig.conn.execute(
        "INSERT INTO workers (id, name, lanes, heartbeat_at)"
        " SELECT gen_random_uuid(), n, '{}', now() - make_interval(hours => h)"
        " FROM (VALUES ('old', 25), ('recent', 23)) AS t (n, h)"
    )
    (sweep,) = await submit(rig.conn, RescueRuns())
    await rig.drain(rig.runner(rescue_runs))
    result = await rig.conn.fetchval("SELECT result ->> 'commands' FROM outcomes WHERE id = $1", sweep)
    assert result == "1"
    assert [row["name"] for row in await rig.conn.fetch("SELECT name FROM workers")] == ["recent"]


async def test_a_command_that_kills_its_process_ends_up_alone_then_parked_and_its_neighbours_succeed(
    rig: Rig, system: System
):
    *neighbours, deadly = await submit(rig.conn, Note("a"), Note("b"), Note("c"), Note(DEADLY))
    (recovering,) = await submit(rig.conn, Note(DEADLY_ONCE))
    system.start("killer", "tests.engine.killer_worker", "killer_ready", WORKER_SILENCE_SECONDS="0.2")

    async def ended() -> bool:
        return "pending" not in await rig.statuses([*neighbours, deadly, recovering])

    await until(ended, 60)
    assert await rig.statuses(neighbours) == ["succeeded"] * 3
    assert await rig.statuses([deadly, recovering]) == ["failed", "succeeded"]
    assert await rig.conn.fetchval("SELECT attempts FROM parked WHERE id = $1", deadly) == 3
    assert await rig.texts() == ["a", "b", "c", DEADLY_ONCE], "what died with it was rolled back each time"


async def test_an_effect_whose_holder_died_runs_again_when_its_lease_ends(rig: Rig, system: System):
    (call,) = await submit(rig.conn, Call(DEADLY_ONCE))
    system.start("killer", "tests.engine.killer_worker", "killer_ready")

    async def ended() -> Any:
        return await rig.conn.fetchval("SELECT result ->> 'attempts' FROM outcomes WHERE id = $1", call)

    assert await until(ended, 30) == "2", "the crash was counted"
    assert await rig.statuses([call]) == ["succeeded"]


async def test_a_rescued_command_succeeds_with_its_attempts_on_record(rig: Rig):
    (command_id,) = await submit(rig.conn, Note("a"))
    await run_of(rig, [command_id], beat=False, fate="aborted")
    await rescue(rig)

    async def run(batch: Batch[Any]) -> Any:
        return [Succeeded(c.attempts) for c in batch.commands]

    await rig.drain(rig.runner(run))
    row = await rig.conn.fetchrow("SELECT attempts, result FROM outcomes WHERE id = $1", command_id)
    assert (row["attempts"], row["result"]) == (1, "1")
