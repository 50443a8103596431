"""Failure: what goes wrong is told apart, and costs as little as it may."""

from typing import Any

import asyncpg
import pytest

from domain.journal.declare import Batch, decide_each
from domain.journal.model import Claimed, Rejected, Succeeded
from domain.journal.sql import UNPARK
from domain.rejections import Code, Rejection
from infra import postgres
from infra.clock import new_id
from tests.builders import submit
from tests.engine.parts import Note, Rig, batch_job, write_texts
from workers.batches import INFRASTRUCTURE_FAILURES_MAX
from workers.effects import backoff

pytestmark = pytest.mark.anyio


def notes(*texts: str) -> list[Note]:
    return [Note(text) for text in texts]


async def test_a_decision_that_raises_parks_its_command_alone(rig: Rig):
    calls = []

    async def run(batch: Batch[Note]) -> Any:
        calls.append(len(batch.commands))

        def decide(claimed: Claimed[Note]) -> Any:
            if claimed.command.text == "c":
                raise ZeroDivisionError("in the decision")
            return Succeeded()

        return decide_each(batch.commands, decide)

    ids = await submit(rig.conn, *notes("a", "b", "c", "d"))
    await rig.drain(rig.runner(run))
    assert await rig.statuses(ids) == ["succeeded", "succeeded", "failed", "succeeded"]
    assert calls == [4], "its neighbours were not run again"
    error = await rig.conn.fetchval("SELECT error FROM parked WHERE id = $1", ids[2])
    assert error == "ZeroDivisionError: in the decision"


async def test_a_refusal_is_a_value_and_fails_nothing_else(rig: Rig):
    calls = []

    async def run(batch: Batch[Note]) -> Any:
        calls.append(len(batch.commands))
        refusal = Rejected(Rejection(409, Code.OUT_OF_STOCK, "none left"))
        return [refusal if c.command.text == "b" else Succeeded() for c in batch.commands]

    ids = await submit(rig.conn, *notes("a", "b", "c"))
    await rig.drain(rig.runner(run))
    assert await rig.statuses(ids) == ["succeeded", "rejected", "succeeded"]
    assert calls == [3]


@pytest.mark.parametrize("bad_ones", [{0}, {9}, {15}, {0, 1, 15}])
async def test_a_data_error_halves_the_batch_until_the_culprit_is_parked_alone(rig: Rig, bad_ones: set[int]):
    sizes = []

    async def run(batch: Batch[Note]) -> Any:
        sizes.append(len(batch.commands))
        return await write_texts(batch)

    texts = ["bad" if n in bad_ones else f"{n:02}" for n in range(16)]
    ids = await submit(rig.conn, *notes(*texts))
    report = await rig.run(rig.runner(run))
    expected = ["failed" if n in bad_ones else "succeeded" for n in range(16)]
    assert await rig.statuses(ids) == expected
    assert await rig.texts() == [text for text in texts if text != "bad"]
    assert set(report.ended) == set(ids), "one claim, one commit"
    assert sizes[0] == 16
    assert len(sizes) <= 1 + 2 * 4 * len(bad_ones), "halved, not tried one by one"


async def test_while_a_batch_is_halved_its_claims_are_kept(rig: Rig):
    free = []

    async def run(batch: Batch[Note]) -> Any:
        free.append(await rig.conn.fetch("SELECT id FROM pending FOR UPDATE SKIP LOCKED"))
        return await write_texts(batch)

    await submit(rig.conn, *notes("a", "bad", "c", "d"))
    await rig.drain(rig.runner(run))
    assert len(free) > 1
    assert free == [[]] * len(free), "another worker could have taken them"


async def test_what_ran_before_the_culprit_is_rolled_back_to_the_savepoint(rig: Rig):
    async def run(batch: Batch[Note]) -> Any:
        for claimed in batch.commands:
            await batch.conn.execute("INSERT INTO written (id, text) VALUES ($1, $2)", claimed.id, claimed.command.text)
            batch.follow_up(Note(f"after {claimed.command.text}"), "", principal=claimed.principal)
        return [Succeeded()] * len(batch.commands)

    ids = await submit(rig.conn, *notes("a", "b", "bad"))
    await rig.run(rig.runner(run))
    assert await rig.texts() == ["a", "b"]
    followed = await rig.conn.fetchval("SELECT count(*) FROM pending WHERE id <> ALL ($1)", ids)
    assert followed == 2, "follow-ups of a try that was rolled back are gone with it"


async def test_a_job_that_answers_for_too_few_commands_writes_nothing(rig: Rig):
    async def run(batch: Batch[Note]) -> Any:
        return (await write_texts(batch))[:-1]

    ids = await submit(rig.conn, *notes("a", "b"))
    await rig.drain(rig.runner(run))
    assert await rig.statuses(ids) == ["failed", "failed"]
    assert await rig.texts() == []


async def test_a_payload_that_does_not_decode_is_parked_alone(rig: Rig):
    ids = await submit(rig.conn, *notes("a", "b"))
    await rig.conn.execute('UPDATE commands SET payload = \'{"size": "x"}\' WHERE id = $1', ids[0])
    await rig.drain(rig.runner(write_texts))
    assert await rig.statuses(ids) == ["failed", "succeeded"]


STATES = ["40P01", "40001", "55P03", "57014", "53300", "25P04"]


def _raising(state: str, times: int, runs: list[int] | None = None) -> Any:
    """A job that writes, then meets an error of PostgreSQL's, as often as said."""
    left = [times]

    async def run(batch: Batch[Note]) -> Any:
        if runs is not None:
            runs.append(len(batch.commands))
        outcomes = await write_texts(batch)
        if left[0]:
            left[0] -= 1
            await batch.conn.execute(f"DO $$ BEGIN RAISE EXCEPTION 'now' USING ERRCODE = '{state}'; END $$")
        return outcomes

    return run


@pytest.mark.parametrize("state", STATES)
async def test_an_error_of_the_infrastructure_costs_no_attempt(rig: Rig, state: str):
    ids = await submit(rig.conn, *notes("a", "b", "c"))
    runner = rig.runner(_raising(state, 1))
    with pytest.raises(asyncpg.PostgresError):
        await rig.run(runner)
    for row in [await rig.pending(command_id) for command_id in ids]:
        assert (row["attempts"], row["solo"]) == (0, False)
    await rig.drain(runner)
    assert await rig.statuses(ids) == ["succeeded"] * 3
    assert await rig.conn.fetchval("SELECT max(attempts) FROM outcomes") == 0


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (ConnectionResetError(), postgres.Failure.INFRASTRUCTURE),
        (TimeoutError(), postgres.Failure.INFRASTRUCTURE),
        (asyncpg.InterfaceError("connection is closed"), postgres.Failure.INFRASTRUCTURE),
        (asyncpg.DataError("can't encode"), postgres.Failure.DATA),
        (asyncpg.UniqueViolationError("twice"), postgres.Failure.DATA),
        (asyncpg.NotNullViolationError("short"), postgres.Failure.DATA),
        (KeyError("bug"), postgres.Failure.DATA),
    ],
)
def test_errors_are_told_apart(error: Exception, failure: postgres.Failure):
    assert postgres.classify(error) is failure


async def test_three_failures_in_a_row_of_one_batch_make_it_solo_and_not_before(rig: Rig):
    sizes: list[int] = []
    ids = await submit(rig.conn, *notes("a", "b", "c"))
    runner = rig.runner(_raising("40P01", INFRASTRUCTURE_FAILURES_MAX, sizes))
    for tries in range(1, INFRASTRUCTURE_FAILURES_MAX + 1):
        with pytest.raises(asyncpg.DeadlockDetectedError):
            await rig.run(runner)
        rows = [await rig.pending(command_id) for command_id in ids]
        assert [row["solo"] for row in rows] == [tries == 3] * 3
        assert [row["attempts"] for row in rows] == [0] * 3
    await rig.drain(runner)
    assert sizes == [3, 3, 3, 1, 1, 1], "each alone from then on"
    assert await rig.statuses(ids) == ["succeeded"] * 3


async def test_a_success_between_failures_starts_the_count_again(rig: Rig):
    states = iter(["40P01", "40P01", None, "40P01", "40P01", None])

    async def run(batch: Batch[Note]) -> Any:
        state = next(states)
        if state:
            await batch.conn.execute(f"DO $$ BEGIN RAISE EXCEPTION 'now' USING ERRCODE = '{state}'; END $$")
        return [Succeeded()] * len(batch.commands)

    runner = rig.runner(batch_job(run, commands_max=1))
    for text in ("a", "b"):
        (command_id,) = await submit(rig.conn, Note(text))
        for _ in range(2):
            with pytest.raises(asyncpg.DeadlockDetectedError):
                await rig.run(runner)
        assert not (await rig.pending(command_id))["solo"]
        await rig.run(runner)


async def test_the_worker_notes_what_it_has_in_hand_before_it_runs_it(rig: Rig):
    seen = []
    worker = new_id()

    async def run(batch: Batch[Note]) -> Any:
        seen.append(await rig.conn.fetchrow("SELECT *, pg_xact_status(xid) AS status FROM runs"))
        seen.append(await batch.conn.fetchval("SELECT pg_current_xact_id()"))
        return await write_texts(batch)

    ids = await submit(rig.conn, *notes("a", "b"))
    await rig.drain(rig.runner(run, worker=worker))
    note, xid = seen
    assert (note["worker"], note["job"], note["status"]) == (worker, "test_notes", "in progress")
    assert note["xid"] == xid
    assert set(note["ids"]) == set(ids)


async def test_a_command_that_wore_out_its_attempts_is_parked_without_running(rig: Rig):
    ran = []

    async def run(batch: Batch[Note]) -> Any:
        ran.extend(c.command.text for c in batch.commands)
        return await write_texts(batch)

    ids = await submit(rig.conn, *notes("killer", "b"))
    await rig.conn.execute("UPDATE pending SET attempts = 3, solo = true WHERE id = $1", ids[0])
    await rig.drain(rig.runner(run, attempts_max=3))
    assert await rig.statuses(ids) == ["failed", "succeeded"]
    assert ran == ["b"]


async def test_a_solo_command_never_shares_a_batch(rig: Rig):
    batches = []

    async def run(batch: Batch[Note]) -> Any:
        batches.append(sorted(c.command.text for c in batch.commands))
        return await write_texts(batch)

    ids = await submit(rig.conn, *notes("a", "b", "solo 1", "solo 2"))
    await rig.conn.execute("UPDATE pending SET solo = true WHERE id = ANY ($1)", ids[2:])
    await rig.drain(rig.runner(run))
    assert sorted(batches) == [["a", "b"], ["solo 1"], ["solo 2"]]


def test_a_retry_comes_later_each_time_with_jitter_up_to_an_hour():
    latest = [backoff(attempts, 0.0) for attempts in range(1, 30)]
    soonest = [backoff(attempts, 1.0) for attempts in range(1, 30)]
    assert latest[:5] == [1, 2, 4, 8, 16]
    assert max(latest) == 3_600
    assert [late / 2 for late in latest] == soonest
    assert backoff(1_000_000, 0.5) <= 3_600


async def test_an_operator_can_send_a_parked_command_back(rig: Rig):
    broken = [True]

    async def run(batch: Batch[Note]) -> Any:
        if broken[0]:
            raise KeyError("not deployed yet")
        return await write_texts(batch)

    (command_id,) = await submit(rig.conn, Note("a"))
    await rig.drain(rig.runner(run))
    assert await rig.statuses([command_id]) == ["failed"]
    broken[0] = False
    assert await rig.conn.fetchval(UNPARK, command_id, 1) == "test_notes"
    assert await rig.conn.fetchval(UNPARK, command_id, 1) is None, "once"
    await rig.drain(rig.runner(run))
    assert await rig.statuses([command_id]) == ["succeeded"]
