"""The contract every effect keeps, whatever it does: acted on once, and under the same key when nobody knows.

Parametrised over all registered effects, so a new one is held to it as soon as it exists. It can't promise more: what
was done outside stays done though the worker dies before it writes that down.

Of an effect that settles more is written than how it ended, but once; and some of its commands end without an act, or
are refused by the answer to one.
"""

import asyncio
from collections import Counter
from typing import Any

import pytest

import jobs
from domain.journal.declare import EffectJob
from infra.clock import new_id
from tests.builders import submit
from tests.engine.parts import Rig, due_now, run_due, until
from tests.jobs.gateway_outside import STEPS, gateway_outside
from tests.jobs.invariants import violations
from tests.jobs.outside import OUTSIDES
from tests.jobs.rows import contents, results
from tests.jobs.samples import SAMPLES
from workers.effects import EffectRunner

pytestmark = pytest.mark.anyio

JOBS = jobs.load()
EFFECTS = sorted(name for name, job in JOBS.items() if isinstance(job, EffectJob))
JOURNAL = frozenset({"commands", "pending", "outcomes", "parked"})
ENDED = {"succeeded", "rejected"}
SETTLING = {name for name, job in JOBS.items() if isinstance(job, EffectJob) and job.settle is not None}
SHARED = {"check_payments", "refund_payments", "reconcile_charges", "send_webhooks", "send_notifications"}
"""Their key says what is asked for, not who asks: commands about the same thing ask under the same one."""
SILENCE_IS_AN_ANSWER = {"send_webhooks"}
"""That nobody answers is settled, too: what waits then is another command (tests/jobs/test_webhooks.py)."""
WAITING = "SELECT count(*) FROM pending WHERE job = $1"
# Of payments that brought money: what the gateway has of it by its books, and what we say it has.
MONEY = """
SELECT ARRAY[(SELECT sum(i.captured_minor - i.refunded_minor) FROM sandbox_intents i JOIN payments p
                ON p.id = i.payment_id WHERE p.captured_minor > 0),
             (SELECT sum(captured_minor - refunded_minor) FROM payments WHERE captured_minor > 0)]::bigint[]
"""


def runner_of(name: str) -> EffectRunner:
    job = JOBS[name]
    assert isinstance(job, EffectJob)
    return EffectRunner(job)


async def put_back(rig: Rig, ids: list[Any]) -> None:
    """Queue commands once more, as if their queue rows had come back from the dead."""
    await rig.conn.execute(
        "INSERT INTO pending (id, job, aggregate) SELECT id, job, aggregate FROM commands WHERE id = ANY ($1)", ids
    )


def test_every_effect_has_an_outside():
    assert set(OUTSIDES) == set(EFFECTS), "give each effect its outside world in tests/jobs/outside.py"


@pytest.mark.parametrize("name", EFFECTS)
async def test_an_effect_ends_every_command_and_acts_once_on_each_that_succeeds(rig: Rig, name: str):
    async with OUTSIDES[name](rig.settings) as outside:
        ids = await submit(rig.conn, *await SAMPLES[name](rig))
        before = await contents(rig.conn, but=JOURNAL)
        await run_due(rig, runner_of(name))
        statuses = await rig.statuses(ids)
        acts = outside.acts()
        assert acts
        assert len(acts) == len(set(acts))
        if name in SETTLING:
            assert "succeeded" in statuses
            assert set(statuses) <= ENDED
            assert await contents(rig.conn, but=JOURNAL) != before, "what was answered is settled"
        else:
            assert set(statuses) == ENDED
            assert len(acts) == statuses.count("succeeded")
            assert await contents(rig.conn, but=JOURNAL) == before, "an effect writes nothing but how it ended"
        assert await violations(rig.conn) == {}


@pytest.mark.parametrize("name", EFFECTS)
async def test_an_effect_that_has_ended_is_not_acted_on_again(rig: Rig, name: str):
    async with OUTSIDES[name](rig.settings) as outside:
        ids = await submit(rig.conn, *await SAMPLES[name](rig))
        await run_due(rig, runner_of(name))
        acts, rows = outside.acts(), await contents(rig.conn)
        await put_back(rig, ids)
        # A drain ends when a claim finds none that is still to be done; the engine then looks again.
        while await rig.conn.fetchval(WAITING, name):
            await run_due(rig, runner_of(name))
        assert outside.acts() == acts
        assert await contents(rig.conn) == rows


@pytest.mark.parametrize("name", EFFECTS)
async def test_a_crash_between_the_act_and_its_record_acts_once_more_under_the_same_key(rig: Rig, name: str):
    async with OUTSIDES[name](rig.settings) as outside:
        ids = await submit(rig.conn, *await SAMPLES[name](rig))
        runner = runner_of(name)
        async with rig.pool.acquire() as conn:
            held, report = await runner.claim(conn, new_id(), len(ids))
        assert len(held) + len(report.ended) == len(ids)
        await asyncio.gather(*(runner.attempt(leased) for leased in held))
        # Here the worker dies. The leases run out.
        once = outside.acts()
        assert set(await rig.statuses([leased.claimed.id for leased in held])) == {"pending"}
        await due_now(rig)
        await run_due(rig, runner)
        assert Counter(outside.acts()) == Counter(once * 2)
        assert set(await rig.statuses(ids)) <= ENDED
        theirs, ours = await rig.conn.fetchval(MONEY)
        assert theirs == ours, "asked for twice, moved once, and settled"
        assert await violations(rig.conn) == {}


@pytest.mark.parametrize("name", sorted(set(EFFECTS) - SILENCE_IS_AN_ANSWER))
async def test_while_the_outside_is_away_nothing_is_lost_or_given_up(rig: Rig, name: str):
    async with OUTSIDES[name](rig.settings) as outside:
        ids = await submit(rig.conn, *await SAMPLES[name](rig))
        runner = runner_of(name)
        await outside.leave()
        await run_due(rig, runner)
        assert outside.acts() == []
        assert set(await rig.statuses(ids)) <= {"pending", "rejected", *(ENDED if name in SETTLING else ())}
        waiting = [row for row in [await rig.pending(command_id) for command_id in ids] if row is not None]
        assert waiting
        assert {(row["attempts"], row["generation"], row["lease"]) for row in waiting} == {(1, 0, None)}
        assert all(row["error"] for row in waiting)
        await outside.come_back()
        await due_now(rig)
        await run_due(rig, runner)
        assert set(await rig.statuses(ids)) <= ENDED
        assert len(outside.acts()) == len(set(outside.acts()))
        if name in SETTLING:
            assert len(outside.acts()) == len(waiting)
        else:
            assert set(await rig.statuses(ids)) == ENDED
            assert len(outside.acts()) == (await rig.statuses(ids)).count("succeeded")


@pytest.mark.parametrize("name", EFFECTS)
async def test_two_workers_at_once_act_once_on_each_command(rig: Rig, name: str):
    async with OUTSIDES[name](rig.settings) as outside:
        samples = await SAMPLES[name](rig)
        ids = await submit(rig.conn, *samples, *samples, *samples)

        async def ended() -> bool:
            # Those put off for an earlier one of the same thing come due a little later.
            await due_now(rig)
            await asyncio.gather(*(run_due(rig, runner_of(name)) for _ in range(2)))
            return not await rig.conn.fetchval(WAITING, name)

        await until(ended)
        statuses = await rig.statuses(ids)
        assert set(statuses) <= ENDED
        acts = outside.acts()
        if name in SETTLING - SHARED:
            assert len(acts) == len(set(acts))
        elif name not in SETTLING:
            assert set(statuses) == ENDED
            assert len(acts) == len(set(acts)) == statuses.count("succeeded")
        theirs, ours = await rig.conn.fetchval(MONEY)
        assert theirs == ours
        assert await violations(rig.conn) == {}


@pytest.mark.parametrize("name", EFFECTS)
async def test_the_order_of_effects_changes_no_outcome(rig: Rig, name: str):
    async with OUTSIDES[name](rig.settings):
        in_order = await submit(rig.conn, *await SAMPLES[name](rig))
        await run_due(rig, runner_of(name))
        backwards = await submit(rig.conn, *reversed(await SAMPLES[name](rig)))
        await run_due(rig, runner_of(name))
        assert await results(rig, backwards) == list(reversed(await results(rig, in_order)))


@pytest.mark.parametrize("name", sorted(STEPS))
async def test_while_the_breaker_of_a_gateway_is_open_no_try_is_counted(rig: Rig, name: str):
    async with gateway_outside(rig.settings, *STEPS[name], failures=1, open_seconds=0.05) as outside:
        ids = await submit(rig.conn, *await SAMPLES[name](rig))
        runner = runner_of(name)
        await outside.leave()
        await run_due(rig, runner)
        waiting = [row for row in [await rig.pending(command_id) for command_id in ids] if row is not None]
        assert waiting
        assert sorted(row["attempts"] for row in waiting) == [0] * (len(waiting) - 1) + [1], "the one that opened it"
        await outside.come_back()

        async def ended() -> bool:
            await due_now(rig)
            await run_due(rig, runner)
            return not await rig.conn.fetchval(WAITING, name)

        await until(ended)
        assert set(await rig.statuses(ids)) <= ENDED
        assert len(outside.acts()) == len(set(outside.acts())) == len(waiting)
        assert await violations(rig.conn) == {}
