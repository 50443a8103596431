"""Run everything until Ctrl-C: PostgreSQL and Valkey, api, workers, scheduler."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import click
from msgspec import Struct

from ops import target
from ops.output import CommandError, Output, json_option

if TYPE_CHECKING:
    from ops.sample import Owners
    from ops.stack import Supervisor

TOKEN_SECONDS = 7 * 86_400


class Up(Struct, frozen=True):
    """Where everything listens, and with ``--sample`` who may use it."""

    url: str
    database_url: str
    redis_url: str
    logs: str
    buyer: UUID | None = None
    buyer_token: str | None = None
    admin_token: str | None = None
    owners: list[str] | None = None
    """The addresses of the sample's sellers' owners, when it was written just now."""
    owners_password: str | None = None


class _Stop(BaseException):
    """Ctrl-C or SIGTERM: everything is to be stopped. Not an Exception, so that nobody takes it for a failure."""


@click.command("up", help=__doc__)
@click.option("--sample", is_flag=True, help="Write a small catalog; print tokens and its owners' login.")
@click.option("--port", type=click.IntRange(1, 65_535), default=None, help="Where the api listens [default: 8000].")
@target.data_option
@json_option
def command(sample: bool, port: int | None, data: Path | None, output: Output) -> None:  # noqa: FBT001 - click passes by name
    """Start one after the other, then wait."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    try:
        with _until_signal():
            _run(sample=sample, port=port, data=data, output=output)
    except _Stop:
        output.say("stopped")


@contextlib.contextmanager
def _until_signal() -> Iterator[None]:
    """Raise :class:`_Stop` in the main thread at the first signal; later ones don't cut the stopping short."""

    def stop(_signum: int, _frame: object) -> None:
        for signum in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, signal.SIG_IGN)
        raise _Stop

    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, stop)
    yield


def _run(*, sample: bool, port: int | None, data: Path | None, output: Output) -> None:
    from ops.stack import EmbeddedStack, Supervisor  # noqa: PLC0415 - help needs none of it

    port = port or int(os.environ.get("HTTP_PORT", "") or 8000)
    _require_free(port)
    folder = target.data_folder(data)
    named = target.from_environment()
    if named is not None:
        for name, value in named.environment().items():
            if not value:
                raise CommandError(f"{name} is not set: with DATABASE_URL it has to be")
        supervisor = Supervisor()
        try:
            # By port, because two of these may run at once: each on other servers.
            _serve(named, supervisor, folder / "logs" / str(port), port=port, sample=sample, output=output)
        finally:
            supervisor.stop()
        return
    if os.environ.get("REDIS_URL"):
        raise CommandError("REDIS_URL is set without DATABASE_URL: set both, or neither for the embedded stack")
    output.say(f"data    {folder}")
    with EmbeddedStack(folder) as stack:
        sandbox = os.environ.get("SANDBOX_WEBHOOK_SECRET", "") or stack.sandbox_webhook_secret
        here = target.Target(stack.urls.database_url, stack.urls.redis_url, stack.secret_key, sandbox)
        logs, tried_out = stack.data / "logs", _tried_out(port)
        _serve(here, stack.supervisor, logs, port=port, sample=sample, output=output, tried_out=tried_out)


def _tried_out(port: int) -> dict[str, str]:
    """What differs on a stack of our own, unless the environment says otherwise.

    Nobody's mailbox is behind it, so who registers may log in at once; the sandbox tells this api what became of
    payments.
    """
    from ops.processes import sandbox_address  # noqa: PLC0415 - see _run

    ours = {"EMAIL_VERIFICATION": "optional", "SANDBOX_WEBHOOK_URL": sandbox_address(port)}
    return {name: os.environ.get(name, "") or value for name, value in ours.items()}


def _require_free(port: int) -> None:
    host = os.environ.get("HTTP_HOST", "") or "127.0.0.1"
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CommandError(f"{host}:{port} can't be listened on ({error.strerror}); choose a --port") from None


def _serve(
    here: target.Target,
    supervisor: "Supervisor",
    logs: Path,
    *,
    port: int,
    sample: bool,
    output: Output,
    tried_out: Mapping[str, str] = MappingProxyType({}),
) -> None:
    from ops.processes import IO_LANES, Fleet  # noqa: PLC0415 - see _run

    owners = asyncio.run(_prepare(here, sample=sample, output=output))
    fleet = Fleet(supervisor, logs=logs, env={**here.environment(), **tried_out})
    with fleet.together():
        fleet.worker("worker-core")
        fleet.worker("worker-io", lanes=IO_LANES)
        fleet.scheduler()
        url = fleet.web(port=port)
    ready = _ready(here, url, logs, sample=sample, owners=owners)
    output.say(f"api     {ready.url}  (docs at {ready.url}/docs)")
    output.say(f"logs    {ready.logs}")
    if ready.buyer_token is not None:
        output.say(f"buyer   {ready.buyer_token}")
        output.say(f"admin   {ready.admin_token}")
    if ready.owners is not None:
        output.say(f"owners  {', '.join(ready.owners)}")
        output.say(f"        log in at POST /auth/login with {ready.owners_password} (shown only now)")
    output.say("Ctrl-C stops everything.")
    output.result(ready)
    threading.Event().wait()


async def _prepare(here: target.Target, *, sample: bool, output: Output) -> "Owners | None":
    """Refuse settings that can't work, bring the schema up to date, write the sample."""
    from infra.migrate import migrate  # noqa: PLC0415 - see _run
    from infra.postgres import check_connections  # noqa: PLC0415
    from infra.settings import read  # noqa: PLC0415
    from ops.sample import write_sample  # noqa: PLC0415

    await check_connections(read({**os.environ, **here.environment()}))
    done = await migrate(here.database_url)
    if done:
        output.say(f"schema  {done} migration{'' if done == 1 else 's'} run")
    if not sample:
        return None
    async with target.connect(here) as conn:
        owners = await write_sample(conn)
    output.say("sample  3 sellers, 20 products" if owners else "sample  is there already")
    return owners


def _ready(here: target.Target, url: str, logs: Path, *, sample: bool, owners: "Owners | None") -> Up:
    from domain.accounts.model import Role  # noqa: PLC0415 - see _run

    up = Up(url, here.database_url, here.redis_url, str(logs))
    if not sample:
        return up
    tokens, buyer = target.tokens_of(here.secret_key), uuid4()
    return Up(
        up.url,
        up.database_url,
        up.redis_url,
        up.logs,
        buyer,
        tokens.sign(buyer, frozenset({Role.BUYER}), TOKEN_SECONDS),
        tokens.sign(uuid4(), frozenset({Role.ADMIN}), TOKEN_SECONDS),
        None if owners is None else owners.emails,
        None if owners is None else owners.password,
    )
