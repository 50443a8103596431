"""``GET /stream``: what happens, as server-sent events, from where one was before (``Last-Event-ID``)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

from litestar import Request, Router, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter
from litestar.response import Stream

from api.access import allow, authorise
from api.acting import member_or_admin
from api.context import Edge, edge_of, field
from api.event_patterns import check_patterns
from api.openapi import PROBLEMS
from api.problems import refuse
from api.tail import PORTION, Listening, messages_of
from domain.accounts.model import Role, Scope
from domain.journal.event_reads import read_events
from domain.journal.events import EventCursor, parse_cursor
from domain.notifications.hearing import Ear
from domain.notifications.hearing_sql import load_known
from domain.notifications.webhook_model import EVENT_PATTERN, TYPES_MAX
from domain.rejections import Code

STREAM_SECONDS_MAX = 900
"""Then it closes, and whoever comes back shows anew who they are. Browsers come back by themselves."""
HEARTBEAT_SECONDS = 15.0
RETRY_MS = 2_000


@get(
    "/stream",
    operation_id="stream_events",
    opt=allow(Role.SELLER, Role.ADMIN, scope=Scope.WEBHOOKS_READ),
    summary="Hear of what happens (server-sent events)",
    responses={
        200: ResponseSpec(
            str,
            generate_examples=False,
            media_type="text/event-stream",
            description="an event each, named by its type, with its place as id",
        ),
        **PROBLEMS(400, 401, 403, 503),
    },
)
async def stream_events(
    request: Request[Any, Any, Any],
    types: Annotated[
        str | None,
        QueryParameter(
            name="types", max_length=2_000, description="as `order.placed,stock.*`, separated by commas; all without it"
        ),
    ] = None,
    seconds: Annotated[
        int | None,
        QueryParameter(
            name="seconds",
            description="how long to listen at most",
            schema_extra={"minimum": 1, "maximum": STREAM_SECONDS_MAX},
        ),
    ] = None,
) -> Stream:
    """Send events as they are committed: to an admin all, to a seller's members what is about their seller.

    With `Last-Event-ID` those since then come first, none twice and none left out. The stream closes after 15 minutes,
    or when one reads too slowly: come back with the last id.
    """
    edge = edge_of(request.app.state)
    principal = await authorise(request)
    since = _place(field(request, b"last-event-id"))
    patterns = _patterns(types)
    check_patterns(patterns, "types")
    if seconds is not None and not 1 <= seconds <= STREAM_SECONDS_MAX:
        raise refuse(400, Code.INVALID_REQUEST, f"seconds is 1 to {STREAM_SECONDS_MAX}", "seconds")
    async with edge.pool.acquire(timeout=2) as conn:
        viewer = await member_or_admin(conn, principal)
    if len(edge.tail) >= edge.settings.stream_listeners_max or not edge.ready:
        raise refuse(503, Code.OVERLOADED, "as many listen as may; try again later", **{"Retry-After": "5"})
    listening = Listening(Ear(viewer.seller_id, patterns))
    return Stream(
        _messages(edge, listening, since, seconds or STREAM_SECONDS_MAX),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _messages(
    edge: Edge, listening: Listening, since: EventCursor | None, seconds: float
) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    try:
        joined = await edge.tail.join(listening)
        yield f"retry: {RETRY_MS}\n\n".encode()
        last = since or joined
        async for text, place in _missed(edge, listening.ear, since, joined):
            yield text
            last = max(last, place)
        while loop.time() < until:
            try:
                async with asyncio.timeout(min(HEARTBEAT_SECONDS, until - loop.time())):
                    message = await listening.messages.get()
            except TimeoutError:
                if loop.time() < until:
                    yield b": still here\n\n"
                continue
            if message is None:
                return
            if message.cursor > last:
                yield message.text
    finally:
        edge.tail.leave(listening)


async def _missed(
    edge: Edge, ear: Ear, since: EventCursor | None, joined: EventCursor
) -> AsyncIterator[tuple[bytes, EventCursor]]:
    """What happened between the place of one who comes back and the one where they are told everything."""
    place = since
    while place is not None and place < joined:
        async with edge.pool.acquire(timeout=2) as conn:
            portion = await read_events(conn, place, PORTION)
            known = await load_known(conn, portion.events, [ear])
        for message in messages_of(portion.events, ear, known):
            yield message.text, message.cursor
        place = portion.cursor
        yield b": so far\n\n", place
        if not portion.full:
            return


def _place(said: str | None) -> EventCursor | None:
    if not said:
        return None
    place = parse_cursor(said)
    if place is None:
        raise refuse(400, Code.INVALID_REQUEST, "this is no id of an event of this stream", "Last-Event-ID")
    return place


def _patterns(said: str | None) -> list[str]:
    if said is None:
        return ["*"]
    found = said.split(",")
    if len(found) > TYPES_MAX or not all(EVENT_PATTERN.fullmatch(each) for each in found):
        detail = f"up to {TYPES_MAX} types as order.placed, or all of a kind as order.*, separated by commas"
        raise refuse(400, Code.INVALID_REQUEST, detail, "types")
    return found


router = Router(path="/", route_handlers=[stream_events], tags=["operation"])
