"""Find the servers that another process runs on a data folder.

Their addresses follow from the folder's path, so nothing has to be written down that could be stale after a kill.
Whether they run is told by their sockets and not by the lock: trying the lock would turn away an owner who starts
at that moment.
"""

import socket
from pathlib import Path

from ops.stack.embedded import Urls, servers_of


def running_urls(data: Path) -> Urls | None:
    """Where the servers on a data folder are, or None when PostgreSQL takes no connection there.

    Valkey isn't asked: without it everything works, only later.
    """
    postgres, valkey = servers_of(data.expanduser().resolve(), None, {})
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(postgres.socket_path))
        except OSError:
            return None
    return Urls(database_url=postgres.url, redis_url=valkey.url)


def stored_secret_key(data: Path) -> str | None:
    """The key this installation signs with, or None when nothing was ever started on the folder."""
    return _stored(data, "secret_key")


def stored_sandbox_secret(data: Path) -> str | None:
    """What its payment sandbox signs with, or None when nothing was ever started on the folder."""
    return _stored(data, "sandbox_webhook_secret")


def _stored(data: Path, name: str) -> str | None:
    path = data.expanduser().resolve() / name
    return path.read_text("ascii") if path.exists() else None
