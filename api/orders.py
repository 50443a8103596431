"""Orders: place, look up, list, cancel."""

from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, QueryParameter
from litestar.response.base import ASGIResponse
from msgspec import Meta, Struct

from api.access import allow, authorise
from api.context import Edge, edge_of, encode
from api.credentials import check_email
from api.decode import body_of, body_or, check_order
from api.openapi import PROBLEMS, request_body
from api.paging import Cursor, Limit, Page, newest_first
from api.problems import ProblemError, problem_of, problem_response, refuse
from api.shipments import linked
from api.submission import JobView, submit
from domain.accounts.email import email_key
from domain.accounts.model import Role, Scope
from domain.ids import parse_order_number
from domain.journal.model import Status
from domain.journal.reads import load_jobs
from domain.orders.model import LINES_CEILING, CancelOrder, LineNo, OrderStatus, PlaceOrder
from domain.orders.reads import OrderSummary, TimelineEntry, load_timeline
from domain.orders.search_reads import EARLIEST, LATEST, OrderSearch, search_orders
from domain.payments.reads import OrderWithPayments, load_order_with_payments
from domain.rejections import Code, Rejection
from infra.security import Principal

JSON = "application/json"
NUMBER_LENGTH_MAX = 40


class Cancellation(Struct, frozen=True, forbid_unknown_fields=True):
    """What to cancel: the lines named by number, or, without any, the whole order."""

    lines: Annotated[tuple[LineNo, ...], Meta(min_length=1, max_length=LINES_CEILING)] | None = None
    reason: Annotated[str, Meta(max_length=500)] = ""


class OrderBeingPlaced(Struct, frozen=True):
    """An order whose placing is still queued."""

    id: UUID
    status: OrderStatus = OrderStatus.PLACING


class OrderPage(Page[OrderSummary], frozen=True):
    """A page of orders, newest first."""


class Timeline(Struct, frozen=True):
    """What happened to an order, oldest first."""

    items: list[TimelineEntry]


@post(
    "/orders",
    status_code=202,
    operation_id="place_order",
    summary="Place an order",
    opt=allow(Role.BUYER, Role.GUEST, Role.ADMIN, scope=Scope.ORDERS_WRITE) | request_body(PlaceOrder, required=True),
    responses={
        200: ResponseSpec(JobView, generate_examples=False, description="placed, as the client waited for it"),
        202: ResponseSpec(JobView, generate_examples=False, description="accepted; the order's id is the job's id"),
        **PROBLEMS(400, 401, 403, 409, 413, 415, 422, 500, 503),
    },
)
async def place_order(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Accept an order: all lines or none, over any number of sellers, at the offers' prices."""
    edge = edge_of(request.app.state)
    principal = await authorise(request)
    order = await body_of(request, PlaceOrder)
    check_order(order, edge.limits)
    if order.email is not None:
        check_email(order.email)
    elif Role.GUEST in principal.roles:
        raise refuse(400, Code.INVALID_REQUEST, "a guest orders with an e-mail address", "email")
    return await submit(request, edge, principal, order, operation="POST /orders")


@get(
    "/orders",
    operation_id="list_orders",
    opt=allow(Role.BUYER, Role.GUEST, Role.ADMIN, scope=Scope.ORDERS_READ),
    summary="List orders, newest first",
    responses={200: ResponseSpec(OrderPage, generate_examples=False), **PROBLEMS(400, 401, 403, 503)},
)
async def list_own_orders(
    request: Request[Any, Any, Any],
    *,
    limit: Limit = None,
    cursor: Cursor = None,
    number: Annotated[str | None, QueryParameter(name="number", max_length=NUMBER_LENGTH_MAX)] = None,
    email: Annotated[str | None, QueryParameter(name="email", max_length=254)] = None,
    seller: Annotated[UUID | None, QueryParameter(name="seller")] = None,
    status: Annotated[OrderStatus | None, QueryParameter(name="status")] = None,
    placed_from: Annotated[date | None, QueryParameter(name="placed_from")] = None,
    placed_to: Annotated[date | None, QueryParameter(name="placed_to")] = None,
) -> Response[bytes]:
    """Show a buyer's own orders; an admin's list holds all. All filters that are given must fit.

    `number` is taken as a person types it: with or without hyphens, in any case, O for 0 and I or L for 1. `email` is
    the order's address or that of its buyer's account, however it is written. The days are those of UTC, both included.
    """
    principal = await authorise(request)
    wanted = OrderSearch(
        buyer=None if principal.is_admin else principal.id,
        number=None if number is None else _number(number),
        email_key=None if email is None else email_key(email),
        seller=seller,
        status=status,
        placed_from=None if placed_from is None else _begin_of(placed_from, "placed_from"),
        placed_before=None if placed_to is None else _begin_of(placed_to, "placed_to") + timedelta(days=1),
    )
    return await newest_first(request, OrderPage, limit, cursor, partial(search_orders, wanted=wanted))


def _number(text: str) -> int:
    number = parse_order_number(text)
    if number is None:
        raise refuse(400, Code.INVALID_REQUEST, "an order's number has twelve digits, as 7Z0K-93QM-1T8C has", "number")
    return number


def _begin_of(day: date, name: str) -> datetime:
    if not EARLIEST.year <= day.year < LATEST.year:
        raise refuse(400, Code.INVALID_REQUEST, "a day of the years 2000 to 2999", name)
    return datetime.combine(day, time(), UTC)


@get(
    "/orders/{order_id:uuid}",
    operation_id="get_order",
    opt=allow(Role.BUYER, Role.GUEST, Role.ADMIN, scope=Scope.ORDERS_READ),
    summary="Look up an order",
    responses={
        # A union of Structs is no type to mypy's eye; it is described as either.
        200: ResponseSpec(OrderWithPayments | OrderBeingPlaced, generate_examples=False),  # type: ignore[arg-type]
        **PROBLEMS(401, 403, 404, 503),
    },
)
async def get_order(request: Request[Any, Any, Any], order_id: FromPath[UUID]) -> Response[bytes]:
    """Show an order, or that it is being placed."""
    edge = edge_of(request.app.state)
    principal = await authorise(request)
    async with edge.pool.acquire(timeout=2) as conn:
        order = await load_order_with_payments(conn, order_id)
        if order is not None and (principal.is_admin or order.buyer == principal.id):
            return Response(encode(linked(edge, order)), media_type=JSON)
        if order is not None:
            raise _not_found()
        return await _order_without_row(edge, conn, principal, order_id)


async def _order_without_row(edge: Edge, conn: Any, principal: Principal, order_id: UUID) -> Response[bytes]:
    job = (await load_jobs(conn, [order_id])).get(order_id)
    if job is None or job.job != PlaceOrder.job or not (principal.is_admin or job.principal == principal.id):
        raise _not_found()
    if not job.status.ended:
        return Response(encode(OrderBeingPlaced(order_id)), media_type=JSON)
    if job.status is Status.SUCCEEDED:
        # Placed between the two reads.
        order = await load_order_with_payments(conn, order_id)
        if order is not None:
            return Response(encode(linked(edge, order)), media_type=JSON)
    reason = job.problem.detail if job.problem is not None else f"its placing has {job.status.value}"
    rejection = Rejection(404, Code.ORDER_NOT_PLACED, f"the order was not placed: {reason}")
    return problem_response(problem_of(rejection, f"/orders/{order_id}", order_id))


@get(
    "/orders/{order_id:uuid}/timeline",
    operation_id="get_order_timeline",
    opt=allow(Role.BUYER, Role.GUEST, Role.ADMIN, scope=Scope.ORDERS_READ),
    summary="What happened to an order",
    responses={200: ResponseSpec(Timeline, generate_examples=False), **PROBLEMS(401, 403, 404, 503)},
)
async def get_timeline(request: Request[Any, Any, Any], order_id: FromPath[UUID]) -> Response[bytes]:
    """Show an order's events, oldest first."""
    edge = edge_of(request.app.state)
    principal = await authorise(request)
    await must_know(edge, principal, order_id)
    async with edge.pool.acquire(timeout=2) as conn:
        return Response(encode(Timeline(await load_timeline(conn, order_id))), media_type=JSON)


@post(
    "/orders/{order_id:uuid}/cancel",
    status_code=202,
    operation_id="cancel_order",
    summary="Cancel an order, whole or by line",
    opt=allow(Role.BUYER, Role.GUEST, Role.ADMIN, scope=Scope.ORDERS_WRITE) | request_body(Cancellation),
    responses={
        200: ResponseSpec(JobView, generate_examples=False, description="cancelled, as the client waited for it"),
        202: ResponseSpec(JobView, generate_examples=False),
        **PROBLEMS(400, 401, 403, 404, 409, 413, 415, 422, 500, 503),
    },
)
async def cancel_order(request: Request[Any, Any, Any], order_id: FromPath[UUID]) -> ASGIResponse:
    """Accept a cancellation; of an order that is still being placed, it waits for the placing."""
    edge = edge_of(request.app.state)
    principal = await authorise(request)
    wish = await body_or(request, Cancellation())
    await must_know(edge, principal, order_id)
    command = CancelOrder(order_id, wish.lines, wish.reason)
    return await submit(request, edge, principal, command, operation="POST /orders/{order_id}/cancel")


_BUYER = "SELECT buyer FROM orders WHERE id = $1"


async def must_know(edge: Edge, principal: Principal, order_id: UUID) -> None:
    """Raise 404 unless the order, or its placing, is the principal's (or it is an admin)."""
    if edge.buyers.get(order_id) == principal.id:
        return
    async with edge.pool.acquire(timeout=2) as conn:
        buyer = await conn.fetchval(_BUYER, order_id)
        if buyer is None:
            job = (await load_jobs(conn, [order_id])).get(order_id)
            buyer = job.principal if job is not None and job.job == PlaceOrder.job else None
    if buyer is None or not (principal.is_admin or buyer == principal.id):
        raise _not_found()


def _not_found() -> ProblemError:
    return refuse(404, Code.NOT_FOUND, "there is no such order of yours")


router = Router(
    path="/", route_handlers=[place_order, list_own_orders, get_order, get_timeline, cancel_order], tags=["orders"]
)
