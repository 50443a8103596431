"""API keys: list, make, rotate, revoke one's own. No API key may do that, whatever its scopes.

The account's row is locked first, so that the limit on keys is exact.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

import msgspec
from litestar import Request, Response, Router, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath

from api import once
from api.access import authorise, signed_in
from api.answers import answer, nothing, transaction
from api.context import edge_of
from api.decode import body_of, body_or
from api.openapi import PROBLEMS, request_body
from api.paging import Cursor, Limit, Page, newest_first
from api.problems import ProblemError, refuse, refuse_if
from api.profile import no_account
from api.submission import correlation_of
from domain.accounts import key_model, key_sql
from domain.accounts.account_sql import lock_accounts
from domain.accounts.key_model import ApiKey, HashedKey, KeyCreated, KeyReplaced, KeyRotation, MadeApiKey, NewApiKey
from domain.accounts.model import Scope
from domain.journal.model import Event
from domain.journal.sql import insert_events
from domain.rejections import Code, Rejection
from infra import api_keys
from infra.clock import new_id
from infra.security import Principal

NOT_KEPT = {"Cache-Control": "no-store"}


class ApiKeyPage(Page[ApiKey], frozen=True):
    """A page of API keys, newest first."""


@get(
    "/api-keys",
    operation_id="list_api_keys",
    opt=signed_in(),
    summary="List one's API keys, newest first",
    responses={200: ResponseSpec(ApiKeyPage, generate_examples=False), **PROBLEMS(400, 401, 403, 503)},
)
async def list_api_keys(request: Request[Any, Any, Any], limit: Limit = None, cursor: Cursor = None) -> Response[bytes]:
    """Show one's keys, those that are over included; the keys themselves are never shown again."""
    principal = await authorise(request)
    read = partial(key_sql.list_keys, account_id=principal.id)
    return await newest_first(request, ApiKeyPage, limit, cursor, read)


@once.post(
    "/api-keys",
    status_code=201,
    operation_id="create_api_key",
    summary="Make an API key",
    opt=signed_in() | request_body(NewApiKey, required=True),
    responses={
        201: ResponseSpec(MadeApiKey, generate_examples=False, description="made; `key` is shown this once"),
        **PROBLEMS(400, 401, 403, 404, 409, 413, 415, 503),
    },
)
async def create_api_key(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Make a key that may do what its account may, in its scopes."""
    edge = edge_of(request.app.state)
    principal = await authorise(request)
    wish = await body_of(request, NewApiKey)
    now = datetime.now(UTC)
    settings = edge.settings
    ends = key_model.end_of(wish.expires_at, now, days=settings.api_key_days, days_max=settings.api_key_days_max)
    if isinstance(ends, Rejection):
        raise ProblemError(ends)
    async with transaction(request) as conn:
        in_use, _ = await _count_locked(conn, principal)
        refuse_if(key_model.refuse_another(in_use))
        made = _made(wish.name, wish.scopes, now, ends)
        await _write(request, conn, made, principal.id)
    return answer(made, 201, headers=NOT_KEPT)


@once.post(
    "/api-keys/{key_id:uuid}/rotate",
    status_code=201,
    operation_id="rotate_api_key",
    summary="Replace an API key by a new one",
    opt=signed_in() | request_body(KeyRotation),
    responses={
        201: ResponseSpec(MadeApiKey, generate_examples=False, description="made; `key` is shown this once"),
        **PROBLEMS(400, 401, 403, 404, 409, 413, 415, 503),
    },
)
async def rotate_api_key(request: Request[Any, Any, Any], key_id: FromPath[UUID]) -> Response[bytes]:
    """Make a key like this one; this one stays good for ``overlap_seconds``, a day unless said otherwise."""
    edge = edge_of(request.app.state)
    principal = await authorise(request)
    wish = await body_or(request, KeyRotation())
    now = datetime.now(UTC)
    async with transaction(request) as conn:
        _, overlapping = await _count_locked(conn, principal)
        old = await _locked(conn, principal, key_id)
        rotated = key_model.rotate(
            old, now, overlap_seconds=wish.overlap_seconds, days_max=edge.settings.api_key_days_max
        )
        if isinstance(rotated, Rejection):
            raise ProblemError(rotated)
        refuse_if(key_model.refuse_another_overlap(overlapping))
        made = _made(old.name, old.scopes, now, rotated.new_expires_at)
        await _write(request, conn, made, principal.id)
        await key_sql.replace_keys(conn, [(key_id, made.id, rotated.old_expires_at)])
        await key_sql.note_state(conn, [key_id], key_model.REPLACED)
        data = msgspec.json.encode(KeyReplaced(made.id, rotated.old_expires_at)).decode()
        event = Event(key_id, 2, "api_key.replaced", data, principal.id, correlation_of(request))
        await insert_events(conn, [event])
    return answer(made, 201, headers=NOT_KEPT)


@once.delete(
    "/api-keys/{key_id:uuid}",
    status_code=204,
    operation_id="revoke_api_key",
    summary="Revoke an API key",
    opt=signed_in(),
    responses={
        204: ResponseSpec(None, generate_examples=False, description="nobody comes in with it any more"),
        **PROBLEMS(401, 403, 404, 503),
    },
)
async def revoke_api_key(request: Request[Any, Any, Any], key_id: FromPath[UUID]) -> Response[None]:
    """End a key at once, everywhere; ending one that is over changes nothing."""
    principal = await authorise(request)
    async with transaction(request) as conn:
        key = await _locked(conn, principal, key_id)
        if key.state != key_model.REVOKED:
            await key_sql.revoke_keys(conn, [key_id])
            await key_sql.note_state(conn, [key_id], key_model.REVOKED)
            version = 2 if key.state == key_model.GOOD else 3
            event = Event(key_id, version, "api_key.revoked", "{}", principal.id, correlation_of(request))
            await insert_events(conn, [event])
    return nothing()


async def _count_locked(conn: Any, principal: Principal) -> tuple[int, int]:
    if not await lock_accounts(conn, [principal.id]):
        raise no_account()
    return await key_sql.count_keys(conn, principal.id)


async def _write(request: Request[Any, Any, Any], conn: Any, made: MadeApiKey, account_id: UUID) -> None:
    """Write a key as its hash, and its event."""
    scopes = frozenset(made.scopes)
    hashed = HashedKey(
        made.id, account_id, made.name, api_keys.hash_of(made.key), scopes, made.created_at, made.expires_at
    )
    await key_sql.insert_keys(conn, [hashed])
    data = msgspec.json.encode(KeyCreated(account_id, made.name, made.scopes, made.expires_at)).decode()
    await insert_events(conn, [Event(made.id, 1, "api_key.created", data, account_id, correlation_of(request))])


def _made(name: str, scopes: Iterable[Scope], now: datetime, ends: datetime) -> MadeApiKey:
    key_id = new_id()
    return MadeApiKey(
        id=key_id,
        name=name,
        scopes=sorted(set(scopes)),
        created_at=now,
        expires_at=ends,
        used_at=None,
        revoked_at=None,
        replaced_by=None,
        key=api_keys.make(key_id),
    )


async def _locked(conn: Any, principal: Principal, key_id: UUID) -> ApiKey:
    """Lock a key of one's own and read it; raises a problem of status 404."""
    await key_sql.lock_keys(conn, [key_id])
    key = (await key_sql.load_keys(conn, principal.id, [key_id])).get(key_id)
    if key is None:
        raise refuse(404, Code.NOT_FOUND, "there is no such API key of yours")
    return key


router = Router(
    path="/", route_handlers=[list_api_keys, create_api_key, rotate_api_key, revoke_api_key], tags=["accounts"]
)
