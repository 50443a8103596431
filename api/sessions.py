"""Sessions: log in, refresh, log out, list and end them; guests.

Invariant: an unknown address costs one check of a password like a known one. A refresh token is spent at each use, and
one that comes back ends its session, because then two have it.
"""

import secrets
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Response, Router, post
from litestar.openapi.datastructures import ResponseSpec
from msgspec import Meta, Struct

from api.access import anyone, principal_of
from api.answers import answer, nothing, transaction
from api.context import Edge, edge_of
from api.credentials import client_of, digest_of, hashed, is_right, session_event, suspended
from api.decode import body_of
from api.limits import attempt_at, strict
from api.openapi import PROBLEMS, request_body
from api.problems import refuse
from api.submission import correlation_of
from domain.accounts import account_sql, session_sql
from domain.accounts.email import email_key
from domain.accounts.model import Account, AccountStatus, Email, NewSession, Password, Role
from domain.journal.sql import insert_events
from domain.orders.cart_merge_sql import merge_carts
from domain.rejections import Code
from infra.clock import new_id
from infra.security import BadTokenError

TOKEN_BYTES = 32
HAVE_CARTS = {Role.BUYER, Role.ADMIN}


class Credentials(Struct, frozen=True, forbid_unknown_fields=True):
    """An e-mail address and its password; ``guest_token`` is that of a guest whose carts become the account's."""

    email: Email
    password: Password
    guest_token: Annotated[str, Meta(max_length=2_000)] | None = None


class RefreshToken(Struct, frozen=True, forbid_unknown_fields=True):
    """A session's current refresh token."""

    refresh_token: Annotated[str, Meta(min_length=1, max_length=200)]


class SignedIn(Struct, frozen=True):
    """Tokens of a session. ``expires_in`` and ``refresh_expires_in`` are seconds."""

    access_token: str
    token_type: str
    expires_in: int
    refresh_token: str
    refresh_expires_in: int
    session_id: UUID
    account_id: UUID
    roles: list[Role]


class LoggedIn(SignedIn, frozen=True):
    """Tokens of a new session; ``carts_merged`` is how many carts of the guest's are the account's now."""

    carts_merged: int


class GuestToken(Struct, frozen=True):
    """A guest's token. ``expires_in`` is seconds; there is nothing to refresh it with."""

    access_token: str
    token_type: str
    expires_in: int
    guest_id: UUID


@post(
    "/auth/login",
    guards=[strict],
    status_code=200,
    operation_id="log_in",
    summary="Log in",
    opt=anyone() | request_body(Credentials, required=True),
    responses={200: ResponseSpec(LoggedIn, generate_examples=False), **PROBLEMS(400, 401, 403, 413, 415, 503)},
)
async def log_in(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Open a session for an address and its password.

    The open carts of the guest whose token comes along become the account's; a token that won't do merges none.
    """
    edge = edge_of(request.app.state)
    wish = await body_of(request, Credentials)
    key = email_key(wish.email)
    attempt = await attempt_at(request, wish.email)
    async with edge.pool.acquire(timeout=2) as conn:
        account = (await account_sql.load_by_email(conn, [wish.email])).get(key)
    if not await is_right(edge, wish.password, account) or account is None or not _is_verified(edge, account):
        await attempt.failed()
        raise refuse(
            401, Code.INVALID_CREDENTIALS, "the address and the password don't fit, or the address isn't verified yet"
        )
    fresh = await hashed(edge, wish.password) if edge.passwords.is_outdated(account.password_hash) else None
    guest = await _guest_of(edge, wish.guest_token)
    token = secrets.token_urlsafe(TOKEN_BYTES)
    address, client = client_of(request)
    session = NewSession(
        id=new_id(),
        account_id=account.id,
        address=address,
        client=client,
        token_hash=digest_of(token),
        seconds=edge.settings.refresh_token_seconds,
    )
    correlation = correlation_of(request)
    async with transaction(request) as conn:
        # Under its lock, so that a suspension or a new password meanwhile isn't missed.
        await account_sql.lock_accounts(conn, [account.id])
        now = (await account_sql.load_accounts(conn, [account.id]))[account.id]
        if now.status is AccountStatus.SUSPENDED:
            raise suspended()
        if now.password_hash != account.password_hash:
            raise refuse(401, Code.INVALID_CREDENTIALS, "the password was changed a moment ago")
        if fresh is not None:
            await conn.execute(account_sql.REHASH, account.id, account.password_hash, fresh)
        ended = await session_sql.open_session(conn, session)
        events = [session_event(session.id, "session.opened", account.id, account.id, correlation)]
        events += [session_event(gone, "session.revoked", account.id, account.id, correlation) for gone in ended]
        await insert_events(conn, events)
        shops = bool(now.roles & {Role.BUYER, Role.ADMIN})
        merged = (
            0
            if guest is None or not shops
            else len(await merge_carts(conn, guest, account.id, edge.limits, correlation))
        )
    await attempt.succeeded()
    signed_in = _signed_in(edge, now, session.id, token)
    return answer(LoggedIn(**msgspec.structs.asdict(signed_in), carts_merged=merged))


async def _guest_of(edge: Edge, token: str | None) -> UUID | None:
    """The guest a token is for; None for any other token, or one that isn't good any more."""
    if token is None:
        return None
    await edge.freshness.ensure()
    try:
        principal = principal_of(edge, token)
    except BadTokenError:
        return None
    return principal.id if principal.roles == {Role.GUEST} else None


def _is_verified(edge: Edge, account: Account) -> bool:
    return account.verified_at is not None or edge.settings.email_verification == "optional"


def _signed_in(edge: Edge, account: Account, session_id: UUID, refresh_token: str) -> SignedIn:
    seconds = edge.settings.access_token_seconds
    return SignedIn(
        access_token=edge.tokens.sign(account.id, account.roles, seconds, epoch=account.epoch, session=session_id),
        token_type="Bearer",  # noqa: S106 - the scheme's name
        expires_in=seconds,
        refresh_token=refresh_token,
        refresh_expires_in=edge.settings.refresh_token_seconds,
        session_id=session_id,
        account_id=account.id,
        roles=[role for role in Role if role in account.roles],
    )


@post(
    "/auth/refresh",
    guards=[strict],
    status_code=200,
    operation_id="refresh",
    summary="Exchange a refresh token for new tokens",
    opt=anyone() | request_body(RefreshToken, required=True),
    responses={200: ResponseSpec(SignedIn, generate_examples=False), **PROBLEMS(400, 401, 403, 413, 415, 503)},
)
async def refresh(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Spend a refresh token. One that was spent before ends its session: somebody else has it, too."""
    edge = edge_of(request.app.state)
    spent = digest_of((await body_of(request, RefreshToken)).refresh_token)
    token = secrets.token_urlsafe(TOKEN_BYTES)
    address, client = client_of(request)
    correlation = correlation_of(request)
    account: Account | None = None
    async with transaction(request) as conn:
        found = await session_sql.lock_refresh(conn, spent)
        if found is not None:
            account = (await account_sql.load_accounts(conn, [found.account_id]))[found.account_id]
            if found.spent:
                ended = await session_sql.revoke_sessions(conn, [found.session_id])
                await insert_events(
                    conn, [session_event(s, "session.revoked", account.id, account.id, correlation) for s in ended]
                )
            elif found.live and account.status is AccountStatus.ACTIVE:
                seconds = edge.settings.refresh_token_seconds
                await session_sql.rotate(conn, spent, digest_of(token), seconds=seconds, address=address, client=client)
    if found is None or account is None or found.spent or not found.live:
        raise refuse(401, Code.INVALID_CREDENTIALS, "the refresh token is no good any more: log in again")
    if account.status is AccountStatus.SUSPENDED:
        raise suspended()
    return answer(_signed_in(edge, account, found.session_id, token))


@post(
    "/auth/logout",
    guards=[strict],
    status_code=204,
    operation_id="log_out",
    summary="End a session",
    opt=anyone() | request_body(RefreshToken, required=True),
    responses={204: ResponseSpec(None, description="ended, or there was none"), **PROBLEMS(400, 413, 415, 503)},
)
async def log_out(request: Request[Any, Any, Any]) -> Response[None]:
    """End the session of a refresh token; its access tokens are refused within a second."""
    token = digest_of((await body_of(request, RefreshToken)).refresh_token)
    correlation = correlation_of(request)
    async with transaction(request) as conn:
        found = await session_sql.lock_refresh(conn, token)
        if found is not None:
            ended = await session_sql.revoke_sessions(conn, [found.session_id])
            owner = found.account_id
            await insert_events(conn, [session_event(s, "session.revoked", owner, owner, correlation) for s in ended])
    return nothing()


@post(
    "/auth/guest",
    guards=[strict],
    status_code=201,
    operation_id="become_guest",
    summary="Get a guest's token",
    opt=anyone(),
    responses={201: ResponseSpec(GuestToken, generate_examples=False)},
)
async def become_guest(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Answer with a token for somebody who may order without an account."""
    edge = edge_of(request.app.state)
    guest, seconds = new_id(), edge.settings.guest_token_seconds
    token = edge.tokens.sign(guest, frozenset({Role.GUEST}), seconds)
    return answer(GuestToken(token, "Bearer", seconds, guest), 201)


router = Router(path="/", route_handlers=[log_in, refresh, log_out, become_guest], tags=["accounts"])
