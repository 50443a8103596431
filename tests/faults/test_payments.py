"""A worker killed between the gateway's charge and its record: charged once, and never without somebody knowing."""

import asyncio
from typing import Any
from uuid import UUID

import asyncpg

from domain.journal.model import SYSTEM
from domain.orders.model import CancelOrder
from domain.payments.model import StartPayment
from tests.builders import place, submit
from tests.faults.site import Site
from tests.system import eventually

WAITING = """
SELECT count(*) > 0 FROM pg_stat_activity
WHERE application_name LIKE 'ordermill-%' AND wait_event_type = 'Lock' AND position($1 IN query) > 0
"""
ENDED = "SELECT count(*) > 0 FROM outcomes WHERE id = $1"
NOTHING_QUEUED = "SELECT count(*) = 0 FROM pending WHERE job LIKE '%payments'"
BOOKS = "SELECT calls, captured_minor - refunded_minor FROM sandbox_intents WHERE order_id = $1"


async def until(site: Site, query: str, *args: object) -> None:
    await asyncio.to_thread(eventually, lambda: site.query(query, *args))


async def order_one(site: Site, conn: Any) -> UUID:
    """An order of 2000, placed."""
    (order,) = await submit(conn, place(site.offers[0], quantity=2))
    await until(site, ENDED, order)
    return order


async def kill_once_charged(site: Site, order: UUID, *, cancelled: bool = False) -> UUID:
    """Start a payment, and kill the worker when the gateway has charged and the worker is about to write that down."""
    async with asyncpg.create_pool(site.stack.urls.database_url, min_size=1, max_size=3) as pool:
        async with pool.acquire() as books, pool.acquire() as row:
            await books.execute("BEGIN; LOCK TABLE sandbox_intents IN EXCLUSIVE MODE")
            (payment,) = await submit(pool, StartPayment(order, "sandbox", "tok_ok"), principal=SYSTEM)
            # The attempt is written, and now the gateway is being called.
            await until(site, WAITING, "INSERT INTO sandbox_intents")
            if cancelled:
                (cancelling,) = await submit(pool, CancelOrder(order), principal=SYSTEM)
                await until(site, ENDED, cancelling)
                await until(site, "SELECT state = 'failed' FROM payments WHERE id = $1", payment)
            await row.execute("BEGIN")
            await row.fetch("SELECT id FROM orders WHERE id = $1 FOR UPDATE", order)
            await books.execute("COMMIT")
            await until(site, WAITING, "FROM orders WHERE id = ANY")
            assert tuple(await pool.fetchrow(BOOKS, order)) == (1, 2000)
            await asyncio.to_thread(site.system.kill, "worker")
            await until(site, f"SELECT NOT ({WAITING})", "FROM orders WHERE id = ANY")
            await row.execute("COMMIT")
        assert await pool.fetchval("SELECT captured_minor FROM payments WHERE id = $1", payment) == 0
        # The dead worker's lease runs out.
        await pool.execute("UPDATE pending SET run_at = now() WHERE id = $1", payment)
    await until(site, ENDED, payment)
    await until(site, NOTHING_QUEUED)
    return payment


def test_a_worker_killed_after_the_charge_leaves_it_to_the_next_to_be_recorded_once(site: Site):
    site.stock(offers=1, units=10)

    async def run() -> tuple[UUID, UUID]:
        conn = await asyncpg.connect(site.stack.urls.database_url)
        order = await order_one(site, conn)
        await conn.close()
        return order, await kill_once_charged(site, order)

    order, payment = asyncio.run(run())
    assert site.query("SELECT status FROM outcomes WHERE id = $1", payment) == "succeeded"
    assert site.query("SELECT array_agg(captured_minor) FROM sandbox_intents WHERE order_id = $1", order) == [2000]
    assert site.query("SELECT payment FROM orders WHERE id = $1", order) == "paid"
    assert site.query("SELECT captured_minor FROM payments WHERE id = $1", payment) == 2000
    confirmed = "SELECT count(*) FROM events WHERE stream = $1 AND type = 'order.confirmed'"
    assert site.query(confirmed, order) == 1
    site.assert_sound()


def test_a_worker_killed_after_it_charged_a_cancelled_order_leaves_the_money_to_be_given_back(site: Site):
    site.stock(offers=1, units=10)

    async def run() -> tuple[UUID, UUID]:
        conn = await asyncpg.connect(site.stack.urls.database_url)
        order = await order_one(site, conn)
        await conn.close()
        return order, await kill_once_charged(site, order, cancelled=True)

    order, payment = asyncio.run(run())
    assert site.query("SELECT status FROM outcomes WHERE id = $1", payment) == "rejected"
    left = "SELECT sum(captured_minor - refunded_minor)::int8 FROM sandbox_intents WHERE order_id = $1"
    assert site.query(left, order) == 0
    assert site.query("SELECT ARRAY[captured_minor, refunded_minor] FROM payments WHERE id = $1", payment) == [
        2000,
        2000,
    ]
    site.assert_sound()
