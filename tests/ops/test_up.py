"""``ordermill up``: everything with one command, gone with it, and back after any of it was killed."""

import contextlib
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import msgspec
import psutil
import pytest

from ops import sample
from ops.processes import free_port
from ops.sample_goods import OWNERS, SELLERS
from tests.gateways import webhook
from tests.ops.console import ORDERMILL, environment, ordermill, result_of
from tests.system import eventually

START_SECONDS = 90
STOP_SECONDS = 40
PROCESSES = {"web", "worker-core", "worker-io", "scheduler"}


class Up:
    """An ``ordermill up`` on a data folder, and what it has started."""

    def __init__(self, data: Path, *arguments: str, env: dict[str, str] | None = None) -> None:
        self.data = data
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the process
        self.port = free_port()
        self.process = psutil.Popen(
            [str(ORDERMILL), "up", "--data", str(data), "--port", str(self.port), *arguments],
            env=env or environment(),
            stdout=self._said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.url = f"http://127.0.0.1:{self.port}"

    def said(self) -> str:
        self._said.seek(0)
        return self._said.read()

    def wait_until_ready(self) -> None:
        def ready() -> bool:
            assert self.process.poll() is None, self.said()
            return "Ctrl-C" in self.said()

        eventually(ready, seconds=START_SECONDS)

    def children(self) -> list[psutil.Process]:
        return list(self.process.children(recursive=True))

    def end(self, signum: signal.Signals) -> None:
        """Send a signal to ``ordermill up`` alone and wait until it and all it started are gone."""
        everything = [*self.children(), self.process]
        self.process.send_signal(signum)
        _, alive = psutil.wait_procs(everything, timeout=STOP_SECONDS)
        assert alive == []

    def close(self) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            self.end(signal.SIGKILL)
        self._said.close()


@pytest.fixture
def data() -> Iterator[Path]:
    # Not under pytest's own folder: that one is closed to the user PostgreSQL runs as when we are root.
    folder = Path(tempfile.mkdtemp(prefix="ordermill-up-"))
    folder.chmod(0o755)
    yield folder / "data"
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def up(data: Path) -> Iterator[Any]:
    """Start ``ordermill up`` on one data folder, again and again; none outlives the test."""
    started: list[Up] = []

    def start(*arguments: str) -> Up:
        started.append(Up(data, *arguments))
        started[-1].wait_until_ready()
        return started[-1]

    yield start
    for running in started:
        running.close()


def _line(index: int) -> dict[str, object]:
    return {"variant_id": str(sample.variant_id(index)), "seller_id": str(sample.seller_id(0)), "quantity": 1}


def _tokens(running: Up) -> dict[str, str]:
    lines = [line.split() for line in running.said().splitlines()]
    return {line[0]: line[1] for line in lines if line and line[0] in {"buyer", "admin"}}


def _owners(running: Up) -> tuple[list[str], str]:
    """The addresses and the password that were printed."""
    found = re.search(r"^owners +(.+)\n +log in at POST /auth/login with (\S+) ", running.said(), re.MULTILINE)
    assert found is not None, running.said()
    return found[1].split(", "), found[2]


def _place(running: Up, token: str, *, wait: bool = True) -> httpx.Response:
    return httpx.post(
        f"{running.url}/orders",
        json={"currency": "USD", "lines": [_line(0)]},
        headers={"Authorization": f"Bearer {token}", **({"Prefer": "wait=20"} if wait else {})},
        timeout=30,
    )


def _status_of(running: Up, token: str, job: UUID) -> str:
    answer = httpx.get(f"{running.url}/jobs/{job}", headers={"Authorization": f"Bearer {token}"}, timeout=30)
    return str(answer.json().get("status"))


def test_one_command_runs_everything_and_ctrl_c_stops_all_of_it(up, data):
    running = up("--sample")
    tokens = _tokens(running)
    placed = _place(running, tokens["buyer"])
    assert (placed.status_code, placed.json()["status"]) == (200, "succeeded"), placed.text
    lanes = httpx.get(f"{running.url}/lanes", headers={"Authorization": f"Bearer {tokens['admin']}"}, timeout=30).json()
    assert {lane["lane"]: lane["workers"] for lane in lanes["items"]} == dict.fromkeys(
        ("orders", "stock", "pricing", "payouts", "io", "sweeps"), 1
    )
    owners, password = _owners(running)
    assert owners == list(OWNERS)
    login = {"email": owners[0], "password": password}
    session = httpx.post(f"{running.url}/auth/login", json=login, timeout=30)
    seller = httpx.get(
        f"{running.url}/sellers/me", headers={"Authorization": f"Bearer {session.json()['access_token']}"}, timeout=30
    )
    assert (seller.status_code, seller.json()["name"]) == (200, SELLERS[0]), seller.text
    # Other commands find it by its folder; nothing that was placed is in doubt.
    assert result_of("audit", "--data", str(data), env=environment())["violations"] == 0
    signed = result_of("token", "--role", "ADMIN", "--data", str(data), env=environment())["token"]
    answer = httpx.get(f"{running.url}/lanes", headers={"Authorization": f"Bearer {signed}"}, timeout=30)
    assert answer.status_code == 200

    # Whoever has the folder can speak for the sandbox of payments.
    body, fields = webhook("payment.succeeded", uuid4(), secret=(data / "sandbox_webhook_secret").read_text())
    assert httpx.post(f"{running.url}/webhooks/sandbox", content=body, headers=fields, timeout=30).status_code == 202

    second = ordermill("up", "--data", str(data), "--port", str(free_port()), env=environment(), status=1)
    assert second.stderr.count("\n") == 1
    assert f"in use by process {running.process.pid}" in second.stderr
    taken = ordermill("up", "--data", f"{data}-2", "--port", str(running.port), env=environment(), status=1)
    assert "--port" in taken.stderr

    running.end(signal.SIGINT)
    assert running.process.poll() == 0
    assert "stopped" in running.said()


def test_what_was_accepted_reaches_its_outcome_after_everything_was_killed(up, data):
    first = up("--sample")
    token = _tokens(first)["buyer"]
    result_of("lanes", "pause", "orders", "--data", str(data), env=environment())
    accepted = _place(first, token, wait=False)
    assert accepted.status_code == 202
    job = UUID(accepted.json()["id"])
    first.end(signal.SIGKILL)

    again = up()
    assert _status_of(again, token, job) == "queued"
    result_of("lanes", "resume", "orders", "--data", str(data), env=environment())
    eventually(lambda: _status_of(again, token, job) == "succeeded")
    _kill_every_process(again)
    eventually(lambda: _is_placed(again, token), seconds=60)
    assert result_of("audit", "--data", str(data), env=environment())["violations"] == 0
    again.end(signal.SIGTERM)
    assert again.process.poll() == 0


def _kill_every_process(running: Up) -> None:
    """SIGKILL everything ``up`` has started, servers and all, but not ``up``."""
    before = running.children()
    for process in before:
        with contextlib.suppress(psutil.NoSuchProcess):  # it went with another one
            process.kill()
    _, alive = psutil.wait_procs(before, timeout=STOP_SECONDS)
    assert alive == []


def _is_placed(running: Up, token: str) -> bool:
    try:
        return _place(running, token).status_code == 200
    except httpx.HTTPError:
        return False


def test_servers_from_the_environment_replace_the_embedded_ones(database_url, redis_url, data):
    env = environment(DATABASE_URL=database_url, REDIS_URL=redis_url)
    missing = ordermill("up", "--data", str(data), "--port", str(free_port()), env=env, status=1)
    assert "SECRET_KEY is not set" in missing.stderr
    running = Up(data, "--json", env={**env, "SECRET_KEY": "k" * 40})
    try:
        running.wait_until_ready()
        ready = eventually(lambda: [line for line in running.said().splitlines() if line.startswith("{")])
        assert msgspec.json.decode(ready[0])["database_url"] == database_url
        names = {process.name() for process in running.children()}
        assert not names & {"postgres", "valkey-server"}
        assert httpx.get(f"{running.url}/health/ready", timeout=30).json() == {"status": "ok"}
        assert {path.stem for path in (data / "logs" / str(running.port)).iterdir()} == PROCESSES
        running.end(signal.SIGTERM)
    finally:
        running.close()
