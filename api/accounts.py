"""Accounts as admins see them: list, suspend, reactivate, give roles, put into a group of buyers."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Response, Router, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, QueryParameter
from msgspec import Meta, Struct

from api import once
from api.access import allow, authorise
from api.answers import answer, expected, transaction
from api.decode import body_of
from api.openapi import PROBLEMS, request_body
from api.paging import Cursor, Limit, Page, newest_first
from api.problems import ProblemError, refuse
from api.submission import correlation_of
from domain.accounts import account_sql, administration, session_sql
from domain.accounts.account_reads import AccountView, list_accounts, load_profile
from domain.accounts.administration import Change
from domain.accounts.email import email_key
from domain.accounts.model import Account, AccountStatus, BuyerGroup, Role
from domain.journal.model import Event
from domain.journal.sql import insert_events
from domain.rejections import Code, Rejection

Decide = Callable[[Account, int], Change | Rejection]
"""From an account and the number of other active admins."""


class Suspension(Struct, frozen=True, forbid_unknown_fields=True):
    """Why an account is suspended."""

    reason: Annotated[str, Meta(min_length=1, max_length=500)]


class Roles(Struct, frozen=True, forbid_unknown_fields=True):
    """The roles an account has of its own: ADMIN, BUYER, both or none."""

    roles: Annotated[tuple[Role, ...], Meta(max_length=10)]


class Group(Struct, frozen=True, forbid_unknown_fields=True):
    """The group an account buys in; null for none."""

    group: BuyerGroup | None


class AccountPage(Page[AccountView], frozen=True):
    """A page of accounts, newest first."""


@get(
    "/accounts",
    operation_id="list_accounts",
    summary="List accounts, newest first",
    opt=allow(Role.ADMIN),
    responses={200: ResponseSpec(AccountPage, generate_examples=False), **PROBLEMS(400, 401, 403, 503)},
)
async def list_all_accounts(
    request: Request[Any, Any, Any],
    *,
    limit: Limit = None,
    cursor: Cursor = None,
    email: Annotated[str | None, QueryParameter(name="email", max_length=254)] = None,
    status: Annotated[AccountStatus | None, QueryParameter(name="status")] = None,
    role: Annotated[Role | None, QueryParameter(name="role")] = None,
) -> Response[bytes]:
    """Show accounts; by e-mail address (however it is written), status, role."""
    await authorise(request)
    key = None if email is None else email_key(email)
    read = partial(list_accounts, email_key=key, status=status, role=role)
    return await newest_first(request, AccountPage, limit, cursor, read)


@once.post(
    "/accounts/{account_id:uuid}/suspend",
    status_code=200,
    operation_id="suspend_account",
    summary="Suspend an account",
    opt=allow(Role.ADMIN) | request_body(Suspension, required=True),
    responses={
        200: ResponseSpec(AccountView, generate_examples=False),
        **PROBLEMS(400, 401, 403, 404, 409, 412, 413, 415, 503),
    },
)
async def suspend_account(request: Request[Any, Any, Any], account_id: FromPath[UUID]) -> Response[bytes]:
    """Keep somebody out: sessions end, and tokens in hand are refused within a second."""
    actor = (await authorise(request)).id
    wish = await body_of(request, Suspension)
    event = "account.suspended", {"reason": wish.reason}
    return await _change(request, actor, account_id, administration.suspend, event)


@once.post(
    "/accounts/{account_id:uuid}/reactivate",
    status_code=200,
    operation_id="reactivate_account",
    summary="Reactivate a suspended account",
    opt=allow(Role.ADMIN),
    responses={200: ResponseSpec(AccountView, generate_examples=False), **PROBLEMS(400, 401, 403, 404, 412, 503)},
)
async def reactivate_account(request: Request[Any, Any, Any], account_id: FromPath[UUID]) -> Response[bytes]:
    """Let somebody in again; they log in anew."""
    actor = (await authorise(request)).id
    return await _change(request, actor, account_id, administration.reactivate, ("account.reactivated", {}))


@once.put(
    "/accounts/{account_id:uuid}/roles",
    operation_id="set_roles",
    summary="Give an account its roles",
    opt=allow(Role.ADMIN) | request_body(Roles, required=True),
    responses={
        200: ResponseSpec(AccountView, generate_examples=False),
        **PROBLEMS(400, 401, 403, 404, 409, 412, 413, 415, 503),
    },
)
async def set_roles(request: Request[Any, Any, Any], account_id: FromPath[UUID]) -> Response[bytes]:
    """Set the roles an account has of its own; one that is taken away is gone within a second."""
    actor = (await authorise(request)).id
    wish = await body_of(request, Roles)
    data = {"roles": sorted(set(wish.roles))}

    def decide(account: Account, others: int) -> Change | Rejection:
        return administration.set_roles(account, wish.roles, others)

    return await _change(request, actor, account_id, decide, ("account.roles_changed", data))


@once.put(
    "/accounts/{account_id:uuid}/group",
    operation_id="set_buyer_group",
    summary="Put an account into a group of buyers",
    opt=allow(Role.ADMIN) | request_body(Group, required=True),
    responses={
        200: ResponseSpec(AccountView, generate_examples=False),
        **PROBLEMS(400, 401, 403, 404, 412, 413, 415, 503),
    },
)
async def set_buyer_group(request: Request[Any, Any, Any], account_id: FromPath[UUID]) -> Response[bytes]:
    """Have somebody buy by the price lists of a group, from the next order on; null takes them out of it."""
    actor = (await authorise(request)).id
    wish, seen = await body_of(request, Group), expected(request)
    async with transaction(request) as conn:
        await account_sql.lock_accounts(conn, [account_id])
        view = await load_profile(conn, account_id)
        if view is None:
            raise _not_there()
        seen.check(view.version)
        if wish.group != view.group:
            version = await conn.fetchval(account_sql.SET_GROUP, account_id, wish.group)
            data = _json({"group": wish.group})
            event = Event(account_id, version, "account.group_changed", data, actor, correlation_of(request))
            await insert_events(conn, [event])
            view = msgspec.structs.replace(view, group=wish.group, version=version)
    return answer(view, version=view.version)


async def _change(
    request: Request[Any, Any, Any],
    actor: UUID,
    account_id: UUID,
    decide: Decide,
    event: tuple[str, Mapping[str, object]],
) -> Response[bytes]:
    """Decide a change under the locks, and write it with its event (type, data)."""
    kind, data = event
    version, correlation = expected(request), correlation_of(request)
    async with transaction(request) as conn:
        await conn.fetchval(account_sql.LOCK_WITH_ADMINS, account_id)
        account = (await account_sql.load_accounts(conn, [account_id])).get(account_id)
        view = await load_profile(conn, account_id)
        if account is None or view is None:
            raise _not_there()
        version.check(account.version)
        change = decide(account, await conn.fetchval(account_sql.COUNT_ADMINS, account_id))
        if isinstance(change, Rejection):
            raise ProblemError(change)
        if await _apply(conn, account, change, Event(account_id, 0, kind, _json(data), actor, correlation)):
            view = await load_profile(conn, account_id) or view
    return answer(view, version=view.version)


async def _apply(conn: Any, account: Account, change: Change, event: Event) -> bool:
    """Write a change with its event; one that changes nothing writes nothing. Return whether it did."""
    version = None
    if change.status is not account.status:
        version = await conn.fetchval(account_sql.SET_STATUS, account.id, change.status.value)
    if change.roles != account.roles & administration.GIVEN_ROLES:
        version = await conn.fetchval(account_sql.SET_ROLES, account.id, sorted(change.roles))
    if version is None:
        return False
    await insert_events(conn, [msgspec.structs.replace(event, version=version)])
    if change.revokes:
        await account_sql.revoke_accounts(conn, [account.id])
    if change.status is AccountStatus.SUSPENDED:
        await session_sql.revoke_all_sessions(conn, account.id)
    return True


def _not_there() -> ProblemError:
    return refuse(404, Code.NOT_FOUND, "there is no such account")


def _json(data: Mapping[str, object]) -> str:
    return msgspec.json.encode(data).decode()


router = Router(
    path="/",
    route_handlers=[list_all_accounts, suspend_account, reactivate_account, set_roles, set_buyer_group],
    tags=["accounts"],
)
