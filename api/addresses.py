"""Addresses: list, add, replace, remove one's own. Another's, an admin's view included, is a 404."""

from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

import msgspec
from litestar import Request, Response, Router, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath

from api import once
from api.access import authorise, signed_in
from api.answers import answer, expected, nothing, transaction
from api.decode import body_of
from api.openapi import PROBLEMS, request_body
from api.paging import Cursor, Limit, Page, newest_first
from api.problems import refuse, refuse_if
from api.profile import no_account
from api.submission import correlation_of
from domain.accounts import address_model, address_sql
from domain.accounts.account_sql import lock_accounts
from domain.accounts.address_model import Address, AddressOf, PostalAddress
from domain.accounts.model import Scope
from domain.journal.model import Event
from domain.journal.sql import insert_events
from domain.rejections import Code
from infra.clock import new_id
from infra.security import Principal


class AddressPage(Page[Address], frozen=True):
    """A page of addresses, newest first."""


@get(
    "/addresses",
    operation_id="list_addresses",
    opt=signed_in(scope=Scope.ORDERS_READ),
    summary="List one's addresses, newest first",
    responses={200: ResponseSpec(AddressPage, generate_examples=False), **PROBLEMS(400, 401, 403, 503)},
)
async def list_addresses(
    request: Request[Any, Any, Any], limit: Limit = None, cursor: Cursor = None
) -> Response[bytes]:
    """Show one's addresses."""
    principal = await authorise(request)
    read = partial(address_sql.list_addresses, account_id=principal.id)
    return await newest_first(request, AddressPage, limit, cursor, read)


@once.post(
    "/addresses",
    status_code=201,
    operation_id="add_address",
    summary="Add an address",
    opt=signed_in(scope=Scope.ORDERS_WRITE) | request_body(PostalAddress, required=True),
    responses={
        201: ResponseSpec(Address, generate_examples=False),
        **PROBLEMS(400, 401, 403, 404, 409, 413, 415, 503),
    },
)
async def add_address(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Add an address to one's own."""
    principal = await authorise(request)
    wish = await body_of(request, PostalAddress)
    refuse_if(address_model.fault_of(wish))
    address_id = new_id()
    async with transaction(request) as conn:
        if not await lock_accounts(conn, [principal.id]):
            raise no_account()
        refuse_if(address_model.refuse_another(await address_sql.count_addresses(conn, principal.id)))
        written = await address_sql.insert_addresses(conn, principal.id, [(address_id, wish)])
        await insert_events(conn, [Event(address_id, 1, "address.added", *_told(request, principal))])
    added = _kept(wish, address_id, 1, written[address_id])
    return answer(added, 201, version=1, headers={"Location": f"/addresses/{address_id}"})


@once.put(
    "/addresses/{address_id:uuid}",
    operation_id="replace_address",
    summary="Replace an address",
    opt=signed_in(scope=Scope.ORDERS_WRITE) | request_body(PostalAddress, required=True),
    responses={
        200: ResponseSpec(Address, generate_examples=False),
        **PROBLEMS(400, 401, 403, 404, 412, 413, 415, 503),
    },
)
async def replace_address(request: Request[Any, Any, Any], address_id: FromPath[UUID]) -> Response[bytes]:
    """Put another address in place of one, every field of it."""
    principal = await authorise(request)
    wish = await body_of(request, PostalAddress)
    refuse_if(address_model.fault_of(wish))
    seen = expected(request)
    async with transaction(request) as conn:
        found = await _locked(conn, principal, address_id)
        seen.check(found.version)
        version = found.version + 1
        await address_sql.replace_addresses(conn, [(address_id, version, wish)])
        await insert_events(conn, [Event(address_id, version, "address.changed", *_told(request, principal))])
    return answer(_kept(wish, address_id, version, found.created_at), version=version)


@once.delete(
    "/addresses/{address_id:uuid}",
    status_code=204,
    operation_id="remove_address",
    summary="Remove an address",
    opt=signed_in(scope=Scope.ORDERS_WRITE),
    responses={
        204: ResponseSpec(None, generate_examples=False, description="nothing of it is kept"),
        **PROBLEMS(400, 401, 403, 404, 412, 503),
    },
)
async def remove_address(request: Request[Any, Any, Any], address_id: FromPath[UUID]) -> Response[None]:
    """Forget an address."""
    principal = await authorise(request)
    seen = expected(request)
    async with transaction(request) as conn:
        found = await _locked(conn, principal, address_id)
        seen.check(found.version)
        await address_sql.delete_addresses(conn, [address_id])
        gone = Event(address_id, found.version + 1, "address.removed", *_told(request, principal))
        await insert_events(conn, [gone])
    return nothing()


async def _locked(conn: Any, principal: Principal, address_id: UUID) -> Address:
    """Lock an address of one's own and read it; raises a problem of status 404."""
    await address_sql.lock_addresses(conn, [address_id])
    found = (await address_sql.load_addresses(conn, principal.id, [address_id])).get(address_id)
    if found is None:
        raise refuse(404, Code.NOT_FOUND, "there is no such address of yours")
    return found


def _kept(address: PostalAddress, address_id: UUID, version: int, created_at: datetime) -> Address:
    return Address(**msgspec.structs.asdict(address), id=address_id, version=version, created_at=created_at)


def _told(request: Request[Any, Any, Any], principal: Principal) -> tuple[str, UUID, str]:
    """Data, actor and correlation of an event: whose address it is, and nothing of it."""
    data = msgspec.json.encode(AddressOf(principal.id)).decode()
    return data, principal.id, correlation_of(request)


router = Router(
    path="/", route_handlers=[list_addresses, add_address, replace_address, remove_address], tags=["accounts"]
)
