"""The codes of a promotion, made by a command and exported as a stream; how the promotion is used."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.datastructures.headers import Accept
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath
from litestar.response import Stream
from litestar.response.base import ASGIResponse

from api.access import allow, authorise
from api.answers import JSON, answer
from api.context import Edge, edge_of, field
from api.decode import body_of
from api.openapi import PROBLEMS, also_as, request_body
from api.paging import LAST, Cursor, Limit, LongCursor, Page, paged
from api.problems import refuse_if
from api.promotions import EDITORS, edited_by, seen_by
from api.submission import JobView, submit
from domain.accounts.model import Scope
from domain.pricing.codes import MakeCodes, NewCodes, fault_of_codes
from domain.pricing.promotion_reads import (
    CodePlace,
    CodeView,
    RedemptionView,
    UsageView,
    list_codes,
    list_redemptions,
    load_usage,
    place_of,
)

CSV = "text/csv"
EXPORT_ROWS = 5_000


class RedemptionPage(Page[RedemptionView], frozen=True):
    """A page of uses, those of the newest orders first."""


class CodePage(Page[CodeView], frozen=True):
    """A page of codes, by their letters."""


@post(
    "/promotions/{promotion_id:uuid}/codes",
    status_code=202,
    operation_id="make_codes",
    summary="Make codes of a promotion",
    opt=allow(*EDITORS, scope=Scope.PRICING_WRITE) | request_body(NewCodes, required=True),
    responses={
        200: ResponseSpec(JobView, generate_examples=False, description="made, as the client waited for it"),
        202: ResponseSpec(JobView, generate_examples=False),
        **PROBLEMS(400, 401, 403, 404, 409, 413, 415, 422, 500, 503),
    },
)
async def make_codes(request: Request[Any, Any, Any], promotion_id: FromPath[UUID]) -> ASGIResponse:
    """Make the codes that are listed, or up to 100,000 that nobody can guess.

    Codes that the promotion has already aren't made again. Where one belongs to another promotion, none is made.
    """
    edge = edge_of(request.app.state)
    principal = await authorise(request)
    new = await body_of(request, NewCodes)
    async with edge.pool.acquire(timeout=2) as conn:
        await edited_by(conn, principal, promotion_id)
    refuse_if(fault_of_codes(new))
    command = MakeCodes(promotion_id, new)
    return await submit(request, edge, principal, command, operation="POST /promotions/{promotion_id}/codes")


@get(
    "/promotions/{promotion_id:uuid}/codes",
    operation_id="list_codes",
    opt=allow(*EDITORS, scope=Scope.PRICING_READ) | also_as(CSV, "all codes, one a line, below a line with names"),
    summary="List the codes of a promotion",
    responses={200: ResponseSpec(CodePage, generate_examples=False), **PROBLEMS(400, 401, 403, 404, 503)},
)
async def list_promotion_codes(
    request: Request[Any, Any, Any], promotion_id: FromPath[UUID], limit: Limit = None, cursor: LongCursor = None
) -> Response[bytes] | Stream:
    """Show codes by their letters, page by page; with `Accept: text/csv`, all of them."""
    edge = edge_of(request.app.state)
    principal = await authorise(request)
    if Accept(field(request, b"accept") or "").best_match([JSON, CSV], default=JSON) == CSV:
        async with edge.pool.acquire(timeout=2) as conn:
            await seen_by(conn, principal, promotion_id)
        headers = {"Content-Disposition": f'attachment; filename="codes-{promotion_id}.csv"', "Vary": "Accept"}
        return Stream(_export(edge, promotion_id), media_type=CSV, headers=headers)

    async def read(conn: Any, after: CodePlace | None, count: int) -> list[CodeView]:
        await seen_by(conn, principal, promotion_id)
        return list(await list_codes(conn, promotion_id, after=after or CodePlace(), limit=count))

    return await paged(request, CodePage, limit, cursor, kind=CodePlace, read=read, key_of=place_of)


async def _export(edge: Edge, promotion_id: UUID) -> AsyncIterator[bytes]:
    """Read so many codes at a time, each time anew: no client that reads slowly keeps a transaction open."""
    yield b"code,created_at\r\n"
    after: CodePlace | None = CodePlace()
    while after is not None:
        async with edge.pool.acquire(timeout=2) as conn:
            codes = await list_codes(conn, promotion_id, after=after, limit=EXPORT_ROWS)
        # Codes are letters, digits, dashes and underscores: nothing has to be quoted.
        yield "".join(f"{code.code},{code.created_at.isoformat()}\r\n" for code in codes).encode()
        after = place_of(codes[-1]) if len(codes) == EXPORT_ROWS else None


@get(
    "/promotions/{promotion_id:uuid}/usage",
    operation_id="get_promotion_usage",
    opt=allow(*EDITORS, scope=Scope.PRICING_READ),
    summary="How a promotion is used",
    responses={200: ResponseSpec(UsageView, generate_examples=False), **PROBLEMS(401, 403, 404, 503)},
)
async def get_usage(request: Request[Any, Any, Any], promotion_id: FromPath[UUID]) -> Response[bytes]:
    """Show how many orders have a promotion, what it takes off them, and which codes brought it most."""
    principal = await authorise(request)
    async with edge_of(request.app.state).pool.acquire(timeout=2) as conn:
        promotion = await seen_by(conn, principal, promotion_id)
        return answer(await load_usage(conn, promotion))


@get(
    "/promotions/{promotion_id:uuid}/redemptions",
    operation_id="list_redemptions",
    opt=allow(*EDITORS, scope=Scope.PRICING_READ),
    summary="List the uses of a promotion",
    responses={200: ResponseSpec(RedemptionPage, generate_examples=False), **PROBLEMS(400, 401, 403, 404, 503)},
)
async def list_promotion_redemptions(
    request: Request[Any, Any, Any], promotion_id: FromPath[UUID], limit: Limit = None, cursor: Cursor = None
) -> Response[bytes]:
    """Show the orders that used a promotion, the newest first, those it came back from included."""
    principal = await authorise(request)

    async def read(conn: Any, after: UUID | None, count: int) -> list[RedemptionView]:
        await seen_by(conn, principal, promotion_id)
        return await list_redemptions(conn, promotion_id, below=after or LAST, limit=count)

    return await paged(
        request, RedemptionPage, limit, cursor, kind=UUID, read=read, key_of=lambda redemption: redemption.order_id
    )


router = Router(
    path="/",
    route_handlers=[make_codes, list_promotion_codes, get_usage, list_promotion_redemptions],
    tags=["promotions"],
)
