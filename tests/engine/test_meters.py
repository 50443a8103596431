"""What jobs count: how commands ended, once each, and only what was committed."""

from typing import Any

import asyncpg
import pytest

from domain.journal.declare import Batch, LockFirst
from domain.journal.model import Answered, Deferred, PutOff, Rejected, Succeeded, TryAgain
from domain.journal.tally import Tally
from domain.rejections import Code, Rejection
from infra.clock import new_id
from tests.builders import submit
from tests.counting import counting
from tests.engine.parts import Call, Note, Rig, effect_job, run_due, write_texts
from workers.effects import EffectRunner

pytestmark = pytest.mark.anyio

NOTES = {"job": "test_notes", "lane": "orders"}
CALLS = {"job": "test_calls", "lane": "io"}


def ended(outcome: str, **labels: str) -> Any:
    return counting("ordermill_commands_total", outcome=outcome, **labels)


async def test_a_batch_counts_how_its_commands_ended(rig: Rig):
    async def run(batch: Batch[Note]) -> Any:
        outcomes = {
            "fine": Succeeded(),
            "refused": Rejected(Rejection(409, Code.OUT_OF_STOCK, "gone")),
            "later": Deferred(60),
        }
        return [outcomes[c.command.text] for c in batch.commands]

    grown = {outcome: ended(outcome, **NOTES) for outcome in ("succeeded", "rejected", "failed", "deferred")}
    refused = counting("ordermill_rejections_total", code="out_of_stock", **NOTES)
    sizes = counting("ordermill_batch_commands_sum", **NOTES)
    batches = counting("ordermill_batch_seconds_count", **NOTES)
    await submit(rig.conn, Note("fine"), Note("fine"), Note("refused"), Note("later"))
    await rig.run(rig.runner(run))
    assert {outcome: grew() for outcome, grew in grown.items()} == {
        "succeeded": 2,
        "rejected": 1,
        "failed": 0,
        "deferred": 1,
    }
    assert (refused(), sizes(), batches()) == (1, 4, 1)


async def test_what_is_halved_and_run_again_is_tallied_once(rig: Rig):
    async def run(batch: Batch[Note]) -> Any:
        for _ in batch.commands:
            batch.tally(Tally.ORDERS_PLACED, "XTS")
        if not batch.lock_first:
            raise LockFirst
        return await write_texts(batch)

    placed = counting("ordermill_orders_placed_total", currency="XTS")
    failed = ended("failed", **NOTES)
    await submit(rig.conn, *[Note(text) for text in ("a", "b", "bad", "c", "d")])
    await rig.run(rig.runner(run))
    assert await rig.texts() == ["a", "b", "c", "d"]
    assert (placed(), failed()) == (4, 1)


async def test_what_is_rolled_back_counts_as_a_retry_and_tallies_nothing(rig: Rig):
    async def run(batch: Batch[Note]) -> Any:
        batch.tally(Tally.CAPTURED_MINOR, "XTS", 1_000)
        await rig.conn.execute("SELECT pg_terminate_backend($1, 5000)", batch.conn.get_server_pid())
        return await write_texts(batch)

    captured = counting("ordermill_captured_minor_total", currency="XTS")
    retries = counting("ordermill_retries_total", **NOTES)
    failures = counting("ordermill_batch_failures_total", kind="infrastructure", **NOTES)
    await submit(rig.conn, Note("a"), Note("b"))
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)):
        await rig.run(rig.runner(run))
    assert (captured(), retries(), failures()) == (0, 2, 1)


async def test_an_effect_counts_its_tries_and_what_they_came_to(rig: Rig):
    outcomes = {
        "fine": Answered("thanks"),
        "again": TryAgain("no answer"),
        "away": PutOff("the breaker is open", 60),
        "refused": Rejected(Rejection(409, Code.CONFLICT, "declined")),
    }

    async def call(attempt: Any) -> Any:
        return outcomes[attempt.command.text]

    async def settle(batch: Batch[Call], _answers: Any) -> Any:
        batch.tally(Tally.REFUNDED_MINOR, "XTS", 5)
        return [Succeeded()] * len(batch.commands)

    answers = ("answered", "try_again", "put_off", "rejected", "succeeded")
    tries = {answer: counting("ordermill_effect_tries_total", answer=answer, **CALLS) for answer in answers}
    seconds = counting("ordermill_effect_try_seconds_count", **CALLS)
    succeeded, rejected = ended("succeeded", **CALLS), ended("rejected", **CALLS)
    retries = counting("ordermill_retries_total", **CALLS)
    refunded = counting("ordermill_refunded_minor_total", currency="XTS")
    await submit(rig.conn, *[Call(text) for text in outcomes])
    await run_due(rig, EffectRunner(effect_job(call, settle=settle)))
    assert {answer: grew() for answer, grew in tries.items()} == {
        "answered": 1,
        "try_again": 1,
        "put_off": 1,
        "rejected": 1,
        "succeeded": 0,
    }
    assert (seconds(), succeeded(), rejected(), retries(), refunded()) == (4, 1, 1, 1, 5)


async def test_who_lost_the_lease_counts_no_end(rig: Rig):
    async def call(_attempt: Any) -> Any:
        await rig.conn.execute("UPDATE pending SET lease = $1", new_id())
        return Succeeded()

    succeeded = ended("succeeded", **CALLS)
    await submit(rig.conn, Call("slow"))
    await run_due(rig, EffectRunner(effect_job(call)))
    assert succeeded() == 0
