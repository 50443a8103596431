"""Events: what happened, over all streams, for admins."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, Router, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter
from msgspec import Struct

from api.access import allow, authorise
from api.answers import answer
from api.context import edge_of
from api.openapi import PROBLEMS
from api.paging import Cursor, Limit, size_of
from api.problems import refuse
from domain.accounts.model import Role, Scope
from domain.journal.event_search_reads import EventSearch, EventView, search_events
from domain.journal.events import EventCursor, parse_cursor
from domain.rejections import Code

_TYPE = re.compile(r"([a-z_]+\.)(\*|[a-z_]+)")


class EventPage(Struct, frozen=True):
    """A page of events, oldest first. ``next_cursor`` is null when there is no more just now.

    ``cursor`` is where to ask again later: what comes there was listed by no page before, and nothing is left out.
    """

    items: list[EventView]
    next_cursor: str | None
    cursor: str


@get(
    "/events",
    operation_id="list_events",
    opt=allow(Role.ADMIN, scope=Scope.OPERATION_READ),
    summary="List events, oldest first",
    responses={200: ResponseSpec(EventPage, generate_examples=False), **PROBLEMS(400, 401, 403, 503)},
)
async def list_events(
    request: Request[Any, Any, Any],
    *,
    limit: Limit = None,
    cursor: Cursor = None,
    stream: Annotated[UUID | None, QueryParameter(name="stream")] = None,
    kind: Annotated[
        str | None, QueryParameter(name="type", max_length=100, description="as `order.placed`, or `order.*`")
    ] = None,
    correlation: Annotated[str | None, QueryParameter(name="correlation", max_length=128, pattern="^[ -~]*$")] = None,
    since: Annotated[datetime | None, QueryParameter(name="since")] = None,
    until: Annotated[datetime | None, QueryParameter(name="until")] = None,
) -> Response[bytes]:
    """Show what happened, in an order that nothing is added to afterwards. All filters that are given must fit.

    A page looks at 20,000 events at most: one may be empty and have a `next_cursor` all the same. `since` is included,
    `until` isn't. An event is listed once no transaction is open that may still write before it.
    """
    edge = edge_of(request.app.state)
    await authorise(request)
    size, after = size_of(limit, edge.settings), _place(cursor)
    exact, prefix = _kinds(kind)
    wanted = EventSearch(stream, exact, prefix, correlation, _moment(since, "since"), _moment(until, "until"))
    async with edge.pool.acquire(timeout=2) as conn:
        found = await search_events(conn, wanted, after, size)
    place = str(found.cursor)
    return answer(EventPage(found.items, place if found.more else None, place))


def _place(cursor: str | None) -> EventCursor | None:
    if cursor is None:
        return None
    place = parse_cursor(cursor)
    if place is None:
        raise refuse(400, Code.INVALID_REQUEST, "this is not a cursor of ours", "cursor")
    return place


def _kinds(kind: str | None) -> tuple[str | None, str | None]:
    if kind is None:
        return None, None
    match = _TYPE.fullmatch(kind)
    if match is None:
        raise refuse(400, Code.INVALID_REQUEST, "a type is written as order.placed, all of a kind as order.*", "type")
    return (None, match[1]) if match[2] == "*" else (kind, None)


def _moment(said: datetime | None, name: str) -> datetime | None:
    if said is None:
        return None
    if said.tzinfo is None or not 2000 <= said.year < 3000:
        detail = "a moment of the years 2000 to 2999 with its offset from UTC, as 2026-01-31T12:00:00Z"
        raise refuse(400, Code.INVALID_REQUEST, detail, name)
    return said.astimezone(UTC)


router = Router(path="/", route_handlers=[list_events], tags=["operation"])
