"""One's own account: profile, password, sessions."""

from functools import partial
from typing import Any
from uuid import UUID

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath
from msgspec import UNSET, Struct, UnsetType

from api import once
from api.access import authorise, signed_in
from api.answers import answer, expected, nothing, transaction
from api.context import edge_of
from api.credentials import check_password, hashed, is_right, session_event, set_password
from api.decode import body_of
from api.limits import attempt_at, strict
from api.openapi import PROBLEMS, request_body
from api.paging import Cursor, Limit, Page, newest_first
from api.problems import ProblemError, refuse
from api.submission import correlation_of, ring_for
from domain.accounts import account_sql, session_sql
from domain.accounts.account_reads import AccountView, SessionView, list_sessions, load_profile
from domain.accounts.model import Language, Name, Password
from domain.journal.model import Event
from domain.journal.sql import insert_events
from domain.rejections import Code


class ProfileChange(Struct, frozen=True, forbid_unknown_fields=True):
    """What of one's account one may change; what isn't named stays.

    Mails come in ``language``; with null, in the deployment's.
    """

    name: Name | UnsetType = UNSET
    language: Language | UnsetType | None = UNSET


class PasswordChange(Struct, frozen=True, forbid_unknown_fields=True):
    """The password there is, and the one to set."""

    current_password: Password
    new_password: Password


class SessionPage(Page[SessionView], frozen=True):
    """A page of live sessions, newest first."""


def no_account() -> ProblemError:
    """The refusal of who has a token and no account: a guest, or a token that an operator signed."""
    return refuse(404, Code.NOT_FOUND, "this token belongs to no account")


@get(
    "/auth/profile",
    operation_id="get_profile",
    summary="Look up one's own account",
    opt=signed_in(),
    responses={200: ResponseSpec(AccountView, generate_examples=False), **PROBLEMS(401, 403, 404, 503)},
)
async def get_profile(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Show the account of the token."""
    edge = edge_of(request.app.state)
    principal = await authorise(request)
    async with edge.pool.acquire(timeout=2) as conn:
        profile = await load_profile(conn, principal.id)
    if profile is None:
        raise no_account()
    return answer(profile, version=profile.version)


@once.patch(
    "/auth/profile",
    operation_id="change_profile",
    summary="Change one's own account",
    opt=signed_in() | request_body(ProfileChange, required=True),
    responses={
        200: ResponseSpec(AccountView, generate_examples=False),
        **PROBLEMS(400, 401, 403, 404, 412, 413, 415, 503),
    },
)
async def change_profile(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Change the name, or the language of mails; roles and address aren't changed here."""
    principal = await authorise(request)
    wish, version = await body_of(request, ProfileChange), expected(request)
    correlation = correlation_of(request)
    async with transaction(request) as conn:
        await account_sql.lock_accounts(conn, [principal.id])
        profile = await load_profile(conn, principal.id)
        if profile is None:
            raise no_account()
        version.check(profile.version)
        name = profile.name if wish.name is UNSET else wish.name.strip()
        language = profile.language if wish.language is UNSET else wish.language
        changed = {"name": name != profile.name, "language": language is not profile.language}
        if any(changed.values()):
            now = await conn.fetchval(account_sql.SET_PROFILE, principal.id, name, language)
            told = msgspec.json.encode({"fields": [field for field, differs in changed.items() if differs]}).decode()
            event = Event(principal.id, now, "account.changed", told, principal.id, correlation)
            await insert_events(conn, [event])
            profile = msgspec.structs.replace(profile, name=name, language=language, version=now)
    return answer(profile, version=profile.version)


@post(
    "/auth/password/change",
    guards=[strict],
    status_code=204,
    operation_id="change_password",
    summary="Change one's own password",
    opt=signed_in() | request_body(PasswordChange, required=True),
    responses={
        204: ResponseSpec(None, description="the password is set"),
        **PROBLEMS(400, 401, 403, 404, 413, 415, 503),
    },
)
async def change_password(request: Request[Any, Any, Any]) -> Response[None]:
    """Set a new password and end the account's other sessions; this one goes on."""
    edge = edge_of(request.app.state)
    principal = await authorise(request)
    wish = await body_of(request, PasswordChange)
    async with edge.pool.acquire(timeout=2) as conn:
        account = (await account_sql.load_accounts(conn, [principal.id])).get(principal.id)
    if account is None:
        raise no_account()
    check_password(edge, wish.new_password, account.email, "new_password")
    attempt = await attempt_at(request, account.email)
    if not await is_right(edge, wish.current_password, account):
        await attempt.failed()
        raise refuse(403, Code.INVALID_CREDENTIALS, "this isn't the current password", "current_password")
    password_hash, correlation = await hashed(edge, wish.new_password), correlation_of(request)
    async with transaction(request) as conn:
        mail = await set_password(
            conn, principal.id, password_hash, correlation, verified=False, keep=principal.session
        )
    ring_for(request, mail)
    await attempt.succeeded()
    return nothing()


@get(
    "/auth/sessions",
    operation_id="list_sessions",
    summary="List one's own sessions, newest first",
    opt=signed_in(),
    responses={200: ResponseSpec(SessionPage, generate_examples=False), **PROBLEMS(400, 401, 403, 503)},
)
async def list_own_sessions(
    request: Request[Any, Any, Any], limit: Limit = None, cursor: Cursor = None
) -> Response[bytes]:
    """Show where the account is logged in."""
    principal = await authorise(request)
    read = partial(list_sessions, account_id=principal.id, current=principal.session)
    return await newest_first(request, SessionPage, limit, cursor, read)


@once.delete(
    "/auth/sessions/{session_id:uuid}",
    status_code=204,
    operation_id="end_session",
    summary="End one of one's own sessions",
    opt=signed_in(),
    responses={204: ResponseSpec(None, description="ended"), **PROBLEMS(401, 403, 404, 503)},
)
async def end_session(request: Request[Any, Any, Any], session_id: FromPath[UUID]) -> Response[None]:
    """End a session; what came from it is refused within a second."""
    principal = await authorise(request)
    correlation = correlation_of(request)
    async with transaction(request) as conn:
        own = await conn.fetchval(session_sql.OWN_SESSION, session_id, principal.id)
        ended = [] if own is None else await session_sql.revoke_sessions(conn, [own])
        if not ended:
            raise refuse(404, Code.NOT_FOUND, "there is no such session of yours")
        await insert_events(
            conn, [session_event(session_id, "session.revoked", principal.id, principal.id, correlation)]
        )
    return nothing()


router = Router(
    path="/",
    route_handlers=[get_profile, change_profile, change_password, list_own_sessions, end_session],
    tags=["accounts"],
)
