"""Api, worker and scheduler killed under load: whatever was accepted ends once."""

import asyncio
import random

import asyncpg

from tests.faults.site import Site
from tests.system import eventually

ORDERS = 500
WAITING_FOR_STOCK = """
SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name = 'ordermill-worker' AND wait_event_type = 'Lock'
"""


def test_a_worker_killed_in_the_middle_of_a_batch_leaves_nothing_half_done(site: Site):
    site.stock(offers=10, units=10_000)
    orders = site.orders(200, seed=2)

    async def kill_while_it_has_a_batch_in_hand() -> None:
        conn = await asyncpg.connect(site.stack.urls.database_url)
        # The batch has written its orders and waits for the stock, which it takes last.
        async with conn.transaction():
            await conn.execute("SELECT FROM stock FOR UPDATE")
            await asyncio.to_thread(eventually, lambda: site.query(WAITING_FOR_STOCK))
            await asyncio.to_thread(_kill_when_running, site, "worker")
            await asyncio.to_thread(eventually, lambda: not site.query(WAITING_FOR_STOCK))
        await conn.close()

    site.submit(orders, kill_while_it_has_a_batch_in_hand)
    ended = site.assert_each_ended_once(orders)
    assert set(ended.values()) == {"succeeded"}


def _kill_when_running(site: Site, name: str) -> None:
    eventually(lambda: name in site.system.supervisor.pids())
    site.system.kill(name)


def test_what_was_accepted_ends_once_though_api_worker_and_scheduler_are_killed(site: Site):
    choose = random.Random(20261122)
    # Some orders find nothing left, so refusals are among the outcomes.
    site.stock(offers=40, units=25)
    orders = site.orders(ORDERS, seed=1)

    async def kill() -> None:
        for name in ("worker", "web", "worker", "scheduler", "web"):
            accepted = sum(order.accepted is not None for order in orders)
            goal = min(accepted + choose.randint(20, 90), ORDERS - 1)
            await site.after(orders, goal)
            await asyncio.to_thread(_kill_when_running, site, name)

    site.submit(orders, kill)
    ended = site.assert_each_ended_once(orders)
    assert {"succeeded", "rejected"} == set(ended.values())
    assert site.query("SELECT sum(on_hand - reserved) FROM stock WHERE on_hand < reserved") is None
    eventually(lambda: site.ready() == (200, "ok"))
