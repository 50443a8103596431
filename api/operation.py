"""Operation: sweeps by hand, lanes, health."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any

from litestar import Request, Response, Router, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import PathParameter
from litestar.response.base import ASGIResponse
from msgspec import Struct

from api import once
from api.access import allow, anyone, authorise
from api.answers import transaction
from api.context import Edge, edge_of, encode
from api.openapi import PROBLEMS
from api.problems import refuse
from api.submission import JobView, ring, submit
from domain.accounts.model import Role, Scope
from domain.commands import SWEEPS, jobs_by_lane
from domain.journal import reads
from domain.journal.model import Lane
from domain.journal.partitions import LEAD_DAYS_LOW, partition_days_left
from domain.operation.reads import LaneList, LaneView, load_lanes
from domain.operation.tick_sql import load_ticks
from domain.rejections import Code
from infra import telemetry
from infra.broker import Silent

JSON = "application/json"
log = telemetry.logger()
# As text: an unknown one is a 404 that names those there are.
LaneInPath = Annotated[str, PathParameter(schema_extra={"enum": [lane.value for lane in Lane]})]
SweepInPath = Annotated[str, PathParameter(schema_extra={"enum": list(SWEEPS)})]


class Health(Struct, frozen=True):
    """``ok``; ``degraded``: works, slower; ``unavailable``: can't accept."""

    status: str


class Dependency(Struct, frozen=True, omit_defaults=True):
    """Whether something we need answers; what is wrong with it, if something is."""

    name: str
    status: str
    detail: str | None = None


class Dependencies(Struct, frozen=True):
    """What we need, one by one."""

    status: str
    items: list[Dependency]


@get(
    "/lanes",
    operation_id="list_lanes",
    opt=allow(Role.ADMIN, scope=Scope.OPERATION_READ),
    summary="Lanes, their queues and workers",
    responses={200: ResponseSpec(LaneList, generate_examples=False), **PROBLEMS(401, 403, 503)},
)
async def list_lanes(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Show what waits where, and for how long."""
    edge = edge_of(request.app.state)
    await authorise(request)
    async with edge.pool.acquire(timeout=2) as conn:
        return Response(encode(LaneList(await load_lanes(conn))), media_type=JSON)


def _lane(name: str) -> Lane:
    try:
        return Lane(name)
    except ValueError:
        raise refuse(404, Code.NOT_FOUND, f"lanes are {', '.join(lane.value for lane in Lane)}") from None


async def _lane_answer(conn: Any, lane: Lane) -> Response[bytes]:
    view = next(view for view in await load_lanes(conn) if view.lane is lane)
    return Response(encode(view), media_type=JSON)


@once.post(
    "/lanes/{lane:str}/pause",
    status_code=200,
    operation_id="pause_lane",
    opt=allow(Role.ADMIN, scope=Scope.OPERATION_WRITE),
    summary="Pause a lane",
    responses={200: ResponseSpec(LaneView, generate_examples=False), **PROBLEMS(401, 403, 404, 503)},
)
async def pause_lane(request: Request[Any, Any, Any], lane: LaneInPath) -> Response[bytes]:
    """Have no worker claim from a lane from now on, across restarts; batches in hand are finished."""
    principal = await authorise(request)
    which = _lane(lane)
    async with transaction(request) as conn:
        await conn.execute(reads.PAUSE_LANE, which.value, principal.id)
        return await _lane_answer(conn, which)


@once.post(
    "/lanes/{lane:str}/resume",
    status_code=200,
    operation_id="resume_lane",
    opt=allow(Role.ADMIN, scope=Scope.OPERATION_WRITE),
    summary="Resume a lane",
    responses={200: ResponseSpec(LaneView, generate_examples=False), **PROBLEMS(401, 403, 404, 503)},
)
async def resume_lane(request: Request[Any, Any, Any], lane: LaneInPath) -> Response[bytes]:
    """Have workers claim from a lane again."""
    await authorise(request)
    which = _lane(lane)
    async with transaction(request) as conn:
        await conn.execute(reads.RESUME_LANE, which.value)
        answer = await _lane_answer(conn, which)
    ring(request, {(job, which.value) for job in jobs_by_lane()[which]})
    return answer


@post(
    "/sweeps/{job:str}",
    status_code=202,
    operation_id="submit_sweep",
    opt=allow(Role.ADMIN, scope=Scope.OPERATION_WRITE),
    summary="Run a sweep now",
    responses={
        200: ResponseSpec(JobView, generate_examples=False),
        202: ResponseSpec(JobView, generate_examples=False),
        **PROBLEMS(400, 401, 403, 404, 409, 422, 500, 503),
    },
)
async def submit_sweep(request: Request[Any, Any, Any], job: SweepInPath) -> ASGIResponse:
    """Submit a sweep as a command."""
    edge = edge_of(request.app.state)
    principal = await authorise(request)
    command = SWEEPS.get(job)
    if command is None:
        raise refuse(404, Code.NOT_FOUND, f"sweeps are {', '.join(SWEEPS)}")
    return await submit(request, edge, principal, command, operation="POST /sweeps/{job}")


@get(
    "/health/live",
    operation_id="health_live",
    opt=anyone(limited=False),
    summary="Is this process alive?",
    responses={200: ResponseSpec(Health, generate_examples=False)},
)
async def health_live() -> Response[bytes]:
    """Answer."""
    return Response(encode(Health("ok")), media_type=JSON)


async def _look(edge: Edge) -> tuple[Dependencies, list[Dependency]]:
    """See to what accepting needs; and to who carries out what was accepted, which may be away meanwhile."""

    async def database() -> tuple[str, str, list[Dependency]]:
        try:
            async with asyncio.timeout(2), edge.pool.acquire() as conn:
                days = await partition_days_left(conn, datetime.now(UTC))
                others = [await _workers(conn), await _scheduler(conn)]
        except Exception as error:  # noqa: BLE001 - whatever it is, the database doesn't answer
            log.warning("database_unhealthy", error=repr(error))
            unknown = "not known while PostgreSQL is away"
            return "unavailable", "unavailable", [Dependency(n, "degraded", unknown) for n in ("workers", "scheduler")]
        if days < LEAD_DAYS_LOW:
            log.warning("partitions_low", days=days)
        return "ok", "ok" if days >= LEAD_DAYS_LOW else "degraded", others

    async def valkey() -> str:
        try:
            await asyncio.to_thread(edge.doorbell.ping)
        except Silent:
            return "unavailable"
        return "ok"

    (postgres, partitions, others), doorbells = await asyncio.gather(database(), valkey())
    ready = postgres == "ok" and edge.ready
    status = "unavailable" if not ready else "ok" if (partitions, doorbells) == ("ok", "ok") else "degraded"
    items = [Dependency("postgresql", postgres), Dependency("partitions", partitions), Dependency("redis", doorbells)]
    return Dependencies(status, items), others


async def _workers(conn: Any) -> Dependency:
    """Whether every lane has a live worker."""
    live = await conn.fetch(reads.LIVE_WORKERS)
    without = [lane.value for lane in Lane if not any(lane.value in worker["lanes"] for worker in live)]
    if not without:
        return Dependency("workers", "ok")
    return Dependency("workers", "degraded", f"nobody serves {', '.join(without)}")


async def _scheduler(conn: Any) -> Dependency:
    """Whether sweeps tick when they are due."""
    ticks = await load_ticks(conn)
    if not ticks:
        return Dependency("scheduler", "degraded", "it has never ticked")
    late = [f"{tick.job} ({tick.age_seconds:.0f} s ago)" for tick in ticks if tick.is_late]
    if not late:
        return Dependency("scheduler", "ok")
    return Dependency("scheduler", "degraded", f"late since the last tick: {', '.join(late)}")


@get(
    "/health/ready",
    operation_id="health_ready",
    opt=anyone(limited=False),
    summary="Can this process accept commands?",
    responses={
        200: ResponseSpec(Health, generate_examples=False),
        503: ResponseSpec(Health, generate_examples=False, description="no"),
    },
)
async def health_ready(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Answer 200 while commands can be accepted, 503 without PostgreSQL.

    ``degraded``: Redis is gone, or the journal has partitions for fewer than three days more.
    """
    health, _ = await _look(edge_of(request.app.state))
    code = 503 if health.status == "unavailable" else 200
    return Response(encode(Health(health.status)), status_code=code, media_type=JSON)


@get(
    "/health/dependencies",
    operation_id="health_dependencies",
    opt=anyone(limited=False),
    summary="What do we need, and does it answer?",
    responses={
        200: ResponseSpec(Dependencies, generate_examples=False),
        503: ResponseSpec(Dependencies, generate_examples=False, description="something we can't do without doesn't"),
    },
)
async def health_dependencies(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Answer for each dependency, and for the workers and the scheduler, without which nothing is carried out."""
    health, others = await _look(edge_of(request.app.state))
    code = 503 if health.status == "unavailable" else 200
    worse = health.status == "ok" and any(other.status != "ok" for other in others)
    whole = Dependencies("degraded" if worse else health.status, [*health.items, *others])
    return Response(encode(whole), status_code=code, media_type=JSON)


router = Router(
    path="/",
    route_handlers=[
        list_lanes,
        pause_lane,
        resume_lane,
        submit_sweep,
        health_live,
        health_ready,
        health_dependencies,
    ],
    tags=["operation"],
)
