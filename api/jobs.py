"""Jobs: look up, list, follow, cancel while queued, retry."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, Router, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, QueryParameter
from litestar.response import Stream

from api import once
from api.access import allow, authorise
from api.answers import transaction
from api.context import Edge, edge_of, encode
from api.openapi import PROBLEMS
from api.paging import LAST, Cursor, Limit, Page, paged
from api.problems import refuse
from api.submission import JobView, ring, view_of
from domain import ids
from domain.accounts.model import Role, Scope
from domain.commands import COMMANDS
from domain.journal import reads, sql
from domain.journal.model import Status
from domain.journal.reads import JobState, load_jobs
from domain.rejections import Code
from infra.security import Principal

JSON = "application/json"
FOLLOW_SECONDS_MAX = 600.0
HEARTBEAT_SECONDS = 15.0
DAY_MS = 86_400_000


class JobPage(Page[JobView], frozen=True):
    """A page of jobs, newest first."""


async def _job_of(edge: Edge, conn: Any, principal: Principal, job_id: UUID) -> JobState:
    job = (await load_jobs(conn, [job_id])).get(job_id)
    if job is None:
        age_ms = time.time() * 1000 - ids.unix_ms(job_id)
        if age_ms > edge.settings.journal_days * DAY_MS and ids.unix_ms(job_id) > 0:
            raise refuse(410, Code.GONE, "retention has dropped this job; what it did stays")
        raise refuse(404, Code.NOT_FOUND, "there is no such job of yours")
    if not principal.is_admin and job.principal != principal.id:
        raise refuse(404, Code.NOT_FOUND, "there is no such job of yours")
    return job


@get(
    "/jobs/{job_id:uuid}",
    operation_id="get_job",
    opt=allow(*Role, scope=Scope.JOBS_READ),
    summary="Look up a job",
    responses={200: ResponseSpec(JobView, generate_examples=False), **PROBLEMS(401, 403, 404, 410, 503)},
)
async def get_job(request: Request[Any, Any, Any], job_id: FromPath[UUID]) -> Response[bytes]:
    """Show where a job stands, with its result or the problem it ended in."""
    edge = edge_of(request.app.state)
    principal = await authorise(request)
    async with edge.pool.acquire(timeout=2) as conn:
        job = await _job_of(edge, conn, principal, job_id)
    view = view_of(job, for_admin=principal.is_admin)
    headers = {} if job.status.ended else {"Retry-After": "1"}
    return Response(encode(view), media_type=JSON, headers=headers)


@get(
    "/jobs",
    operation_id="list_jobs",
    opt=allow(*Role, scope=Scope.JOBS_READ),
    summary="List jobs, newest first",
    responses={200: ResponseSpec(JobPage, generate_examples=False), **PROBLEMS(400, 401, 403, 503)},
)
async def list_jobs(
    request: Request[Any, Any, Any],
    limit: Limit = None,
    cursor: Cursor = None,
    status: Annotated[str | None, QueryParameter(name="status", max_length=20)] = None,
) -> Response[bytes]:
    """Show one's own jobs; an admin sees all, and with ``status=failed`` those that are parked."""
    edge = edge_of(request.app.state)
    principal = await authorise(request)
    if status is not None and (status != Status.FAILED or not principal.is_admin):
        raise refuse(400, Code.INVALID_REQUEST, "status can only be failed, for an admin", "status")
    # Nothing is older than retention allows: the bound keeps partitions that don't matter out of the plan.
    first_ms = int(time.time() * 1000) - (edge.settings.journal_days + 2) * DAY_MS
    first = ids.compose(max(first_ms, 0), bytes(ids.ENTROPY_BYTES))

    async def read(conn: Any, after: UUID | None, count: int) -> list[UUID]:
        below = after or LAST
        if status is not None:
            rows = await conn.fetch(reads.LIST_PARKED, below, count)
        elif principal.is_admin:
            rows = await conn.fetch(reads.LIST_JOBS, below, first, count)
        else:
            rows = await conn.fetch(reads.LIST_JOBS_OF, principal.id, below, first, count)
        return [row["id"] for row in rows]

    async def show(conn: Any, found: list[UUID]) -> list[JobView]:
        jobs = await load_jobs(conn, found)
        return [view_of(jobs[job_id], for_admin=principal.is_admin) for job_id in found if job_id in jobs]

    return await paged(request, JobPage, limit, cursor, kind=UUID, read=read, key_of=lambda job_id: job_id, show=show)


@get(
    "/jobs/{job_id:uuid}/events",
    operation_id="follow_job",
    opt=allow(*Role, scope=Scope.JOBS_READ),
    summary="Follow a job (server-sent events)",
    responses={
        200: ResponseSpec(
            str,
            generate_examples=False,
            media_type="text/event-stream",
            description="`job` events: the job as it is now, and once more when it has ended",
        ),
        **PROBLEMS(401, 403, 404, 410, 503),
    },
)
async def follow_job(request: Request[Any, Any, Any], job_id: FromPath[UUID]) -> Stream:
    """Send the job now, and once more when it has ended; then the stream closes."""
    edge = edge_of(request.app.state)
    principal = await authorise(request)
    async with edge.pool.acquire(timeout=2) as conn:
        job = await _job_of(edge, conn, principal, job_id)
    return Stream(
        _follow(edge, principal, job),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


def _message(job: JobState, principal: Principal) -> bytes:
    return b"event: job\ndata: " + encode(view_of(job, for_admin=principal.is_admin)) + b"\n\n"


async def _follow(edge: Edge, principal: Principal, job: JobState) -> AsyncIterator[bytes]:
    yield _message(job, principal)
    until = asyncio.get_running_loop().time() + FOLLOW_SECONDS_MAX
    while not job.status.ended and asyncio.get_running_loop().time() < until and edge.ready:
        future = edge.waiters.register(job.id)
        edge.waiters.look_now(job.id)
        try:
            ended = await asyncio.wait_for(future, HEARTBEAT_SECONDS)
        except TimeoutError:
            yield b": still waiting\n\n"
            continue
        finally:
            edge.waiters.forget(job.id, future)
        if ended is None:
            return
        async with edge.pool.acquire(timeout=2) as conn:
            job = await _job_of(edge, conn, principal, job.id)
        yield _message(job, principal)


@once.post(
    "/jobs/{job_id:uuid}/cancel",
    status_code=200,
    operation_id="cancel_job",
    opt=allow(*Role, scope=Scope.JOBS_WRITE),
    summary="Cancel a job that is still queued",
    responses={200: ResponseSpec(JobView, generate_examples=False), **PROBLEMS(401, 403, 404, 409, 410, 503)},
)
async def cancel_job(request: Request[Any, Any, Any], job_id: FromPath[UUID]) -> Response[bytes]:
    """Take a queued or parked command back; one that runs or has ended answers 409."""
    edge = edge_of(request.app.state)
    principal = await authorise(request)
    async with transaction(request) as conn:
        job = await _job_of(edge, conn, principal, job_id)
        cancelled = await conn.fetchval(reads.CANCEL_QUEUED, job_id)
        if cancelled is None:
            job = await _job_of(edge, conn, principal, job_id)
            state = job.status.value if job.status is not Status.QUEUED else "running"
            raise refuse(409, Code.JOB_STATE, f"the job is {state}; only a queued one is cancelled")
        job = await _job_of(edge, conn, principal, job_id)
    return Response(encode(view_of(job, for_admin=principal.is_admin)), media_type=JSON)


@once.post(
    "/jobs/{job_id:uuid}/retry",
    status_code=202,
    operation_id="retry_job",
    opt=allow(Role.ADMIN, scope=Scope.OPERATION_WRITE),
    summary="Send a failed job back to the queue",
    responses={202: ResponseSpec(JobView, generate_examples=False), **PROBLEMS(401, 403, 404, 409, 410, 503)},
)
async def retry_job(request: Request[Any, Any, Any], job_id: FromPath[UUID]) -> Response[bytes]:
    """Have a parked command run again, alone."""
    edge = edge_of(request.app.state)
    principal = await authorise(request)
    async with transaction(request) as conn:
        job = await _job_of(edge, conn, principal, job_id)
        name = await conn.fetchval(sql.UNPARK, job_id, 1)
        if name is None:
            raise refuse(409, Code.JOB_STATE, f"the job is {job.status.value}; only a failed one is retried")
        job = await _job_of(edge, conn, principal, job_id)
    lane = next((command.lane.value for command in COMMANDS if command.job == name), None)
    if lane is not None:
        ring(request, {(name, lane)})
    view = view_of(job, for_admin=True)
    headers = {"Location": f"/jobs/{job_id}", "Retry-After": "1"}
    return Response(encode(view), status_code=202, media_type=JSON, headers=headers)


router = Router(path="/", route_handlers=[get_job, list_jobs, follow_job, cancel_job, retry_job], tags=["jobs"])
