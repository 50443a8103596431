"""Stock: looked up, set or adjusted, by offer and by the list; its movements."""

from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, Router, get, post, put
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, QueryParameter
from litestar.response.base import ASGIResponse

from api import once
from api.access import allow, authorise
from api.acting import editor_of, viewer_of
from api.answers import Expected, answer, expected, transaction
from api.context import edge_of
from api.decode import body_of
from api.openapi import PROBLEMS, request_body
from api.paging import Limit, LongCursor, Page, paged
from api.problems import ProblemError, refuse, refuse_if
from api.submission import JobView, correlation_of, submit
from domain.accounts.model import Role, Scope
from domain.inventory.model import MovementKind
from domain.inventory.reads import MovementView, StockView, list_movements, load_stock, place_of
from domain.inventory.stock_model import (
    ImportStock,
    MovementPlace,
    SetStock,
    StockChange,
    StockChanges,
    Threshold,
    Version,
    fault_of_change,
    key_of,
)
from domain.inventory.stock_sql import lock_figures, write_stock
from domain.inventory.stocktaking import set_threshold
from domain.rejections import Code
from infra.security import Principal

PATH = "/inventory/{variant_id:uuid}/{seller_id:uuid}"
READ = allow(Role.SELLER, Role.ADMIN, scope=Scope.INVENTORY_READ)
WRITE = allow(Role.SELLER, Role.ADMIN, scope=Scope.INVENTORY_WRITE)
OfVariant = Annotated[UUID | None, QueryParameter(name="variant_id")]
OfSeller = Annotated[UUID | None, QueryParameter(name="seller_id")]
OfKind = Annotated[MovementKind | None, QueryParameter(name="kind")]


class MovementPage(Page[MovementView], frozen=True):
    """A page of movements, the newest first."""


@get(
    PATH,
    operation_id="get_stock",
    opt=READ,
    summary="Look up the stock of an offer",
    responses={200: ResponseSpec(StockView, generate_examples=False), **PROBLEMS(401, 403, 404, 503)},
)
async def get_stock(
    request: Request[Any, Any, Any], variant_id: FromPath[UUID], seller_id: FromPath[UUID]
) -> Response[bytes]:
    """Show what is on hand, reserved and available, in all and by location."""
    principal = await authorise(request)
    async with edge_of(request.app.state).pool.acquire(timeout=2) as conn:
        view = await load_stock(conn, variant_id, seller_id)
        if view is None or not (await viewer_of(conn, principal)).is_of(seller_id):
            raise _not_found()
    return answer(view, version=view.version)


@put(
    f"{PATH}/stock",
    status_code=202,
    operation_id="set_stock",
    summary="Set or adjust the stock of an offer",
    opt=WRITE | request_body(StockChange, required=True),
    responses={
        200: ResponseSpec(JobView, generate_examples=False, description="changed, as the client waited for it"),
        202: ResponseSpec(JobView, generate_examples=False),
        **PROBLEMS(400, 401, 403, 404, 409, 412, 413, 415, 422, 500, 503),
    },
)
async def set_stock(
    request: Request[Any, Any, Any], variant_id: FromPath[UUID], seller_id: FromPath[UUID]
) -> ASGIResponse:
    """Count an offer's units (`on_hand`), add or take some (`delta`), say how many may be sold beyond them.

    `version`, or `If-Match`, names the version it is meant for: a job that finds another one ends with a 412.
    """
    edge = edge_of(request.app.state)
    principal = await authorise(request)
    change = await body_of(request, StockChange)
    refuse_if(fault_of_change(change, change.cause))
    versions = _versions(expected(request), change.version)
    async with edge.pool.acquire(timeout=2) as conn:
        await _must_keep(conn, principal, seller_id)
        if await load_stock(conn, variant_id, seller_id) is None:
            raise _not_found()
    command = SetStock(variant_id, seller_id, change, versions)
    return await submit(request, edge, principal, command, operation="PUT /inventory/{variant_id}/{seller_id}/stock")


def _versions(seen: Expected, named: Version | None) -> tuple[int, ...] | None:
    """The versions a change is meant for: by the body, by the header, or by both; None is any."""
    if seen.tags is None:
        return None if named is None else (named,)
    versions = sorted({int(tag) for tag in seen.tags if tag.isdecimal() and tag.isascii() and 0 < int(tag) < 2**63})
    if named is not None:
        versions = [version for version in versions if version == named]
    return tuple(versions)


@once.put(
    f"{PATH}/threshold",
    operation_id="set_threshold",
    summary="Say when an offer's stock is low",
    opt=WRITE | request_body(Threshold, required=True),
    responses={
        200: ResponseSpec(StockView, generate_examples=False, description="set, or the same as before"),
        **PROBLEMS(400, 401, 403, 404, 412, 413, 415, 422, 503),
    },
)
async def put_threshold(
    request: Request[Any, Any, Any], variant_id: FromPath[UUID], seller_id: FromPath[UUID]
) -> Response[bytes]:
    """Set from how many available units on stock is low (`stock.low` tells so); with null it never is."""
    principal = await authorise(request)
    wish = await body_of(request, Threshold)
    seen = expected(request)
    key = key_of(variant_id, seller_id)
    async with transaction(request) as conn:
        await _must_keep(conn, principal, seller_id)
        before = (await lock_figures(conn, [key])).get(key)
        if before is None:
            raise _not_found()
        seen.check(before.version)
        actor, correlation = principal.id, correlation_of(request)
        await write_stock(conn, set_threshold(key, before, wish.threshold, actor=actor, correlation=correlation))
        view = await load_stock(conn, variant_id, seller_id)
    if view is None:
        raise _not_found()
    return answer(view, version=view.version)


@post(
    "/inventory/stock/bulk",
    status_code=202,
    operation_id="import_stock",
    summary="Set or adjust the stock of many offers",
    opt=WRITE | request_body(StockChanges, required=True),
    responses={
        200: ResponseSpec(JobView, generate_examples=False, description="done, as the client waited for it"),
        202: ResponseSpec(JobView, generate_examples=False),
        **PROBLEMS(400, 401, 403, 404, 409, 413, 415, 422, 500, 503),
    },
)
async def import_stock(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Change up to 10,000 offers of a seller, in one transaction.

    A row that can't be carried out is refused by itself: the result names it by its index, and the others are done.
    """
    edge = edge_of(request.app.state)
    principal = await authorise(request)
    changes = await body_of(request, StockChanges)
    for index, row in enumerate(changes.items):
        fault = fault_of_change(row, changes.cause)
        if fault is not None:
            raise refuse(fault.status, fault.code, fault.detail, f"items[{index}].{fault.path}")
    async with edge.pool.acquire(timeout=2) as conn:
        seller_id = await _whose(conn, principal, changes.seller_id)
    command = ImportStock(seller_id, changes)
    return await submit(request, edge, principal, command, operation="POST /inventory/stock/bulk")


async def _whose(conn: Any, principal: Principal, named: UUID | None) -> UUID:
    """The seller whose stock a list is about: the one that is named, or the one that somebody acts for."""
    editor = await editor_of(conn, principal)
    seller_id = named or editor.seller_id
    if seller_id is None:
        raise refuse(400, Code.INVALID_REQUEST, "say whose stock it is", "seller_id")
    if not editor.is_of(seller_id):
        raise refuse(404, Code.NOT_FOUND, "there is no such seller that is yours", "seller_id")
    return seller_id


@get(
    "/inventory/movements",
    operation_id="list_movements",
    opt=READ,
    summary="List changes of stock, newest first",
    responses={200: ResponseSpec(MovementPage, generate_examples=False), **PROBLEMS(400, 401, 403, 503)},
)
async def list_stock_movements(
    request: Request[Any, Any, Any],
    *,
    variant_id: OfVariant = None,
    seller_id: OfSeller = None,
    kind: OfKind = None,
    limit: Limit = None,
    cursor: LongCursor = None,
) -> Response[bytes]:
    """Show how stock came to be what it is: a seller its own, an admin everybody's."""
    principal = await authorise(request)

    async def read(conn: Any, after: MovementPlace | None, count: int) -> list[MovementView]:
        viewer = await viewer_of(conn, principal)
        if not viewer.is_admin and (viewer.seller_id is None or seller_id not in {None, viewer.seller_id}):
            return []
        return await list_movements(
            conn,
            seller_id=seller_id if viewer.is_admin else viewer.seller_id,
            variant_id=variant_id,
            kind=kind,
            below=after,
            limit=count,
        )

    return await paged(request, MovementPage, limit, cursor, kind=MovementPlace, read=read, key_of=place_of)


async def _must_keep(conn: Any, principal: Principal, seller_id: UUID) -> None:
    """Raise a problem unless the principal keeps a seller's stock."""
    if not (await editor_of(conn, principal)).is_of(seller_id):
        raise _not_found()


def _not_found() -> ProblemError:
    return refuse(404, Code.NOT_FOUND, "there is no such offer of yours")


router = Router(
    path="/",
    route_handlers=[get_stock, set_stock, put_threshold, import_stock, list_stock_movements],
    tags=["inventory"],
)
