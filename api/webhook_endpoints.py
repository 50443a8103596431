"""Webhook endpoints: where webhooks go, and about which events. A secret is shown once, when it is made.

Invariant: a seller's members see and edit their seller's, admins everybody's. An address that can't be public is
refused here already; where a name leads is looked at each time something is sent.
"""

import base64
import os
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import msgspec
from litestar import Request, Response, Router, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath

from api import once
from api.access import allow, authorise
from api.acting import Viewer, editor_of, member_or_admin
from api.answers import answer, expected, nothing, transaction
from api.context import Edge, edge_of
from api.decode import body_of, body_or
from api.event_patterns import check_patterns
from api.openapi import PROBLEMS, request_body
from api.paging import Cursor, Limit, Page, newest_first
from api.problems import refuse, refuse_if
from api.submission import command_of, correlation_of, ring_for
from domain.accounts.model import Role, Scope
from domain.accounts.seller_edit import Actor
from domain.journal.events import BEGINNING, StoredEvent
from domain.journal.sql import insert_commands, insert_events
from domain.notifications import endpoints, webhook_sql
from domain.notifications.webhook_model import (
    TEST,
    Delivery,
    Endpoint,
    EndpointChange,
    MadeEndpoint,
    NewEndpoint,
    SecretRotation,
    SendWebhook,
)
from domain.notifications.webhook_reads import load_delivery
from domain.notifications.webhooks import Addressed
from domain.notifications.webhooks import body_of as webhook_body
from domain.rejections import Code
from infra.clock import new_id
from infra.destinations import is_public
from infra.security import Principal
from infra.standard_webhooks import PREFIX
from infra.webhooks import SEALED_FOR

SECRET_BYTES = 32
NOT_KEPT = {"Cache-Control": "no-store"}
READ = allow(Role.SELLER, Role.ADMIN, scope=Scope.WEBHOOKS_READ)
WRITE = allow(Role.SELLER, Role.ADMIN, scope=Scope.WEBHOOKS_WRITE)


class EndpointPage(Page[Endpoint], frozen=True):
    """A page of webhook endpoints, newest first."""


@get(
    "/webhook-endpoints",
    operation_id="list_webhook_endpoints",
    summary="List webhook endpoints, newest first",
    opt=READ,
    responses={200: ResponseSpec(EndpointPage, generate_examples=False), **PROBLEMS(400, 401, 403, 503)},
)
async def list_webhook_endpoints(
    request: Request[Any, Any, Any], limit: Limit = None, cursor: Cursor = None
) -> Response[bytes]:
    """Show one's seller's endpoints; an admin sees everybody's, also the platform's own."""
    viewer = await _viewer(request)
    read = partial(webhook_sql.list_endpoints, seller_id=viewer.seller_id)
    return await newest_first(request, EndpointPage, limit, cursor, read)


@once.post(
    "/webhook-endpoints",
    status_code=201,
    operation_id="create_webhook_endpoint",
    summary="Have webhooks sent to an address",
    opt=WRITE | request_body(NewEndpoint, required=True),
    responses={
        201: ResponseSpec(MadeEndpoint, generate_examples=False, description="made; `secret` is shown this once"),
        **PROBLEMS(400, 401, 403, 409, 413, 415, 503),
    },
)
async def create_webhook_endpoint(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Make an endpoint of one's seller, or, as an admin, of the platform, which hears everything it asks for.

    Its webhooks are signed as Standard Webhooks has it (docs/webhooks.md).
    """
    edge = edge_of(request.app.state)
    principal = await authorise(request)
    wish = await body_of(request, NewEndpoint)
    _check(edge, wish.url)
    check_patterns(wish.events, "events")
    now, secret = datetime.now(UTC), _secret()
    async with transaction(request) as conn:
        owner = (await editor_of(conn, principal)).seller_id
        refuse_if(endpoints.refuse_another(await webhook_sql.count_locked(conn, owner)))
        edited = endpoints.make(wish, new_id(), owner, _actor(request, principal), now)
        sealed = edge.sealer.seal(secret.encode(), SEALED_FOR, edited.endpoint.id)
        await webhook_sql.insert_endpoint(conn, edited.endpoint, sealed, principal.id)
        await insert_events(conn, [edited.event])
    return _made(edited.endpoint, secret)


@get(
    "/webhook-endpoints/{endpoint_id:uuid}",
    operation_id="get_webhook_endpoint",
    summary="Look up a webhook endpoint",
    opt=READ,
    responses={200: ResponseSpec(Endpoint, generate_examples=False), **PROBLEMS(401, 403, 404, 503)},
)
async def get_webhook_endpoint(request: Request[Any, Any, Any], endpoint_id: FromPath[UUID]) -> Response[bytes]:
    """Show an endpoint; its secret is never shown again."""
    viewer = await _viewer(request)
    async with edge_of(request.app.state).pool.acquire(timeout=2) as conn:
        found = _theirs(viewer, await webhook_sql.load_endpoint(conn, endpoint_id))
    return answer(found, version=found.version)


@once.patch(
    "/webhook-endpoints/{endpoint_id:uuid}",
    operation_id="change_webhook_endpoint",
    summary="Change a webhook endpoint, switch it off or on again",
    opt=WRITE | request_body(EndpointChange, required=True),
    responses={
        200: ResponseSpec(Endpoint, generate_examples=False),
        **PROBLEMS(400, 401, 403, 404, 412, 413, 415, 503),
    },
)
async def change_webhook_endpoint(request: Request[Any, Any, Any], endpoint_id: FromPath[UUID]) -> Response[bytes]:
    """Change what is named. What is on its way goes to the new address with its next try."""
    edge = edge_of(request.app.state)
    principal = await authorise(request)
    wish = await body_of(request, EndpointChange)
    if isinstance(wish.url, str):
        _check(edge, wish.url)
    if wish.events is not msgspec.UNSET:
        check_patterns(wish.events, "events")
    wanted = expected(request)
    async with transaction(request) as conn:
        found = await _locked(conn, principal, endpoint_id)
        wanted.check(found.version)
        edited = endpoints.change(found, wish, _actor(request, principal))
        if edited is not None:
            await webhook_sql.save_endpoint(conn, edited.endpoint)
            await insert_events(conn, [edited.event])
            found = edited.endpoint
    return answer(found, version=found.version)


@once.delete(
    "/webhook-endpoints/{endpoint_id:uuid}",
    status_code=204,
    operation_id="remove_webhook_endpoint",
    summary="Send nothing to an address any more",
    opt=WRITE,
    responses={
        204: ResponseSpec(None, generate_examples=False, description="it is forgotten; what was delivered is not"),
        **PROBLEMS(401, 403, 404, 503),
    },
)
async def remove_webhook_endpoint(request: Request[Any, Any, Any], endpoint_id: FromPath[UUID]) -> Response[None]:
    """Forget an endpoint with its secret. What is on its way to it is given up."""
    principal = await authorise(request)
    async with transaction(request) as conn:
        found = await _locked(conn, principal, endpoint_id)
        await webhook_sql.delete_endpoint(conn, endpoint_id)
        await insert_events(conn, [endpoints.removed(found, _actor(request, principal))])
    return nothing()


@once.post(
    "/webhook-endpoints/{endpoint_id:uuid}/rotate",
    status_code=201,
    operation_id="rotate_webhook_secret",
    summary="Give a webhook endpoint another secret",
    opt=WRITE | request_body(SecretRotation),
    responses={
        201: ResponseSpec(MadeEndpoint, generate_examples=False, description="`secret` is shown this once"),
        **PROBLEMS(400, 401, 403, 404, 413, 415, 503),
    },
)
async def rotate_webhook_secret(request: Request[Any, Any, Any], endpoint_id: FromPath[UUID]) -> Response[bytes]:
    """Make another secret. Until `overlap_seconds` are over both sign: webhooks carry two signatures."""
    edge = edge_of(request.app.state)
    principal = await authorise(request)
    wish = await body_or(request, SecretRotation())
    now, secret = datetime.now(UTC), _secret()
    async with transaction(request) as conn:
        found = await _locked(conn, principal, endpoint_id)
        edited = endpoints.rotate(found, wish.overlap_seconds, _actor(request, principal), now)
        sealed = edge.sealer.seal(secret.encode(), SEALED_FOR, endpoint_id)
        until = edited.endpoint.old_secret_until
        await webhook_sql.save_secret(conn, endpoint_id, sealed, until, edited.endpoint.version)
        await insert_events(conn, [edited.event])
    return _made(edited.endpoint, secret)


@once.post(
    "/webhook-endpoints/{endpoint_id:uuid}/test",
    status_code=201,
    operation_id="test_webhook_endpoint",
    summary="Send a webhook that says nothing",
    opt=WRITE,
    responses={
        201: ResponseSpec(Delivery, generate_examples=False, description="on its way; look it up to see how it went"),
        **PROBLEMS(401, 403, 404, 409, 503),
    },
)
async def test_webhook_endpoint(request: Request[Any, Any, Any], endpoint_id: FromPath[UUID]) -> Response[bytes]:
    """Send a webhook of type `webhook.test`, whatever the endpoint listens to."""
    principal = await authorise(request)
    async with transaction(request) as conn:
        found = await _locked(conn, principal, endpoint_id)
        if not found.enabled:
            raise refuse(409, Code.CONFLICT, f"the endpoint is disabled: {found.disabled_reason}")
        now, delivery_id = datetime.now(UTC), new_id()
        said = webhook_body(TEST, now, f'{{"endpoint_id":"{endpoint_id}"}}')
        event = StoredEvent(delivery_id, 0, TEST, "", principal.id, correlation_of(request), now, BEGINNING)
        made = {delivery_id: Addressed(endpoint_id, found.seller_id, event, said)}
        await webhook_sql.insert_deliveries(conn, made, now)
        command = SendWebhook(delivery_id, 1)
        await insert_commands(conn, [command_of(command, correlation_of(request))])
        delivery = await load_delivery(conn, delivery_id)
    ring_for(request, command)
    if delivery is None:
        raise refuse(404, Code.NOT_FOUND, "there is no such webhook endpoint of yours")
    return answer(delivery.delivery, 201, headers={"Location": f"/webhook-deliveries/{delivery_id}"})


async def _viewer(request: Request[Any, Any, Any]) -> Viewer:
    principal = await authorise(request)
    async with edge_of(request.app.state).pool.acquire(timeout=2) as conn:
        return await member_or_admin(conn, principal)


def _theirs(viewer: Viewer, endpoint: Endpoint | None) -> Endpoint:
    owns = endpoint is not None and (viewer.is_admin or viewer.seller_id == endpoint.seller_id)
    if endpoint is None or not owns:
        raise refuse(404, Code.NOT_FOUND, "there is no such webhook endpoint of yours")
    return endpoint


async def _locked(conn: Any, principal: Principal, endpoint_id: UUID) -> Endpoint:
    editor = await editor_of(conn, principal)
    return _theirs(editor, (await webhook_sql.lock_endpoints(conn, [endpoint_id])).get(endpoint_id))


def _check(edge: Edge, url: str) -> None:
    """Refuse an address that can't be public; raises a problem of status 400."""
    if edge.settings.webhook_allow_private == "on":
        return
    try:
        split = urlsplit(url)
        host, _ = split.hostname or "", split.port
    except ValueError:
        raise refuse(400, Code.INVALID_REQUEST, "this is no URL with a host and a port", "url") from None
    if split.scheme != "https":
        raise refuse(400, Code.INVALID_REQUEST, "webhooks go to https:// alone", "url")
    number = host.replace(":", "").replace(".", "")
    if not host or host == "localhost" or host.endswith((".localhost", ".local", ".internal")):
        raise refuse(400, Code.INVALID_REQUEST, "the address is not public", "url")
    if (":" in host or number.isdigit()) and not is_public(host):
        raise refuse(400, Code.INVALID_REQUEST, "the address is not public", "url")


def _secret() -> str:
    return PREFIX + base64.b64encode(os.urandom(SECRET_BYTES)).decode()


def _made(endpoint: Endpoint, secret: str) -> Response[bytes]:
    fields = {name: getattr(endpoint, name) for name in Endpoint.__struct_fields__}
    return answer(MadeEndpoint(**fields, secret=secret), 201, version=endpoint.version, headers=NOT_KEPT)


def _actor(request: Request[Any, Any, Any], principal: Principal) -> Actor:
    return Actor(principal.id, correlation_of(request))


router = Router(
    path="/",
    route_handlers=[
        list_webhook_endpoints,
        create_webhook_endpoint,
        get_webhook_endpoint,
        change_webhook_endpoint,
        remove_webhook_endpoint,
        rotate_webhook_secret,
        test_webhook_endpoint,
    ],
    tags=["webhooks"],
)
