"""Quotes: what placing an order would charge, told without placing it; and promotions applied to one that is placed."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
from litestar import Request, Response, Router, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.response.base import ASGIResponse
from msgspec import Struct, field

from api.access import allow, authorise
from api.answers import JSON, answer
from api.carts import load_visible
from api.context import Edge, edge_of, encode
from api.credentials import check_email
from api.decode import body_of, check_codes, check_order
from api.market import load_market
from api.openapi import PROBLEMS, request_body
from api.orders import must_know
from api.problems import ProblemError, refuse, refuse_if
from api.submission import JobView, submit
from domain.accounts.address_model import PostalAddress
from domain.accounts.model import Role, Scope
from domain.money import Currency
from domain.orders import quotation
from domain.orders.cart_edit import order_of, refuse_empty
from domain.orders.model import ApplyPromotions, Codes, CodesMode, OrderLines, PlaceOrder, ShippingMethods
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
    return answer(await _quoted(edge_of(request.app.state), principal.id, order))


class PromotionsToApply(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Codes for an order that is there (``order_id``), for what a cart holds (``cart_id``), or for what is said here.

    Only the last takes the fields of an order.
    """

    codes: Codes = ()
    promotions: CodesMode = CodesMode.STRICT
    order_id: UUID | None = None
    cart_id: UUID | None = None
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

    What placing froze stays as it was. With a cart, or with `lines`, instead of an order it writes nothing and answers
    with a quote at present prices; a cart's own codes don't count then.
    """
    edge = edge_of(request.app.state)
    principal = await authorise(request)
    wish = await body_of(request, PromotionsToApply)
    if wish.order_id is None:
        buyer, order = await _order_to_come(edge, principal, wish)
        return ASGIResponse(body=encode(await _quoted(edge, buyer, order)), media_type=JSON)
    _refuse_more(wish, ("cart_id", *_OF_AN_ORDER_TO_COME))
    check_codes(wish.codes, edge.limits)
    await must_know(edge, principal, wish.order_id)
    command = ApplyPromotions(wish.order_id, wish.codes, wish.promotions)
    return await submit(request, edge, principal, command, operation="POST /promotions/apply")


_OF_AN_ORDER_TO_COME = ("currency", "lines", "shipping_address_id", "shipping_address", "shipping_methods")


def _refuse_more(wish: PromotionsToApply, names: Sequence[str]) -> None:
    named = next((name for name in names if getattr(wish, name)), None)
    if named is not None:
        raise refuse(400, Code.INVALID_REQUEST, "an order that is placed has this already, and so has a cart", named)


async def _order_to_come(edge: Edge, principal: Principal, wish: PromotionsToApply) -> tuple[UUID, PlaceOrder]:
    """Whose order is asked about, and the order."""
    if wish.cart_id is None:
        return principal.id, _order_of(wish)
    _refuse_more(wish, _OF_AN_ORDER_TO_COME)
    async with edge.pool.acquire(timeout=2) as conn:
        cart = await load_visible(conn, principal, wish.cart_id)
    refuse_if(refuse_empty(cart.content))
    content = msgspec.structs.replace(cart.content, codes=wish.codes, promotions=wish.promotions)
    return cart.owner, order_of(content, at_shown_prices=False)


def _order_of(wish: PromotionsToApply) -> PlaceOrder:
    if wish.lines is None:
        raise refuse(400, Code.INVALID_REQUEST, "say which order, which cart, or which lines", "order_id")
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


async def _quoted(edge: Edge, buyer: UUID, order: PlaceOrder) -> Quotation:
    """Quote an order; raises the problem that placing would end with."""
    check_order(order, edge.limits)
    if order.email is not None:
        check_email(order.email)
    async with edge.pool.acquire(timeout=2) as conn:
        market = await load_market(conn, edge, buyer, order)
    found = quotation.decide(order, buyer, market)
    if isinstance(found, Rejection):
        raise ProblemError(found)
    return found


router = Router(path="/", route_handlers=[quote_order, apply_promotions], tags=["orders"])
