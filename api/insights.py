"""What events add up to, day by day: a seller's sales, and how an offer's stock moved."""

from typing import Any
from uuid import UUID

from litestar import Request, Response, Router, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath

from api.access import allow, authorise
from api.acting import viewer_of
from api.openapi import PROBLEMS
from api.paging import Limit, LongCursor, Page, paged
from api.problems import refuse
from domain.accounts.model import Role, Scope
from domain.accounts.reads import load_membership
from domain.insights.reads import (
    DayPlace,
    SalesPlace,
    SalesView,
    StockDayView,
    list_sales,
    list_stock_days,
    place_of_day,
    place_of_sales,
)
from domain.inventory.reads import load_stock
from domain.rejections import Code


class SalesPage(Page[SalesView], frozen=True):
    """A page of days, the newest first; a day with sales in several currencies comes once for each."""


class StockDayPage(Page[StockDayView], frozen=True):
    """A page of days on which something moved, the newest first."""


@get(
    "/sellers/me/sales",
    operation_id="list_own_sales",
    opt=allow(Role.SELLER, Role.ADMIN, scope=Scope.MONEY_READ),
    summary="What one's own seller sold, day by day",
    responses={200: ResponseSpec(SalesPage, generate_examples=False), **PROBLEMS(400, 401, 403, 404, 503)},
)
async def list_own_sales(
    request: Request[Any, Any, Any], limit: Limit = None, cursor: LongCursor = None
) -> Response[bytes]:
    """Show sales on the day (UTC) their orders were confirmed, and what was taken back on the day that happened.

    It follows what happens a few seconds later.
    """
    principal = await authorise(request)

    async def read(conn: Any, below: SalesPlace | None, count: int) -> Any:
        membership = await load_membership(conn, principal.id)
        if membership is None:
            raise refuse(404, Code.NOT_FOUND, "this account acts for no seller")
        return await list_sales(conn, membership.seller_id, below or SalesPlace(), count)

    return await paged(request, SalesPage, limit, cursor, kind=SalesPlace, read=read, key_of=place_of_sales)


@get(
    "/inventory/{variant_id:uuid}/{seller_id:uuid}/history",
    operation_id="list_stock_days",
    opt=allow(Role.SELLER, Role.ADMIN, scope=Scope.INVENTORY_READ),
    summary="How an offer's stock moved, day by day",
    responses={200: ResponseSpec(StockDayPage, generate_examples=False), **PROBLEMS(400, 401, 403, 404, 503)},
)
async def list_days_of_stock(
    request: Request[Any, Any, Any],
    variant_id: FromPath[UUID],
    seller_id: FromPath[UUID],
    limit: Limit = None,
    cursor: LongCursor = None,
) -> Response[bytes]:
    """Show what was on hand and reserved at the end of each day (UTC), and what came and went.

    It follows what happens a few seconds later.
    """
    principal = await authorise(request)

    async def read(conn: Any, below: DayPlace | None, count: int) -> Any:
        known = await load_stock(conn, variant_id, seller_id)
        if known is None or not (await viewer_of(conn, principal)).is_of(seller_id):
            raise refuse(404, Code.NOT_FOUND, "there is no such offer of yours")
        return await list_stock_days(conn, variant_id, seller_id, below or DayPlace(), count)

    return await paged(request, StockDayPage, limit, cursor, kind=DayPlace, read=read, key_of=place_of_day)


router = Router(path="/", route_handlers=[list_own_sales, list_days_of_stock], tags=["insights"])
