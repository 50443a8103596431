"""What a seller is told of its money: how it stands, and statements of each currency."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, Router, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter
from litestar.response import Stream
from msgspec import field

from api.access import allow, authorise
from api.answers import answer
from api.context import Edge, edge_of
from api.openapi import PROBLEMS, also_as
from api.paging import Limit, LongCursor, Page, paged
from api.problems import refuse
from api.sheets import CSV, Format, attachment, lines, wants_csv
from domain.accounts.model import Role, Scope
from domain.accounts.reads import load_membership
from domain.money import Currency, in_major
from domain.payments.ledger_reads import SignedMoney
from domain.payments.statement_reads import (
    Balances,
    Period,
    StatementLine,
    StatementPlace,
    beginning_of,
    list_lines,
    load_balances,
    load_bounds,
    place_of,
)
from domain.rejections import Code
from infra.security import Principal

READ = allow(Role.SELLER, Role.ADMIN, scope=Scope.MONEY_READ)
DAYS_MAX = 366
DAYS_SHOWN = 30
EXPORT_ROWS = 2_000
_YEARS = range(2000, 3000)
OfCurrency = Annotated[str | None, QueryParameter(name="currency", pattern="^[A-Z]{3}$", max_length=3)]


class StatementPage(Page[StatementLine], frozen=True):
    """A page of a statement, oldest first; ``opening`` and ``closing`` are those of all of the days."""

    seller_id: UUID
    currency: Currency
    since: date = field(name="from")
    until: date = field(name="to")
    opening: SignedMoney
    closing: SignedMoney


@get(
    "/sellers/me/balance",
    operation_id="get_own_balance",
    opt=READ,
    summary="How one's own seller stands",
    responses={200: ResponseSpec(Balances, generate_examples=False), **PROBLEMS(401, 403, 404, 503)},
)
async def get_own_balance(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Show by currency what the seller is owed: not settled yet, available, in payouts, held by chargebacks."""
    principal = await authorise(request)
    async with edge_of(request.app.state).pool.acquire(timeout=2) as conn:
        seller_id = await _acts_for(conn, principal)
        return answer(await load_balances(conn, seller_id, datetime.now(UTC)))


@get(
    "/sellers/me/statements",
    operation_id="get_own_statement",
    opt=READ | also_as(CSV, "the whole statement, with a line each for what was owed before and after"),
    summary="A statement of one's own seller",
    responses={200: ResponseSpec(StatementPage, generate_examples=False), **PROBLEMS(400, 401, 403, 404, 503)},
)
async def get_own_statement(
    request: Request[Any, Any, Any],
    *,
    limit: Limit = None,
    cursor: LongCursor = None,
    since: Annotated[date | None, QueryParameter(name="from")] = None,
    until: Annotated[date | None, QueryParameter(name="to")] = None,
    currency: OfCurrency = None,
    wanted: Format = None,
) -> Response[bytes] | Stream:
    """Show what changed the seller's balance from one day to another, the last 30 unless said: what they are owed is
    positive. The days are those of UTC; the currency may be left out where there is one alone.

    What is still going on may yet be added to the last day. With `Accept: text/csv`, or `format=csv`, it is a file.
    """
    edge = edge_of(request.app.state)
    principal = await authorise(request)
    as_file = wants_csv(request, wanted)
    first, last = _days(since, until)
    async with edge.pool.acquire(timeout=2) as conn:
        seller_id = await _acts_for(conn, principal)
        if currency is None:
            currency = _only(await load_balances(conn, seller_id, datetime.now(UTC)))
        period = Period(seller_id, currency, _midnight(first), _midnight(last) + timedelta(days=1))
        opening, closing = await load_bounds(conn, period)
    if as_file:
        headers = attachment(f"statement-{currency}-{first}-{last}")
        return Stream(_export(edge, period, opening), media_type=CSV, headers=headers)

    async def read(conn: Any, after: StatementPlace | None, count: int) -> list[StatementLine]:
        return await list_lines(conn, period, after or beginning_of(period, opening), count)

    def page(items: list[StatementLine], next_cursor: str | None) -> StatementPage:
        bounds = (SignedMoney(amount, period.currency) for amount in (opening, closing))
        return StatementPage(items, next_cursor, seller_id, period.currency, first, last, *bounds)

    return await paged(request, page, limit, cursor, kind=StatementPlace, read=read, key_of=place_of)


async def _export(edge: Edge, period: Period, opening: int) -> AsyncIterator[bytes]:
    """Read so many lines at a time, each time anew: no client that reads slowly keeps a transaction open."""
    currency = period.currency
    yield lines([("time", "kind", "order", "amount", "balance", "currency")])
    yield lines([(period.begins.isoformat(), "opening", "", "", in_major(opening, currency), currency)])
    place, more = beginning_of(period, opening), True
    while more:
        async with edge.pool.acquire(timeout=2) as conn:
            found = await list_lines(conn, period, place, EXPORT_ROWS)
        yield lines([_row(line) for line in found])
        more = len(found) == EXPORT_ROWS
        place = place_of(found[-1]) if found else place
    yield lines([(period.ends.isoformat(), "closing", "", "", in_major(place.balance_minor, currency), currency)])


def _row(line: StatementLine) -> tuple[str, ...]:
    currency = line.amount.currency
    amounts = (in_major(line.amount.amount, currency), in_major(line.balance.amount, currency))
    return (line.at.isoformat(), line.kind.value, line.order or "", *amounts, currency)


async def _acts_for(conn: Any, principal: Principal) -> UUID:
    membership = await load_membership(conn, principal.id)
    if membership is None:
        raise refuse(404, Code.NOT_FOUND, "this account acts for no seller")
    return membership.seller_id


def _days(since: date | None, until: date | None) -> tuple[date, date]:
    last = _checked(until or datetime.now(UTC).date(), "to")
    first = _checked(since or last - timedelta(days=DAYS_SHOWN), "from")
    if not 0 <= (last - first).days < DAYS_MAX:
        raise refuse(400, Code.INVALID_REQUEST, f"ask for 1 to {DAYS_MAX} days", "from")
    return first, last


def _checked(day: date, name: str) -> date:
    if day.year not in _YEARS:
        raise refuse(400, Code.INVALID_REQUEST, "a day of the years 2000 to 2999", name)
    return day


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _only(balances: Balances) -> str:
    currencies = [balance.currency for balance in balances.balances]
    if len(currencies) != 1:
        among = f": {', '.join(currencies)}" if currencies else ""
        raise refuse(400, Code.INVALID_REQUEST, f"say which currency{among}", "currency")
    return currencies[0]


router = Router(path="/", route_handlers=[get_own_balance, get_own_statement], tags=["money"])
