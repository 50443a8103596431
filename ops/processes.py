"""Ordermill's own processes, started as in production: api, workers, scheduler.

Invariant: a process counts as started when it has said itself that it is ready. One that ends before it said so is
a failure that shows the end of its log, not something to try again: it would only fail the same way.
"""

import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from signal import SIGKILL

from ops.stack import Child, StackError, Supervisor
from ops.stack.process import log_size, log_tail

READY_SECONDS_MAX = 60.0
STOP_SECONDS = 20.0
"""A worker gives the batch in hand 15 s; only one that hangs is killed."""
LOOK_SECONDS = 0.02
CORE_LANES = "orders,stock,pricing,payouts,sweeps"
IO_LANES = "io"
ALL_LANES = f"{CORE_LANES},{IO_LANES}"


def free_port() -> int:
    """A TCP port of this machine that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def sandbox_address(port: int) -> str:
    """Where the sandbox of payments sends its webhooks when the api listens on a port of this machine."""
    return f"http://127.0.0.1:{port}/webhooks/sandbox"


class Fleet:
    """Starts processes under a supervisor, each with its log ``<logs>/<name>.log``.

    ``env`` holds the settings (``DATABASE_URL``, ``REDIS_URL``, ``SECRET_KEY`` and what differs from the defaults);
    the rest of the environment is this process's. The supervisor stops them; they die with this process.

    What is started inside :meth:`together` comes up side by side.
    """

    def __init__(self, supervisor: Supervisor, *, logs: Path, env: Mapping[str, str]) -> None:
        self.supervisor = supervisor
        self.logs = logs
        self.env = {**os.environ, **env}
        # Each process is a child of this one, whatever this one is a child of: the supervisor ties them together.
        self.env.pop("ORDERMILL_PARENT", None)
        self._waits: list[Callable[[], None]] | None = None
        logs.mkdir(mode=0o700, parents=True, exist_ok=True)

    def web(self, name: str = "web", *, port: int | None = None, **env: str) -> str:
        """Start an api process and wait until it is ready; return its base URL."""
        if port is None:
            port = free_port()
        self.start(name, "api", "api_ready", HTTP_PORT=str(port), **env)
        host = {**self.env, **env}.get("HTTP_HOST", "")
        if host in {"", "0.0.0.0", "::"}:  # noqa: S104 - read, not bound: listening everywhere, it answers here
            host = "127.0.0.1"
        self._now_or_together(lambda: self._wait_for_port(name, host, port))
        return f"http://{host}:{port}"

    def worker(self, name: str = "worker", *, lanes: str = CORE_LANES, **env: str) -> None:
        """Start a worker process for some lanes and wait until it is ready."""
        self.start(name, "workers", "worker_ready", LANES=lanes, **env)

    def scheduler(self, name: str = "scheduler", **env: str) -> None:
        """Start a scheduler process and wait until it is ready."""
        self.start(name, "workers.scheduler", "scheduler_ready", **env)

    def start(self, name: str, module: str, ready: str, **env: str) -> None:
        """Start ``python -m module`` and wait until its log says ``ready``; raises StackError."""
        since = log_size(self.log_path(name))
        self.supervisor.add(
            Child(
                name=name,
                argv=(sys.executable, "-m", module),
                env={**self.env, **env},
                log=self.log_path(name),
                # Not where we were started: a folder named `api` there would be taken for ours.
                cwd=self.logs,
                stop_seconds=STOP_SECONDS,
            )
        )
        self._now_or_together(lambda: self._wait_for_log(name, ready, since))

    @contextmanager
    def together(self) -> Iterator[None]:
        """Only begin what is started in the body, and wait for all of it at the end; raises StackError."""
        waits: list[Callable[[], None]] = []
        self._waits = waits
        try:
            yield
        finally:
            self._waits = None
        for wait in waits:
            wait()

    def _now_or_together(self, wait: Callable[[], None]) -> None:
        if self._waits is None:
            wait()
        else:
            self._waits.append(wait)

    def kill(self, name: str) -> None:
        """SIGKILL a process; the supervisor starts it again."""
        self.supervisor.kill(name, SIGKILL)

    def pid(self, name: str) -> int:
        """The process id of a running process; KeyError when it is not running just now."""
        return self.supervisor.pids()[name]

    def log_path(self, name: str) -> Path:
        """Where a process writes its log."""
        return self.logs / f"{name}.log"

    def log(self, name: str) -> str:
        """What a process has written to its log."""
        path = self.log_path(name)
        return path.read_text(errors="replace") if path.exists() else ""

    def _wait_for_log(self, name: str, text: str, since: int) -> None:
        pause, deadline = threading.Event(), time.monotonic() + READY_SECONDS_MAX
        while text not in self._log_since(name, since):
            self._require_hope(name, since, deadline)
            pause.wait(LOOK_SECONDS)

    def _wait_for_port(self, name: str, host: str, port: int) -> None:
        pause, deadline = threading.Event(), time.monotonic() + READY_SECONDS_MAX
        while not _listens(host, port):
            self._require_hope(name, 0, deadline)
            pause.wait(LOOK_SECONDS)

    def _require_hope(self, name: str, since: int, deadline: float) -> None:
        status = self.supervisor.last_exit(name)
        if status is not None:
            raise StackError(f"{name} ended with status {status} while starting:\n{self._tail(name, since)}")
        if time.monotonic() > deadline:
            raise StackError(f"{name} was not ready within {READY_SECONDS_MAX:g} s:\n{self._tail(name, since)}")

    def _log_since(self, name: str, since: int) -> str:
        path = self.log_path(name)
        # The supervisor puts a long log aside before a start.
        start = since if log_size(path) >= since else 0
        if not path.exists():
            return ""
        with path.open("rb") as file:
            file.seek(start)
            return file.read().decode(errors="replace")

    def _tail(self, name: str, since: int) -> str:
        path = self.log_path(name)
        return log_tail(path, since) if path.exists() else f"(nothing in {path})"


def _listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True
