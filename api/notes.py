"""Notes on orders: what sellers and the platform write down for themselves."""

from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

from litestar import Request, Response, Router, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath

from api import once
from api.access import allow, authorise
from api.acting import Viewer, editor_of, viewer_of
from api.answers import answer, transaction
from api.context import edge_of
from api.decode import body_of
from api.openapi import PROBLEMS, request_body
from api.paging import Cursor, Limit, Page, newest_first
from api.problems import refuse
from domain.accounts.model import Role, Scope
from domain.orders.note_sql import insert_notes, list_notes, load_sellers
from domain.orders.notes import NewNote, Note
from domain.rejections import Code
from infra.clock import new_id


class NotePage(Page[Note], frozen=True):
    """A page of notes, newest first."""


@once.post(
    "/orders/{order_id:uuid}/notes",
    status_code=201,
    operation_id="add_note",
    summary="Write something down about an order",
    opt=allow(Role.SELLER, Role.ADMIN, scope=Scope.ORDERS_WRITE) | request_body(NewNote, required=True),
    responses={
        201: ResponseSpec(Note, generate_examples=False),
        **PROBLEMS(400, 401, 403, 404, 413, 415, 503),
    },
)
async def add_note(request: Request[Any, Any, Any], order_id: FromPath[UUID]) -> Response[bytes]:
    """Add a note to an order: a seller's is seen by that seller and by admins, an admin's by admins alone."""
    principal = await authorise(request)
    wish = await body_of(request, NewNote)
    async with transaction(request) as conn:
        writer = await editor_of(conn, principal)
        await must_have_part(conn, writer, order_id)
        note = Note(new_id(), order_id, writer.seller_id, principal.id, wish.text, datetime.now(UTC))
        await insert_notes(conn, [note])
    return answer(note, 201)


@get(
    "/orders/{order_id:uuid}/notes",
    operation_id="list_notes",
    summary="What was written down about an order",
    opt=allow(Role.SELLER, Role.ADMIN, scope=Scope.ORDERS_READ),
    responses={200: ResponseSpec(NotePage, generate_examples=False), **PROBLEMS(400, 401, 403, 404, 503)},
)
async def list_order_notes(
    request: Request[Any, Any, Any], order_id: FromPath[UUID], limit: Limit = None, cursor: Cursor = None
) -> Response[bytes]:
    """Show an order's notes: a seller their own, an admin everybody's."""
    principal = await authorise(request)
    async with edge_of(request.app.state).pool.acquire(timeout=2) as conn:
        viewer = await viewer_of(conn, principal)
        await must_have_part(conn, viewer, order_id)
    read = partial(list_notes, order_id=order_id, seller_id=viewer.seller_id)
    return await newest_first(request, NotePage, limit, cursor, read)


async def must_have_part(conn: Any, viewer: Viewer, order_id: UUID) -> None:
    """Raise 404 unless there is such an order, and it has a part of theirs (or they are an admin)."""
    sellers = (await load_sellers(conn, [order_id])).get(order_id, set())
    if not sellers or not (viewer.is_admin or viewer.seller_id in sellers):
        raise refuse(404, Code.NOT_FOUND, "there is no such order of yours")


router = Router(path="/", route_handlers=[add_note, list_order_notes], tags=["orders"])
