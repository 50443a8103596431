"""Holds that belong to no order: made, released, extended, confirmed."""

from typing import Any
from uuid import UUID

from litestar import Request, Router, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from api.access import allow, authorise
from api.acting import editor_of
from api.context import Edge, edge_of
from api.decode import body_of, body_or
from api.openapi import PROBLEMS, request_body
from api.problems import ProblemError, refuse
from api.submission import JobView, submit
from domain import ids
from domain.accounts.model import Role, Scope
from domain.inventory.hold_model import EndHold, Ending, ExtendHold, Extension, Hold, NewHold, ReserveStock
from domain.inventory.hold_sql import load_holds
from domain.journal.reads import load_jobs
from domain.limits import Limits
from domain.rejections import Code, Rejection
from infra.security import Principal

OWNERS = allow(Role.BUYER, Role.GUEST, Role.ADMIN, scope=Scope.INVENTORY_WRITE)


@post(
    "/inventory/reserve",
    status_code=202,
    operation_id="reserve_stock",
    summary="Hold units of offers",
    opt=OWNERS | request_body(NewHold, required=True),
    responses={
        200: ResponseSpec(JobView, generate_examples=False, description="held, as the client waited for it"),
        202: ResponseSpec(JobView, generate_examples=False),
        **PROBLEMS(400, 401, 403, 409, 413, 415, 422, 500, 503),
    },
)
async def reserve_stock(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Hold units for whoever asks, all lines or none. An order may take them over (`reservation_ids`)."""
    edge = edge_of(request.app.state)
    principal = await authorise(request)
    wish = await body_of(request, NewHold)
    lines = wish.wanted()
    if isinstance(lines, Rejection):
        raise ProblemError(lines)
    _check(wish, edge.limits)
    command = ReserveStock(lines, wish.seconds)
    return await submit(request, edge, principal, command, operation="POST /inventory/reserve")


def _check(wish: NewHold, limits: Limits) -> None:
    """Hold a request against the limits of this deployment; raises a problem of status 400."""
    _check_seconds(wish.seconds, limits)
    most = limits.line_quantity_max
    if wish.quantity is not None and wish.quantity > most:
        raise refuse(400, Code.INVALID_REQUEST, f"at most {most} units", "quantity")
    lines = wish.lines or ()
    if len(lines) > limits.order_lines_max:
        raise refuse(400, Code.INVALID_REQUEST, f"at most {limits.order_lines_max} lines", "lines")
    for index, line in enumerate(lines):
        if line.quantity > most:
            raise refuse(400, Code.INVALID_REQUEST, f"at most {most} units", f"lines[{index}].quantity")


def _check_seconds(seconds: int | None, limits: Limits) -> None:
    if seconds is not None and seconds > limits.reservation_seconds_max:
        detail = f"a reservation lasts {limits.reservation_seconds_max} s at most"
        raise refuse(400, Code.INVALID_REQUEST, detail, "seconds")


@post(
    "/inventory/release/{reservation_id:uuid}",
    status_code=202,
    operation_id="release_hold",
    summary="Give held units back",
    opt=OWNERS,
    responses={
        200: ResponseSpec(JobView, generate_examples=False, description="released, as the client waited for it"),
        202: ResponseSpec(JobView, generate_examples=False),
        **PROBLEMS(400, 401, 403, 404, 409, 422, 500, 503),
    },
)
async def release_hold(request: Request[Any, Any, Any], reservation_id: FromPath[UUID]) -> ASGIResponse:
    """Release a hold of one's own. An order's holds are released with it."""
    edge = edge_of(request.app.state)
    principal = await authorise(request)
    await _must_own(edge, principal, reservation_id)
    command = EndHold(reservation_id, Ending.RELEASED)
    return await submit(request, edge, principal, command, operation="POST /inventory/release/{reservation_id}")


@post(
    "/inventory/extend/{reservation_id:uuid}",
    status_code=202,
    operation_id="extend_hold",
    summary="Hold units for longer",
    opt=OWNERS | request_body(Extension),
    responses={
        200: ResponseSpec(JobView, generate_examples=False, description="extended, as the client waited for it"),
        202: ResponseSpec(JobView, generate_examples=False),
        **PROBLEMS(400, 401, 403, 404, 409, 413, 415, 422, 500, 503),
    },
)
async def extend_hold(request: Request[Any, Any, Any], reservation_id: FromPath[UUID]) -> ASGIResponse:
    """Have a hold of one's own expire `seconds` from now, if that is later than it would; it never expires earlier."""
    edge = edge_of(request.app.state)
    principal = await authorise(request)
    wish = await body_or(request, Extension())
    _check_seconds(wish.seconds, edge.limits)
    await _must_own(edge, principal, reservation_id)
    command = ExtendHold(reservation_id, wish.seconds)
    return await submit(request, edge, principal, command, operation="POST /inventory/extend/{reservation_id}")


@post(
    "/inventory/confirm/{reservation_id:uuid}",
    status_code=202,
    operation_id="confirm_hold",
    summary="Have held units leave the shelf",
    opt=allow(Role.SELLER, Role.ADMIN, scope=Scope.INVENTORY_WRITE),
    responses={
        200: ResponseSpec(JobView, generate_examples=False, description="confirmed, as the client waited for it"),
        202: ResponseSpec(JobView, generate_examples=False),
        **PROBLEMS(400, 401, 403, 404, 409, 422, 500, 503),
    },
)
async def confirm_hold(request: Request[Any, Any, Any], reservation_id: FromPath[UUID]) -> ASGIResponse:
    """Confirm a hold of a seller's stock: its units are sold. An order's holds are confirmed with it."""
    edge = edge_of(request.app.state)
    principal = await authorise(request)
    async with edge.pool.acquire(timeout=2) as conn:
        hold = await _hold(conn, reservation_id)
        editor = await editor_of(conn, principal)
        # Of one that is still to be made nobody can tell whose stock it is.
        if not (editor.is_admin and hold is not None) and not (
            isinstance(hold, Hold) and editor.is_of(hold.key.seller_id)
        ):
            raise _not_found()
    command = EndHold(reservation_id, Ending.CONFIRMED)
    return await submit(request, edge, principal, command, operation="POST /inventory/confirm/{reservation_id}")


async def _must_own(edge: Edge, principal: Principal, reservation_id: UUID) -> None:
    """Raise a problem of status 404 unless a hold, or the request for it, is the principal's (or it is an admin)."""
    async with edge.pool.acquire(timeout=2) as conn:
        found = await _hold(conn, reservation_id)
    owner = found.owner if isinstance(found, Hold) else found
    if owner is None or not (principal.is_admin or owner == principal.id):
        raise _not_found()


async def _hold(conn: Any, reservation_id: UUID) -> Hold | UUID | None:
    """A hold; who asked for it, where that is still queued; None where there is none."""
    hold = (await load_holds(conn, [reservation_id])).get(reservation_id)
    if hold is not None:
        return hold
    asked = ids.parent(reservation_id)
    job = (await load_jobs(conn, [asked])).get(asked)
    return job.principal if job is not None and job.job == ReserveStock.job and not job.status.ended else None


def _not_found() -> ProblemError:
    return refuse(404, Code.NOT_FOUND, "there is no such reservation of yours")


router = Router(path="/", route_handlers=[reserve_stock, release_hold, extend_hold, confirm_hold], tags=["inventory"])
