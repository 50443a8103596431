"""``python -m api``: the HTTP server."""

import asyncio
import os

from granian import Granian
from granian.constants import Interfaces, Loops
from granian.log import LogLevels

from infra import postgres
from infra import settings as settings_module
from infra.postgres import check_connections
from infra.process import die_with_parent
from infra.settings import SettingError


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    die_with_parent()
    settings = settings_module.load()
    try:
        asyncio.run(check_connections(settings))
    except SettingError as error:
        settings_module.end(error)
    except Exception as error:
        # PostgreSQL may come up after us; until then requests are answered with 503.
        if postgres.classify(error) is not postgres.Failure.INFRASTRUCTURE:
            raise
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
