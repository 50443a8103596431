"""A real PostgreSQL and a real Valkey for a machine that has neither, as children of this process.

From `start` to `stop` this process holds the data folder's lock, and servers run on the folder only while
it does. Layout of the data folder: `postgres/`, `valkey/`, `run/` (sockets; elsewhere when its path is too
long for one), `lock`, `secret_key`, `sandbox_webhook_secret`, `postgres.log`, `valkey.log`.
"""

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from ops.stack.errors import StackError
from ops.stack.folders import (
    ServerUser,
    make_data_folder,
    make_private_folder,
    require_reachable,
    sandbox_webhook_secret,
    secret_key,
    server_user,
    socket_folder,
)
from ops.stack.lock import DataFolderLock
from ops.stack.postgres import Postgres, require_tunable
from ops.stack.process import log_size, log_tail
from ops.stack.supervisor import Supervisor
from ops.stack.valkey import Valkey

READY_SECONDS_MAX = 60.0
PROBE_SECONDS = 0.02


class Urls(msgspec.Struct, frozen=True):
    """Where the servers are, in the forms that asyncpg and redis-py take."""

    database_url: str
    redis_url: str


class EmbeddedStack:
    """PostgreSQL and Valkey on one data folder. `with EmbeddedStack(data) as stack: stack.urls ...`

    `supervisor`, once started, takes more children; being added later, they stop before the servers do.
    """

    def __init__(self, data: Path, *, postgres_settings: Mapping[str, str] = {}) -> None:
        require_tunable(postgres_settings)
        # Resolved, because the digest of this path names the servers and a link must not give a second name.
        self.data = data.expanduser().resolve()
        self.supervisor = Supervisor()
        self._postgres_settings = dict(postgres_settings)
        self._lock = DataFolderLock(self.data)
        self._servers: tuple[Postgres, Valkey] | None = None

    @property
    def urls(self) -> Urls:
        """Where the servers are. RuntimeError before `start` and after `stop`."""
        if self._servers is None:
            raise RuntimeError("the stack is not running")
        postgres, valkey = self._servers
        return Urls(database_url=postgres.url, redis_url=valkey.url)

    @property
    def secret_key(self) -> str:
        """The key of this installation, from the data folder. RuntimeError unless started."""
        if self._servers is None:
            raise RuntimeError("the stack is not running")
        return secret_key(self.data)

    @property
    def sandbox_webhook_secret(self) -> str:
        """What the sandbox of payments signs with here, from the data folder. RuntimeError unless started."""
        if self._servers is None:
            raise RuntimeError("the stack is not running")
        return sandbox_webhook_secret(self.data)

    def start(self) -> Urls:
        """Start both servers and wait until they answer. On failure everything is stopped again.

        Raises DataFolderInUseError when another process has the folder, StackError for all else that the
        person at the terminal can put right.
        """
        if self._servers is not None:
            raise RuntimeError("the stack is running already")
        make_data_folder(self.data)
        self._lock.acquire()
        try:
            postgres, valkey = self._servers = self._lay_out()
            self.supervisor = Supervisor()
            secret_key(self.data)
            sandbox_webhook_secret(self.data)
            log_starts = log_size(postgres.log), log_size(valkey.log)
            postgres.make()
            self.supervisor.add(postgres.child())
            self.supervisor.add(valkey.child())
            self._wait_until_ready("postgres", postgres, log_starts[0])
            self._wait_until_ready("valkey", valkey, log_starts[1])
        except BaseException:
            self.stop()
            raise
        return self.urls

    def stop(self) -> None:
        """Stop all children, the servers last, and let go of the folder. Does nothing when not started."""
        try:
            self.supervisor.stop()
            if self._servers is not None:
                # A server that had to be killed leaves processes behind; the lock covers them too.
                for server in self._servers:
                    server.clear()
        finally:
            self._servers = None
            self._lock.release()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _lay_out(self) -> tuple[Postgres, Valkey]:
        """Make the folders, under the lock."""
        data, user, run = self.data, server_user(), socket_folder(self.data)
        require_reachable(data, user)
        for folder in (run, data / "valkey"):
            make_private_folder(folder, user)
            require_reachable(folder, user)
        return servers_of(data, user, self._postgres_settings)

    def _wait_until_ready(self, name: str, server: Postgres | Valkey, log_start: int) -> None:
        deadline = time.monotonic() + READY_SECONDS_MAX
        pause = threading.Event()
        while (why_not := server.why_not_ready()) is not None:
            # Restarts are for a server that once ran: one that dies at its first start would do so again.
            status = self.supervisor.last_exit(name)
            if status is not None:
                failure = f"{name} ended with status {status} while starting"
            elif time.monotonic() >= deadline:
                failure = f"{name} took no connection for {READY_SECONDS_MAX:g} s ({why_not})"
            else:
                pause.wait(PROBE_SECONDS)
                continue
            raise StackError(f"{failure}; {server.log} says:\n{log_tail(server.log, log_start)}")


def servers_of(data: Path, user: ServerUser | None, postgres_settings: Mapping[str, str]) -> tuple[Postgres, Valkey]:
    """The servers of a resolved data folder; that they run is another matter."""
    run = socket_folder(data)
    return (
        Postgres(data / "postgres", run, data / "postgres.log", user, postgres_settings),
        Valkey(data / "valkey", run, data / "valkey.log", user),
    )
