"""Api, worker and scheduler killed under load: whatever was accepted ends once."""

import asyncio
import random

from tests.faults.site import Site
from tests.system import eventually

ORDERS = 600


def test_what_was_accepted_ends_once_though_api_worker_and_scheduler_are_killed(site: Site):
    choose = random.Random(20261122)
    # Some orders find nothing left, so refusals are among the outcomes.
    site.stock(offers=40, units=25)
    orders = site.orders(ORDERS, seed=1)

    async def kill() -> None:
        for name in ("worker", "web", "worker", "scheduler", "web"):
            accepted = sum(order.accepted is not None for order in orders)
            goal = min(accepted + choose.randint(20, 90), ORDERS - 1)
            while sum(order.accepted is not None for order in orders) < goal:
                await asyncio.sleep(0.005)
            await asyncio.to_thread(_kill_when_running, site, name)

    site.submit(orders, kill)
    ended = site.assert_each_ended_once(orders)
    assert {"succeeded", "rejected"} == set(ended.values())
    assert site.query("SELECT sum(on_hand - reserved) FROM stock WHERE on_hand < reserved") is None
    eventually(lambda: site.ready() == (200, "ok"))


def _kill_when_running(site: Site, name: str) -> None:
    eventually(lambda: name in site.system.supervisor.pids())
    site.system.kill(name)


def test_a_worker_killed_in_the_middle_of_a_batch_leaves_nothing_half_done(site: Site):
    site.stock(offers=10, units=10_000)
    orders = site.orders(300, seed=2)

    async def kill_while_it_has_work_in_hand() -> None:
        for _ in range(2):
            await asyncio.to_thread(_kill_mid_batch, site)

    site.submit(orders, kill_while_it_has_work_in_hand)
    ended = site.assert_each_ended_once(orders)
    assert set(ended.values()) == {"succeeded"}


def _kill_mid_batch(site: Site) -> None:
    """Stop the worker where it stands, and kill it there if a batch is open; else look again."""

    def caught() -> bool:
        if "worker" not in site.system.supervisor.pids():
            return False
        worker = site.process("worker")
        worker.suspend()
        open_batches = (
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'ordermill-worker'"
            " AND xact_start IS NOT NULL AND backend_xid IS NOT NULL"
        )
        if site.query(open_batches):
            site.system.kill("worker")
            return True
        worker.resume()
        return site.query("SELECT count(*) = 0 FROM pending WHERE job = 'place_orders'") and bool(site.outcomes())

    eventually(caught)
