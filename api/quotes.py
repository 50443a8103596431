"""Quotes: what placing an order would charge, told without placing it; and promotions applied to one that is placed."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from litestar import Request, Response, Router, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.response.base import ASGIResponse
from msgspec import Struct, field

from api.access import allow, authorise
from api.answers import JSON, answer
from api.context import Edge, edge_of, encode
from api.credentials import check_email
from api.decode import body_of, check_codes, check_order
from api.openapi import PROBLEMS, request_body
from api.orders import must_know
from api.problems import ProblemError, refuse
from api.submission import JobView, submit
from domain.accounts.address_model import PostalAddress
from domain.accounts.model import Role, Scope
from domain.money import Currency
from domain.orders import quotation
from domain.orders.demand import Market, offers_of
from domain.orders.model import ApplyPromotions, Codes, CodesMode, OrderLines, PlaceOrder, ShippingMethods
from domain.orders.pricing_reads import load_offers_and_book, load_pricing
from domain.orders.quotation import Quotation
from domain.rejections import Code, Rejection
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
    return answer(await _quoted(edge_of(request.app.state), principal, order))


class PromotionsToApply(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Codes for an order that is there (``order_id``), or for one that may come: then the fields of an order."""

    codes: Codes = ()
    promotions: CodesMode = CodesMode.STRICT
    order_id: UUID | None = None
    currency: Currency | None = None
    lines: OrderLines | None = None
    shipping_address_id: UUID | None = None
    shipping_address: PostalAddress | None = None
    shipping_methods: ShippingMethods = field(default_factory=dict)


@post(
    "/promotions/apply",
    status_code=202,
    operation_id="apply_promotions",
    summary="Apply promotions to an unpaid order, or see what they would do",
    opt=allow(Role.BUYER, Role.GUEST, Role.ADMIN, scope=Scope.ORDERS_WRITE)
    | request_body(PromotionsToApply, required=True),
    responses={
        # A union of Structs is no type to mypy's eye; it is described as either.
        200: ResponseSpec(
            JobView | Quotation,  # type: ignore[arg-type]
            generate_examples=False,
            description="applied, as the client waited for it; or, without an order, a quote",
        ),
        202: ResponseSpec(JobView, generate_examples=False),
        **PROBLEMS(400, 401, 403, 404, 409, 413, 415, 422, 500, 503),
    },
)
async def apply_promotions(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Price an unpaid order again with these codes in place of those given before, and what needs none.

    What placing froze stays as it was. With `lines` instead of an order it writes nothing and answers with a quote.
    """
    edge = edge_of(request.app.state)
    principal = await authorise(request)
    wish = await body_of(request, PromotionsToApply)
    if wish.order_id is None:
        return ASGIResponse(body=encode(await _quoted(edge, principal, _order_of(wish))), media_type=JSON)
    named = next((name for name in _OF_AN_ORDER_TO_COME if getattr(wish, name)), None)
    if named is not None:
        raise refuse(400, Code.INVALID_REQUEST, "an order that is placed has this already", named)
    check_codes(wish.codes, edge.limits)
    async with edge.pool.acquire(timeout=2) as conn:
        await must_know(conn, principal, wish.order_id)
    command = ApplyPromotions(wish.order_id, wish.codes, wish.promotions)
    return await submit(request, edge, principal, command, operation="POST /promotions/apply")


_OF_AN_ORDER_TO_COME = ("currency", "lines", "shipping_address_id", "shipping_address", "shipping_methods")


def _order_of(wish: PromotionsToApply) -> PlaceOrder:
    if wish.lines is None:
        raise refuse(400, Code.INVALID_REQUEST, "say which order, or which lines", "order_id")
    if wish.currency is None:
        raise refuse(400, Code.INVALID_REQUEST, "lines are priced in a currency", "currency")
    return PlaceOrder(
        currency=wish.currency,
        lines=wish.lines,
        codes=wish.codes,
        promotions=wish.promotions,
        shipping_address_id=wish.shipping_address_id,
        shipping_address=wish.shipping_address,
        shipping_methods=wish.shipping_methods,
    )


async def _quoted(edge: Edge, principal: Principal, order: PlaceOrder) -> Quotation:
    """Quote an order; raises the problem that placing would end with."""
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
    return found


router = Router(path="/", route_handlers=[quote_order, apply_promotions], tags=["orders"])
