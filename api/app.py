"""The api process: Litestar app, one line of log per request, the edge's start and stop."""

import asyncio
import re
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from litestar import Litestar, Request, Response, get
from litestar.datastructures import State
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException
from litestar.types import ASGIApp, Receive, Send

from api import (
    accounts,
    addresses,
    api_keys,
    attributes,
    auth,
    carrier_webhooks,
    carts,
    categories,
    commission,
    commission_rules,
    events,
    holds,
    insights,
    inventory,
    invoices,
    jobs,
    keys,
    ledger,
    metering,
    notes,
    notifications,
    offers,
    operation,
    orders,
    payments,
    payout_export,
    payouts,
    product_states,
    products,
    profile,
    promotion_codes,
    promotions,
    quotes,
    rate_cards,
    refunds,
    returns,
    seller_orders,
    seller_review,
    sellers,
    sessions,
    statements,
    stream,
    variants,
    webhook_deliveries,
    webhook_endpoints,
    webhooks,
)
from api.access import anyone
from api.context import CORRELATION, FIELDS, TRACE, Edge, edge_of
from api.docs import render
from api.entrance import look_first
from api.openapi import describe
from api.problems import ProblemError, on_exception, on_http_exception, on_problem
from api.rates import RATE
from domain.commands import COMMANDS
from infra import redaction, telemetry, trace_context
from infra import settings as settings_module
from infra.clock import new_id
from infra.process import die_with_parent, spare_collector
from infra.settings import Settings
from infra.tasks import end

log = telemetry.logger()
ROUTERS = (
    orders.router,
    notes.router,
    invoices.router,
    seller_orders.router,
    payments.router,
    refunds.router,
    returns.router,
    quotes.router,
    carts.router,
    offers.router,
    inventory.router,
    holds.router,
    variants.router,
    products.router,
    product_states.router,
    jobs.router,
    auth.router,
    sessions.router,
    profile.router,
    notifications.router,
    accounts.router,
    addresses.router,
    api_keys.router,
    categories.router,
    attributes.router,
    promotions.router,
    promotion_codes.router,
    sellers.router,
    seller_review.router,
    rate_cards.router,
    commission_rules.router,
    commission.router,
    ledger.router,
    statements.router,
    payouts.router,
    payout_export.router,
    keys.router,
    operation.router,
    stream.router,
    webhook_endpoints.router,
    webhook_deliveries.router,
    events.router,
    insights.router,
    webhooks.router,
    carrier_webhooks.router,
)
BACKLOG_LOOK_SECONDS = 0.5
_REQUEST_ID = re.compile(r"^[A-Za-z0-9._:-]{1,128}$")
_BACKLOG = """
SELECT j FROM unnest($1::text[]) AS j
WHERE (SELECT count(*) FROM (SELECT FROM pending WHERE job = j LIMIT $2 + 1) AS limited) > $2
"""


def _wished(field: bytes | None) -> str:
    """The correlation id a client wishes for; empty without one that will do. It is in many lines, so it is clean."""
    if field is None:
        return ""
    wished = field.decode("latin-1")
    return wished if _REQUEST_ID.match(wished) and redaction.is_clean(wished) else ""


def _trace(field: bytes | None) -> str | None:
    return None if field is None else trace_context.read(field.decode("latin-1"))


def correlate(app: ASGIApp) -> ASGIApp:
    """Give each request its correlation id, send it back with how its limits stand, and log the request in one line."""

    async def middleware(scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        started = time.perf_counter()
        fields = scope[FIELDS] = dict(scope["headers"])
        # Left empty, it becomes the id of the command the request turns into, or a new one.
        scope[CORRELATION] = _wished(fields.get(b"x-request-id"))
        scope[TRACE] = trace = _trace(fields.get(b"traceparent"))
        if trace is not None:
            scope[CORRELATION] = scope[CORRELATION] or trace_context.id_of(trace)
        scope[RATE] = ()
        status = 0

        async def send_on(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                correlation = scope[CORRELATION] = scope[CORRELATION] or str(new_id())
                message["headers"] = [*message["headers"], (b"x-request-id", correlation.encode()), *scope[RATE]]
                if trace is not None:
                    message["headers"].append((b"traceparent", trace.encode()))
            await send(message)

        try:
            await app(scope, receive, send_on)
        finally:
            seconds = time.perf_counter() - started
            metering.count(scope, status, seconds)
            telemetry.log_request(
                scope["method"],
                scope["path"],
                status,
                seconds * 1000,
                correlation=scope[CORRELATION],
                trace="" if trace is None else trace_context.id_of(trace),
            )

    return middleware


@get("/schema", opt=anyone(limited=False), include_in_schema=False)
async def schema(request: Request[Any, Any, Any]) -> Response[bytes]:
    """The OpenAPI description."""
    return Response(_description(request.app), media_type="application/json")


@get("/docs", opt=anyone(limited=False), include_in_schema=False)
async def docs(request: Request[Any, Any, Any]) -> Response[str]:
    """The description as a page."""
    return Response(render(_description(request.app)), media_type="text/html")


HANDLERS = (*ROUTERS, schema, docs, metering.tell)
"""All that is served."""


def _description(app: Litestar) -> bytes:
    state: Any = app.state
    if "description" not in state:
        state["description"] = describe(ROUTERS)
    description: bytes = state["description"]
    return description


async def _watch_backlog(edge: Edge) -> None:
    """Know which jobs have more commands waiting than allowed."""
    names = [command.job for command in COMMANDS]
    while True:
        try:
            async with edge.pool.acquire(timeout=2) as conn:
                rows = await conn.fetch(_BACKLOG, names, edge.settings.backlog_max)
            edge.accept.overloaded = frozenset(row["j"] for row in rows)
        except Exception as error:  # noqa: BLE001 - PostgreSQL may be away; the last answer stands until it is back
            log.warning("backlog_unknown", error=repr(error))
        await asyncio.sleep(BACKLOG_LOOK_SECONDS)


def _leave_on_sigterm(edge: Edge) -> None:
    """Answer who waits as soon as the process is told to end.

    Granian ends the lifespan only after the last request, and a request may wait for half a minute: longer than it
    is given. It listens to SIGINT and SIGTERM alike, so SIGINT is what it hears of next.
    """

    def leave() -> None:
        edge.leave()
        signal.raise_signal(signal.SIGINT)

    # Not everywhere, and in the main thread only.
    with suppress(NotImplementedError, RuntimeError, ValueError):
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, leave)


@asynccontextmanager
async def lifespan(app: Litestar) -> AsyncIterator[None]:
    """Run the edge while the app runs."""
    edge = edge_of(app.state)
    await edge.start()
    _leave_on_sigterm(edge)
    watch = asyncio.create_task(_watch_backlog(edge))
    spare_collector()
    log.info("api_ready", port=edge.settings.http_port)
    try:
        yield
    finally:
        await end(watch)
        await edge.stop()
        log.info("api_stopped")


def create(settings: Settings) -> Litestar:
    """Build the app."""
    return Litestar(
        route_handlers=HANDLERS,
        before_request=look_first,
        lifespan=[lifespan],
        state=State({"edge": Edge(settings)}),
        exception_handlers={
            ProblemError: on_problem,
            HTTPException: on_http_exception,
            Exception: on_exception,
        },
        openapi_config=None,
        request_max_body_size=settings.body_bytes_max,
        logging_config=None,
    )


def application() -> ASGIApp:
    """The app of this process, from the environment: what the server loads."""
    die_with_parent()
    settings = settings_module.load()
    telemetry.configure(settings, "api")
    # Around the app, not inside it: as a middleware of Litestar's it would cost each route an exception handler more.
    return correlate(create(settings))
