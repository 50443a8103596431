"""The embedded PostgreSQL: made whole or not at all, reachable through one private folder only.

A cluster comes to be under another name and is renamed when complete, so a folder named `postgres` is
always a whole cluster. Authentication is `trust`, because the only way in is a unix socket in a folder
that no other user may enter.
"""

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from signal import SIGINT, SIGQUIT
from urllib.parse import quote

import msgspec

from ops.stack.binaries import postgres_binary
from ops.stack.errors import StackError
from ops.stack.folders import POSTGRES_PORT, ServerUser, folder_digest, make_private_folder
from ops.stack.process import run
from ops.stack.supervisor import Child
from ops.stack.survivors import end_initdb, end_postgres, remove_stale_files

INITDB_SECONDS_MAX = 120.0
REMOVE_SECONDS_MAX = 10.0
PSQL_SECONDS_MAX = 10.0
# A shutdown writes a checkpoint of up to shared_buffers; after a kill the next start recovers from the WAL.
STOP_SECONDS = 30.0

# For a small machine that the engine, its workers and the load client share.
SETTINGS: Mapping[str, str] = {
    "shared_buffers": "256MB",
    "wal_buffers": "16MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "max_connections": "100",
    "autovacuum_naptime": "5s",  # the queue's table turns over its rows many times a minute
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}

# Nothing accepted may be lost, and nothing but the private folder leads in: these are not for tuning.
FIXED_SETTINGS: Mapping[str, str] = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "listen_addresses": "",
    "port": str(POSTGRES_PORT),
    "unix_socket_permissions": "0700",
}

# Idempotent, so a start that was killed half-way through it is made good by the next.
PREPARE_DATABASE = """
SELECT 'CREATE ROLE ordermill LOGIN CREATEDB IN ROLE pg_monitor, pg_checkpoint'
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'ordermill') \\gexec
SELECT 'CREATE DATABASE ordermill OWNER ordermill'
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'ordermill') \\gexec
"""


class Postgres(msgspec.Struct, frozen=True):
    """The cluster in `folder`, its socket in `run`, written to `log`."""

    folder: Path
    run: Path
    log: Path
    user: ServerUser | None
    settings: Mapping[str, str]

    @property
    def url(self) -> str:
        """The address in asyncpg's form, the socket's folder as host."""
        return f"postgresql://ordermill@/ordermill?host={quote(str(self.run))}"

    @property
    def socket_path(self) -> Path:
        """The socket in `run`, named by PostgreSQL after its port."""
        return self.run / f".s.PGSQL.{POSTGRES_PORT}"

    @property
    def mark(self) -> str:
        """The cluster's name, which stands in the title of each of its processes."""
        return f"ordermill-{folder_digest(self.folder)}"

    def make(self) -> None:
        """Make the cluster unless it is there; what a killed attempt left is thrown away."""
        if self.folder.exists():
            self._require_ownership()
            return
        unfinished = self.folder.with_name(f"{self.folder.name}.new")
        if unfinished.exists():
            end_initdb(unfinished)
            _remove_tree(unfinished)
        make_private_folder(unfinished, self.user)
        options = (
            "--username=postgres --auth=trust --encoding=UTF8 --locale=C"
            " --locale-provider=builtin --builtin-locale=C.UTF-8 --no-instructions"
        )
        run(
            [str(postgres_binary("initdb")), "-D", str(unfinished), *options.split()],
            env=clean_environment(),
            cwd=unfinished,
            log=self.log,
            user=self.user,
            seconds_max=INITDB_SECONDS_MAX,
        )
        unfinished.rename(self.folder)
        _sync_folder(self.folder.parent)

    def child(self) -> Child:
        """The server as a child to supervise."""
        own = {"cluster_name": self.mark, "unix_socket_directories": str(self.run)}
        options: list[str] = []
        for name, value in {**SETTINGS, **self.settings, **FIXED_SETTINGS, **own}.items():
            options += ["-c", f"{name}={value}"]
        return Child(
            name="postgres",
            argv=(str(postgres_binary("postgres")), "-D", str(self.folder), *options),
            env=clean_environment(),
            stop_signal=SIGINT,  # "fast": roll back what is open, write a checkpoint, end
            stop_seconds=STOP_SECONDS,
            log=self.log,
            cwd=self.folder,
            user=self.user,
            # With its owner gone nobody is left to insist, and this shutdown PostgreSQL itself sees through.
            orphan_signal=SIGQUIT,
            before_start=self.clear,
        )

    def clear(self) -> None:
        """End what runs on the folder, and remove what it left. The folder's lock is held."""
        end_postgres(self.folder, self.mark)
        remove_stale_files(self.folder, self.run / f".s.PGSQL.{POSTGRES_PORT}.lock")

    def why_not_ready(self) -> str | None:
        """None once the server takes connections and the database is there; else what psql said."""
        options = "--no-psqlrc --quiet --no-password --set=ON_ERROR_STOP=1 --username=postgres --dbname=postgres"
        psql = str(postgres_binary("psql"))
        command = [psql, *options.split(), f"--host={self.run}", f"--port={POSTGRES_PORT}"]
        try:
            done = subprocess.run(  # noqa: S603  # the program and its arguments are this module's own
                command,
                input=PREPARE_DATABASE,
                env=clean_environment(),
                text=True,
                capture_output=True,
                timeout=PSQL_SECONDS_MAX,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"psql had no answer within {PSQL_SECONDS_MAX:g} s"
        return None if done.returncode == 0 else done.stderr.strip() or f"psql ended with {done.returncode}"

    def _require_ownership(self) -> None:
        owner, expected = self.folder.stat().st_uid, os.geteuid() if self.user is None else self.user.uid
        if owner != expected:
            raise StackError(
                f"{self.folder} belongs to user id {owner}, but PostgreSQL would run as {expected}:"
                " start as the user who made it, or choose another data folder"
            )


def require_tunable(settings: Mapping[str, str]) -> None:
    """Raise ValueError for a setting that the stack does not let out of its hands."""
    fixed = sorted({name.lower() for name in settings} & {*FIXED_SETTINGS, "cluster_name", "unix_socket_directories"})
    if fixed:
        raise ValueError(f"these PostgreSQL settings are fixed: {', '.join(fixed)}")


def clean_environment() -> dict[str, str]:
    """This process's environment without the variables that steer PostgreSQL's programs."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def _remove_tree(folder: Path) -> None:
    # A bootstrap process that lost its initdb may still be writing files into it for an instant.
    deadline = time.monotonic() + REMOVE_SECONDS_MAX
    pause = threading.Event()
    while True:
        try:
            shutil.rmtree(folder)
        except OSError:
            if time.monotonic() >= deadline:
                raise
            pause.wait(0.05)
        else:
            return


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
