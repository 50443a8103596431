"""Seller orders: what a seller has to ship, and what becomes of it."""

from functools import partial
from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, QueryParameter
from litestar.response.base import ASGIResponse
from msgspec import Struct

from api.access import allow, authorise
from api.acting import editor_of, member_or_admin, viewer_of
from api.answers import answer
from api.context import Edge, edge_of
from api.decode import body_or
from api.openapi import PROBLEMS, request_body
from api.orders import Cancellation
from api.paging import Cursor, Limit, Page, newest_first
from api.problems import ProblemError, refuse
from api.shipments import linked
from api.submission import ACCEPTED, submit
from domain.accounts.model import Role, Scope
from domain.journal.model import Command
from domain.orders.fulfilment_model import (
    MANUAL,
    AcceptSellerOrder,
    CarrierName,
    DeliverSellerOrder,
    LinesToShip,
    Reason,
    ShipSellerOrder,
    Tracking,
)
from domain.orders.model import CancelOrder, Fulfilment
from domain.orders.seller_order_reads import (
    SellerOrderDetail,
    SellerOrderSummary,
    find_seller,
    list_seller_orders,
    load_seller_orders,
)
from domain.rejections import Code
from infra.security import Principal

SELLERS_READ = allow(Role.SELLER, Role.ADMIN, scope=Scope.ORDERS_READ)
SELLERS_WRITE = allow(Role.SELLER, Role.ADMIN, scope=Scope.ORDERS_WRITE)
ANSWERS = ACCEPTED | PROBLEMS(400, 401, 403, 404, 409, 413, 415, 422, 500, 503)


class Acceptance(Struct, frozen=True, forbid_unknown_fields=True):
    """What the seller says to it."""

    reason: Reason = ""


class Shipping(Struct, frozen=True, forbid_unknown_fields=True):
    """What is sent: units of the lines named, or, without any, all that is left to ship."""

    lines: LinesToShip | None = None
    carrier: CarrierName = MANUAL
    tracking: Tracking | None = None
    reason: Reason = ""


class Delivery(Struct, frozen=True, forbid_unknown_fields=True):
    """What has arrived: the shipment named, or, without one, all that are on their way."""

    shipment_id: UUID | None = None
    reason: Reason = ""


class SellerOrderPage(Page[SellerOrderSummary], frozen=True):
    """A page of seller orders, newest first."""


@get(
    "/seller-orders",
    operation_id="list_seller_orders",
    opt=SELLERS_READ,
    summary="List seller orders, newest first",
    responses={200: ResponseSpec(SellerOrderPage, generate_examples=False), **PROBLEMS(400, 401, 403, 503)},
)
async def list_own_seller_orders(
    request: Request[Any, Any, Any],
    *,
    limit: Limit = None,
    cursor: Cursor = None,
    fulfilment: Annotated[Fulfilment | None, QueryParameter(name="fulfilment")] = None,
) -> Response[bytes]:
    """Show a seller's own; an admin's list holds all."""
    principal = await authorise(request)
    async with edge_of(request.app.state).pool.acquire(timeout=2) as conn:
        viewer = await member_or_admin(conn, principal)
    read = partial(list_seller_orders, seller_id=viewer.seller_id, fulfilment=fulfilment)
    return await newest_first(request, SellerOrderPage, limit, cursor, read)


@get(
    "/seller-orders/{seller_order_id:uuid}",
    operation_id="get_seller_order",
    opt=SELLERS_READ,
    summary="Look up a seller order",
    responses={200: ResponseSpec(SellerOrderDetail, generate_examples=False), **PROBLEMS(401, 403, 404, 503)},
)
async def get_seller_order(request: Request[Any, Any, Any], seller_order_id: FromPath[UUID]) -> Response[bytes]:
    """Show a seller order: its lines with what is left to ship, its shipments, where it goes, what it comes to."""
    edge = edge_of(request.app.state)
    principal = await authorise(request)
    async with edge.pool.acquire(timeout=2) as conn:
        viewer = await viewer_of(conn, principal)
        found = await find_seller(conn, seller_order_id)
        if found is None or not viewer.is_of(found[2]):
            raise _not_found()
        (shown,) = await load_seller_orders(conn, [found[:2]])
    return answer(linked(edge, shown))


@post(
    "/seller-orders/{seller_order_id:uuid}/accept",
    status_code=202,
    operation_id="accept_seller_order",
    summary="Accept a seller order",
    opt=SELLERS_WRITE | request_body(Acceptance),
    responses=ANSWERS,
)
async def accept_seller_order(request: Request[Any, Any, Any], seller_order_id: FromPath[UUID]) -> ASGIResponse:
    """Say that it is going to be shipped: its buyer cancels no more."""
    edge, principal = edge_of(request.app.state), await authorise(request)
    wish = await body_or(request, Acceptance())
    order_id, number, _ = await _own(edge, principal, seller_order_id)
    return await _submit(request, principal, AcceptSellerOrder(order_id, number, wish.reason), "accept")


@post(
    "/seller-orders/{seller_order_id:uuid}/ship",
    status_code=202,
    operation_id="ship_seller_order",
    summary="Ship a seller order, whole or in part",
    opt=SELLERS_WRITE | request_body(Shipping),
    responses=ANSWERS,
)
async def ship_seller_order(request: Request[Any, Any, Any], seller_order_id: FromPath[UUID]) -> ASGIResponse:
    """Write down what is sent. The job's id is the shipment's; what was only authorized is captured."""
    edge, principal = edge_of(request.app.state), await authorise(request)
    wish = await body_or(request, Shipping())
    _check_units(edge, wish)
    order_id, number, _ = await _own(edge, principal, seller_order_id)
    command = ShipSellerOrder(order_id, number, wish.lines, wish.carrier, wish.tracking, wish.reason)
    return await _submit(request, principal, command, "ship")


@post(
    "/seller-orders/{seller_order_id:uuid}/deliver",
    status_code=202,
    operation_id="deliver_seller_order",
    summary="Note that shipments have arrived",
    opt=SELLERS_WRITE | request_body(Delivery),
    responses=ANSWERS,
)
async def deliver_seller_order(request: Request[Any, Any, Any], seller_order_id: FromPath[UUID]) -> ASGIResponse:
    """Note that a shipment has arrived, or all that are on their way."""
    edge, principal = edge_of(request.app.state), await authorise(request)
    wish = await body_or(request, Delivery())
    order_id, number, _ = await _own(edge, principal, seller_order_id)
    command = DeliverSellerOrder(order_id, number, wish.shipment_id, wish.reason)
    return await _submit(request, principal, command, "deliver")


@post(
    "/seller-orders/{seller_order_id:uuid}/cancel",
    status_code=202,
    operation_id="cancel_seller_order",
    summary="Cancel a seller order, whole or by line",
    opt=SELLERS_WRITE | request_body(Cancellation),
    responses=ANSWERS,
)
async def cancel_seller_order(request: Request[Any, Any, Any], seller_order_id: FromPath[UUID]) -> ASGIResponse:
    """Cancel the lines named of a seller order, or all that may be: those of which nothing has been shipped."""
    edge, principal = edge_of(request.app.state), await authorise(request)
    wish = await body_or(request, Cancellation())
    order_id, _, seller_id = await _own(edge, principal, seller_order_id)
    return await _submit(request, principal, CancelOrder(order_id, wish.lines, wish.reason, seller_id), "cancel")


async def _submit(
    request: Request[Any, Any, Any], principal: Principal, command: Command, operation: str
) -> ASGIResponse:
    edge = edge_of(request.app.state)
    return await submit(request, edge, principal, command, operation=f"POST /seller-orders/{{id}}/{operation}")


def _check_units(edge: Edge, wish: Shipping) -> None:
    limits, lines = edge.limits, wish.lines or ()
    if len(lines) > limits.order_lines_max:
        raise refuse(400, Code.INVALID_REQUEST, f"at most {limits.order_lines_max} lines", "lines")
    for index, units in enumerate(lines):
        if units.quantity > limits.line_quantity_max:
            detail = f"at most {limits.line_quantity_max} units"
            raise refuse(400, Code.INVALID_REQUEST, detail, f"lines[{index}].quantity")
    if wish.carrier not in edge.carriers:
        known = ", ".join(sorted(edge.carriers))
        raise refuse(422, Code.UNKNOWN_CARRIER, f"this deployment has no such carrier: choose from {known}", "carrier")


async def _own(edge: Edge, principal: Principal, identifier: UUID) -> tuple[UUID, int, UUID]:
    """The order, the number and the seller of a seller order; raises 404 unless it is theirs (or they are an admin)."""
    found = edge.seller_orders.get(identifier)
    if found is not None and principal.is_admin:
        return found
    async with edge.pool.acquire(timeout=2) as conn:
        editor = await editor_of(conn, principal)
        if found is None:
            found = await find_seller(conn, identifier)
    if found is None or not editor.is_of(found[2]):
        raise _not_found()
    # Whose a seller order is never changes, and they are accepted, shipped and delivered soon after each other.
    edge.seller_orders.note(identifier, found)
    return found


def _not_found() -> ProblemError:
    return refuse(404, Code.NOT_FOUND, "there is no such seller order of yours")


router = Router(
    path="/",
    route_handlers=[
        list_own_seller_orders,
        get_seller_order,
        accept_seller_order,
        ship_seller_order,
        deliver_seller_order,
        cancel_seller_order,
    ],
    tags=["orders"],
)
