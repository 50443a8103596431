"""Run a sweep now: submit it to the journal as a command."""

import asyncio
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import click
import msgspec
from msgspec import Struct

from domain.commands import SWEEPS
from domain.journal.model import SYSTEM, Command, NewCommand, Status
from domain.journal.reads import load_ended
from domain.journal.sql import insert_commands
from infra.clock import new_id
from ops import target
from ops.output import CommandError, Output, json_option

LOOK_SECONDS = 0.05


class Swept(Struct, frozen=True):
    """A sweep's command, and how it ended if that was waited for."""

    job_id: UUID
    job: str
    status: Status
    result: msgspec.Raw | None = None


@click.command("sweep", help=__doc__)
@click.argument("job", type=click.Choice(sorted(SWEEPS)))
@click.option("--wait", is_flag=True, help="Wait until it has ended; status 1 unless it succeeded.")
@click.option(
    "--seconds", type=click.FloatRange(0.1, 3600), default=60, show_default=True, help="How long to wait at most."
)
@target.data_option
@json_option
def command(job: str, wait: bool, seconds: float, data: Path | None, output: Output) -> None:  # noqa: FBT001 - click passes by name
    """Submit, ring, and wait if asked to."""
    swept = asyncio.run(_sweep(target.find(data), SWEEPS[job], seconds if wait else 0.0))
    output.say(f"{swept.job} {swept.job_id}: {swept.status.value}")
    if swept.result is not None:
        output.say(bytes(swept.result).decode())
    output.result(swept)
    sys.exit(1 if wait and swept.status is not Status.SUCCEEDED else 0)


async def _sweep(stack: target.Target, sweep: Command, wait_seconds: float) -> Swept:
    new = NewCommand(
        id=new_id(),
        principal=SYSTEM,
        command=sweep,
        payload=msgspec.json.encode(sweep).decode(),
        correlation=f"sweep:{sweep.job}",
    )
    async with target.connect(stack) as conn:
        await insert_commands(conn, [new])
        await asyncio.to_thread(target.ring, stack, {(sweep.job, sweep.lane.value)})
        if not wait_seconds:
            return Swept(new.id, sweep.job, Status.QUEUED)
        return await _wait(conn, new, wait_seconds)


async def _wait(conn: Any, new: NewCommand, seconds: float) -> Swept:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while loop.time() < deadline:
        ended = (await load_ended(conn, [new.id])).get(new.id)
        if ended is not None:
            result = None if ended.result is None else msgspec.Raw(ended.result.encode())
            return Swept(new.id, new.command.job, ended.status, result)
        await asyncio.sleep(LOOK_SECONDS)
    lane = new.command.lane.value
    raise CommandError(f"{new.command.job} {new.id} has not ended in {seconds:g} s; does a worker serve lane {lane}?")
