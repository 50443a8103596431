"""Deliveries of webhooks: what was sent where, what was answered, and sending one anew."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, Router, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, QueryParameter

from api import once
from api.access import allow, authorise
from api.acting import Viewer, editor_of, member_or_admin, viewer_of
from api.answers import answer, transaction
from api.context import edge_of
from api.openapi import PROBLEMS
from api.paging import Cursor, Limit, Page, newest_first
from api.problems import refuse
from api.submission import command_of, correlation_of, ring_for
from domain.accounts.model import Role, Scope
from domain.journal.sql import insert_commands
from domain.notifications.webhook_model import Delivery, DeliveryInFull, DeliveryState, SendWebhook
from domain.notifications.webhook_reads import list_deliveries, load_delivery
from domain.notifications.webhook_sql import load_endpoint, reopen_delivery
from domain.rejections import Code

StateAsked = Annotated[
    str | None,
    QueryParameter(name="state", schema_extra={"enum": [state.value for state in DeliveryState]}),
]


class DeliveryPage(Page[Delivery], frozen=True):
    """A page of deliveries, newest first."""


@get(
    "/webhook-deliveries",
    operation_id="list_webhook_deliveries",
    summary="List deliveries of webhooks, newest first",
    opt=allow(Role.SELLER, Role.ADMIN, scope=Scope.WEBHOOKS_READ),
    responses={200: ResponseSpec(DeliveryPage, generate_examples=False), **PROBLEMS(400, 401, 403, 503)},
)
async def list_webhook_deliveries(
    request: Request[Any, Any, Any],
    limit: Limit = None,
    cursor: Cursor = None,
    wanted: StateAsked = None,
    endpoint_id: Annotated[UUID | None, QueryParameter(name="endpoint_id")] = None,
) -> Response[bytes]:
    """Show deliveries to one's seller's endpoints, an admin those to all: each with its last answer and next try."""
    principal = await authorise(request)
    async with edge_of(request.app.state).pool.acquire(timeout=2) as conn:
        viewer = await member_or_admin(conn, principal)
    state = _state(wanted)

    async def read(conn: Any, *, below: UUID, limit: int) -> list[Delivery]:
        return await list_deliveries(
            conn, endpoint_id=endpoint_id, seller_id=viewer.seller_id, state=state, below=below, limit=limit
        )

    return await newest_first(request, DeliveryPage, limit, cursor, read)


@get(
    "/webhook-deliveries/{delivery_id:uuid}",
    operation_id="get_webhook_delivery",
    summary="Look up a delivery of a webhook",
    opt=allow(Role.SELLER, Role.ADMIN, scope=Scope.WEBHOOKS_READ),
    responses={200: ResponseSpec(DeliveryInFull, generate_examples=False), **PROBLEMS(401, 403, 404, 503)},
)
async def get_webhook_delivery(request: Request[Any, Any, Any], delivery_id: FromPath[UUID]) -> Response[bytes]:
    """Show what is sent, and each try: what was answered, and how fast."""
    principal = await authorise(request)
    async with edge_of(request.app.state).pool.acquire(timeout=2) as conn:
        viewer = await viewer_of(conn, principal)
        found = await _theirs(conn, viewer, delivery_id)
    return answer(found)


@once.post(
    "/webhook-deliveries/{delivery_id:uuid}/redeliver",
    status_code=200,
    operation_id="redeliver_webhook",
    summary="Send a webhook anew",
    opt=allow(Role.SELLER, Role.ADMIN, scope=Scope.WEBHOOKS_WRITE),
    responses={200: ResponseSpec(Delivery, generate_examples=False), **PROBLEMS(401, 403, 404, 409, 503)},
)
async def redeliver_webhook(request: Request[Any, Any, Any], delivery_id: FromPath[UUID]) -> Response[bytes]:
    """Send one that was taken or given up once more, under the same `webhook-id`, with all its tries before it."""
    principal = await authorise(request)
    async with transaction(request) as conn:
        editor = await editor_of(conn, principal)
        found = (await _theirs(conn, editor, delivery_id)).delivery
        endpoint = await load_endpoint(conn, found.endpoint_id)
        if endpoint is None or not endpoint.enabled:
            raise refuse(409, Code.CONFLICT, "its endpoint is disabled or removed")
        tried = await reopen_delivery(conn, delivery_id, datetime.now(UTC))
        if tried is None:
            raise refuse(409, Code.CONFLICT, "it is still on its way")
        command = SendWebhook(delivery_id, tried + 1)
        await insert_commands(conn, [command_of(command, correlation_of(request))])
        found = (await _theirs(conn, editor, delivery_id)).delivery
    ring_for(request, command)
    return answer(found)


async def _theirs(conn: Any, viewer: Viewer, delivery_id: UUID) -> DeliveryInFull:
    found = await load_delivery(conn, delivery_id)
    owner = None if found is None else found.delivery.seller_id
    if found is None or not (viewer.is_admin or (owner is not None and viewer.seller_id == owner)):
        raise refuse(404, Code.NOT_FOUND, "there is no such delivery of yours")
    return found


def _state(wanted: str | None) -> DeliveryState | None:
    if wanted is None:
        return None
    try:
        return DeliveryState(wanted)
    except ValueError:
        states = ", ".join(state.value for state in DeliveryState)
        raise refuse(400, Code.INVALID_REQUEST, f"state is one of {states}", "state") from None


router = Router(
    path="/",
    route_handlers=[list_webhook_deliveries, get_webhook_delivery, redeliver_webhook],
    tags=["webhooks"],
)
