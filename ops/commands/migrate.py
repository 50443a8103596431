"""Bring the database's schema up to date; safe to run twice and at once."""

import asyncio
from pathlib import Path

import click
from msgspec import Struct

from ops import target
from ops.output import CommandError, Output, json_option


class Migrated(Struct, frozen=True):
    """How many migrations ran."""

    migrations: int


@click.command("migrate", help=__doc__)
@target.data_option
@json_option
def command(data: Path | None, output: Output) -> None:
    """Migrate."""
    import asyncpg  # noqa: PLC0415 - not before help has been shown

    from infra.migrate import migrate  # noqa: PLC0415 - Piccolo takes a moment to load

    url = target.find(data).database_url
    try:
        done = asyncio.run(migrate(url))
    except (OSError, TimeoutError, RuntimeError, asyncpg.PostgresError) as error:
        raise CommandError(f"the schema can't be brought up to date: {error or type(error).__name__}") from None
    output.say(f"{done} migration{'' if done == 1 else 's'} run; the schema is up to date")
    output.result(Migrated(done))
