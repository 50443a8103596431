"""Every line of the Procfile as it is written: under load, with a worker more and a worker less."""

import asyncio
import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import httpx
import msgspec
import psutil
import pytest

from domain.invariants import run_audit
from ops.goods import NewOffer
from ops.load import Client
from ops.processes import free_port
from tests import databases
from tests.builders import SECRET_KEY, token, write_offers
from tests.ops.console import environment
from tests.system import ROOT, eventually

ORDERS_AFTER = 200
"""How many orders come before the workers begin to change, and how many at least after they have."""
ORDERS_MAX = 100_000
CONNECTIONS = 16
# The shell that waited for the process is stopped by the same signal.
STOPPED = {0, -signal.SIGTERM}
LINES = {
    name: line
    for name, _, line in (entry.partition(": ") for entry in (ROOT / "Procfile").read_text().splitlines() if entry)
}


class Formation:
    """The processes of a Procfile, started by a shell as a process manager does."""

    def __init__(self, env: dict[str, str]) -> None:
        self._env = {**env, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        self.folder = Path(tempfile.mkdtemp(prefix="ordermill-procfile-"))
        self._running: dict[str, psutil.Popen] = {}

    def run(self, line: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(["sh", "-c", LINES[line]], env=self._env, cwd=ROOT, check=True, capture_output=True)

    def start(self, line: str, ready: str, name: str = "") -> None:
        name = name or line
        with (self.folder / name).open("wb") as log:
            self._running[name] = psutil.Popen(
                ["sh", "-c", LINES[line]], env=self._env, cwd=ROOT, stdout=log, stderr=log, start_new_session=True
            )
        eventually(lambda: self._lives(name) and ready in self.said(name))

    def _lives(self, name: str) -> bool:
        assert self._running[name].poll() is None, self.said(name)
        return True

    def said(self, name: str) -> str:
        return (self.folder / name).read_text(errors="replace")

    def stop(self, name: str, seconds: float = 20) -> int:
        """SIGTERM the line's whole group, as process managers do, until all of it is gone; return its status."""
        process = self._running.pop(name)
        group = [process, *process.children(recursive=True)]
        os.killpg(process.pid, signal.SIGTERM)
        _, alive = psutil.wait_procs(group, timeout=seconds)
        assert alive == [], self.said(name)
        return int(process.wait())

    def close(self) -> None:
        for process in self._running.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture
def fresh_database(stack) -> Iterator[str]:
    """A database without tables: the release line makes them."""
    name = f"procfile_{uuid4().hex}"
    yield databases.create(stack, name)
    databases.drop(stack, name)


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def formation(fresh_database: str, redis_url: str, port: int) -> Iterator[Formation]:
    settings = {"DATABASE_URL": fresh_database, "REDIS_URL": redis_url, "SECRET_KEY": SECRET_KEY}
    running = Formation(environment(HTTP_PORT=str(port), **settings))
    yield running
    running.close()


def _body(offers: list[NewOffer], n: int) -> bytes:
    picked = (offers[n % len(offers)], offers[(n * 7 + 3) % len(offers)])
    lines = [{"variant_id": str(o.variant_id), "seller_id": str(o.seller_id), "quantity": 1 + n % 2} for o in picked]
    return msgspec.json.encode({"currency": "USD", "lines": lines})


async def _load(url: str, offers: list[NewOffer], under_way: asyncio.Event, changed: asyncio.Event) -> list[UUID]:
    """Place orders until the workers have changed and a while after; every tenth is sent twice with its key.

    Returns the ids that were accepted.
    """
    accepted: list[UUID] = []
    numbers = itertools.count()
    last = ORDERS_MAX
    async with Client(url, connections=CONNECTIONS) as client:

        async def send() -> None:
            nonlocal last
            while (n := next(numbers)) < last:
                request = client.encode(
                    "POST", "/orders", token=token(), body=_body(offers, n), Idempotency_Key=f"order-{n}"
                )
                answers = [await client.send(request) for _ in range(2 if n % 10 == 0 else 1)]
                assert {answer.status for answer in answers} == {202}, answers
                ids = {UUID(msgspec.json.decode(answer.body)["id"]) for answer in answers}
                assert len(ids) == 1
                accepted.extend(ids)
                if n == ORDERS_AFTER:
                    under_way.set()
                if changed.is_set():
                    last = min(last, n + ORDERS_AFTER)

        await asyncio.gather(*(send() for _ in range(CONNECTIONS)))
    return accepted


async def _trade_while_workers_change(formation: Formation, url: str, database_url: str) -> None:
    conn = await asyncpg.connect(database_url)
    # The last two sell out, so that both answers occur.
    offers = await write_offers(conn, offers=18, sellers=3, units=100_000)
    offers += await write_offers(conn, offers=2, units=30)
    under_way, changed = asyncio.Event(), asyncio.Event()

    async def change() -> int:
        await under_way.wait()
        await asyncio.to_thread(formation.start, "worker-core", "worker_ready", "worker-core-2")
        # What traffic does at this moment is no violation.
        assert [check for check in (await run_audit(conn)).checks if check.violations] == []
        status = await asyncio.to_thread(formation.stop, "worker-core")
        changed.set()
        return status

    accepted, status = await asyncio.gather(_load(url, offers, under_way, changed), change())
    assert changed.is_set()
    assert status in STOPPED
    assert len(accepted) == len(set(accepted)) < ORDERS_MAX
    eventually_empty = "SELECT NOT EXISTS (SELECT FROM pending WHERE job = 'place_orders')"
    async with asyncio.timeout(30):
        while not await conn.fetchval(eventually_empty):
            await asyncio.sleep(0.05)
    rows = await conn.fetch("SELECT status, count(*) FROM outcomes WHERE id = ANY ($1) GROUP BY status", accepted)
    outcomes = {row["status"]: row["count"] for row in rows}
    assert sum(outcomes.values()) == len(accepted)
    assert set(outcomes) == {"succeeded", "rejected"}
    assert await conn.fetchval("SELECT count(*) FROM orders") == outcomes["succeeded"]
    audit = await run_audit(conn)
    assert [check for check in audit.checks if check.violations] == []
    await conn.close()


def test_nothing_is_lost_or_doubled_when_a_worker_comes_and_another_goes(formation, fresh_database, port):
    assert set(LINES) == {"release", "web", "worker-core", "worker-io", "scheduler"}
    formation.run("release")
    formation.start("web", "api_ready")
    formation.start("worker-core", "worker_ready")
    formation.start("worker-io", "worker_ready")
    formation.start("scheduler", "scheduler_ready")
    url = f"http://127.0.0.1:{port}"
    eventually(lambda: _answers(url))
    asyncio.run(_trade_while_workers_change(formation, url, fresh_database))
    for name in ("worker-core", "worker-core-2"):
        assert '"job":"place_orders"' in formation.said(name)
    for name in ("scheduler", "worker-io", "worker-core-2", "web"):
        said = formation.said
        assert formation.stop(name) in STOPPED, said(name)
        assert "Traceback" not in said(name)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/ready", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False
