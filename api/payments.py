"""Payments of orders: start one, go on after the buyer has acted, take what was authorized."""

from typing import Any
from uuid import UUID

from litestar import Request, Router, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath
from litestar.response.base import ASGIResponse
from msgspec import Struct

from api.access import allow, authorise
from api.context import edge_of
from api.decode import body_of
from api.openapi import PROBLEMS, request_body
from api.orders import must_know
from api.problems import refuse
from api.submission import JobView, submit
from domain.accounts.model import Role, Scope
from domain.payments.model import CapturePayment, ConfirmPayment, StartPayment
from domain.payments.news import Capture, GatewayName, Token
from domain.rejections import Code


class NewPayment(Struct, frozen=True, forbid_unknown_fields=True):
    """By which gateway to pay, with which of its tokens, and when the money is taken."""

    gateway: GatewayName
    token: Token
    capture: Capture = Capture.NOW


@post(
    "/orders/{order_id:uuid}/payment",
    status_code=202,
    operation_id="start_payment",
    summary="Pay an order",
    opt=allow(Role.BUYER, Role.GUEST, Role.ADMIN, scope=Scope.ORDERS_WRITE) | request_body(NewPayment, required=True),
    responses={
        200: ResponseSpec(JobView, generate_examples=False, description="it ended, as the client waited for it"),
        202: ResponseSpec(JobView, generate_examples=False, description="accepted; the payment's id is the job's id"),
        **PROBLEMS(400, 401, 402, 403, 404, 409, 413, 415, 422, 500, 503),
    },
)
async def start_payment(request: Request[Any, Any, Any], order_id: FromPath[UUID]) -> ASGIResponse:
    """Accept a payment; of an order that is still being placed, it waits for the placing."""
    edge = edge_of(request.app.state)
    principal = await authorise(request)
    wish = await body_of(request, NewPayment)
    if wish.gateway not in edge.gateways:
        raise refuse(422, Code.UNKNOWN_GATEWAY, f"there is no gateway {wish.gateway}", "gateway")
    await must_know(edge, principal, order_id)
    command = StartPayment(order_id, wish.gateway, wish.token, wish.capture)
    return await submit(request, edge, principal, command, operation="POST /orders/{order_id}/payment")


@post(
    "/orders/{order_id:uuid}/confirm-payment",
    status_code=202,
    operation_id="confirm_payment",
    summary="Go on with a payment after the buyer has acted",
    opt=allow(Role.BUYER, Role.GUEST, Role.ADMIN, scope=Scope.ORDERS_WRITE),
    responses={
        200: ResponseSpec(JobView, generate_examples=False, description="it ended, as the client waited for it"),
        202: ResponseSpec(JobView, generate_examples=False),
        **PROBLEMS(400, 401, 402, 403, 404, 409, 500, 503),
    },
)
async def confirm_payment(request: Request[Any, Any, Any], order_id: FromPath[UUID]) -> ASGIResponse:
    """Accept that the buyer has done what the gateway asked for. A webhook may say so too: whoever is late changes
    nothing.
    """
    edge = edge_of(request.app.state)
    principal = await authorise(request)
    await must_know(edge, principal, order_id)
    command = ConfirmPayment(order_id)
    return await submit(request, edge, principal, command, operation="POST /orders/{order_id}/confirm-payment")


@post(
    "/orders/{order_id:uuid}/capture",
    status_code=202,
    operation_id="capture_payment",
    summary="Take what was authorized for an order",
    opt=allow(Role.ADMIN, scope=Scope.ORDERS_WRITE),
    responses={
        200: ResponseSpec(JobView, generate_examples=False, description="it ended, as the client waited for it"),
        202: ResponseSpec(JobView, generate_examples=False),
        **PROBLEMS(400, 401, 403, 404, 409, 500, 503),
    },
)
async def capture_payment(request: Request[Any, Any, Any], order_id: FromPath[UUID]) -> ASGIResponse:
    """Accept a capture: of as much as the order comes to now."""
    edge = edge_of(request.app.state)
    principal = await authorise(request)
    await must_know(edge, principal, order_id)
    command = CapturePayment(order_id)
    return await submit(request, edge, principal, command, operation="POST /orders/{order_id}/capture")


router = Router(path="/", route_handlers=[start_payment, confirm_payment, capture_payment], tags=["payments"])
