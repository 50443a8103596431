"""``python -m api``: the HTTP server."""

import os

from granian import Granian
from granian.constants import Interfaces, Loops
from granian.log import LogLevels

from infra.boot import boot


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    settings = boot("api")
    os.environ["ORDERMILL_PARENT"] = str(os.getpid())
    Granian(
        "api.app:application",
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
    main()
