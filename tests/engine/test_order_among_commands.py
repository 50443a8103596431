"""Order among commands of one thing: none runs before the earlier ones of its thing have ended."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest

import domain.payments.sql
import jobs.cancel_orders
from domain.journal.declare import Batch
from domain.journal.model import Deferred, Succeeded
from domain.journal.reads import CANCEL_QUEUED
from domain.journal.sql import insert_commands
from domain.orders.model import CancelOrder
from infra.clock import new_id
from jobs.cancel_orders import cancel_orders
from jobs.place_orders import place_orders
from tests.builders import new, place, submit, write_offers
from tests.engine.parts import Note, Rig, Step, batch_job, until, write_texts
from workers.batches import BatchRunner

pytestmark = pytest.mark.anyio


async def steps(rig: Rig, thing: UUID, *texts: str) -> list[UUID]:
    """Commands about one thing, in this order."""
    ids = []
    for text in texts:
        # An id is later than those of the millisecond before.
        await asyncio.sleep(0.002)
        ids += await submit(rig.conn, Step(thing, text))
    return ids


async def drain_until_ended(rig: Rig, ids: list[UUID], *runners: BatchRunner) -> None:
    async def ended() -> bool:
        for runner in runners:
            await rig.drain(runner)
        return "pending" not in await rig.statuses(ids)

    await until(ended)


async def test_commands_of_one_thing_run_in_their_order_though_due_in_another(rig: Rig):
    ran: list[str] = []

    async def run(batch: Batch[Step]) -> Any:
        ran.extend(c.command.text for c in batch.commands)
        return [Succeeded()] * len(batch.commands)

    ids = await steps(rig, uuid4(), "a", "b", "c", "d")
    for n, command_id in enumerate(ids):
        await rig.conn.execute(
            "UPDATE pending SET run_at = now() - make_interval(secs => $2) WHERE id = $1", command_id, float(n)
        )
    await drain_until_ended(rig, ids, rig.runner(batch_job(run, Step, commands_max=1)))
    assert ran == ["a", "b", "c", "d"]


async def test_commands_of_one_thing_that_are_due_together_run_in_one_batch(rig: Rig):
    batches = []

    async def run(batch: Batch[Step]) -> Any:
        batches.append([c.command.text for c in batch.commands])
        return [Succeeded()] * len(batch.commands)

    await steps(rig, uuid4(), "a", "b", "c")
    await rig.drain(rig.runner(run, Step))
    assert batches == [["a", "b", "c"]]


async def test_a_later_command_waits_for_an_earlier_one_another_worker_has_in_hand(rig: Rig):
    thing = uuid4()
    first, second = await steps(rig, thing, "first", "second")
    (elsewhere,) = await steps(rig, uuid4(), "elsewhere")
    await rig.conn.execute("UPDATE pending SET run_at = now() + interval '1 hour' WHERE id = $1", second)
    inside, go_on, ran = asyncio.Event(), asyncio.Event(), []

    async def slow(batch: Batch[Step]) -> Any:
        ran.append("first begins")
        inside.set()
        await go_on.wait()
        return [Succeeded()] * len(batch.commands)

    async def quick(batch: Batch[Step]) -> Any:
        ran.extend(c.command.text for c in batch.commands)
        return [Succeeded()] * len(batch.commands)

    running = asyncio.ensure_future(rig.run(rig.runner(batch_job(slow, Step, commands_max=1))))
    await inside.wait()
    await rig.conn.execute("UPDATE pending SET run_at = now() WHERE id = $1", second)
    other = rig.runner(quick, Step)
    await rig.drain(other)
    assert ran == ["first begins", "elsewhere"], "another thing's commands don't wait"
    row = await rig.pending(second)
    assert row["attempts"] == 0, "put off, at no cost"
    assert row["run_at"] > await rig.conn.fetchval("SELECT now() - interval '1 second'")
    go_on.set()
    await running
    await drain_until_ended(rig, [first, second, elsewhere], other)
    assert ran == ["first begins", "elsewhere", "second"]


async def test_what_a_command_says_to_put_off_costs_no_attempt_and_stays_in_its_place(rig: Rig):
    """However often: and the later ones of its thing wait with it."""
    left, ran = [5], []

    async def run(batch: Batch[Step]) -> Any:
        if left[0]:
            left[0] -= 1
            return [Deferred(0.01)] * len(batch.commands)
        ran.extend(c.command.text for c in batch.commands)
        return [Succeeded(c.attempts) for c in batch.commands]

    ids = await steps(rig, uuid4(), "a", "b")
    await drain_until_ended(rig, ids, rig.runner(batch_job(run, Step, commands_max=1), attempts_max=2))
    assert ran == ["a", "b"]
    assert await rig.conn.fetch("SELECT attempts FROM outcomes") == [(0,), (0,)]


async def test_a_solo_command_waits_for_its_thing_too(rig: Rig):
    ran: list[str] = []

    async def run(batch: Batch[Step]) -> Any:
        ran.extend(c.command.text for c in batch.commands)
        return [Succeeded()] * len(batch.commands)

    ids = await steps(rig, uuid4(), "a", "b")
    await rig.conn.execute("UPDATE pending SET solo = true WHERE id = $1", ids[1])
    await rig.conn.execute("UPDATE pending SET run_at = now() + interval '0.1 seconds' WHERE id = $1", ids[0])
    await drain_until_ended(rig, ids, rig.runner(run, Step))
    assert ran == ["a", "b"]


async def placed(rig: Rig, *, units: int = 10) -> UUID:
    (order,) = await submit(rig.conn, place(*await write_offers(rig.conn, offers=2, units=units)))
    return order


async def problem(rig: Rig, command_id: UUID) -> tuple[str, str]:
    row = await rig.conn.fetchrow(
        "SELECT problem ->> 'code' AS code, problem ->> 'detail' AS detail FROM outcomes WHERE id = $1", command_id
    )
    return row["code"], row["detail"]


async def test_a_command_about_an_order_still_queued_waits_for_its_placing(rig: Rig):
    order = await placed(rig)
    (cancel,) = await submit(rig.conn, CancelOrder(order))
    canceller = rig.runner(cancel_orders)
    assert await rig.drain(canceller) == []
    assert await rig.statuses([order, cancel]) == ["pending", "pending"]
    await rig.drain(rig.runner(place_orders))
    await drain_until_ended(rig, [cancel], canceller)
    assert await rig.statuses([order, cancel]) == ["succeeded", "succeeded"]


async def test_a_cancellation_of_an_order_nobody_placed_yet_is_put_off(rig: Rig):
    (cancel,) = await submit(rig.conn, CancelOrder(new_id()))
    report = await rig.run(rig.runner(cancel_orders))
    assert report.ended == []
    assert report.look_again_seconds is not None
    assert (await rig.pending(cancel))["attempts"] == 0


async def test_a_cancellation_of_a_refused_order_is_refused_with_its_reason(rig: Rig):
    order = await placed(rig, units=0)
    await rig.drain(rig.runner(place_orders))
    (cancel,) = await submit(rig.conn, CancelOrder(order))
    await rig.drain(rig.runner(cancel_orders))
    code, detail = await problem(rig, cancel)
    assert code == "order_not_placed"
    assert "1 wanted, 0 available" in detail


@pytest.mark.parametrize("turn", ["outcome first", "order second"])
async def test_an_order_placed_between_the_two_looks_is_found_or_waited_for(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, turn: str
):
    """The outcome is read first: read second, it would tell of an order that the first look didn't see."""
    order = place(*await write_offers(rig.conn, offers=2))
    made = new(order)
    pending = [True]

    def then_place(load: Any) -> Any:
        async def loaded(*args: Any) -> Any:
            found = await load(*args)
            if pending.pop() if pending else False:
                await insert_commands(rig.conn, [made])
                await rig.drain(rig.runner(place_orders))
            return found

        return loaded

    if turn == "outcome first":
        for module, name in ((jobs.cancel_orders, "load_placings"), (domain.payments.sql, "load_open_orders")):
            monkeypatch.setattr(module, name, then_place(getattr(module, name)))
    else:
        monkeypatch.setattr(domain.payments.sql, "lock_orders", then_place(domain.payments.sql.lock_orders))
    (cancel,) = await submit(rig.conn, CancelOrder(made.id))
    await drain_until_ended(rig, [cancel], rig.runner(cancel_orders))
    assert await rig.statuses([made.id, cancel]) == ["succeeded", "succeeded"]


async def test_a_parked_command_may_be_cancelled(rig: Rig):
    (command_id,) = await submit(rig.conn, Note("bad"))
    await rig.drain(rig.runner(write_texts))
    assert await rig.statuses([command_id]) == ["failed"]
    assert await rig.conn.fetchval(CANCEL_QUEUED, command_id) == command_id
    assert await rig.conn.fetchval("SELECT count(*) FROM parked") == 0
    assert await rig.statuses([command_id]) == ["cancelled"]


async def test_cancelling_an_order_whose_placing_is_parked_ends_the_placing(rig: Rig):
    order = await placed(rig)
    await rig.conn.execute("UPDATE pending SET attempts = 3 WHERE id = $1", order)
    await rig.drain(rig.runner(place_orders))
    assert await rig.statuses([order]) == ["failed"]
    first, second = await submit(rig.conn, CancelOrder(order), CancelOrder(order))
    await drain_until_ended(rig, [first, second], rig.runner(cancel_orders))
    assert await rig.statuses([order, first, second]) == ["cancelled", "succeeded", "rejected"]
    assert (await problem(rig, second))[0] == "order_not_placed"
    assert await rig.conn.fetchval("SELECT count(*) FROM parked") == 0


async def test_cancelling_a_queued_command_takes_it_out_of_the_queue_and_writes_cancelled(rig: Rig):
    ids = await submit(rig.conn, Note("a"), Note("b"))
    assert await rig.conn.fetchval(CANCEL_QUEUED, ids[0]) == ids[0]
    assert await rig.conn.fetchval(CANCEL_QUEUED, ids[0]) is None, "once"
    await rig.drain(rig.runner(write_texts))
    assert await rig.statuses(ids) == ["cancelled", "succeeded"]
    assert await rig.texts() == ["b"]


async def test_a_running_command_is_not_cancelled_and_nobody_waits_to_learn_that(rig: Rig):
    answers = []

    async def run(batch: Batch[Note]) -> Any:
        for claimed in batch.commands:
            # It would hang here until the batch's own time-out if it waited for the row.
            answers.append(await asyncio.wait_for(rig.conn.fetchval(CANCEL_QUEUED, claimed.id), 1))
        return await write_texts(batch)

    (command_id,) = await submit(rig.conn, Note("a"))
    await rig.drain(rig.runner(run))
    assert answers == [None]
    assert await rig.statuses([command_id]) == ["succeeded"]


async def test_an_effect_in_hand_is_not_cancelled(rig: Rig):
    (command_id,) = await submit(rig.conn, Note("a"))
    await rig.conn.execute("UPDATE pending SET lease = gen_random_uuid(), run_at = now() + interval '1 minute'")
    assert await rig.conn.fetchval(CANCEL_QUEUED, command_id) is None
    assert await rig.statuses([command_id]) == ["pending"]
