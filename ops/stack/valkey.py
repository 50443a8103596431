"""The embedded Valkey: doorbells and notices only, so it keeps nothing on disk.

Whatever it loses costs latency, never a command. When its memory is full it refuses writes rather than
evict: an evicted doorbell would be lost unseen, a refused one is an error that a circuit breaker hears.
"""

import os
import socket
from pathlib import Path
from signal import SIGKILL
from urllib.parse import quote

import msgspec

from ops.stack.binaries import valkey_binary
from ops.stack.folders import ServerUser
from ops.stack.supervisor import Child
from ops.stack.survivors import end_valkey

PING_SECONDS_MAX = 1.0
STOP_SECONDS = 5.0


class Valkey(msgspec.Struct, frozen=True):
    """The server that works in `folder`, its socket in `run`, written to `log`."""

    folder: Path
    run: Path
    log: Path
    user: ServerUser | None

    @property
    def socket_path(self) -> Path:
        return self.run / "valkey.sock"

    @property
    def url(self) -> str:
        """The address in redis-py's form."""
        return f"unix://{quote(str(self.socket_path))}"

    def child(self) -> Child:
        """The server as a child to supervise."""
        settings = {
            "port": "0",
            "unixsocket": str(self.socket_path),
            "unixsocketperm": "700",
            "dir": str(self.folder),
            "appendonly": "no",
            "save": "",
            "maxmemory": "256mb",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
        }
        options = [part for name, value in settings.items() for part in (f"--{name}", value)]
        return Child(
            name="valkey",
            argv=(str(valkey_binary()), *options),
            env=dict(os.environ),
            stop_seconds=STOP_SECONDS,
            log=self.log,
            cwd=self.folder,
            user=self.user,
            orphan_signal=SIGKILL,  # it has nothing to put in order, and even a paused one obeys
            before_start=self.clear,
        )

    def clear(self) -> None:
        """End what runs on the folder: with its socket replaced it would go on unseen. The lock is held."""
        end_valkey(self.folder, f"unixsocket:{self.socket_path}")

    def why_not_ready(self) -> str | None:
        """None once the server answers a PING; else what it did instead."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PING_SECONDS_MAX)
            try:
                connection.connect(str(self.socket_path))
                connection.sendall(b"PING\r\n")
                answer = connection.recv(64)
            except OSError as error:
                return f"{self.socket_path}: {error}"
        return None if answer == b"+PONG\r\n" else f"it answered PING with {answer!r}"
