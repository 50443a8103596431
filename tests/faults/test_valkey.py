"""Valkey killed, paused, emptied: that costs latency, never a command."""

import asyncio
import time

import httpx
import redis

from domain.accounts.model import Role
from tests.builders import token
from tests.faults.site import Order, Site
from tests.system import eventually

ORDERS = 300


def test_orders_are_accepted_and_placed_though_valkey_is_killed(site: Site):
    site.stock(offers=20, units=10_000)
    orders = site.orders(ORDERS, seed=11)

    async def kill() -> None:
        for count in (50, 150):
            await site.after(orders, count)
            await asyncio.to_thread(_kill, site)

    site.submit(orders, kill)
    site.assert_each_ended_once(orders)
    assert sum(order.refused for order in orders) == 0
    eventually(lambda: site.ready() == (200, "ok"))


def _kill(site: Site) -> None:
    eventually(lambda: "valkey" in site.stack.supervisor.pids())
    site.process("valkey").kill()


def test_orders_are_accepted_and_placed_though_valkey_is_emptied(site: Site):
    site.stock(offers=20, units=10_000)
    orders = site.orders(ORDERS, seed=12)

    async def empty() -> None:
        client = redis.Redis.from_url(site.stack.urls.redis_url)
        for count in range(50, ORDERS, 50):
            await site.after(orders, count)
            await asyncio.to_thread(client.flushall)
        client.close()

    site.submit(orders, empty)
    site.assert_each_ended_once(orders)
    assert sum(order.refused for order in orders) == 0


def test_while_valkey_is_paused_orders_go_on_and_the_probe_says_degraded(site: Site):
    site.stock(offers=20, units=10_000)
    orders = site.orders(ORDERS, seed=13)
    valkey = site.process("valkey")
    valkey.suspend()
    try:
        site.submit(orders)
        site.assert_each_ended_once(orders)
        assert sum(order.refused for order in orders) == 0
        assert site.ready() == (200, "degraded")
        dependencies = httpx.get(f"{site.url}/health/dependencies", timeout=10)
        assert dependencies.status_code == 200
        assert {d["name"]: d["status"] for d in dependencies.json()["items"]} == {
            "postgresql": "ok",
            "partitions": "ok",
            "redis": "unavailable",
            "workers": "ok",
            "scheduler": "ok",
        }
        # Who waits is answered, too: every quarter of a second somebody looks.
        (order,) = site.orders(1, seed=14)
        started = time.monotonic()
        answer = _post(site, order, Prefer="wait=10")
        assert answer.status_code == 200
        assert time.monotonic() - started < 6
    finally:
        valkey.resume()
    eventually(lambda: site.ready() == (200, "ok"))


def _post(site: Site, order: Order, **headers: str) -> httpx.Response:
    known = {"Authorization": f"Bearer {token(order.buyer, Role.BUYER)}", "Content-Type": "application/json"}
    return httpx.post(f"{site.url}/orders", content=order.body, headers={**known, **headers}, timeout=20)


def test_processes_start_and_work_without_valkey(site: Site):
    site.stock(offers=20, units=10_000)
    valkey = site.process("valkey")
    valkey.suspend()
    try:
        for name in ("worker", "web"):
            site.system.supervisor.restart(name)
        eventually(lambda: site.ready() == (200, "degraded"))
        orders = site.orders(50, seed=15)
        site.submit(orders)
        site.assert_each_ended_once(orders)
    finally:
        valkey.resume()
    eventually(lambda: site.ready() == (200, "ok"))
