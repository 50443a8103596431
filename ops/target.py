"""Which stack a command works on, and how it gets there.

Invariant: one order of looking, the same for every command: the environment (``DATABASE_URL``, ``REDIS_URL``,
``SECRET_KEY``), else the servers that an ``ordermill up`` runs on the data folder, else one line that says what to
do. A command never starts servers of its own on somebody's data.
"""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from msgspec import Struct

from ops.output import CommandError

if TYPE_CHECKING:
    from infra.security import Tokens

F = TypeVar("F", bound=Callable[..., Any])
CONNECT_SECONDS_MAX = 10.0


class Target(Struct, frozen=True):
    """A stack's addresses and its key; what isn't known is empty."""

    database_url: str
    redis_url: str
    secret_key: str
    sandbox_webhook_secret: str = ""

    def environment(self) -> dict[str, str]:
        """The settings that lead a process there; what isn't known is what the environment says."""
        known = {"SANDBOX_WEBHOOK_SECRET": self.sandbox_webhook_secret} if self.sandbox_webhook_secret else {}
        return {"DATABASE_URL": self.database_url, "REDIS_URL": self.redis_url, "SECRET_KEY": self.secret_key, **known}


def data_option(command: F) -> F:
    """Give a click command ``--data``; it gets a path named ``data``."""

    def take(context: click.Context, _parameter: click.Parameter, value: Path | None) -> Path | None:
        outer = context.parent.params.get("data") if context.parent is not None else None
        return outer if value is None else value

    option = click.option(
        "--data",
        type=click.Path(path_type=Path, file_okay=False),
        default=None,
        callback=take,
        metavar="DIR",
        help="The embedded stack's folder. Not used when DATABASE_URL is set.",
    )
    return option(command)


def from_environment() -> Target | None:
    """The stack that the environment names; None without ``DATABASE_URL``."""
    database_url = os.environ.get("DATABASE_URL", "")
    if not database_url:
        return None
    return Target(database_url, os.environ.get("REDIS_URL", ""), os.environ.get("SECRET_KEY", ""))


def data_folder(data: Path | None) -> Path:
    """The embedded stack's folder: the one asked for, or this user's own."""
    from ops.stack import default_data  # noqa: PLC0415 - commands on DATABASE_URL need none of it

    return (default_data() if data is None else data).expanduser().resolve()


def find(data: Path | None) -> Target:
    """The running stack to work on; raises CommandError when there is none."""
    named = from_environment()
    if named is not None:
        return named
    from ops.stack import running_urls, stored_sandbox_secret, stored_secret_key  # noqa: PLC0415 - see data_folder

    folder = data_folder(data)
    urls = running_urls(folder)
    if urls is None:
        raise CommandError(
            f"nothing runs on {folder}: start it with `ordermill up --data {folder}`, or set DATABASE_URL"
        )
    return Target(
        urls.database_url, urls.redis_url, stored_secret_key(folder) or "", stored_sandbox_secret(folder) or ""
    )


def find_secret_key(data: Path | None) -> str:
    """The key that tokens are signed with: ``SECRET_KEY``, else the data folder's; its stack need not run."""
    key = os.environ.get("SECRET_KEY", "")
    if key:
        return key
    if from_environment() is not None:
        raise CommandError("SECRET_KEY is not set: DATABASE_URL names the stack, so its key has to come with it")
    from ops.stack import stored_secret_key  # noqa: PLC0415 - see data_folder

    folder = data_folder(data)
    stored = stored_secret_key(folder)
    if stored is None:
        raise CommandError(f"{folder} has no key yet: start it once with `ordermill up --data {folder}`")
    return stored


def tokens_of(secret_key: str) -> "Tokens":
    """Who signs tokens here: the keys of ``SIGNING_KEYS_FILE``, else the secret key. Raises CommandError."""
    from infra.security import Tokens  # noqa: PLC0415 - help needs no cryptography
    from infra.signing import KeySetError  # noqa: PLC0415 - as above

    try:
        return Tokens(secret_key, os.environ.get("SIGNING_KEYS_FILE", ""))
    except KeySetError as error:
        raise CommandError(f"SIGNING_KEYS_FILE: {error}") from None


@asynccontextmanager
async def connect(target: Target) -> AsyncIterator[Any]:
    """One connection to the target's database; raises CommandError when it can't be had."""
    import asyncpg  # noqa: PLC0415 - help and token need no driver

    try:
        connection = await asyncpg.connect(target.database_url, timeout=CONNECT_SECONDS_MAX)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        raise CommandError(f"PostgreSQL can't be reached: {str(error) or type(error).__name__}") from None
    try:
        yield connection
    except asyncpg.UndefinedTableError as error:
        raise CommandError(f"{error}: run `ordermill migrate` first") from None
    finally:
        await connection.close()


def ring(target: Target, bells: set[tuple[str, str]]) -> None:
    """Ring for (job, lane) pairs. Nobody hearing costs a second: workers look by themselves."""
    if not target.redis_url:
        return
    from infra.broker import Doorbell, Silent  # noqa: PLC0415 - most commands ring nothing

    doorbell = Doorbell(target.redis_url)
    try:
        for job, lane in sorted(bells):
            doorbell.ring(job, lane)
    except Silent:
        click.echo("ordermill: Redis doesn't answer; workers will look by themselves within a second", err=True)
    finally:
        doorbell.close()
