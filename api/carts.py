"""Carts: begin, list, look up, replace, remove; checked out in ``api.cart_checkout``.

Invariant: an edit is made on the version that was read, and only while the cart is open. What a cart shows is looked at
again each time: prices, stock, what it comes to.
"""

from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

import msgspec
from litestar import Request, Response, Router, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath

from api import once
from api.access import allow, authorise
from api.answers import answer, expected, nothing, transaction
from api.cart_checkout import check_out_cart
from api.context import Edge, edge_of
from api.credentials import check_email
from api.decode import body_of, check_order
from api.market import load_market
from api.openapi import PROBLEMS, request_body
from api.paging import Cursor, Limit, Page, newest_first
from api.problems import ProblemError, refuse, refuse_if
from api.submission import correlation_of
from domain.accounts.model import Role, Scope
from domain.journal.model import Event
from domain.journal.sql import insert_events
from domain.orders import cart_edit, cart_sql
from domain.orders.cart_edit import order_of
from domain.orders.cart_model import Cart, CartContent, CartFacts, CartRemoved, CartStatus, line_facts
from domain.orders.cart_sql import CartSummary
from domain.orders.cart_view import CartView, view
from domain.orders.demand import Market
from domain.rejections import Code, Rejection
from infra.clock import new_id
from infra.security import Principal

READERS = allow(Role.BUYER, Role.GUEST, Role.ADMIN, scope=Scope.ORDERS_READ)
WRITERS = allow(Role.BUYER, Role.GUEST, Role.ADMIN, scope=Scope.ORDERS_WRITE)


class CartPage(Page[CartSummary], frozen=True):
    """A page of carts, newest first."""


@get(
    "/carts",
    operation_id="list_carts",
    opt=READERS,
    summary="List carts, newest first",
    responses={200: ResponseSpec(CartPage, generate_examples=False), **PROBLEMS(400, 401, 403, 503)},
)
async def list_own_carts(
    request: Request[Any, Any, Any], limit: Limit = None, cursor: Cursor = None
) -> Response[bytes]:
    """Show one's own carts, ordered ones too; an admin's list holds all."""
    principal = await authorise(request)
    read = partial(cart_sql.list_carts, owner=None if principal.is_admin else principal.id)
    return await newest_first(request, CartPage, limit, cursor, read)


@once.post(
    "/carts",
    status_code=201,
    operation_id="create_cart",
    summary="Begin a cart",
    opt=WRITERS | request_body(CartContent, required=True),
    responses={
        201: ResponseSpec(CartView, generate_examples=False),
        **PROBLEMS(400, 401, 403, 409, 413, 415, 422, 503),
    },
)
async def create_cart(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Begin a cart, empty or not. Each line has to be for sale; the lines of one offer are added up."""
    edge = edge_of(request.app.state)
    principal = await authorise(request)
    wish = await _content_of(request, edge)
    now = datetime.now(UTC)
    async with transaction(request) as conn:
        await cart_sql.lock_owner(conn, principal.id)
        refuse_if(cart_edit.refuse_another(await cart_sql.count_carts(conn, principal.id)))
        content, market = await _noted(conn, edge, principal.id, wish, None)
        cart = Cart(new_id(), principal.id, 1, CartStatus.OPEN, None, content, now, now)
        at = (await cart_sql.insert_carts(conn, [cart]))[cart.id]
        await insert_events(conn, [_event(request, principal, cart, "cart.created")])
    cart = msgspec.structs.replace(cart, created_at=at, updated_at=at)
    return answer(view(cart, market), 201, version=1, headers={"Location": f"/carts/{cart.id}"})


@get(
    "/carts/{cart_id:uuid}",
    operation_id="get_cart",
    opt=READERS,
    summary="Look up a cart, its prices and stock checked again",
    responses={200: ResponseSpec(CartView, generate_examples=False), **PROBLEMS(401, 403, 404, 503)},
)
async def get_cart(request: Request[Any, Any, Any], cart_id: FromPath[UUID]) -> Response[bytes]:
    """Show a cart: each line's price then and now, what is available, and what ordering it would charge."""
    edge = edge_of(request.app.state)
    principal = await authorise(request)
    async with edge.pool.acquire(timeout=2) as conn:
        cart = await load_visible(conn, principal, cart_id)
        market = await load_market(conn, edge, cart.owner, order_of(cart.content))
    return answer(view(cart, market), version=cart.version)


@once.put(
    "/carts/{cart_id:uuid}",
    operation_id="replace_cart",
    summary="Replace what a cart holds",
    opt=WRITERS | request_body(CartContent, required=True),
    responses={
        200: ResponseSpec(CartView, generate_examples=False),
        **PROBLEMS(400, 401, 403, 404, 409, 412, 413, 415, 422, 503),
    },
)
async def replace_cart(request: Request[Any, Any, Any], cart_id: FromPath[UUID]) -> Response[bytes]:
    """Put other content in place of a cart's, every field of it.

    A line without `unit_price` is shown with the present price from now on. What was in the cart may stay, for sale or
    not.
    """
    edge = edge_of(request.app.state)
    principal = await authorise(request)
    wish = await _content_of(request, edge)
    seen = expected(request)
    async with transaction(request) as conn:
        await cart_sql.lock_carts(conn, [cart_id])
        found = await load_visible(conn, principal, cart_id)
        seen.check(found.version)
        refuse_if(cart_edit.refuse_closed(found))
        content, market = await _noted(conn, edge, found.owner, wish, found.content)
        cart = msgspec.structs.replace(found, content=content, version=found.version + 1)
        at = (await cart_sql.replace_carts(conn, [cart]))[cart_id]
        await insert_events(conn, [_event(request, principal, cart, "cart.changed")])
    return answer(view(msgspec.structs.replace(cart, updated_at=at), market), version=cart.version)


@once.delete(
    "/carts/{cart_id:uuid}",
    status_code=204,
    operation_id="remove_cart",
    summary="Remove a cart",
    opt=WRITERS,
    responses={
        204: ResponseSpec(None, generate_examples=False, description="gone; an order that it became stays"),
        **PROBLEMS(400, 401, 403, 404, 409, 412, 422, 503),
    },
)
async def remove_cart(request: Request[Any, Any, Any], cart_id: FromPath[UUID]) -> Response[None]:
    """Forget a cart, unless it is being ordered."""
    principal = await authorise(request)
    seen = expected(request)
    async with transaction(request) as conn:
        await cart_sql.lock_carts(conn, [cart_id])
        cart = await load_visible(conn, principal, cart_id)
        seen.check(cart.version)
        if cart.status is CartStatus.ORDERING:
            refuse_if(cart_edit.refuse_closed(cart))
        await cart_sql.delete_carts(conn, [cart_id])
        data = msgspec.json.encode(CartRemoved(None)).decode()
        gone = Event(cart_id, cart.version + 1, "cart.removed", data, principal.id, correlation_of(request))
        await insert_events(conn, [gone])
    return nothing()


async def load_visible(conn: Any, principal: Principal, cart_id: UUID) -> Cart:
    """Read a cart of one's own, an admin's being all; raises a problem of status 404."""
    cart = (await cart_sql.load_carts(conn, [cart_id])).get(cart_id)
    if cart is None or not (principal.is_admin or cart.owner == principal.id):
        raise refuse(404, Code.NOT_FOUND, "there is no such cart of yours")
    return cart


async def _content_of(request: Request[Any, Any, Any], edge: Edge) -> CartContent:
    content = await body_of(request, CartContent)
    check_order(order_of(content), edge.limits)
    if content.email is not None:
        check_email(content.email)
    return content


async def _noted(
    conn: Any, edge: Edge, owner: UUID, wish: CartContent, before: CartContent | None
) -> tuple[CartContent, Market]:
    """What a cart is to hold, with what it was decided against; raises the problem that stands against it."""
    market = await load_market(conn, edge, owner, order_of(wish))
    content = cart_edit.note(wish, before, owner, market)
    if isinstance(content, Rejection):
        raise ProblemError(content)
    return content, market


def _event(request: Request[Any, Any, Any], principal: Principal, cart: Cart, kind: str) -> Event:
    facts = CartFacts(cart.owner, cart.content.currency, line_facts(cart.content))
    data = msgspec.json.encode(facts).decode()
    return Event(cart.id, cart.version, kind, data, principal.id, correlation_of(request))


router = Router(
    path="/",
    route_handlers=[list_own_carts, create_cart, get_cart, replace_cart, remove_cart, check_out_cart],
    tags=["orders"],
)
