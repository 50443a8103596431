"""Submit a command for a request: idempotency key, group commit, and the answer, waited for or not.

Answers are ASGI responses, ready to send: this is the hot path, and Litestar's own Response would be taken apart
and put together again on each request.
"""

import asyncio
import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from litestar import Request
from litestar.openapi.datastructures import ResponseSpec
from litestar.response.base import ASGIResponse
from msgspec import Struct

from api.accept import Accepted
from api.context import CORRELATION, HELD, TRACE, Edge, Held, edge_of, encode, field
from api.problems import Problem, problem_answer, problem_of, refuse
from domain.journal.keys import digest
from domain.journal.model import SYSTEM, Command, NewCommand, Status
from domain.journal.reads import Ended, JobState, load_jobs
from domain.rejections import Code, Rejection
from infra.clock import new_id
from infra.security import Principal

_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,15}(?:\.\d{1,3})?)\"?(?=$|[,;\s])", re.IGNORECASE)
_KEY = re.compile(r"^[\x21-\x7e]+(?: [\x21-\x7e]+)*$")
RETRY_AFTER_SECONDS = "1"


class JobLinks(Struct, frozen=True):
    """Where to go from a job."""

    self: str
    events: str
    order: str | None = None


class JobView(Struct, frozen=True):
    """A job as clients see it. ``problem`` is set for rejected and failed ones, ``result`` for succeeded ones."""

    id: UUID
    kind: str
    status: Status
    attempts: int
    created_at: datetime
    finished_at: datetime | None
    result: msgspec.Raw | None
    problem: Problem | None
    links: JobLinks


ACCEPTED: dict[int, ResponseSpec] = {
    200: ResponseSpec(JobView, generate_examples=False, description="done, as the client waited for it"),
    202: ResponseSpec(JobView, generate_examples=False),
}
"""What a command that was accepted is answered with, but for its problems."""


_ABOUT_ORDERS = {"place_orders"}


def _links(job_id: UUID, kind: str) -> JobLinks:
    path = f"/jobs/{job_id}"
    return JobLinks(path, f"{path}/events", f"/orders/{job_id}" if kind in _ABOUT_ORDERS else None)


def _failure(error: str | None, *, for_admin: bool) -> Rejection:
    detail = "the job could not be run and waits for an operator"
    if for_admin and error:
        detail = f"{detail}: {error}"
    return Rejection(500, Code.JOB_FAILED, detail[:2000])


def view_of(job: JobState, *, for_admin: bool = False) -> JobView:
    """Show a job; what went wrong inside is for admins only."""
    rejection = job.problem
    if job.status is Status.FAILED:
        rejection = _failure(job.error, for_admin=for_admin)
    problem = None if rejection is None else problem_of(rejection, f"/jobs/{job.id}")
    return JobView(
        id=job.id,
        kind=job.job,
        status=job.status,
        attempts=job.attempts,
        created_at=job.created_at,
        finished_at=job.finished_at,
        result=None if job.result is None else msgspec.Raw(job.result.encode()),
        problem=problem,
        links=_links(job.id, job.job),
    )


def wait_seconds(request: Request[Any, Any, Any], seconds_max: float) -> float | None:
    """How long the client would wait (``Prefer: wait=N``, RFC 7240), at most what is allowed; None if not at all."""
    prefer = field(request, b"prefer")
    if prefer is None:
        return None
    found = _WAIT.search(prefer)
    if found is None:
        # It may come in several headers, which count as one list.
        found = _WAIT.search(", ".join(request.headers.getall("prefer")))
    return None if found is None else min(float(found[1]), seconds_max)


def correlation_of(request: Request[Any, Any, Any]) -> str:
    """The request's correlation id, made now if it has none yet."""
    scope: Any = request.scope
    correlation: str = scope[CORRELATION] or str(new_id())
    scope[CORRELATION] = correlation
    return correlation


def command_of(command: Command, correlation: str, principal: UUID = SYSTEM) -> NewCommand:
    """A command that follows from a request, about to be written in the request's own transaction."""
    return NewCommand(
        id=new_id(),
        principal=principal,
        command=command,
        payload=msgspec.json.encode(command).decode(),
        correlation=correlation,
    )


def ring_for(request: Request[Any, Any, Any], *commands: Command) -> None:
    """Ring for commands that a request has just written in a transaction of its own."""
    ring(request, {(command.job, command.lane.value) for command in commands})


def ring(request: Request[Any, Any, Any], jobs: set[tuple[str, str]]) -> None:
    """Ring for jobs, by name and lane; where the transaction is yet to commit, after that."""
    scope: Any = request.scope
    held: Held | None = scope.get(HELD)
    if held is None:
        edge_of(request.app.state).ring(jobs)
    else:
        held.bells.update(jobs)


def key_of(request: Request[Any, Any, Any], edge: Edge) -> str | None:
    """The request's ``Idempotency-Key``, if it has one; raises a problem of status 400 when it can't be one."""
    key = field(request, b"idempotency-key")
    limit = edge.settings.idempotency_key_length_max
    if key is not None and (len(key) > limit or not _KEY.match(key)):
        detail = f"an Idempotency-Key has 1 to {limit} printable ASCII characters"
        raise refuse(400, Code.INVALID_REQUEST, detail, "Idempotency-Key")
    return key


async def submit(
    request: Request[Any, Any, Any], edge: Edge, principal: Principal, command: Command, *, operation: str
) -> ASGIResponse:
    """Write a command to the journal and answer: 202 with the job, or its outcome if the client waits for it."""
    scope: Any = request.scope
    path = scope["path"]
    payload = encode(command)
    key = key_of(request, edge)
    key_hash = fingerprint = None
    if key is not None:
        key_hash = digest(key.encode())
        fingerprint = digest(operation.encode(), path.encode(), payload)
    command_id = new_id()
    correlation = scope[CORRELATION] = scope[CORRELATION] or str(command_id)
    new = NewCommand(
        id=command_id,
        principal=principal.id,
        command=command,
        payload=payload.decode(),
        correlation=correlation,
        trace=scope[TRACE],
        key_hash=key_hash,
        fingerprint=fingerprint,
    )
    seconds = wait_seconds(request, edge.settings.wait_seconds_max)
    if seconds is None:
        accepted = await _accept(edge, new)
        if accepted.replayed:
            return await _replayed(edge, accepted.id, type(command), headers={})
        return _accepted(accepted.id, type(command), headers={})
    return await _submit_and_wait(request, edge, new, seconds)


async def follow(request: Request[Any, Any, Any], edge: Edge, accepted: Accepted, kind: type[Command]) -> ASGIResponse:
    """Answer as ``submit`` does for a command that the request wrote in a transaction of its own, or found there."""
    seconds = wait_seconds(request, edge.settings.wait_seconds_max)
    if seconds is None:
        if accepted.replayed:
            return await _replayed(edge, accepted.id, kind, headers={})
        return _accepted(accepted.id, kind, headers={})
    future = edge.waiters.register(accepted.id)
    edge.waiters.look_now(accepted.id)
    try:
        return await _when_ended(request, edge, accepted, kind, seconds=seconds, future=future)
    finally:
        edge.waiters.forget(accepted.id, future)


async def submit_noted(
    request: Request[Any, Any, Any], edge: Edge, principal: UUID, command: Command, *, key: str
) -> ASGIResponse:
    """Write a command that brings a key of its own and that nobody waits for: 202, when it comes again, too.

    Raises a problem of status 422 when the key came with another command.
    """
    scope: Any = request.scope
    payload = encode(command)
    command_id = new_id()
    correlation = scope[CORRELATION] = scope[CORRELATION] or str(command_id)
    accepted = await edge.accept.submit(
        NewCommand(
            id=command_id,
            principal=principal,
            command=command,
            payload=payload.decode(),
            correlation=correlation,
            trace=scope[TRACE],
            key_hash=digest(key.encode()),
            fingerprint=digest(command.job.encode(), payload),
        )
    )
    return _accepted(accepted.id, type(command), headers={})


async def _accept(edge: Edge, new: NewCommand) -> Accepted:
    accepted = await edge.accept.submit(new)
    if new.command.job in _ABOUT_ORDERS and not accepted.replayed:
        edge.buyers.note(new.id, new.principal)
    return accepted


async def _submit_and_wait(
    request: Request[Any, Any, Any], edge: Edge, new: NewCommand, seconds: float
) -> ASGIResponse:
    waited_for = new.id
    # Before the insert: the outcome may be there before the insert's own answer.
    future = edge.waiters.register(new.id)
    try:
        accepted = await _accept(edge, new)
        if accepted.id != new.id:
            edge.waiters.forget(new.id, future)
            waited_for = accepted.id
            future = edge.waiters.register(accepted.id)
            edge.waiters.look_now(accepted.id)
        return await _when_ended(request, edge, accepted, type(new.command), seconds=seconds, future=future)
    finally:
        edge.waiters.forget(waited_for, future)


async def _when_ended(
    request: Request[Any, Any, Any],
    edge: Edge,
    accepted: Accepted,
    kind: type[Command],
    *,
    seconds: float,
    future: "asyncio.Future[Ended | None]",
) -> ASGIResponse:
    """Answer with the outcome, or with the job when it hasn't ended in time."""
    headers = {"Preference-Applied": f"wait={seconds:g}"}
    timer = asyncio.get_running_loop().call_later(seconds, _give_up, future)
    try:
        ended = await future
    finally:
        timer.cancel()
    if accepted.replayed:
        headers["Idempotent-Replayed"] = "true"
    if ended is None:
        if accepted.replayed:
            return await _replayed(edge, accepted.id, kind, headers)
        return _accepted(accepted.id, kind, headers)
    return _ended(request, accepted.id, kind, ended, headers)


def _give_up(future: "asyncio.Future[Ended | None]") -> None:
    if not future.done():
        future.set_result(None)


async def _replayed(edge: Edge, job_id: UUID, command: type[Command], headers: dict[str, str]) -> ASGIResponse:
    """Answer with the job that an earlier request became, as it stands now."""
    headers["Idempotent-Replayed"] = "true"
    async with edge.pool.acquire(timeout=2) as conn:
        job = (await load_jobs(conn, [job_id])).get(job_id)
    if job is None:
        return _accepted(job_id, command, headers)
    headers["Location"] = f"/jobs/{job_id}"
    headers["Retry-After"] = RETRY_AFTER_SECONDS
    return ASGIResponse(body=encode(view_of(job)), status_code=202, media_type="application/json", headers=headers)


def _accepted(job_id: UUID, command: type[Command], headers: dict[str, str]) -> ASGIResponse:
    view = JobView(
        id=job_id,
        kind=command.job,
        status=Status.QUEUED,
        attempts=0,
        created_at=_created_at(job_id),
        finished_at=None,
        result=None,
        problem=None,
        links=_links(job_id, command.job),
    )
    headers["Location"] = f"/jobs/{job_id}"
    headers["Retry-After"] = RETRY_AFTER_SECONDS
    return ASGIResponse(body=encode(view), status_code=202, media_type="application/json", headers=headers)


def _created_at(job_id: UUID) -> datetime:
    return datetime.fromtimestamp((job_id.int >> 80) / 1000, UTC)


def _ended(
    request: Request[Any, Any, Any], job_id: UUID, command: type[Command], ended: Ended, headers: dict[str, str]
) -> ASGIResponse:
    headers["Location"] = f"/jobs/{job_id}"
    path = request.scope["path"]
    match ended.status:
        case Status.REJECTED if ended.problem is not None:
            return problem_answer(problem_of(ended.problem, path, job_id), headers)
        case Status.FAILED:
            return problem_answer(problem_of(_failure(None, for_admin=False), path, job_id), headers)
        case _:
            view = JobView(
                id=job_id,
                kind=command.job,
                status=ended.status,
                attempts=ended.attempts,
                created_at=_created_at(job_id),
                finished_at=ended.finished_at,
                result=None if ended.result is None else msgspec.Raw(ended.result.encode()),
                problem=None,
                links=_links(job_id, command.job),
            )
            return ASGIResponse(body=encode(view), status_code=200, media_type="application/json", headers=headers)
