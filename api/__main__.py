"""``python -m api``: the HTTP server."""

import os
from typing import Any

from granian.constants import Interfaces, Loops
from granian.log import LogLevels
from granian.server.mp import MPServer

from infra.boot import boot
from infra.security import Tokens
from infra.settings import SettingError, end
from infra.siblings import counting_together
from infra.signing import KeySetError


class Server(MPServer):
    """Granian's own process, which starts the one that serves and stops it."""

    def signal_handler_interrupt(self, *args: Any, **kwargs: Any) -> None:
        """Stop at the first signal; later ones change nothing.

        Granian sets a threading.Event here. A second signal during that (a parent with threads was killed, or
        Ctrl-C under a supervisor) would wait forever for the lock the first one holds.
        """
        if not self.interrupt_signal:
            super().signal_handler_interrupt(*args, **kwargs)  # type: ignore[no-untyped-call]


def serve(target: str) -> None:
    """Serve an app, named by module and factory, until SIGTERM or SIGINT."""
    settings = boot("api")
    try:
        Tokens(settings.secret_key, settings.signing_keys_file)
    except KeySetError as error:
        end(SettingError(f"SIGNING_KEYS_FILE: {error}"))
    os.environ["ORDERMILL_PARENT"] = str(os.getpid())
    with counting_together(settings.http_processes):
        Server(
            target,
            factory=True,
            address=settings.http_host,
            port=settings.http_port,
            interface=Interfaces.ASGI,
            workers=settings.http_processes,
            loop=Loops.uvloop,
            websockets=False,
            backlog=2048,
            backpressure=4096,
            log_level=LogLevels.warning,
            workers_kill_timeout=15,
            respawn_failed_workers=True,
        ).serve()


if __name__ == "__main__":
    serve("api.app:application")
