"""What lines pay: previewed, looked up by order, listed for admins, and for sellers what they paid and why."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, Router, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, QueryParameter

from api import once
from api.access import allow, authorise
from api.acting import viewer_of
from api.answers import answer
from api.context import edge_of
from api.decode import body_of
from api.openapi import PROBLEMS, request_body
from api.paging import Limit, LongCursor, Page, paged
from api.problems import ProblemError, refuse, refuse_if
from domain.accounts.model import Role, Scope
from domain.accounts.reads import load_membership
from domain.catalog.category_sql import load_categories
from domain.catalog.sql import load_offers
from domain.money import Money
from domain.orders.basket import facts_of
from domain.orders.commission_reads import OrderCommission, load_order_commission
from domain.pricing.book import Versions, empty_book
from domain.pricing.book_reads import load_book, load_versions
from domain.pricing.commission_preview import (
    CommissionPreview,
    LineSupposed,
    OfferNamed,
    PreviewedCommission,
    fault_of,
    preview,
)
from domain.pricing.commission_reads import (
    CalculationPlace,
    CommissionCalculation,
    CommissionTotal,
    before,
    list_calculations,
    list_paid,
    load_totals,
    place_of,
)
from domain.pricing.scope import Facts
from domain.rejections import Code, Rejection

DAYS_MAX = 366
DAYS_SHOWN = 30
_YEARS = range(2000, 3000)


class CalculationPage(Page[CommissionCalculation], frozen=True):
    """A page of calculations, newest first."""


class PaidPage(Page[CommissionCalculation], frozen=True):
    """A page of what a seller paid, newest first, with what all of the days come to by currency."""

    since: date
    until: date
    totals: list[CommissionTotal]


@once.post(
    "/pricing/commission/preview",
    status_code=200,
    operation_id="preview_commission",
    opt=allow(Role.ADMIN, scope=Scope.PRICING_READ) | request_body(CommissionPreview, required=True),
    summary="What a line would pay",
    responses={
        200: ResponseSpec(PreviewedCommission, generate_examples=False),
        **PROBLEMS(400, 401, 403, 413, 415, 422, 503),
    },
)
async def preview_commission(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Show by which rule a line would pay, what, and why each other rule that covers it isn't the one.

    By the rules as they stand, at the time given, for a price that nothing is taken off.
    """
    await authorise(request)
    wish = await body_of(request, CommissionPreview)
    refuse_if(fault_of(wish))
    async with edge_of(request.app.state).pool.acquire(timeout=2) as conn:
        facts, price = await _line(conn, wish)
        versions = Versions(commission=(await load_versions(conn)).commission)
        rules = (await load_book(conn, empty_book(), versions)).commission
    shown = preview(rules, facts, price, wish.quantity, wish.at or datetime.now(UTC))
    if isinstance(shown, Rejection):
        raise ProblemError(shown)
    return answer(shown)


async def _line(conn: Any, wish: CommissionPreview) -> tuple[Facts, Money]:
    match wish:
        case CommissionPreview(offer=OfferNamed(variant_id=variant, seller_id=seller)):
            offer = (await load_offers(conn, [(variant, seller)])).get((variant, seller))
            if offer is None:
                raise refuse(422, Code.UNKNOWN_OFFER, "this seller has no such offer", "offer")
            return facts_of(offer), wish.unit_price or Money(offer.price_minor, offer.currency)
        case CommissionPreview(facts=LineSupposed() as supposed, unit_price=Money() as price):
            nothing = UUID(int=0)
            path = await _path(conn, supposed.category_id)
            return Facts(supposed.product_id or nothing, nothing, supposed.seller_id, path), price
        case _:
            raise AssertionError("fault_of lets nothing else pass")


async def _path(conn: Any, category_id: UUID | None) -> tuple[UUID, ...]:
    if category_id is None:
        return ()
    category = (await load_categories(conn, [category_id])).get(category_id)
    if category is None:
        raise refuse(422, Code.UNKNOWN_CATEGORY, "there is no such category", "facts.category_id")
    return category.path


@get(
    "/pricing/commission-calculations",
    operation_id="list_commission_calculations",
    opt=allow(Role.ADMIN, scope=Scope.PRICING_READ),
    summary="List what lines pay, newest first",
    responses={200: ResponseSpec(CalculationPage, generate_examples=False), **PROBLEMS(400, 401, 403, 503)},
)
async def list_commission_calculations(
    request: Request[Any, Any, Any],
    *,
    limit: Limit = None,
    cursor: LongCursor = None,
    order: Annotated[UUID | None, QueryParameter(name="order")] = None,
    seller: Annotated[UUID | None, QueryParameter(name="seller")] = None,
    rule: Annotated[UUID | None, QueryParameter(name="rule")] = None,
) -> Response[bytes]:
    """Show what was worked out when orders were confirmed: all, or those of an order, of a seller, or by a rule."""
    await authorise(request)
    if sum(wanted is not None for wanted in (order, seller, rule)) > 1:
        raise refuse(
            400, Code.INVALID_REQUEST, "ask for an order, or a seller, or a rule", "rule" if rule else "seller"
        )

    async def read(conn: Any, after: CalculationPlace | None, count: int) -> list[CommissionCalculation]:
        return await list_calculations(conn, after=after, limit=count, order_id=order, seller_id=seller, rule_id=rule)

    return await paged(request, CalculationPage, limit, cursor, kind=CalculationPlace, read=read, key_of=place_of)


@get(
    "/orders/{order_id:uuid}/commission",
    operation_id="get_order_commission",
    opt=allow(Role.SELLER, Role.ADMIN, scope=Scope.PRICING_READ),
    summary="What the lines of an order pay",
    responses={200: ResponseSpec(OrderCommission, generate_examples=False), **PROBLEMS(401, 403, 404, 503)},
)
async def get_order_commission(request: Request[Any, Any, Any], order_id: FromPath[UUID]) -> Response[bytes]:
    """Show the commission of an order's lines, to a seller that of its own.

    Before the order is confirmed it is an estimate: rule and terms are settled, the price may still change.
    """
    principal = await authorise(request)
    async with edge_of(request.app.state).pool.acquire(timeout=2) as conn:
        viewer = await viewer_of(conn, principal)
        mine = viewer.is_admin or viewer.seller_id is not None
        found = await load_order_commission(conn, order_id, viewer.seller_id) if mine else None
    if found is None:
        raise refuse(404, Code.NOT_FOUND, "there is no such order of yours")
    return answer(found)


@get(
    "/sellers/me/commission",
    operation_id="list_own_commission",
    opt=allow(Role.SELLER, Role.ADMIN, scope=Scope.PRICING_READ),
    summary="What one's own seller paid, and why",
    responses={200: ResponseSpec(PaidPage, generate_examples=False), **PROBLEMS(400, 401, 403, 404, 503)},
)
async def list_own_commission(
    request: Request[Any, Any, Any],
    limit: Limit = None,
    cursor: LongCursor = None,
    since: Annotated[date | None, QueryParameter(name="since")] = None,
    until: Annotated[date | None, QueryParameter(name="until")] = None,
) -> Response[bytes]:
    """Show what lines paid whose orders were confirmed from one day to another, the last 30 unless said.

    The days are those of UTC. `totals` are of all of them, whichever page is shown.
    """
    principal = await authorise(request)
    last = until or datetime.now(UTC).date()
    first = since or _checked(last, "until") - timedelta(days=DAYS_SHOWN)
    begins = datetime.combine(_checked(first, "since"), time(), UTC)
    ends = datetime.combine(_checked(last, "until"), time(), UTC) + timedelta(days=1)
    if not timedelta() < ends - begins <= timedelta(days=DAYS_MAX):
        raise refuse(400, Code.INVALID_REQUEST, f"ask for 1 to {DAYS_MAX} days", "since")
    totals: list[CommissionTotal] = []

    async def read(conn: Any, after: CalculationPlace | None, count: int) -> list[CommissionCalculation]:
        membership = await load_membership(conn, principal.id)
        if membership is None:
            raise refuse(404, Code.NOT_FOUND, "this account acts for no seller")
        totals.extend(await load_totals(conn, membership.seller_id, begins, ends))
        below = before(ends) if after is None or after.at > before(ends).at else after
        return await list_paid(conn, membership.seller_id, begins, after=below, limit=count)

    def page(items: list[CommissionCalculation], next_cursor: str | None) -> PaidPage:
        return PaidPage(items, next_cursor, first, last, totals)

    return await paged(request, page, limit, cursor, kind=CalculationPlace, read=read, key_of=place_of)


def _checked(day: date, name: str) -> date:
    if day.year not in _YEARS:
        raise refuse(400, Code.INVALID_REQUEST, "a day of the years 2000 to 2999", name)
    return day


router = Router(
    path="/",
    route_handlers=[
        preview_commission,
        list_commission_calculations,
        get_order_commission,
        list_own_commission,
    ],
    tags=["commission"],
)
