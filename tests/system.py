"""Ordermill's own processes, started for a test as they are in production."""

import os
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from signal import Signals
from typing import TypeVar

import httpx

from ops.stack import Child
from ops.stack.supervisor import Supervisor
from tests.builders import SECRET_KEY

ROOT = Path(__file__).parent.parent
READY_SECONDS = 30.0
T = TypeVar("T")


def eventually(condition: Callable[[], T], seconds: float = READY_SECONDS) -> T:
    """Wait until a condition is truthy and return it; fail when it isn't by the deadline."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {condition}")
        pause.wait(0.02)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class System:
    """Api, worker and scheduler processes on one database."""

    def __init__(self, database_url: str, redis_url: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ordermill-logs-"))
        self.supervisor = Supervisor()
        self.env = {
            **os.environ,
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "SECRET_KEY": SECRET_KEY,
            "PYTHONPATH": str(ROOT),
        }
        self.ports: dict[str, int] = {}

    def log(self, name: str) -> str:
        """What a process has written to its log."""
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self, name: str, module: str, ready: str, **env: str) -> None:
        """Start a process and wait until its log says it is ready."""
        self.supervisor.add(
            Child(
                name=name,
                argv=(sys.executable, "-m", module),
                env={**self.env, **env},
                log=self.folder / f"{name}.log",
                cwd=ROOT,
            )
        )
        self.wait_for_log(name, ready)

    def wait_for_log(self, name: str, text: str) -> None:
        try:
            eventually(lambda: text in self.log(name))
        except AssertionError:
            raise AssertionError(f"{name} never said {text}:\n{self.log(name)[-4000:]}") from None

    def web(self, name: str = "web", **env: str) -> str:
        """Start an api process; return its base URL."""
        self.ports[name] = free_port()
        self.start(name, "api", "api_ready", HTTP_PORT=str(self.ports[name]), **env)
        url = f"http://127.0.0.1:{self.ports[name]}"
        eventually(lambda: _answers(url))
        return url

    def worker(self, name: str = "worker", **env: str) -> None:
        """Start a worker process."""
        self.start(name, "workers", "worker_ready", **env)

    def scheduler(self, name: str = "scheduler", **env: str) -> None:
        """Start a scheduler process."""
        self.start(name, "workers.scheduler", "scheduler_ready", **env)

    def kill(self, name: str) -> None:
        """SIGKILL a process; the supervisor starts it again."""
        self.supervisor.kill(name, Signals.SIGKILL)

    def stop(self) -> None:
        self.supervisor.stop()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/live", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False
