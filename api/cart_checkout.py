"""A cart becomes an order: ``POST /carts/{id}/checkout`` is ``POST /orders`` with what the cart holds.

Invariant: a cart becomes one order. In one transaction the cart is locked, the command is written to the journal and
the cart notes its id: whoever comes second, or comes again after a crash, with whatever key, finds that order. When its
placing is refused the cart is open again, as it was, because that is told by the journal and stored nowhere else.
"""

from typing import Any
from uuid import UUID

import msgspec
from litestar import Request, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath
from litestar.response.base import ASGIResponse
from msgspec import Struct

from api.accept import Accepted
from api.access import allow, authorise
from api.answers import Expected, expected, transaction
from api.context import CORRELATION, TRACE, Edge, edge_of, encode, field
from api.credentials import check_email
from api.decode import body_or, check_order
from api.openapi import PROBLEMS, request_body
from api.problems import key_reused, refuse, refuse_if
from api.submission import JobView, follow, key_of, ring
from domain.accounts.model import Role, Scope
from domain.journal.keys import digest
from domain.journal.model import Event, NewCommand
from domain.journal.sql import insert_commands, insert_events, load_keys
from domain.orders import cart_edit, cart_sql
from domain.orders.cart_model import Cart, CartCheckedOut, CartStatus, Checkout
from domain.orders.model import PlaceOrder
from domain.rejections import Code
from infra.clock import new_id
from infra.security import Principal

OPERATION = "POST /carts/{cart_id}/checkout"


class Key(Struct, frozen=True):
    """A request's ``Idempotency-Key`` and its own fingerprint, as the journal keeps them; None without one."""

    hash: bytes | None = None
    fingerprint: bytes | None = None


@post(
    "/carts/{cart_id:uuid}/checkout",
    status_code=202,
    operation_id="check_out_cart",
    summary="Order what a cart holds",
    opt=allow(Role.BUYER, Role.GUEST, Role.ADMIN, scope=Scope.ORDERS_WRITE) | request_body(Checkout),
    responses={
        200: ResponseSpec(JobView, generate_examples=False, description="placed, as the client waited for it"),
        202: ResponseSpec(JobView, generate_examples=False, description="accepted; the order's id is the job's id"),
        **PROBLEMS(400, 401, 403, 404, 409, 412, 413, 415, 422, 500, 503),
    },
)
async def check_out_cart(request: Request[Any, Any, Any], cart_id: FromPath[UUID]) -> ASGIResponse:
    """Accept an order of what a cart holds, at the prices it shows: one that has changed refuses the order.

    A cart that is ordered already, or being ordered, answers with that order's job.
    """
    edge = edge_of(request.app.state)
    principal = await authorise(request)
    wish = await body_or(request, Checkout())
    seen = expected(request)
    key = _key(request, edge, wish)
    async with transaction(request) as conn:
        await cart_sql.lock_carts(conn, [cart_id])
        cart = (await cart_sql.load_carts(conn, [cart_id])).get(cart_id)
        if cart is None or cart.owner != principal.id:
            raise refuse(404, Code.NOT_FOUND, "there is no such cart of yours")
        accepted = await _known(conn, cart, key)
        if accepted is None:
            order = _order_of(edge, principal, cart, wish, seen)
            accepted = await _submit(request, conn, cart, order, key)
    if not accepted.replayed:
        ring(request, {(PlaceOrder.job, PlaceOrder.lane.value)})
    return await follow(request, edge, accepted, PlaceOrder)


def _key(request: Request[Any, Any, Any], edge: Edge, wish: Checkout) -> Key:
    text = key_of(request, edge)
    if text is None:
        return Key()
    versions = field(request, b"if-match") or ""
    said = (OPERATION.encode(), request.scope["path"].encode(), encode(wish), versions.encode())
    return Key(digest(text.encode()), digest(*said))


async def _known(conn: Any, cart: Cart, key: Key) -> Accepted | None:
    """The order that this request has led to before, or that the cart has become; raises 422 for another's key."""
    if key.hash is not None:
        holder = (await load_keys(conn, [(cart.owner, key.hash)])).get((cart.owner, key.hash))
        if holder is not None:
            command_id, fingerprint = holder
            if command_id is None or fingerprint != key.fingerprint:
                raise key_reused()
            return Accepted(command_id, replayed=True)
    if cart.status is CartStatus.OPEN or cart.order_id is None:
        return None
    return Accepted(cart.order_id, replayed=True)


def _order_of(edge: Edge, principal: Principal, cart: Cart, wish: Checkout, seen: Expected) -> PlaceOrder:
    """The order that a checkout asks for; raises what stands against it before it is queued."""
    seen.check(cart.version)
    refuse_if(cart_edit.refuse_empty(cart.content))
    order = cart_edit.order_of(cart_edit.with_wishes(cart.content, wish))
    check_order(order, edge.limits)
    if order.email is not None:
        check_email(order.email)
    elif Role.GUEST in principal.roles:
        raise refuse(400, Code.INVALID_REQUEST, "a guest orders with an e-mail address", "email")
    edge.accept.check(PlaceOrder)
    return order


async def _submit(request: Request[Any, Any, Any], conn: Any, cart: Cart, order: PlaceOrder, key: Key) -> Accepted:
    """Write the command to the journal and its id to the cart, which is locked."""
    scope: Any = request.scope
    order_id = new_id()
    correlation = scope[CORRELATION] = scope[CORRELATION] or str(order_id)
    new = NewCommand(
        id=order_id,
        principal=cart.owner,
        command=order,
        payload=encode(order).decode(),
        correlation=correlation,
        trace=scope[TRACE],
        key_hash=key.hash,
        fingerprint=key.fingerprint,
    )
    version = cart.version + 1
    await cart_sql.note_checkout(conn, cart.id, order_id, version)
    data = msgspec.json.encode(CartCheckedOut(order_id)).decode()
    await insert_events(conn, [Event(cart.id, version, "cart.checked_out", data, cart.owner, correlation)])
    # Last, because a key that somebody else writes at this moment is waited for.
    if order_id not in await insert_commands(conn, [new]):
        raise key_reused()
    return Accepted(order_id, replayed=False)
