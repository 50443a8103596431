"""Refunds: sellers and admins give back what was paid for lines and for shipping."""

from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Router, post
from litestar.params import FromPath
from litestar.response.base import ASGIResponse
from msgspec import Meta, Struct

from api.access import allow, authorise
from api.acting import editor_of
from api.context import edge_of
from api.decode import body_or
from api.notes import must_have_part
from api.openapi import PROBLEMS, request_body
from api.submission import ACCEPTED, submit
from domain.accounts.model import Role, Scope
from domain.payments.refund_model import RefundLines, RefundOrder, Sellers


class NewRefund(Struct, frozen=True, forbid_unknown_fields=True):
    """What to give back: units of lines, and the shipping of sellers; with neither named, all that is left."""

    lines: Annotated[RefundLines, Meta(min_length=1)] | None = None
    shipping: Annotated[Sellers, Meta(min_length=1)] | None = None
    reason: Annotated[str, Meta(max_length=500)] = ""


@post(
    "/orders/{order_id:uuid}/refunds",
    status_code=202,
    operation_id="refund_order",
    summary="Refund an order, whole, by line and quantity, or its shipping",
    opt=allow(Role.SELLER, Role.ADMIN, scope=Scope.ORDERS_WRITE) | request_body(NewRefund),
    responses=ACCEPTED | PROBLEMS(400, 401, 403, 404, 409, 413, 415, 422, 500, 503),
)
async def refund_order(request: Request[Any, Any, Any], order_id: FromPath[UUID]) -> ASGIResponse:
    """Accept a refund; a seller's is of their own part. The money goes back through the gateway afterwards."""
    edge = edge_of(request.app.state)
    principal = await authorise(request)
    wish = await body_or(request, NewRefund())
    async with edge.pool.acquire(timeout=2) as conn:
        editor = await editor_of(conn, principal)
        await must_have_part(conn, editor, order_id)
    command = RefundOrder(order_id, wish.lines, wish.shipping, wish.reason, editor.seller_id)
    return await submit(request, edge, principal, command, operation="POST /orders/{order_id}/refunds")


router = Router(path="/", route_handlers=[refund_order], tags=["payments"])
