"""One's own seller: apply, look, change, and say who acts for it.

Payout details are sealed before anything is locked, and nothing but their mask is ever shown.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from litestar import Request, Response, Router, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath
from msgspec import UNSET, Struct

from api import once
from api.access import allow, authorise, signed_in
from api.answers import answer, expected, nothing, transaction
from api.context import Edge, edge_of
from api.credentials import check_email
from api.decode import body_of
from api.openapi import PROBLEMS, request_body
from api.problems import ProblemError, refuse, refuse_if
from api.profile import no_account
from api.submission import command_of, correlation_of, ring_for
from domain.accounts import seller_edit, seller_membership, seller_payout, seller_sql
from domain.accounts.account_sql import load_by_email, lock_accounts, revoke_accounts
from domain.accounts.email import email_key
from domain.accounts.mail import MailKind, SendAccountMail
from domain.accounts.model import Membership, Position, Role, Scope, SellerStatus
from domain.accounts.seller_edit import NO_PAYOUT, Actor, SealedPayout
from domain.accounts.seller_model import (
    Member,
    MemberAdded,
    MemberRemoved,
    NewMember,
    Seller,
    SellerApplication,
    SellerChange,
    SellerView,
    view_of,
)
from domain.accounts.seller_payout import Payout
from domain.accounts.seller_sql import write_edit
from domain.journal.sql import insert_commands, insert_events
from domain.rejections import Code, Rejection
from infra import telemetry
from infra.clock import new_id
from infra.encryption import SealError
from infra.security import Principal

log = telemetry.logger()
SEALED_FOR = "seller payout"
_read_payout: Callable[[bytes], Payout] = msgspec.json.Decoder(Payout).decode


class MemberAsked(Struct, frozen=True):
    """The same whoever the address belongs to."""

    detail: str


ASKED = MemberAsked("whoever has an account with this address, and acts for no other seller, is a member now")


@once.post(
    "/sellers/apply",
    status_code=201,
    operation_id="apply_to_sell",
    summary="Apply to become a seller",
    opt=allow(Role.BUYER, scope=Scope.SELLERS_WRITE) | request_body(SellerApplication, required=True),
    responses={
        201: ResponseSpec(SellerView, generate_examples=False),
        **PROBLEMS(400, 401, 403, 404, 409, 413, 415, 503),
    },
)
async def apply_to_sell(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Found a seller that waits for an admin's decision; who applies is its owner."""
    edge, actor = edge_of(request.app.state), await _actor(request)
    wish = await body_of(request, SellerApplication)
    seller_id = new_id()
    payout = _sealed(edge, _normal(wish.payout), seller_id)
    seller = Seller(
        id=seller_id,
        name=wish.name,
        description=wish.description,
        status=SellerStatus.APPLIED,
        reason="",
        payout=payout.sealed,
        payout_shown=payout.shown,
        version=1,
        created_at=datetime.now(UTC),
    )
    async with transaction(request) as conn:
        if not await lock_accounts(conn, [actor.id]):
            raise no_account()
        membership = (await seller_sql.load_memberships(conn, [actor.id])).get(actor.id)
        refuse_if(seller_membership.refuse_application(membership))
        await seller_sql.insert_sellers(conn, [seller])
        await insert_events(conn, [seller_edit.applied(seller, actor)])
        if not await _join(conn, actor, actor.id, (seller_id, Position.OWNER), membership):
            raise refuse(409, Code.CONFLICT, "this account has become a member of another seller meanwhile")
        members = await seller_sql.load_members(conn, [seller_id])
    return answer(view_of(seller, members[seller_id]), 201, version=1, headers={"Location": "/sellers/me"})


@get(
    "/sellers/me",
    operation_id="get_own_seller",
    summary="Look up one's own seller",
    opt=signed_in(scope=Scope.SELLERS_READ),
    responses={200: ResponseSpec(SellerView, generate_examples=False), **PROBLEMS(401, 403, 404, 503)},
)
async def get_own_seller(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Show the seller one acts for, whatever its state: an applicant sees how the application stands."""
    edge = edge_of(request.app.state)
    principal = await authorise(request)
    async with edge.pool.acquire(timeout=2) as conn:
        seller_id = (await _membership(conn, principal.id)).seller_id
        seller = (await seller_sql.load_sellers(conn, [seller_id]))[seller_id]
        members = (await seller_sql.load_members(conn, [seller_id]))[seller_id]
    return answer(_seen_by(principal.id, seller, members), version=seller.version)


@once.patch(
    "/sellers/me",
    operation_id="change_own_seller",
    summary="Change one's own seller",
    opt=allow(Role.SELLER, scope=Scope.SELLERS_WRITE) | request_body(SellerChange, required=True),
    responses={
        200: ResponseSpec(SellerView, generate_examples=False),
        **PROBLEMS(400, 401, 403, 412, 413, 415, 503),
    },
)
async def change_own_seller(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Change name, description or payout details; only an owner of an approved seller may."""
    edge, actor = edge_of(request.app.state), await _actor(request)
    wish, version = await body_of(request, SellerChange), expected(request)
    payout = None if wish.payout is UNSET else _normal(wish.payout)
    async with transaction(request) as conn:
        seller, members = await _locked(conn, actor.id)
        refuse_if(seller_membership.refuse_to_act(seller.status, members, actor.id))
        refuse_if(seller_membership.refuse_staff(members, actor.id))
        version.check(seller.version)
        stays = wish.payout is UNSET or _is_same(edge, seller, payout)
        edit = seller_edit.change(seller, wish, None if stays else _sealed(edge, payout, seller.id), actor)
        if edit is not None:
            await write_edit(conn, seller, edit)
            seller = edit.seller
    return answer(view_of(seller, members), version=seller.version)


@once.post(
    "/sellers/me/members",
    status_code=202,
    operation_id="add_member",
    summary="Let somebody act for one's seller",
    opt=allow(Role.SELLER, scope=Scope.SELLERS_WRITE) | request_body(NewMember, required=True),
    responses={
        202: ResponseSpec(MemberAsked, generate_examples=False, description="the same whether there is an account"),
        **PROBLEMS(400, 401, 403, 409, 413, 415, 503),
    },
)
async def add_member(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Make an account a member, by its verified address; a mail tells it so. Only an owner may."""
    actor = await _actor(request)
    wish = await body_of(request, NewMember)
    check_email(wish.email)
    mail = None
    async with transaction(request) as conn:
        seller, members = await _locked(conn, actor.id)
        refuse_if(seller_membership.refuse_to_act(seller.status, members, actor.id))
        refuse_if(seller_membership.refuse_staff(members, actor.id))
        refuse_if(seller_membership.refuse_another(members))
        account = (await load_by_email(conn, [wish.email])).get(email_key(wish.email))
        if account is not None:
            await lock_accounts(conn, [account.id])
            membership = (await seller_sql.load_memberships(conn, [account.id])).get(account.id)
            joins = seller_membership.can_join(account, membership)
            if joins and await _join(conn, actor, account.id, (seller.id, wish.position), membership):
                edit = seller_edit.member_added(seller, MemberAdded(account.id, wish.position), actor)
                await write_edit(conn, seller, edit)
                mail = SendAccountMail(MailKind.MEMBER_ADDED, account.email, account.name, language=account.language)
                await insert_commands(conn, [command_of(mail, actor.correlation)])
    if mail is not None:
        ring_for(request, mail)
    return answer(ASKED, 202)


@once.delete(
    "/sellers/me/members/{account_id:uuid}",
    status_code=204,
    operation_id="remove_member",
    summary="Let somebody act for one's seller no more",
    opt=signed_in(scope=Scope.SELLERS_WRITE),
    responses={
        204: ResponseSpec(None, description="no member any more; tokens in hand lose the role within a second"),
        **PROBLEMS(401, 403, 404, 409, 503),
    },
)
async def remove_member(request: Request[Any, Any, Any], account_id: FromPath[UUID]) -> Response[None]:
    """Take a member's rights; an owner of an approved seller may, and who leaves it themselves."""
    actor = await _actor(request)
    async with transaction(request) as conn:
        seller, members = await _locked(conn, actor.id)
        if account_id != actor.id:
            refuse_if(seller_membership.refuse_to_act(seller.status, members, actor.id))
        refuse_if(seller_membership.refuse_removal(members, actor.id, account_id))
        await write_edit(conn, seller, seller_edit.member_removed(seller, MemberRemoved(account_id), actor))
        await revoke_accounts(conn, [account_id])
        await seller_sql.delete_members(conn, [account_id])
    return nothing()


async def _actor(request: Request[Any, Any, Any]) -> Actor:
    principal: Principal = await authorise(request)
    return Actor(principal.id, correlation_of(request))


async def _membership(conn: Any, account_id: UUID) -> Membership:
    found = (await seller_sql.load_memberships(conn, [account_id])).get(account_id)
    if found is None:
        raise refuse(404, Code.NOT_FOUND, "this account acts for no seller")
    return found


async def _locked(conn: Any, account_id: UUID) -> tuple[Seller, list[Member]]:
    """Lock the seller an account acts for, and read it with its members; raises a problem of status 403."""
    found = (await seller_sql.load_memberships(conn, [account_id])).get(account_id)
    if found is None:
        raise refuse(403, Code.FORBIDDEN, "you are a member of no seller")
    await seller_sql.lock_sellers(conn, [found.seller_id])
    seller = (await seller_sql.load_sellers(conn, [found.seller_id]))[found.seller_id]
    return seller, (await seller_sql.load_members(conn, [found.seller_id]))[found.seller_id]


async def _join(
    conn: Any, actor: Actor, account_id: UUID, place: tuple[UUID, Position], membership: Membership | None
) -> bool:
    """Make an account, whose row is locked, a member; it leaves the seller that was rejected. False if it can't."""
    if membership is not None:
        await seller_sql.lock_sellers(conn, [membership.seller_id])
        rejected = (await seller_sql.load_sellers(conn, [membership.seller_id]))[membership.seller_id]
        await seller_sql.delete_members(conn, [account_id])
        await write_edit(conn, rejected, seller_edit.member_removed(rejected, MemberRemoved(account_id), actor))
    return bool(await seller_sql.insert_members(conn, [(account_id, *place)]))


def _seen_by(account_id: UUID, seller: Seller, members: list[Member]) -> SellerView:
    is_owner = seller_membership.refuse_staff(members, account_id) is None
    return view_of(seller, members if is_owner else None)


def _normal(payout: Payout | None) -> Payout | None:
    """Bring payout details into their one form; raises a problem of status 400."""
    if payout is None:
        return None
    checked = seller_payout.checked(payout)
    if isinstance(checked, Rejection):
        raise ProblemError(checked)
    return checked


def _sealed(edge: Edge, payout: Payout | None, seller_id: UUID) -> SealedPayout:
    if payout is None:
        return NO_PAYOUT
    sealed = edge.sealer.seal(msgspec.json.encode(payout), SEALED_FOR, seller_id)
    return SealedPayout(sealed, seller_payout.shown(payout))


def _is_same(edge: Edge, seller: Seller, payout: Payout | None) -> bool:
    """Whether a seller has these payout details already."""
    if payout is None or seller.payout is None:
        return payout is None and seller.payout is None
    try:
        return _read_payout(edge.sealer.open(seller.payout, SEALED_FOR, seller.id)) == payout
    except SealError as error:
        # A key is missing: details that are given anew are written anew, and an operator has to know.
        log.error("payout_sealed_for_good", seller=str(seller.id), error=str(error))
        return False


router = Router(
    path="/",
    route_handlers=[apply_to_sell, get_own_seller, change_own_seller, add_member, remove_member],
    tags=["sellers"],
)
