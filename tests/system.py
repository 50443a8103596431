"""Ordermill's own processes, started for a test as they are in production."""

import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ops.processes import Fleet, free_port
from ops.stack import Supervisor
from tests.builders import CARRIER_SECRET, SANDBOX_SECRET, SECRET_KEY

__all__ = ["READY_SECONDS", "ROOT", "System", "eventually", "free_port"]

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


class System:
    """Api, worker and scheduler processes on one database; all lanes unless LANES says otherwise."""

    def __init__(self, database_url: str, redis_url: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ordermill-logs-"))
        self.supervisor = Supervisor()
        settings = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "SECRET_KEY": SECRET_KEY}
        # Whatever the shell that runs the tests is set up for: they write to nobody.
        settings |= {"MAIL_URL": "", "MAIL_FROM": "", "PUBLIC_URL": ""}
        settings |= {"SANDBOX_WEBHOOK_SECRET": SANDBOX_SECRET, "CARRIER_WEBHOOK_SECRET": CARRIER_SECRET}
        # Limits as they are, except that all tests log in from one address.
        settings |= {"RATE_LIMITS": "", "TRUSTED_PROXIES": "", "RATE_REQUESTS_PER_SECOND": ""}
        settings |= {"RATE_AUTH_PER_MINUTE": "1000000"}
        # Tests start modules of their own, too.
        self.fleet = Fleet(self.supervisor, logs=self.folder, env={**settings, "PYTHONPATH": str(ROOT)})
        self.ports: dict[str, int] = {}

    def log(self, name: str) -> str:
        """What a process has written to its log."""
        return self.fleet.log(name)

    def start(self, name: str, module: str, ready: str, **env: str) -> None:
        """Start a process and wait until its log says it is ready."""
        self.fleet.start(name, module, ready, **env)

    def wait_for_log(self, name: str, text: str) -> None:
        try:
            eventually(lambda: text in self.log(name))
        except AssertionError:
            raise AssertionError(f"{name} never said {text}:\n{self.log(name)[-4000:]}") from None

    def web(self, name: str = "web", **env: str) -> str:
        """Start an api process; return its base URL."""
        self.ports[name] = free_port()
        return self.fleet.web(name, port=self.ports[name], **env)

    def worker(self, name: str = "worker", **env: str) -> None:
        """Start a worker process."""
        self.start(name, "workers", "worker_ready", **env)

    def scheduler(self, name: str = "scheduler", **env: str) -> None:
        """Start a scheduler process."""
        self.fleet.scheduler(name, **env)

    def kill(self, name: str) -> None:
        """SIGKILL a process; the supervisor starts it again."""
        self.fleet.kill(name)

    def stop(self) -> None:
        self.supervisor.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
