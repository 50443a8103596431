"""Sweeps and follow-up work are journal rows too: nothing runs beside the journal."""

import time
from typing import Any
from uuid import UUID

import msgspec
import pytest

from domain.commands import COMMANDS, SWEEPS
from domain.inventory.model import ExpireReservations
from domain.journal.model import SYSTEM
from domain.journal.partitions import partition_name
from domain.journal.sql import insert_commands
from domain.journal.sweeps import PruneJournal
from infra.broker import Doorbell
from jobs.expire_reservations import expire_reservations
from jobs.place_orders import place_orders
from jobs.prune_journal import prune_journal
from tests.builders import place, submit, write_offers
from tests.engine.parts import Rig
from tests.jobs.invariants import violations
from workers.scheduler import Ticker, periods, schedule, slot_of, tick_of

pytestmark = pytest.mark.anyio


@pytest.fixture
def ticker(rig: Rig):
    bell = Doorbell(rig.settings.redis_url)
    yield Ticker(rig.pool, bell)
    bell.close()


async def test_a_tick_is_a_command_of_the_systems_keyed_by_sweep_and_slot(rig: Rig, ticker: Ticker):
    await ticker.tick("rescue_runs", 1_000_000.0)
    row = await rig.conn.fetchrow("SELECT c.*, k.key_hash FROM commands c JOIN idempotency k ON k.command_id = c.id")
    assert (row["job"], row["principal"]) == ("rescue_runs", SYSTEM)
    slot = slot_of(time.time(), 1_000_000.0)
    assert row["key_hash"] == tick_of("rescue_runs", SWEEPS["rescue_runs"], slot).key_hash


async def test_two_schedulers_do_no_harm(rig: Rig, ticker: Ticker):
    for _ in range(5):
        await ticker.tick("rescue_runs", 1_000_000.0)
        await ticker.tick("prune_journal", 1_000_000.0)
    rows = await rig.conn.fetch("SELECT job, count(*) FROM pending GROUP BY job ORDER BY job")
    assert [tuple(row) for row in rows] == [("prune_journal", 1), ("rescue_runs", 1)]


def test_each_slot_and_each_sweep_has_a_tick_of_its_own():
    keys = {tick_of(job, command, slot).key_hash for job, command in SWEEPS.items() for slot in range(5)}
    assert len(keys) == len(SWEEPS) * 5


async def test_missed_ticks_are_made_good_and_never_pile_up(rig: Rig, ticker: Ticker):
    scheduler = schedule(ticker, rig.settings)
    for job in scheduler._pending_jobs:
        options = job[0]
        defaults = {**scheduler._job_defaults}
        assert defaults["misfire_grace_time"] is None
        assert (defaults["coalesce"], defaults["max_instances"]) == (True, 1)
        assert options.func == ticker.tick
    assert set(periods(rig.settings)) == set(SWEEPS)


def test_every_sweep_is_a_command_like_any_other():
    assert {type(command) for command in SWEEPS.values()} <= set(COMMANDS)


async def test_expiry_takes_bounded_steps_and_follows_itself_up(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("jobs.expire_reservations.STEP_RESERVATIONS", 3)
    offers = await write_offers(rig.conn, units=100)
    orders = await submit(rig.conn, *[place(*offers) for _ in range(8)])
    await rig.drain(rig.runner(place_orders))
    past = "now() - interval '1 minute'"
    await rig.conn.execute(f"UPDATE orders SET expires_at = {past}; UPDATE reservations SET expires_at = {past}")
    apart = "UPDATE reservations SET expires_at = expires_at + make_interval(secs => $2) WHERE order_id = $1"
    await rig.conn.executemany(apart, [(order, n) for n, order in enumerate(orders)])
    times = await rig.conn.fetch("SELECT expires_at FROM reservations ORDER BY expires_at")
    await submit(rig.conn, ExpireReservations())
    reports = await rig.drain(rig.runner(expire_reservations))
    assert len(reports) == 3
    steps = await rig.conn.fetch("SELECT payload FROM commands WHERE job = 'expire_reservations' ORDER BY id")
    since = [msgspec.json.decode(row["payload"], type=ExpireReservations).since for row in steps]
    assert since == [None, times[2]["expires_at"], times[5]["expires_at"]], (
        "each step goes on where the last one came to"
    )
    expired = await rig.conn.fetchval("SELECT count(*) FROM orders WHERE expired_at IS NOT NULL")
    assert expired == len(orders)
    assert await rig.conn.fetchval("SELECT reserved FROM stock") == 0
    assert await violations(rig.conn) == {}


async def test_an_order_and_its_reservations_expire_together(rig: Rig):
    offers = await write_offers(rig.conn, offers=2, units=100)
    due, held = await submit(rig.conn, place(*offers), place(*offers))
    await rig.drain(rig.runner(place_orders))
    past = "now() - interval '1 minute'"
    await rig.conn.execute(f"UPDATE orders SET expires_at = {past} WHERE id = $1", due)
    await rig.conn.execute(f"UPDATE reservations SET expires_at = {past} WHERE order_id = $1", due)
    await submit(rig.conn, ExpireReservations())
    await rig.drain(rig.runner(expire_reservations))
    rows = await rig.conn.fetch("SELECT order_id = $1 AS due, status, count(*) FROM reservations GROUP BY 1, 2", due)
    assert {tuple(row) for row in rows} == {(True, "expired", 2), (False, "active", 2)}
    assert await rig.conn.fetchval("SELECT expired_at IS NULL FROM orders WHERE id = $1", held)
    types = await rig.conn.fetch("SELECT type FROM events WHERE stream = $1 ORDER BY version", due)
    assert [row["type"] for row in types] == ["order.placed", "order.expired"]


async def test_pruning_goes_in_small_steps(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("jobs.prune_journal.STEP_KEYS", 10)
    await rig.conn.execute(
        "INSERT INTO idempotency (principal, key_hash, command_id, fingerprint, created_at)"
        " SELECT gen_random_uuid(), uuid_send(gen_random_uuid()), gen_random_uuid(), uuid_send(gen_random_uuid()),"
        " now() - make_interval(hours => CASE WHEN n <= 25 THEN 73 ELSE 71 END) FROM generate_series(1, 30) AS n"
    )
    await submit(rig.conn, PruneJournal())
    reports = await rig.drain(rig.runner(prune_journal))
    assert len(reports) == 3
    assert await rig.conn.fetchval("SELECT count(*) FROM idempotency") == 5, "72 hours by default"


async def test_days_of_the_journal_are_dropped_whole_when_nothing_of_them_is_unfinished(rig: Rig):
    day = await rig.conn.fetchval("SELECT date_trunc('day', now() - interval '40 days')")
    first = "lpad(to_hex((extract(epoch FROM $1::timestamptz) * 1000)::bigint), 12, '0') || repeat('0', 20)"
    start, end = [
        await rig.conn.fetchval(f"SELECT ({first})::uuid", at)
        for at in (day, await rig.conn.fetchval("SELECT $1::timestamptz + interval '1 day'", day))
    ]
    for table in ("commands", "outcomes"):
        await rig.conn.execute(
            f"CREATE TABLE {partition_name(table, day)} PARTITION OF {table} FOR VALUES FROM ('{start}') TO ('{end}')"
        )
    old = UUID(int=start.int + 1)
    await rig.conn.execute("INSERT INTO commands (id, job, principal, payload) VALUES ($1, 'x', $1, '{}')", old)

    async def partitions() -> int:
        await submit(rig.conn, PruneJournal())
        await rig.drain(rig.runner(prune_journal))
        name = f"%{day:%Y%m%d}"
        return int(
            await rig.conn.fetchval("SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relname LIKE $1", name)
        )

    await rig.conn.execute("INSERT INTO parked (id, job, attempts, error) VALUES ($1, 'x', 3, 'e')", old)
    assert await partitions() == 2, "a parked command of that day may still be sent back"
    await rig.conn.execute("DELETE FROM parked")
    assert await partitions() == 0
    assert await rig.conn.fetchval("SELECT count(*) FROM commands WHERE id = $1", old) == 0


async def test_follow_up_commands_are_written_once_however_often_they_are_inserted(rig: Rig):
    made: Any = tick_of("rescue_runs", SWEEPS["rescue_runs"], 7)
    again = msgspec.structs.replace(made)
    assert await insert_commands(rig.conn, [made]) == {made.id}
    assert await insert_commands(rig.conn, [again]) == set()
    assert await rig.conn.fetchval("SELECT count(*) FROM pending") == 1
