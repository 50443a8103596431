"""Invoices and credit notes of an order: as JSON, or as a page to read and print."""

from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, Router, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, QueryParameter
from msgspec import Struct

from api.access import allow, authorise
from api.acting import viewer_of
from api.answers import answer
from api.context import edge_of
from api.openapi import PROBLEMS, also_as
from api.problems import refuse
from domain.accounts.model import Role, Scope
from domain.ids import format_order_number
from domain.orders.note_sql import load_sellers
from domain.payments.invoice_reads import DocumentView, load_documents
from domain.rejections import Code
from infra.pages import SECURITY, documents_page
from infra.security import Principal

HTML = "text/html"
JSON = "application/json"
_ORDER = "SELECT buyer, number FROM orders WHERE id = $1"


class Form(StrEnum):
    """What documents are shown as."""

    JSON = "json"
    HTML = "html"


class Documents(Struct, frozen=True):
    """An order's documents: by seller, each seller's invoice first."""

    items: list[DocumentView]


@get(
    "/orders/{order_id:uuid}/invoice",
    operation_id="get_order_invoice",
    opt=allow(Role.BUYER, Role.GUEST, Role.SELLER, Role.ADMIN, scope=Scope.ORDERS_READ)
    | also_as(HTML, "a page to read and print"),
    summary="An order's invoices and credit notes",
    responses={200: ResponseSpec(Documents, generate_examples=False), **PROBLEMS(400, 401, 403, 404, 503)},
)
async def get_order_invoice(
    request: Request[Any, Any, Any],
    order_id: FromPath[UUID],
    # What a problem names is the parameter here.
    format: Annotated[Form | None, QueryParameter(name="format")] = None,  # noqa: A002
) -> Response[bytes]:
    """Show what was invoiced and credited; a seller sees their own part. With `Accept: text/html`, or `format=html`, a
    page to read and print.

    A document is issued shortly after the order is paid, or after something of it is given back, and never changes.
    """
    principal = await authorise(request)
    async with edge_of(request.app.state).pool.acquire(timeout=2) as conn:
        row = await conn.fetchrow(_ORDER, order_id)
        seller = await _part(conn, principal, order_id, None if row is None else row["buyer"])
        documents = await load_documents(conn, order_id, seller)
    if format is Form.HTML or (format is None and request.accept.best_match([JSON, HTML]) == HTML):
        page = documents_page(format_order_number(row["number"]), documents)
        return Response(page, media_type=HTML, headers=SECURITY | {"Vary": "Accept"})
    return answer(Documents(documents), headers={"Vary": "Accept"})


async def _part(conn: Any, principal: Principal, order_id: UUID, buyer: UUID | None) -> UUID | None:
    """The seller whose part of an order somebody may see, None for the whole; raises 404 where that is nothing."""
    if buyer is not None and (principal.is_admin or buyer == principal.id):
        return None
    viewer = await viewer_of(conn, principal)
    sellers = (await load_sellers(conn, [order_id])).get(order_id, set())
    if viewer.seller_id is None or viewer.seller_id not in sellers:
        raise refuse(404, Code.NOT_FOUND, "there is no such order of yours")
    return viewer.seller_id


router = Router(path="/", route_handlers=[get_order_invoice], tags=["orders"])
