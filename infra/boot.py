"""How each of our processes begins: its parent, its settings, its logs, its share of connections."""

import asyncio

from infra import postgres, settings, telemetry
from infra.process import die_with_parent
from infra.settings import SettingError, Settings


def boot(process: str) -> Settings:
    """Prepare the process named ``process`` (api, worker, scheduler); ends it with one line if a setting won't do.

    PostgreSQL being away is no reason to end: it may come up after us.
    """
    die_with_parent()
    config = settings.load()
    telemetry.configure(config, process)
    try:
        asyncio.run(postgres.check_connections(config))
    except SettingError as error:
        settings.end(error)
    except Exception as error:
        if postgres.classify(error) is not postgres.Failure.INFRASTRUCTURE:
            raise
    return config
