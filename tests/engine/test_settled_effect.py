"""An effect that prepares and settles: what it is about to do, what came of it, and when it waits."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest

from domain.journal.declare import Batch
from domain.journal.model import Answered, Deferred, PutOff, Ready, Rejected, Succeeded, TryAgain
from domain.rejections import Code, Rejection
from infra.clock import new_id
from tests.builders import submit
from tests.engine.parts import Call, Note, Rig, Step, due_now, effect_job, run_due
from workers.effects import EffectRunner

pytestmark = pytest.mark.anyio


async def ready(batch: Batch[Call]) -> list[Any]:
    return [Ready(f"given {claimed.command.text}") for claimed in batch.commands]


async def answer(attempt: Any) -> Answered:
    return Answered(f"answer to {attempt.given}")


async def write_answers(batch: Batch[Call], answers: Mapping[UUID, Any]) -> list[Any]:
    for claimed in batch.commands:
        text = claimed.command.text
        await batch.conn.execute("INSERT INTO written (id, text) VALUES ($1, $2)", claimed.id, text)
    return [Succeeded(answers[claimed.id]) for claimed in batch.commands]


def settling(prepare: Any = ready, run: Any = answer, settle: Any = write_answers, **more: Any) -> EffectRunner:
    return EffectRunner(effect_job(run, prepare=prepare, settle=settle, **more))


async def test_an_answer_is_settled_with_what_was_prepared_in_the_transaction_that_records_it(rig: Rig):
    ids = await submit(rig.conn, Call("a"), Call("b"))
    assert sorted(await run_due(rig, settling())) == ids
    assert await rig.texts() == ["a", "b"]
    results = await rig.conn.fetch("SELECT result FROM outcomes ORDER BY id")
    assert [row["result"] for row in results] == ['"answer to given a"', '"answer to given b"']


async def test_what_preparing_refuses_is_not_tried(rig: Rig):
    tried = []

    async def prepare(batch: Batch[Call]) -> list[Any]:
        refusal = Rejected(Rejection(409, Code.CONFLICT, "not now"))
        return [refusal if claimed.command.text == "no" else Ready() for claimed in batch.commands]

    async def note(attempt: Any) -> Answered:
        tried.append(attempt.command.text)
        return Answered(None)

    ids = await submit(rig.conn, Call("no"), Call("yes"))
    assert sorted(await run_due(rig, settling(prepare, note))) == ids
    assert tried == ["yes"]
    assert await rig.statuses(ids) == ["rejected", "succeeded"]


async def test_what_is_prepared_is_committed_before_the_try(rig: Rig):
    async def prepare(batch: Batch[Call]) -> list[Any]:
        await batch.conn.execute("INSERT INTO written (id, text) VALUES ($1, 'about to')", batch.commands[0].id)
        return [Ready()] * len(batch.commands)

    seen = []

    async def look(_attempt: Any) -> Answered:
        seen.append(await rig.texts())
        return Answered(None)

    await submit(rig.conn, Call("a"))
    await run_due(rig, settling(prepare, look))
    assert seen == [["about to"]]


async def test_an_answer_that_was_not_settled_is_asked_for_again_after_the_lease(rig: Rig):
    (command_id,) = await submit(rig.conn, Call("a"))
    runner = settling()
    (held,), _ = await runner.claim(rig.conn, new_id(), 10)
    await runner.attempt(held)
    # Here the worker dies.
    assert await rig.texts() == []
    await due_now(rig)
    await run_due(rig, runner)
    assert await rig.texts() == ["a"]
    assert await rig.statuses([command_id]) == ["succeeded"]


async def test_who_lost_its_lease_settles_nothing(rig: Rig):
    (command_id,) = await submit(rig.conn, Call("a"))
    runner, slow, quick = settling(), new_id(), new_id()
    (late,), _ = await runner.claim(rig.conn, slow, 10)
    await due_now(rig)
    (held,), _ = await runner.claim(rig.conn, quick, 10)
    report = await runner.record(rig.conn, slow, [(late, Answered("late"))])
    assert report.ended == []
    assert await rig.texts() == []
    await runner.record(rig.conn, quick, [(held, Answered("quick"))])
    assert await rig.conn.fetchval("SELECT result FROM outcomes WHERE id = $1", command_id) == '"quick"'


@pytest.mark.parametrize("step", ["prepare", "settle"])
async def test_data_that_does_not_fit_parks_its_command_alone(rig: Rig, step: str):
    async def prepare(batch: Batch[Call]) -> list[Any]:
        await write_answers(batch, {claimed.id: None for claimed in batch.commands})
        return [Ready()] * len(batch.commands)

    async def nothing(batch: Batch[Call], _answers: Mapping[UUID, Any]) -> list[Any]:
        return [Succeeded()] * len(batch.commands)

    runner = settling(prepare, settle=nothing) if step == "prepare" else settling()
    ids = await submit(rig.conn, Call("a"), Call("b"), Call("bad"), Call("d"))
    assert set(await run_due(rig, runner)) == set(ids)
    assert await rig.statuses(ids) == ["succeeded", "succeeded", "failed", "succeeded"]
    assert await rig.texts() == ["a", "b", "d"]


async def test_what_follows_is_written_with_the_answer_and_rung_for(rig: Rig):
    async def settle(batch: Batch[Call], _answers: Mapping[UUID, Any]) -> list[Any]:
        batch.follow_up(Note("next"), batch.commands[0].correlation)
        return [Succeeded()] * len(batch.commands)

    await submit(rig.conn, Call("a"))
    runner, lease = settling(settle=settle), new_id()
    (held,), _ = await runner.claim(rig.conn, lease, 10)
    report = await runner.record(rig.conn, lease, [(held, await runner.attempt(held))])
    assert report.ring == {Note}
    assert await rig.conn.fetchval("SELECT count(*) FROM pending WHERE job = $1", Note.job) == 1


async def test_what_cannot_be_tried_now_waits_and_costs_no_attempt(rig: Rig):
    async def out_of_reach(_attempt: Any) -> PutOff:
        return PutOff("the breaker is open", 7.0)

    (command_id,) = await submit(rig.conn, Call("a"))
    for _ in range(3):
        await due_now(rig)
        await run_due(rig, settling(run=out_of_reach))
        row = await rig.pending(command_id)
        assert (row["attempts"], row["generation"], row["lease"]) == (0, 0, None)
        assert row["first_tried_at"] is None
        assert row["error"] == "the breaker is open"
    wait = await rig.conn.fetchval("SELECT extract(epoch FROM run_at - now())::float8 FROM pending")
    assert 5 < wait <= 7


async def test_waiting_keeps_the_tries_there_were(rig: Rig):
    said: list[Any] = [TryAgain("no answer"), PutOff("the breaker is open", 1.0)]

    async def run(_attempt: Any) -> Any:
        return said.pop(0)

    (command_id,) = await submit(rig.conn, Call("a"))
    for _ in range(2):
        await due_now(rig)
        await run_due(rig, settling(run=run))
    row = await rig.pending(command_id)
    assert row["attempts"] == 1
    assert row["first_tried_at"] is not None, "the provider may know the key since then"


async def test_what_has_begun_is_not_waited_for(rig: Rig):
    thing = new_id()
    (call,) = await submit(rig.conn, Call("a", thing=thing))
    (step,) = await submit(rig.conn, Step(thing))

    async def steps(batch: Batch[Step]) -> list[Any]:
        return [Succeeded()] * len(batch.commands)

    async def again(_attempt: Any) -> TryAgain:
        return TryAgain("no answer")

    stepping = rig.runner(steps, command=Step)
    await rig.drain(stepping)
    assert await rig.statuses([call, step]) == ["pending", "pending"], "an earlier one of the thing hasn't begun"
    await run_due(rig, settling(run=again))
    await due_now(rig)
    await rig.drain(stepping)
    assert await rig.statuses([call, step]) == ["pending", "succeeded"]


async def test_what_preparing_puts_off_has_not_begun(rig: Rig):
    thing = new_id()

    async def wait(batch: Batch[Call]) -> list[Any]:
        return [Deferred(0.5)] * len(batch.commands)

    (call,) = await submit(rig.conn, Call("a", thing=thing))
    await run_due(rig, settling(prepare=wait), seconds=0.2)
    row = await rig.pending(call)
    assert (row["attempts"], row["aggregate"], row["lease"]) == (0, thing, None)


async def test_batches_of_one_prepare_and_settle_one_at_a_time(rig: Rig):
    sizes = []

    async def prepare(batch: Batch[Call]) -> list[Any]:
        sizes.append(len(batch.commands))
        return await ready(batch)

    async def settle(batch: Batch[Call], answers: Mapping[UUID, Any]) -> list[Any]:
        sizes.append(len(batch.commands))
        return await write_answers(batch, answers)

    await submit(rig.conn, Call("a"), Call("b"), Call("c"))
    job = effect_job(answer, prepare=prepare, settle=settle)
    await run_due(rig, EffectRunner(job, commands_max=1))
    assert sizes == [1] * 6
