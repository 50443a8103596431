"""A batch: claim, run and finish in one transaction; hot rows locked last."""

import asyncio
import time
from typing import Any

import asyncpg
import pytest

from domain.inventory.model import StockKey
from domain.inventory.sql import LOCK_STOCK, lock_stock
from domain.journal.declare import Batch, LockFirst, batch, decide_each, effect, registered
from domain.journal.model import Succeeded
from domain.orders.model import CancelOrder
from infra import postgres
from jobs.cancel_orders import cancel_orders
from jobs.expire_reservations import expire_reservations
from jobs.place_orders import place_orders
from tests.builders import place, submit, write_offers
from tests.engine.parts import Call, Note, Rig, batch_job, until_blocked, write_texts, written_tables
from workers.batches import CURSOR_SECONDS, Cursor

pytestmark = pytest.mark.anyio


async def test_claim_effect_and_outcome_are_one_transaction(rig: Rig):
    seen = []

    async def run(batch: Batch[Note]) -> Any:
        outcomes = await write_texts(batch)
        seen.append(await rig.statuses([c.id for c in batch.commands]))
        seen.append(await rig.texts())
        seen.append(await batch.conn.fetchval("SELECT pg_current_xact_id_if_assigned()"))
        seen.append(await batch.conn.fetchval("SELECT xid FROM runs"))
        return outcomes

    ids = await submit(rig.conn, Note("a"), Note("b"))
    await rig.run(rig.runner(run))
    assert seen[:2] == [["pending", "pending"], []], "nothing of it is to be seen before it commits"
    assert seen[2] == seen[3]
    assert await rig.statuses(ids) == ["succeeded", "succeeded"]
    assert await rig.texts() == ["a", "b"]


async def test_a_crash_is_a_rollback(rig: Rig):
    async def run(batch: Batch[Note]) -> Any:
        await write_texts(batch)
        await rig.conn.execute("SELECT pg_terminate_backend($1, 5000)", batch.conn.get_server_pid())
        return [Succeeded()] * len(batch.commands)

    ids = await submit(rig.conn, Note("a"), Note("b"))
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)):
        await rig.run(rig.runner(run))
    assert await rig.statuses(ids) == ["pending", "pending"]
    assert await rig.texts() == []


async def test_a_batch_is_limited_by_count(rig: Rig):
    await submit(rig.conn, *[Note(str(n)) for n in range(10)])
    reports = await rig.drain(rig.runner(batch_job(write_texts, commands_max=4)))
    assert [report.claimed for report in reports] == [4, 4, 2]


async def test_a_batch_is_limited_by_weight(rig: Rig):
    await submit(rig.conn, *[Note(str(n), size=30) for n in range(10)])
    reports = await rig.drain(rig.runner(batch_job(write_texts, rows_max=100)))
    assert [report.claimed for report in reports] == [4, 4, 2], "it stops once it has passed the limit"


async def test_a_command_heavier_than_the_limit_runs_nevertheless(rig: Rig):
    ids = await submit(rig.conn, Note("heavy", size=30_000), Note("heavier", size=50_000))
    reports = await rig.drain(rig.runner(batch_job(write_texts, rows_max=100)))
    assert [report.claimed for report in reports] == [1, 1]
    assert await rig.statuses(ids) == ["succeeded"] * 2


async def test_two_workers_share_the_queue_and_do_not_wait_for_each_other(rig: Rig):
    inside, go_on = asyncio.Event(), asyncio.Event()

    async def slow(batch: Batch[Note]) -> Any:
        inside.set()
        await go_on.wait()
        return await write_texts(batch)

    ids = await submit(rig.conn, *[Note(str(n)) for n in range(6)])
    first = asyncio.ensure_future(rig.run(rig.runner(batch_job(slow, commands_max=3))))
    await inside.wait()
    report = await asyncio.wait_for(rig.run(rig.runner(batch_job(write_texts, commands_max=10))), 1)
    assert report.claimed == 3
    go_on.set()
    assert (await first).claimed == 3
    assert await rig.statuses(ids) == ["succeeded"] * 6


async def test_the_claim_drops_rows_that_have_an_outcome(rig: Rig):
    ran = []

    async def run(batch: Batch[Note]) -> Any:
        ran.extend(c.command.text for c in batch.commands)
        return await write_texts(batch)

    ids = await submit(rig.conn, Note("done"), Note("new"))
    await rig.conn.execute("INSERT INTO outcomes (id, status) VALUES ($1, 'succeeded')", ids[0])
    await rig.drain(rig.runner(run))
    assert ran == ["new"]
    assert await rig.conn.fetchval("SELECT count(*) FROM pending") == 0


async def test_a_late_commit_behind_the_cursor_is_claimed_within_a_second(rig: Rig):
    """A drainer that never runs dry looks from the beginning again each second."""
    claimed: list[str] = []

    async def run(batch: Batch[Note]) -> Any:
        claimed.extend(c.command.text for c in batch.commands)
        return [Succeeded()] * len(batch.commands)

    await submit(rig.conn, *[Note("in time") for _ in range(400)])
    runner, cursor = rig.runner(batch_job(run, commands_max=1)), Cursor()
    await rig.run(runner, cursor)
    (late,) = await submit(rig.conn, Note("late"))
    await rig.conn.execute("UPDATE pending SET run_at = now() - interval '1 minute' WHERE id = $1", late)
    started = time.monotonic()
    await rig.run(runner, cursor)
    assert claimed == ["in time", "in time"], "the cursor has passed it"
    while "late" not in claimed:
        await submit(rig.conn, Note("in time"))
        await rig.run(runner, cursor)
        assert time.monotonic() - started < CURSOR_SECONDS + 0.5
    assert await rig.conn.fetchval("SELECT count(*) FROM pending") > 0, "found though there was always more to do"


async def test_an_empty_claim_looks_from_the_beginning_at_once(rig: Rig):
    runner, cursor = rig.runner(write_texts), Cursor()
    await submit(rig.conn, Note("a"))
    await rig.run(runner, cursor)
    (late,) = await submit(rig.conn, Note("late"))
    await rig.conn.execute("UPDATE pending SET run_at = now() - interval '1 minute' WHERE id = $1", late)
    assert (await rig.run(runner, cursor)).claimed == 1


async def test_the_cursor_keeps_the_claim_flat_under_an_old_snapshot(rig: Rig):
    """Deleted rows can't be vacuumed while somebody still sees them; without the cursor each claim walks them all."""
    await rig.conn.execute(
        "INSERT INTO pending (id, job, run_at) SELECT gen_random_uuid(), 'test_notes',"
        " now() - interval '1 minute' + n * interval '1 millisecond' FROM generate_series(1, 20000) AS n"
    )
    async with rig.pool.acquire() as old, rig.pool.acquire() as conn:
        await old.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        await old.fetchval("SELECT count(*) FROM pending")
        cursor = Cursor()
        runner = rig.runner(batch_job(write_texts, commands_max=500))
        buffers: dict[str, int] = {}
        for _ in range(30):
            await conn.execute(postgres.BEGIN)
            args = ("test_notes", cursor.run_at, 500, 8_000, "orders")
            rows = await conn.fetch(runner._claim, *args)
            await conn.execute("COMMIT")
            cursor.advance(max(row["run_at"] for row in rows))
        for name, start in (("cursor", cursor.run_at), ("beginning", Cursor().run_at)):
            await conn.execute(postgres.BEGIN)
            plan = await conn.fetch(
                f"EXPLAIN (ANALYZE, BUFFERS, FORMAT TEXT) {runner._claim}", "test_notes", start, 10, 8_000, "orders"
            )
            await conn.execute("ROLLBACK")
            hit = next(row[0] for row in plan if "Buffers:" in row[0])
            buffers[name] = int(hit.split("hit=")[1].split()[0])
        await old.execute("ROLLBACK")
    assert buffers["cursor"] * 5 < buffers["beginning"], buffers


async def test_hot_rows_are_locked_last(rig: Rig):
    """Everything else is written by the time the batch waits for the stock."""
    (offer,) = await write_offers(rig.conn, units=1_000)
    (order,) = await submit(rig.conn, place(offer))
    async with rig.pool.acquire() as holder:
        await holder.execute("BEGIN; SELECT FROM stock FOR NO KEY UPDATE")
        running = asyncio.ensure_future(rig.run(rig.runner(place_orders)))
        pid = await until_blocked(rig.conn, "FROM stock")
        written = await written_tables(rig.conn, pid)
        await holder.execute("ROLLBACK")
    await running
    assert {"orders", "order_lines", "reservations", "movements", "price_versions"} <= written
    assert await rig.statuses([order]) == ["succeeded"]


async def test_visibly_tight_stock_is_locked_first(rig: Rig):
    (offer,) = await write_offers(rig.conn, units=3)
    (order,) = await submit(rig.conn, place(offer, quantity=2))
    async with rig.pool.acquire() as holder:
        await holder.execute("BEGIN; SELECT FROM stock FOR NO KEY UPDATE")
        running = asyncio.ensure_future(rig.run(rig.runner(place_orders)))
        pid = await until_blocked(rig.conn, "FROM stock")
        written = await written_tables(rig.conn, pid)
        await holder.execute("ROLLBACK")
    await running
    assert not written & {"orders", "order_lines", "reservations", "movements"}
    assert await rig.statuses([order]) == ["succeeded"]


async def test_stock_gone_between_the_read_and_the_lock_is_decided_again(rig: Rig):
    (offer,) = await write_offers(rig.conn, units=10)
    (order,) = await submit(rig.conn, place(offer, quantity=4))
    async with rig.pool.acquire() as other:
        await other.execute("BEGIN; UPDATE stock SET reserved = 8")
        running = asyncio.ensure_future(rig.run(rig.runner(place_orders)))
        await until_blocked(rig.conn, "FROM stock")
        await other.execute("COMMIT")
    await running
    assert await rig.statuses([order]) == ["rejected"]
    assert await rig.conn.fetchval("SELECT reserved FROM stock") == 8
    assert await rig.conn.fetchval("SELECT count(*) FROM orders") == 0
    assert await rig.conn.fetchval("SELECT count(*) FROM movements WHERE kind = 'reserved'") == 0


async def test_a_job_that_asks_to_lock_first_is_run_again_from_the_savepoint(rig: Rig):
    tries = []

    async def run(batch: Batch[Note]) -> Any:
        tries.append(batch.lock_first)
        outcomes = await write_texts(batch)
        if not batch.lock_first:
            raise LockFirst
        return outcomes

    ids = await submit(rig.conn, Note("a"), Note("b"))
    await rig.run(rig.runner(run))
    assert tries == [False, True]
    assert await rig.texts() == ["a", "b"], "the writes of the first try are gone"
    assert await rig.statuses(ids) == ["succeeded"] * 2


async def test_stock_is_locked_in_the_order_of_its_keys(rig: Rig):
    offers = await write_offers(rig.conn, offers=3, sellers=2)
    keys = sorted(StockKey(o.variant_id, o.seller_id) for o in offers)
    select = "SELECT FROM stock WHERE variant_id = $1 FOR NO KEY UPDATE"
    async with rig.pool.acquire() as holder, rig.pool.acquire() as locker:
        await holder.execute("BEGIN")
        await holder.execute(select, keys[1].variant_id)
        await locker.execute("BEGIN")
        backwards = list(reversed(keys))
        columns = ([k.variant_id for k in backwards], [k.seller_id for k in backwards], [0, 0, 0])
        locking = asyncio.ensure_future(locker.execute(LOCK_STOCK, *columns))
        await until_blocked(rig.conn, "FROM stock")
        free = {}
        for key in keys:
            row = await rig.conn.fetch(f"{select} SKIP LOCKED", key.variant_id)
            free[key] = bool(row)
        await holder.execute("ROLLBACK")
        await locking
        await locker.execute("ROLLBACK")
    assert list(free.values()) == [False, False, True], "the first is taken, the last not yet asked for"


async def test_locked_stock_does_not_hold_up_those_who_only_refer_to_it(rig: Rig):
    """FOR NO KEY UPDATE: a row that refers to a locked one by foreign key can be written meanwhile."""
    (offer,) = await write_offers(rig.conn)
    async with rig.pool.acquire() as holder:
        await holder.execute("BEGIN")
        await lock_stock(holder, [StockKey(offer.variant_id, offer.seller_id)])
        assert await rig.conn.fetch("SELECT FROM stock FOR KEY SHARE NOWAIT")
        assert await rig.conn.fetch("SELECT FROM stock FOR NO KEY UPDATE SKIP LOCKED") == []
        await holder.execute("ROLLBACK")


@pytest.mark.parametrize("job", ["cancel", "expire"])
async def test_locks_go_from_orders_over_reservations_to_stock(rig: Rig, job: str):
    """Held up at each kind of row in turn, a batch has locked nothing that comes later."""
    (offer,) = await write_offers(rig.conn)
    (order,) = await submit(rig.conn, place(offer))
    await rig.drain(rig.runner(place_orders))
    if job == "expire":
        await rig.conn.execute("UPDATE orders SET expires_at = now(); UPDATE reservations SET expires_at = now()")
        command, runner = expire_reservations.command(), rig.runner(expire_reservations)
    else:
        command, runner = CancelOrder(order), rig.runner(cancel_orders)
    (command_id,) = await submit(rig.conn, command)
    later = ["orders", "reservations", "stock"]
    async with rig.pool.acquire() as holder:
        for table in list(later):
            await holder.execute(f"BEGIN; SELECT FROM {table} FOR NO KEY UPDATE")
            running = asyncio.ensure_future(rig.run(runner))
            # The sweep takes its stock in a statement too long to be shown whole.
            shown = "ended AS (" if (job, table) == ("expire", "stock") else f"FROM {table}"
            pid = await until_blocked(rig.conn, shown)
            later.remove(table)
            for other in later:
                free = await rig.conn.fetch(f"SELECT FROM {other} FOR NO KEY UPDATE SKIP LOCKED")
                assert free, f"{other} was locked before {table}"
            await rig.conn.execute("SELECT pg_cancel_backend($1)", pid)
            with pytest.raises(asyncpg.QueryCanceledError):
                await running
            await holder.execute("ROLLBACK")
    await rig.conn.execute("UPDATE pending SET solo = false")
    await rig.drain(runner)
    assert await rig.statuses([command_id]) == ["succeeded"]


async def test_what_is_locked_in_one_statement_is_read_in_the_next(rig: Rig):
    """A statement that waits for a lock and reads in one goes on with what it saw before it waited."""
    offers = await write_offers(rig.conn, offers=2)
    (order,) = await submit(rig.conn, place(*offers))
    await rig.drain(rig.runner(place_orders))
    (command_id,) = await submit(rig.conn, CancelOrder(order, lines=(0,)))
    async with rig.pool.acquire() as other:
        await other.execute("BEGIN; SELECT FROM orders FOR NO KEY UPDATE")
        running = asyncio.ensure_future(rig.run(rig.runner(cancel_orders)))
        await until_blocked(rig.conn, "FROM orders")
        await other.execute(
            "INSERT INTO price_versions (order_id, version, lines, amounts_minor, total_minor)"
            " SELECT order_id, 2, '{1}', amounts_minor[2:], amounts_minor[2] FROM price_versions"
        )
        await other.execute("COMMIT")
    await running
    detail = await rig.conn.fetchval("SELECT problem ->> 'detail' FROM outcomes WHERE id = $1", command_id)
    assert detail == "line 0 is cancelled already"


async def test_a_paused_lane_is_not_claimed_from(rig: Rig):
    ids = await submit(rig.conn, Note("a"))
    await rig.conn.execute("INSERT INTO paused_lanes (lane, paused_by) VALUES ('orders', gen_random_uuid())")
    assert await rig.drain(rig.runner(write_texts)) == []
    await rig.conn.execute("UPDATE pending SET solo = true")
    assert await rig.drain(rig.runner(write_texts)) == []
    await rig.conn.execute("DELETE FROM paused_lanes")
    await rig.drain(rig.runner(write_texts))
    assert await rig.statuses(ids) == ["succeeded"]


async def test_follow_up_work_is_written_in_the_same_transaction_and_rung_for(rig: Rig):
    async def run(batch: Batch[Note]) -> Any:
        for claimed in batch.commands:
            batch.follow_up(Call("then"), "follows", principal=claimed.principal)
        return await write_texts(batch)

    await submit(rig.conn, Note("a"))
    report = await rig.run(rig.runner(run))
    row = await rig.conn.fetchrow("SELECT c.* FROM pending JOIN commands c USING (id)")
    assert (row["job"], row["correlation"]) == ("test_calls", "follows")
    assert report.ring == {Call}


async def test_nobody_rings_for_follow_up_work_that_is_put_off(rig: Rig):
    async def run(batch: Batch[Note]) -> Any:
        batch.follow_up(Call("later"), "follows", delay_seconds=3_600)
        return await write_texts(batch)

    await submit(rig.conn, Note("a"))
    report = await rig.run(rig.runner(run))
    assert await rig.conn.fetchval("SELECT run_at > now() + interval '50 minutes' FROM pending")
    assert report.ring == set()


def test_a_decision_that_raises_is_a_value():
    def fail(_claimed: Any) -> Any:
        raise ValueError("no")

    claimed: Any = object()
    (outcome,) = decide_each([claimed], fail)
    assert outcome.error == "ValueError: no"


def test_declaring_a_job_registers_it_under_its_commands_name_once():
    class Only(Note, frozen=True):
        job = "test_declared_once"

    @batch(Only, commands_max=7)
    async def declared(_batch: Batch[Only]) -> Any:
        return []

    assert registered()["test_declared_once"] is declared
    assert (declared.name, declared.lane, declared.commands_max) == ("test_declared_once", Only.lane, 7)

    async def another(_attempt: Any) -> Any:
        return Succeeded()

    with pytest.raises(ValueError, match="two jobs are named test_declared_once"):
        effect(Only)(another)
