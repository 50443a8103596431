"""PostgreSQL restarted and gone: 503 meanwhile, and work goes on without anybody restarting us."""

import asyncio
import os
from collections.abc import Callable
from signal import SIGKILL, SIGQUIT

import httpx
import pytest

from domain.accounts.model import Role
from domain.rejections import Code
from infra.clock import new_id
from tests.builders import token
from tests.faults.site import Order, Site
from tests.system import eventually

ORDERS = 300


def _restart(site: Site) -> None:
    site.stack.supervisor.restart("postgres")


def _crash(site: Site) -> None:
    """End the server at once, as a crash does; the next start recovers from its log."""
    os.kill(site.pid("postgres"), SIGQUIT)


@pytest.mark.parametrize("end", [_restart, _crash])
def test_a_restart_is_503_meanwhile_and_then_work_goes_on(site: Site, end: Callable[[Site], None]):
    site.stock(offers=20, units=10_000)
    orders = site.orders(ORDERS, seed=21)
    before = {name: site.pid(name) for name in ("web", "worker", "scheduler")}

    async def restart() -> None:
        await site.after(orders, 100)
        await asyncio.to_thread(end, site)

    site.submit(orders, restart)
    site.assert_each_ended_once(orders)
    eventually(lambda: site.ready() == (200, "ok"))
    assert {name: site.pid(name) for name in before} == before


def test_while_postgres_is_gone_every_answer_is_a_503(site: Site):
    site.stock(offers=20, units=10_000)
    (order,) = site.orders(1, seed=22)
    buyer = {"Authorization": f"Bearer {token(order.buyer, Role.BUYER)}"}
    admin = {"Authorization": f"Bearer {token(None, Role.ADMIN)}"}
    postgres = site.process("postgres")
    # Gone at once and kept away: the supervisor's next start has to wait until the lock on its place is free.
    place = site.stack.data / "postgres"
    away = place.with_name("postgres-away")
    place.rename(away)
    try:
        os.kill(postgres.pid, SIGKILL)
        eventually(lambda: site.ready() == (503, "unavailable"))
        requests = [
            ("POST", "/orders", buyer),
            ("GET", "/orders", buyer),
            ("GET", f"/orders/{new_id()}", buyer),
            ("GET", f"/orders/{new_id()}/timeline", buyer),
            ("POST", f"/orders/{new_id()}/cancel", buyer),
            ("GET", "/jobs", buyer),
            ("GET", f"/jobs/{new_id()}", buyer),
            ("GET", f"/jobs/{new_id()}/events", buyer),
            ("POST", f"/jobs/{new_id()}/cancel", buyer),
            ("GET", "/lanes", admin),
            ("POST", "/lanes/orders/pause", admin),
            ("POST", "/sweeps/rescue_runs", admin),
        ]
        for method, path, headers in requests:
            content = order.body if path == "/orders" and method == "POST" else None
            answer = httpx.request(
                method,
                f"{site.url}{path}",
                content=content,
                headers={**headers, "Content-Type": "application/json"},
                timeout=20,
            )
            assert (answer.status_code, answer.json()["code"]) == (503, Code.UNAVAILABLE), (method, path, answer.text)
            assert int(answer.headers["retry-after"]) >= 1
            assert answer.headers["content-type"] == "application/problem+json"
        assert httpx.get(f"{site.url}/health/live", timeout=5).status_code == 200
        assert httpx.get(f"{site.url}/health/dependencies", timeout=10).json()["status"] == "unavailable"
        # A process that starts now comes up all the same.
        site.system.supervisor.restart("web")
        eventually(lambda: site.ready() == (503, "unavailable"))
    finally:
        away.rename(place)
    eventually(lambda: site.ready() == (200, "ok"), 40)
    assert site.query("SELECT count(*) FROM commands WHERE principal = $1", order.buyer) == 0
    orders: list[Order] = [order]
    site.submit(orders)
    site.assert_each_ended_once(orders)
