"""Accounts as they begin: register, verify the address, get over a forgotten password.

Invariant: nothing here tells whether an address has an account. Registering and asking for a link answer alike either
way; what comes of it stands in a mail.
"""

from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, Router, post
from litestar.openapi.datastructures import ResponseSpec
from msgspec import Meta, Struct

from api.access import anyone
from api.answers import answer, nothing, transaction
from api.context import Edge, edge_of
from api.credentials import check_email, check_password, hashed, set_password
from api.decode import body_of
from api.limits import count_about, strict, vouch_for
from api.openapi import PROBLEMS, request_body
from api.problems import ProblemError, refuse
from api.submission import command_of, correlation_of, ring_for
from domain.accounts import account_sql, session_sql
from domain.accounts.links import SendLink
from domain.accounts.model import Email, Name, NewAccount, Password, Purpose, Role
from domain.journal.model import Event
from domain.journal.sql import insert_commands, insert_events
from domain.rejections import Code
from infra import onetime
from infra.clock import new_id


class Registration(Struct, frozen=True, forbid_unknown_fields=True):
    """Who wants an account. Roles aren't asked for: everybody begins as a buyer."""

    email: Email
    password: Password
    name: Name = ""


class Forgotten(Struct, frozen=True, forbid_unknown_fields=True):
    """Whose password is forgotten."""

    email: Email


class Link(Struct, frozen=True, forbid_unknown_fields=True):
    """The token of a link in a mail."""

    token: Annotated[str, Meta(min_length=1, max_length=200)]


class NewPassword(Struct, frozen=True, forbid_unknown_fields=True):
    """The token of a link in a mail, and the password to set."""

    token: Annotated[str, Meta(min_length=1, max_length=200)]
    password: Password


class Registered(Struct, frozen=True):
    """The same for everybody: what comes next stands in a mail."""

    detail: str


CHECK_YOUR_MAIL = Registered("if this address can be used, a mail says what comes next")


@post(
    "/auth/register",
    guards=[strict],
    status_code=202,
    operation_id="register",
    summary="Ask for an account",
    opt=anyone() | request_body(Registration, required=True),
    responses={202: ResponseSpec(Registered, generate_examples=False), **PROBLEMS(400, 413, 415, 503)},
)
async def register(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Make an account, unless the address has one; a mail says which. The answer is the same."""
    edge = edge_of(request.app.state)
    wish = await body_of(request, Registration)
    check_email(wish.email)
    await count_about(request, wish.email)
    check_password(edge, wish.password, wish.email)
    account = NewAccount(
        id=new_id(),
        email=wish.email,
        name=wish.name.strip(),
        password_hash=await hashed(edge, wish.password),
        roles=frozenset({Role.BUYER}),
        verified=False,
    )
    correlation = correlation_of(request)
    link = SendLink(Purpose.VERIFY_EMAIL, wish.email)
    async with transaction(request) as conn:
        if await account_sql.insert_accounts(conn, [account]):
            await insert_events(conn, [Event(account.id, 1, "account.registered", "{}", account.id, correlation)])
        await insert_commands(conn, [command_of(link, correlation)])
    ring_for(request, link)
    return answer(CHECK_YOUR_MAIL, 202)


@post(
    "/auth/password/forgot",
    guards=[strict],
    status_code=202,
    operation_id="forget_password",
    summary="Ask for a link to reset a password",
    opt=anyone() | request_body(Forgotten, required=True),
    responses={202: ResponseSpec(Registered, generate_examples=False), **PROBLEMS(400, 413, 415, 503)},
)
async def forget_password(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Have a link sent, if the address has an account. The answer is the same."""
    edge = edge_of(request.app.state)
    wish = await body_of(request, Forgotten)
    check_email(wish.email)
    await count_about(request, wish.email)
    await edge.accept.submit(command_of(SendLink(Purpose.RESET_PASSWORD, wish.email), correlation_of(request)))
    return answer(CHECK_YOUR_MAIL, 202)


@post(
    "/auth/password/reset",
    guards=[strict],
    status_code=204,
    operation_id="reset_password",
    summary="Set a new password with the token of a link",
    opt=anyone() | request_body(NewPassword, required=True),
    responses={204: ResponseSpec(None, description="the password is set"), **PROBLEMS(400, 413, 415, 503)},
)
async def reset_password(request: Request[Any, Any, Any]) -> Response[None]:
    """Set a password and end every session of the account. Who got the mail has the address: it counts as verified."""
    edge = edge_of(request.app.state)
    wish = await body_of(request, NewPassword)
    check_password(edge, wish.password, "")
    token_id = _link(edge, Purpose.RESET_PASSWORD, wish.token)
    password_hash = await hashed(edge, wish.password)
    correlation = correlation_of(request)
    async with transaction(request) as conn:
        account_id = await session_sql.use_one_time_token(conn, token_id, Purpose.RESET_PASSWORD)
        if account_id is None:
            raise _no_good()
        mail = await set_password(conn, account_id, password_hash, correlation, verified=True)
    ring_for(request, mail)
    await vouch_for(request, mail.to)
    return nothing()


@post(
    "/auth/verify-email",
    guards=[strict],
    status_code=204,
    operation_id="verify_email",
    summary="Verify an e-mail address with the token of a link",
    opt=anyone() | request_body(Link, required=True),
    responses={204: ResponseSpec(None, description="verified"), **PROBLEMS(400, 413, 415, 503)},
)
async def verify_email(request: Request[Any, Any, Any]) -> Response[None]:
    """Note that who has the account has the address."""
    edge = edge_of(request.app.state)
    token_id = _link(edge, Purpose.VERIFY_EMAIL, (await body_of(request, Link)).token)
    correlation = correlation_of(request)
    async with transaction(request) as conn:
        account_id = await session_sql.use_one_time_token(conn, token_id, Purpose.VERIFY_EMAIL)
        if account_id is None:
            raise _no_good()
        version = await conn.fetchval(account_sql.SET_VERIFIED, account_id)
        account = (await account_sql.load_accounts(conn, [account_id]))[account_id]
        await insert_events(conn, [Event(account_id, version, "account.verified", "{}", account_id, correlation)])
    await vouch_for(request, account.email)
    return nothing()


def _link(edge: Edge, purpose: Purpose, token: str) -> UUID:
    token_id = onetime.read(edge.settings.secret_key, purpose, token)
    if token_id is None:
        raise _no_good()
    return token_id


def _no_good() -> ProblemError:
    return refuse(400, Code.INVALID_LINK, "this link isn't ours, was used, or has expired", "token")


router = Router(path="/", route_handlers=[register, verify_email, forget_password, reset_password], tags=["accounts"])
