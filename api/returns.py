"""Returns: buyers ask to send units back, sellers answer, and note what came."""

from functools import partial
from typing import Any
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath
from litestar.response.base import ASGIResponse
from msgspec import Struct

from api.access import allow, authorise
from api.acting import editor_of, viewer_of
from api.answers import answer
from api.context import Edge, edge_of
from api.decode import body_of, body_or
from api.openapi import PROBLEMS, request_body
from api.orders import must_know
from api.paging import Cursor, Limit, Page, newest_first
from api.problems import ProblemError, refuse
from api.submission import ACCEPTED, submit
from domain.accounts.model import Role, Scope
from domain.orders.fulfilment_model import LinesToShip
from domain.orders.return_model import Answer, DecideReturn, ReceivedLines, ReceiveReturn, RequestReturn, Why
from domain.orders.return_reads import ReturnView, list_returns, load_return
from domain.orders.return_sql import find_return
from domain.rejections import Code
from infra.security import Principal

READERS = allow(Role.BUYER, Role.GUEST, Role.SELLER, Role.ADMIN, scope=Scope.ORDERS_READ)
SELLERS = allow(Role.SELLER, Role.ADMIN, scope=Scope.ORDERS_WRITE)
ANSWERS = ACCEPTED | PROBLEMS(400, 401, 403, 404, 409, 413, 415, 422, 500, 503)


class NewReturn(Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be sent back, and why."""

    lines: LinesToShip
    reason: Why


class ReturnApproval(Struct, frozen=True, forbid_unknown_fields=True):
    """What the seller says to it."""

    reason: Answer = ""


class ReturnRefusal(Struct, frozen=True, forbid_unknown_fields=True):
    """Why the seller won't have it back."""

    reason: Why


class Receipt(Struct, frozen=True, forbid_unknown_fields=True):
    """What came back, by line; without any lines all of the return, back on the shelf."""

    lines: ReceivedLines | None = None
    reason: Answer = ""


class ReturnPage(Page[ReturnView], frozen=True):
    """A page of returns, newest first."""


@post(
    "/orders/{order_id:uuid}/returns",
    status_code=202,
    operation_id="request_return",
    summary="Ask to send units back",
    opt=allow(Role.BUYER, Role.GUEST, Role.ADMIN, scope=Scope.ORDERS_WRITE) | request_body(NewReturn, required=True),
    responses=ANSWERS,
)
async def request_return(request: Request[Any, Any, Any], order_id: FromPath[UUID]) -> ASGIResponse:
    """Ask to send back units that were delivered; the result names one return for each seller they are of."""
    edge, principal = edge_of(request.app.state), await authorise(request)
    wish = await body_of(request, NewReturn)
    await must_know(edge, principal, order_id)
    command = RequestReturn(order_id, wish.lines, wish.reason)
    return await submit(request, edge, principal, command, operation="POST /orders/{order_id}/returns")


@get(
    "/returns",
    operation_id="list_returns",
    opt=READERS,
    summary="List returns, newest first",
    responses={200: ResponseSpec(ReturnPage, generate_examples=False), **PROBLEMS(400, 401, 403, 503)},
)
async def list_own_returns(
    request: Request[Any, Any, Any], limit: Limit = None, cursor: Cursor = None
) -> Response[bytes]:
    """Show returns of one's own orders, and to a seller those of what they sold; an admin's list holds all."""
    principal = await authorise(request)
    async with edge_of(request.app.state).pool.acquire(timeout=2) as conn:
        viewer = await viewer_of(conn, principal)
    read = partial(list_returns, buyer=None if viewer.is_admin else principal.id, seller_id=viewer.seller_id)
    return await newest_first(request, ReturnPage, limit, cursor, read)


@get(
    "/returns/{return_id:uuid}",
    operation_id="get_return",
    opt=READERS,
    summary="Look up a return",
    responses={200: ResponseSpec(ReturnView, generate_examples=False), **PROBLEMS(401, 403, 404, 503)},
)
async def get_return(request: Request[Any, Any, Any], return_id: FromPath[UUID]) -> Response[bytes]:
    """Show a return: what of, why, what its seller said to it, and what came back."""
    principal = await authorise(request)
    async with edge_of(request.app.state).pool.acquire(timeout=2) as conn:
        viewer = await viewer_of(conn, principal)
        found = await load_return(conn, return_id)
    if found is None or not (viewer.is_of(found[0].seller_id) or found[1] == principal.id):
        raise _not_found()
    return answer(found[0])


@post(
    "/returns/{return_id:uuid}/approve",
    status_code=202,
    operation_id="approve_return",
    summary="Approve a return",
    opt=SELLERS | request_body(ReturnApproval),
    responses=ANSWERS,
)
async def approve_return(request: Request[Any, Any, Any], return_id: FromPath[UUID]) -> ASGIResponse:
    """Say that it may be sent back."""
    edge, principal = edge_of(request.app.state), await authorise(request)
    wish = await body_or(request, ReturnApproval())
    order_id = await _own(edge, principal, return_id)
    command = DecideReturn(order_id, return_id, approve=True, reason=wish.reason)
    return await submit(request, edge, principal, command, operation="POST /returns/{return_id}/approve")


@post(
    "/returns/{return_id:uuid}/reject",
    status_code=202,
    operation_id="reject_return",
    summary="Reject a return",
    opt=SELLERS | request_body(ReturnRefusal, required=True),
    responses=ANSWERS,
)
async def reject_return(request: Request[Any, Any, Any], return_id: FromPath[UUID]) -> ASGIResponse:
    """Say that it may not be sent back, and why."""
    edge, principal = edge_of(request.app.state), await authorise(request)
    wish = await body_of(request, ReturnRefusal)
    order_id = await _own(edge, principal, return_id)
    command = DecideReturn(order_id, return_id, approve=False, reason=wish.reason)
    return await submit(request, edge, principal, command, operation="POST /returns/{return_id}/reject")


@post(
    "/returns/{return_id:uuid}/receive",
    status_code=202,
    operation_id="receive_return",
    summary="Note what came back",
    opt=SELLERS | request_body(Receipt),
    responses=ANSWERS,
)
async def receive_return(request: Request[Any, Any, Any], return_id: FromPath[UUID]) -> ASGIResponse:
    """Note what came back of a return. It is refunded, and goes back on the shelf unless `restock` is false."""
    edge, principal = edge_of(request.app.state), await authorise(request)
    wish = await body_or(request, Receipt())
    order_id = await _own(edge, principal, return_id)
    command = ReceiveReturn(order_id, return_id, wish.lines, wish.reason)
    return await submit(request, edge, principal, command, operation="POST /returns/{return_id}/receive")


async def _own(edge: Edge, principal: Principal, return_id: UUID) -> UUID:
    """The order of a return; raises 404 unless its seller is theirs (or they are an admin)."""
    async with edge.pool.acquire(timeout=2) as conn:
        editor = await editor_of(conn, principal)
        found = await find_return(conn, return_id)
    if found is None or not editor.is_of(found[1]):
        raise _not_found()
    return found[0]


def _not_found() -> ProblemError:
    return refuse(404, Code.NOT_FOUND, "there is no such return of yours")


router = Router(
    path="/",
    route_handlers=[request_return, list_own_returns, get_return, approve_return, reject_return, receive_return],
    tags=["orders"],
)
