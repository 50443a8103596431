"""Subscriptions: each event once, whatever order commits land in, whoever dies, whatever raises."""

import asyncio
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import msgspec
import pytest

from domain.journal.declare import EventBatch
from domain.journal.event_reads import load_subscriptions, read_events
from domain.journal.event_sql import found_subscriptions
from domain.journal.events import BEGINNING
from domain.journal.sql import insert_events
from infra.settings import Settings
from tests.engine.listening import HEARD, SLOW, WAIT, happen, happened, listening, readable, write_down
from tests.engine.parts import Note, Rig, until, until_blocked
from tests.system import System
from workers.subscriptions import Subscriptions, deliver

pytestmark = pytest.mark.anyio


@pytest.fixture
async def conn(conn: Any) -> Any:
    """With the table that the tests' subscription writes."""
    await conn.execute(HEARD)
    return conn


async def heard(conn: Any) -> set[str]:
    return {row["text"] for row in await conn.fetch("SELECT text FROM heard")}


@asynccontextmanager
async def running(settings: Settings, *subscriptions: Any):
    """Subscriptions as a worker runs them."""
    made = Subscriptions(settings, subscriptions)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


async def deliver_all(conn: Any, settings: Settings, subscription: Any) -> list[Any]:
    """What one worker does until there is nothing left to read."""
    await found_subscriptions(conn, [(subscription.name, subscription.from_now)])
    await readable(conn)
    reports = []
    while True:
        report = await deliver(conn, subscription, settings.limits(), events_max=subscription.events_max)
        assert report is not None
        reports.append(report)
        if not report.full:
            return reports


@asynccontextmanager
async def open_transaction(url: str):
    """Another session with a transaction open."""
    other = await asyncpg.connect(url)
    try:
        transaction = other.transaction()
        await transaction.start()
        yield other, transaction
    finally:
        await other.close()


async def test_a_reader_waits_for_a_transaction_that_may_still_write_before_what_it_sees(conn, database_url):
    async with open_transaction(database_url) as (other, transaction):
        early, late = happened(), happened()
        await insert_events(other, [early])
        await insert_events(conn, [late])
        portion = await read_events(conn, BEGINNING, 10)
        assert (portion.events, portion.cursor) == ([], BEGINNING)
        await transaction.commit()
    await readable(conn)
    portion = await read_events(conn, BEGINNING, 10)
    assert [event.stream for event in portion.events] == [early.stream, late.stream]
    again = await read_events(conn, portion.cursor, 10)
    assert again.events == []
    assert again.cursor == portion.cursor


async def test_events_are_read_by_transaction_whatever_their_positions_say(conn, database_url):
    """The first transaction draws its position last."""
    async with open_transaction(database_url) as (other, transaction):
        await other.execute("SELECT pg_current_xact_id()")
        first, second = happened(), happened()
        await insert_events(conn, [second])
        await insert_events(other, [first])
        await transaction.commit()
    await readable(conn)
    one = await read_events(conn, BEGINNING, 1)
    two = await read_events(conn, one.cursor, 1)
    assert [event.stream for event in one.events + two.events] == [first.stream, second.stream]
    assert one.events[0].cursor.position > two.events[0].cursor.position
    assert (one.full, (await read_events(conn, two.cursor, 1)).full) == (True, False)


async def test_what_isnt_wanted_is_passed_in_the_same_step(conn):
    await happen(conn, *["noise"] * 5, "test.done", *["noise"] * 5)
    portion = await read_events(conn, BEGINNING, 8, ["test.done"])
    assert [event.type for event in portion.events] == ["test.done"]
    rest = await read_events(conn, portion.cursor, 8, ["test.done"])
    assert (rest.events, rest.full) == ([], False)
    assert rest.cursor > portion.cursor


async def test_two_workers_hand_over_each_event_once(rig: Rig):
    expected = set(await happen(rig.conn, *["test.done"] * 250))
    async with running(rig.settings, listening(events_max=7)), running(rig.settings, listening(events_max=7)):
        await until(lambda: _all_heard(rig.conn, expected), 30)
        expected |= set(await happen(rig.conn, *["test.done"] * 50))
        await until(lambda: _all_heard(rig.conn, expected), 30)
    assert await heard(rig.conn) == expected
    assert await rig.conn.fetchval("SELECT count(*) FROM subscription_failures") == 0


async def _all_heard(conn: Any, expected: set[str]) -> bool:
    return await heard(conn) >= expected


async def test_a_new_subscription_begins_where_it_says(rig: Rig):
    before = await happen(rig.conn, "test.done")
    await deliver_all(rig.conn, rig.settings, listening(from_now=True))
    assert await heard(rig.conn) == set()
    after = await happen(rig.conn, "test.done")
    await deliver_all(rig.conn, rig.settings, listening(from_now=True))
    assert await heard(rig.conn) == set(after)
    await rig.conn.execute("DELETE FROM subscriptions; DELETE FROM heard")
    await deliver_all(rig.conn, rig.settings, listening())
    assert await heard(rig.conn) == {*before, *after}


async def test_one_that_starts_now_hears_what_is_being_written_as_it_starts(rig: Rig, database_url: str):
    async with open_transaction(database_url) as (other, transaction):
        event = happened()
        await insert_events(other, [event])
        await deliver_all(rig.conn, rig.settings, listening(from_now=True))
        await transaction.commit()
    await deliver_all(rig.conn, rig.settings, listening(from_now=True))
    assert await heard(rig.conn) == {f"{event.stream}-1"}


async def test_only_the_types_it_wants_reach_it(rig: Rig):
    await happen(rig.conn, "noise", "test.done", "noise")
    wanted = (await happen(rig.conn, "test.more"))[0]
    await deliver_all(rig.conn, rig.settings, listening(types=["test.more"]))
    assert await heard(rig.conn) == {wanted}
    (figures,) = await load_subscriptions(rig.conn)
    assert (figures.lag, figures.oldest_seconds) == (0, None)


@pytest.mark.parametrize("how", ["raises", "breaks a constraint"])
async def test_what_it_cant_take_is_noted_and_passed_over(rig: Rig, how: str):
    async def picky(batch: EventBatch) -> None:
        await write_down(batch)
        if any(event.type == "test.bad" for event in batch.events):
            if how == "raises":
                raise ValueError("I don't like it")
            await batch.conn.execute("INSERT INTO heard (text) SELECT text FROM heard LIMIT 1")

    good = await happen(rig.conn, *["test.done"] * 5)
    bad = await happen(rig.conn, "test.bad")
    good += await happen(rig.conn, *["test.done"] * 6)
    reports = await deliver_all(rig.conn, rig.settings, listening(picky))
    assert await heard(rig.conn) == set(good)
    assert [(report.taken, report.failed) for report in reports] == [(11, 1)]
    (failure,) = await rig.conn.fetch("SELECT * FROM subscription_failures")
    assert f"{failure['stream']}-{failure['version']}" == bad[0]
    assert ("I don't like it" if how == "raises" else "UniqueViolationError") in failure["error"]
    (figures,) = await load_subscriptions(rig.conn)
    assert (figures.lag, figures.failures) == (0, 1)


async def test_what_is_nobodys_fault_is_tried_again_with_fewer_events_and_noted_nowhere(rig: Rig):
    sizes: list[int] = []

    async def unlucky(batch: EventBatch) -> None:
        sizes.append(len(batch.events))
        if len(batch.events) > 3:
            raise TimeoutError
        await write_down(batch)

    expected = set(await happen(rig.conn, *["test.done"] * 20))
    async with running(rig.settings, listening(unlucky, events_max=12)):
        await until(lambda: _all_heard(rig.conn, expected), 30)
    assert sizes[:3] == [12, 6, 3]
    assert await rig.conn.fetchval("SELECT count(*) FROM subscription_failures") == 0


async def test_commands_that_follow_are_written_with_it_or_not_at_all(rig: Rig):
    async def following(batch: EventBatch) -> None:
        for event in batch.events:
            batch.follow_up(Note(str(event.stream)), event.correlation)
        if any(event.type == "test.bad" for event in batch.events):
            raise ValueError("no")

    await happen(rig.conn, "test.done", "test.bad", "test.done")
    (report,) = await deliver_all(rig.conn, rig.settings, listening(following))
    assert report.ring == {Note}
    rows = await rig.conn.fetch("SELECT c.correlation FROM commands c JOIN pending p USING (id)")
    assert [row["correlation"] for row in rows] == ["test", "test"]


async def test_without_redis_it_looks_by_itself(rig: Rig):
    nobody = msgspec.structs.replace(rig.settings, redis_url="redis://127.0.0.1:1/0")
    async with running(nobody, listening()):
        for _ in range(2):
            expected = set(await happen(rig.conn, "test.done"))
            await until(lambda expected=expected: _all_heard(rig.conn, expected), 10)


async def test_a_paused_lane_hears_nothing(rig: Rig):
    await rig.conn.execute("INSERT INTO paused_lanes (lane, paused_by) VALUES ('io', gen_random_uuid())")
    expected = set(await happen(rig.conn, "test.done"))
    made = Subscriptions(rig.settings, [listening()])
    made._pool = rig.pool
    assert await made._look() is False
    assert made._drains == {}
    await rig.conn.execute("DELETE FROM paused_lanes")
    await made._look()
    await asyncio.gather(*made._drains.values())
    assert await heard(rig.conn) == expected


async def test_one_that_sums_up_is_left_alone_when_it_has_read_all_there_is(rig: Rig, conn: Any):
    made = Subscriptions(rig.settings, [listening(events_max=2, gather_seconds=3600)])
    made._pool = rig.pool
    expected = set(await happen(conn, *["test.done"] * 5))
    await made._look()
    await asyncio.gather(*made._drains.values())
    assert await heard(conn) == expected, "all there is, in several turns"
    await happen(conn, "test.done")
    await made._look()
    assert made._drains == {}
    made._look_at.clear()
    await made._look()
    await asyncio.gather(*made._drains.values())
    assert len(await heard(conn)) == 6


async def test_while_one_worker_is_at_it_another_leaves_it_alone(rig: Rig, conn: Any):
    await found_subscriptions(conn, [("listening", False)])
    await happen(conn, "test.done")
    async with rig.pool.acquire() as other, other.transaction():
        await other.execute("SELECT 1 FROM subscriptions FOR UPDATE")
        assert await deliver(conn, listening(), rig.settings.limits(), events_max=5) is None
    assert await heard(conn) == set()


async def test_killed_in_the_middle_nothing_is_lost_and_nothing_doubled(conn: Any, system: System, database_url: str):
    """Two workers; what one has written down, and not committed, when both are killed."""
    names = ("one", "two")
    for name in names:
        await asyncio.to_thread(system.start, name, "tests.engine.listening", "listening_ready")
    async with open_transaction(database_url) as (gate, transaction):
        await gate.execute(WAIT)
        expected = set(await happen(conn, "test.done", SLOW, "test.done"))
        backend = await until_blocked(conn, WAIT)
        for name in names:
            await asyncio.to_thread(system.kill, name)
        # What a dead client waits for in PostgreSQL is noticed when the wait ends; here it ends before it is let go on.
        await conn.execute("SELECT pg_terminate_backend($1, 5000)", backend)
        assert not await heard(conn) & expected
        await transaction.commit()
    await until(lambda: _all_heard(conn, expected), 30)
    assert await heard(conn) == expected
    assert await conn.fetchval("SELECT count(*) FROM subscription_failures") == 0


async def test_told_to_stop_it_finishes_what_is_in_hand(conn: Any, system: System, database_url: str):
    await asyncio.to_thread(system.start, "one", "tests.engine.listening", "listening_ready")
    async with open_transaction(database_url) as (gate, transaction):
        await gate.execute(WAIT)
        expected = set(await happen(conn, SLOW))
        await until_blocked(conn, WAIT)
        stopped = asyncio.ensure_future(asyncio.to_thread(system.supervisor.stop))
        await asyncio.to_thread(system.wait_for_log, "one", "listening_stopping")
        await transaction.commit()
    await stopped
    assert await heard(conn) == expected
    assert "listening_stopped" in system.log("one")
