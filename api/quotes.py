"""Quotes: what placing an order would charge, told without placing it."""

from datetime import UTC, datetime
from typing import Any

from litestar import Request, Response, Router, post
from litestar.openapi.datastructures import ResponseSpec

from api.access import allow, authorise
from api.answers import answer
from api.context import Edge, edge_of
from api.credentials import check_email
from api.decode import body_of, check_order
from api.openapi import PROBLEMS, request_body
from api.problems import ProblemError
from domain.accounts.model import Role, Scope
from domain.orders import quotation
from domain.orders.demand import Market, offers_of
from domain.orders.model import PlaceOrder
from domain.orders.pricing_reads import load_offers_and_book, load_pricing
from domain.orders.quotation import Quotation
from domain.rejections import Rejection
from infra.security import Principal


@post(
    "/orders/quote",
    status_code=200,
    operation_id="quote_order",
    summary="What an order would cost",
    opt=allow(Role.BUYER, Role.GUEST, Role.ADMIN, scope=Scope.ORDERS_WRITE) | request_body(PlaceOrder, required=True),
    responses={
        200: ResponseSpec(Quotation, generate_examples=False),
        **PROBLEMS(400, 401, 403, 409, 413, 415, 422, 503),
    },
)
async def quote_order(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Tell what placing this order would charge now, line by line, and what became of each promotion; write nothing.

    What stands against placing it for lack of stock, or for a code, is told in `refusal`; any other reason refuses the
    quote as it would the order. A guest needs no e-mail address yet.
    """
    principal = await authorise(request)
    order = await body_of(request, PlaceOrder)
    return await quoted(edge_of(request.app.state), principal, order)


async def quoted(edge: Edge, principal: Principal, order: PlaceOrder) -> Response[bytes]:
    """Answer with a quote; raises the problem that placing would end with."""
    check_order(order, edge.limits)
    if order.email is not None:
        check_email(order.email)
    async with edge.pool.acquire(timeout=2) as conn:
        offers, book = await load_offers_and_book(conn, offers_of([order]), edge.book)
        edge.book = book
        pricing = (await load_pricing(conn, [(principal.id, order)], offers, book)).pricing
    market = Market(offers, pricing, datetime.now(UTC), edge.limits.line_quantity_max)
    found = quotation.decide(order, principal.id, market)
    if isinstance(found, Rejection):
        raise ProblemError(found)
    return answer(found)


router = Router(path="/", route_handlers=[quote_order], tags=["orders"])
