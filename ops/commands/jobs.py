"""List jobs, show one, send failed ones back to the queue."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import click
import msgspec
from msgspec import Struct

from domain.commands import COMMANDS
from domain.journal import reads, sql
from domain.journal.model import Status
from domain.journal.reads import JobState, load_jobs
from domain.rejections import Rejection
from ops import target
from ops.output import CommandError, Output, json_option

FIRST, LAST = UUID(int=0), UUID(int=2**128 - 1)
RETRY_STEP = 500


class JobRow(Struct, frozen=True):
    """A job as an operator sees it; ``error`` tells why a failed one is parked, or why one waits."""

    id: UUID
    kind: str
    status: Status
    attempts: int
    principal: UUID
    created_at: str
    finished_at: str | None
    result: msgspec.Raw | None
    problem: Rejection | None
    error: str | None


class JobRows(Struct, frozen=True):
    """Jobs, newest first."""

    items: list[JobRow]


class Retried(Struct, frozen=True):
    """The jobs that are in the queue again."""

    retried: list[UUID]


@click.group("jobs", help=__doc__)
def command() -> None:
    """Hold the subcommands."""


@command.command("list")
@click.option("--failed", is_flag=True, help="Only those that are parked.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True)
@target.data_option
@json_option
def list_jobs(failed: bool, limit: int, data: Path | None, output: Output) -> None:  # noqa: FBT001 - click passes by name
    """List jobs, newest first."""
    jobs = asyncio.run(_list(target.find(data), failed=failed, limit=limit))
    output.table(
        ("id", "kind", "status", "attempts", "created", "error" if failed else "finished"),
        [
            (job.id, job.kind, job.status.value, job.attempts, job.created_at, job.error if failed else job.finished_at)
            for job in jobs
        ],
    )
    output.result(JobRows(jobs))


@command.command()
@click.argument("job_id", metavar="ID", type=click.UUID)
@target.data_option
@json_option
def show(job_id: UUID, data: Path | None, output: Output) -> None:
    """Show the job ID with its result, its problem or why it failed."""
    found = asyncio.run(_load(target.find(data), [job_id]))
    if not found:
        raise CommandError(f"there is no job {job_id}; retention may have dropped it")
    job = found[0]
    for name in job.__struct_fields__:
        value = getattr(job, name)
        if value is not None:
            output.say(f"{name:12} {msgspec.json.encode(value).decode().strip(chr(34))}")
    output.result(job)


@command.command()
@click.argument("job_id", metavar="ID", type=click.UUID, required=False)
@click.option("--all-failed", is_flag=True, help="Every parked job.")
@target.data_option
@json_option
def retry(job_id: UUID | None, all_failed: bool, data: Path | None, output: Output) -> None:  # noqa: FBT001 - click passes by name
    """Send the failed job ID back to the queue, to run alone."""
    if (job_id is None) is not all_failed:
        raise click.UsageError("name a job or say --all-failed")
    stack = target.find(data)
    retried = asyncio.run(_retry(stack, job_id))
    lanes = {kind.job: kind.lane.value for kind in COMMANDS}
    target.ring(stack, {(job, lanes[job]) for job in retried.values() if job in lanes})
    output.say(f"{len(retried)} job{'' if len(retried) == 1 else 's'} back in the queue")
    output.result(Retried(list(retried)))


def _row(job: JobState) -> JobRow:
    return JobRow(
        id=job.id,
        kind=job.job,
        status=job.status,
        attempts=job.attempts,
        principal=job.principal,
        created_at=job.created_at.isoformat(timespec="milliseconds"),
        finished_at=None if job.finished_at is None else job.finished_at.isoformat(timespec="milliseconds"),
        result=None if job.result is None else msgspec.Raw(job.result.encode()),
        problem=job.problem,
        error=job.error,
    )


async def _list(stack: target.Target, *, failed: bool, limit: int) -> list[JobRow]:
    async with target.connect(stack) as conn:
        if failed:
            rows = await conn.fetch(reads.LIST_PARKED, LAST, limit)
        else:
            rows = await conn.fetch(reads.LIST_JOBS, LAST, FIRST, limit)
        ids = [row["id"] for row in rows]
        jobs = await load_jobs(conn, ids)
    return [_row(jobs[job_id]) for job_id in ids if job_id in jobs]


async def _load(stack: target.Target, ids: Sequence[UUID]) -> list[JobRow]:
    async with target.connect(stack) as conn:
        return [_row(job) for job in (await load_jobs(conn, ids)).values()]


async def _retry(stack: target.Target, job_id: UUID | None) -> dict[UUID, str]:
    """Unpark one job or all of them; return which, with their kinds."""
    async with target.connect(stack) as conn:
        if job_id is None:
            return await _retry_all(conn)
        kind = await conn.fetchval(sql.UNPARK, job_id, 1)
        if kind is None:
            jobs = await load_jobs(conn, [job_id])
            state = jobs[job_id].status.value if job_id in jobs else "not there"
            raise CommandError(f"job {job_id} is {state}; only a failed one is retried")
        return {job_id: kind}


async def _retry_all(conn: Any) -> dict[UUID, str]:
    retried: dict[UUID, str] = {}
    below = LAST
    while True:
        # Downwards by id: what fails again meanwhile isn't met twice.
        ids = [row["id"] for row in await conn.fetch(reads.LIST_PARKED, below, RETRY_STEP)]
        if not ids:
            return retried
        for parked in ids:
            kind = await conn.fetchval(sql.UNPARK, parked, 1)
            if kind is not None:
                retried[parked] = kind
        below = ids[-1]
