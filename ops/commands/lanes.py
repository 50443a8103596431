"""List lanes with what waits in them; pause and resume them."""

import asyncio
from pathlib import Path

import click

from domain.commands import jobs_by_lane
from domain.journal import reads
from domain.journal.model import SYSTEM, Lane
from domain.operation.reads import LaneList, LaneView, load_lanes
from ops import target
from ops.output import Output, json_option

LANE = click.Choice([lane.value for lane in Lane])


@click.group("lanes", help=__doc__, invoke_without_command=True)
@target.data_option
@json_option
@click.pass_context
def command(context: click.Context, data: Path | None, output: Output) -> None:
    """List, unless a subcommand says otherwise."""
    if context.invoked_subcommand is None:
        _list(data, output)


@command.command("list")
@target.data_option
@json_option
def list_lanes(data: Path | None, output: Output) -> None:
    """List lanes: commands waiting, age of the oldest, parked ones, live workers."""
    _list(data, output)


@command.command()
@click.argument("name", type=LANE)
@target.data_option
@json_option
def pause(name: str, data: Path | None, output: Output) -> None:
    """Have no worker claim from lane NAME; holds until it is resumed, across restarts."""
    view = asyncio.run(_change(target.find(data), reads.PAUSE_LANE, Lane(name), SYSTEM))
    output.say(f"{name} is paused; batches in hand are finished")
    output.result(view)


@command.command()
@click.argument("name", type=LANE)
@target.data_option
@json_option
def resume(name: str, data: Path | None, output: Output) -> None:
    """Have workers claim from lane NAME again."""
    stack = target.find(data)
    view = asyncio.run(_change(stack, reads.RESUME_LANE, Lane(name)))
    target.ring(stack, {(job, name) for job in jobs_by_lane()[Lane(name)]})
    output.say(f"{name} is open")
    output.result(view)


def _list(data: Path | None, output: Output) -> None:
    lanes = asyncio.run(_load(target.find(data)))
    output.table(
        ("lane", "job", "waiting", "oldest s", "failed", "workers", "state"),
        [row for lane in lanes for row in _rows(lane)],
    )
    output.result(LaneList(lanes))


def _rows(lane: LaneView) -> list[tuple[object, ...]]:
    state = "paused" if lane.paused else "open"
    if not lane.jobs:
        return [(lane.lane.value, "", 0, None, 0, lane.workers, state)]
    return [
        (
            lane.lane.value,
            job.job,
            job.depth,
            # What is put off has a time in the future: nothing of it is late.
            None if job.oldest_seconds is None else f"{max(job.oldest_seconds, 0):.1f}",
            job.parked,
            lane.workers,
            state,
        )
        for job in lane.jobs
    ]


async def _load(stack: target.Target) -> list[LaneView]:
    async with target.connect(stack) as conn:
        return await load_lanes(conn)


async def _change(stack: target.Target, statement: str, lane: Lane, *by: object) -> LaneView:
    async with target.connect(stack) as conn:
        await conn.execute(statement, lane.value, *by)
        return next(view for view in await load_lanes(conn) if view.lane is lane)
