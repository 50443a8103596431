"""Sellers as admins see them: list, approve, reject, suspend, reinstate.

A decision is made on the seller's locked row; the tokens of a suspended seller's members lose the role in the same
transaction.
"""

from functools import partial
from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, Router, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, QueryParameter

from api import once
from api.access import allow, authorise
from api.answers import answer, expected, transaction
from api.decode import body_of
from api.openapi import PROBLEMS, request_body
from api.paging import Cursor, Limit, Page, newest_first
from api.problems import ProblemError, refuse
from api.submission import command_of, correlation_of, ring_for
from domain.accounts import seller_edit, seller_sql
from domain.accounts.account_sql import load_accounts, lock_accounts, revoke_accounts
from domain.accounts.mail import SendAccountMail
from domain.accounts.model import Position, Role, Scope, SellerStatus
from domain.accounts.seller_edit import Actor
from domain.accounts.seller_lifecycle import Review
from domain.accounts.seller_model import ReviewReason, SellerView, view_of
from domain.accounts.seller_reads import list_sellers
from domain.accounts.seller_sql import write_edit
from domain.catalog.listing import RelistProducts
from domain.catalog.relist_sql import relist_sellers
from domain.journal.model import Command
from domain.journal.sql import insert_commands
from domain.rejections import Code, Rejection

_MAY_REVIEW = allow(Role.ADMIN, scope=Scope.SELLERS_WRITE)
_REASONED = {
    200: ResponseSpec(SellerView, generate_examples=False),
    **PROBLEMS(400, 401, 403, 404, 409, 412, 413, 415, 503),
}
_REVIEWED = {
    200: ResponseSpec(SellerView, generate_examples=False),
    **PROBLEMS(400, 401, 403, 404, 409, 412, 503),
}


class SellerPage(Page[SellerView], frozen=True):
    """A page of sellers, newest first."""


@get(
    "/sellers",
    operation_id="list_sellers",
    summary="List sellers, newest first",
    opt=allow(Role.ADMIN, scope=Scope.SELLERS_READ),
    responses={200: ResponseSpec(SellerPage, generate_examples=False), **PROBLEMS(400, 401, 403, 503)},
)
async def list_all_sellers(
    request: Request[Any, Any, Any],
    limit: Limit = None,
    cursor: Cursor = None,
    status: Annotated[SellerStatus | None, QueryParameter(name="status")] = None,
) -> Response[bytes]:
    """Show sellers with their members; with ``status``, those in that state, such as who has applied."""
    await authorise(request)
    read = partial(list_sellers, status=status)
    return await newest_first(request, SellerPage, limit, cursor, read)


@once.post(
    "/sellers/{seller_id:uuid}/approve",
    status_code=200,
    operation_id="approve_seller",
    summary="Let an applicant sell",
    opt=_MAY_REVIEW,
    responses=_REVIEWED,
)
async def approve_seller(request: Request[Any, Any, Any], seller_id: FromPath[UUID]) -> Response[bytes]:
    """Approve an application; its owner gets the role SELLER with the next token, and a mail."""
    return await _review(request, seller_id, Review.APPROVE)


@once.post(
    "/sellers/{seller_id:uuid}/reject",
    status_code=200,
    operation_id="reject_seller",
    summary="Turn an applicant down",
    opt=_MAY_REVIEW | request_body(ReviewReason, required=True),
    responses=_REASONED,
)
async def reject_seller(request: Request[Any, Any, Any], seller_id: FromPath[UUID]) -> Response[bytes]:
    """Reject an application; its owner gets a mail with the reason, and may apply anew."""
    return await _review(request, seller_id, Review.REJECT)


@once.post(
    "/sellers/{seller_id:uuid}/suspend",
    status_code=200,
    operation_id="suspend_seller",
    summary="Stop a seller from selling",
    opt=_MAY_REVIEW | request_body(ReviewReason, required=True),
    responses=_REASONED,
)
async def suspend_seller(request: Request[Any, Any, Any], seller_id: FromPath[UUID]) -> Response[bytes]:
    """Suspend a seller: its lines are refused from now on, its members' tokens lose the role within a second."""
    return await _review(request, seller_id, Review.SUSPEND)


@once.post(
    "/sellers/{seller_id:uuid}/reinstate",
    status_code=200,
    operation_id="reinstate_seller",
    summary="Let a suspended seller sell again",
    opt=_MAY_REVIEW,
    responses=_REVIEWED,
)
async def reinstate_seller(request: Request[Any, Any, Any], seller_id: FromPath[UUID]) -> Response[bytes]:
    """Reinstate a seller; its members get the role back with the next token."""
    return await _review(request, seller_id, Review.REINSTATE)


async def _review(request: Request[Any, Any, Any], seller_id: UUID, way: Review) -> Response[bytes]:
    """Decide under the seller's lock, write it, have its owners told and its products listed anew."""
    actor = Actor((await authorise(request)).id, correlation_of(request))
    reason = (await body_of(request, ReviewReason)).reason if way in {Review.REJECT, Review.SUSPEND} else ""
    version = expected(request)
    commands: list[Command] = []
    async with transaction(request) as conn:
        await seller_sql.lock_sellers(conn, [seller_id])
        seller = (await seller_sql.load_sellers(conn, [seller_id])).get(seller_id)
        if seller is None:
            raise refuse(404, Code.NOT_FOUND, "there is no such seller")
        version.check(seller.version)
        edit = seller_edit.review(seller, way, reason, actor)
        if isinstance(edit, Rejection):
            raise ProblemError(edit)
        members = (await seller_sql.load_members(conn, [seller_id]))[seller_id]
        await write_edit(conn, seller, edit)
        if edit.revokes:
            # In the order of their ids, as everybody locks them.
            accounts = sorted(member.account_id for member in members)
            await lock_accounts(conn, accounts)
            await revoke_accounts(conn, accounts)
        if edit.mail is not None:
            owners = [member.account_id for member in members if member.position is Position.OWNER]
            told = await load_accounts(conn, owners)
            commands += [
                SendAccountMail(edit.mail, to.email, to.name, reason=reason, language=to.language)
                for to in (told[owner] for owner in owners)
            ]
        if way in {Review.SUSPEND, Review.REINSTATE}:
            await relist_sellers(conn, [seller_id])
            commands.append(RelistProducts())
        await insert_commands(conn, [command_of(command, actor.correlation) for command in commands])
    ring_for(request, *commands)
    return answer(view_of(edit.seller, members), version=edit.seller.version)


router = Router(
    path="/",
    route_handlers=[list_all_sellers, approve_seller, reject_seller, suspend_seller, reinstate_seller],
    tags=["sellers"],
)
