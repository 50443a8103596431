"""Payouts: asked for, approved, exported for the bank, marked paid or failed; for admins alone."""

from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, QueryParameter
from litestar.response.base import ASGIResponse

from api.access import allow, authorise
from api.context import Edge, edge_of
from api.decode import body_of
from api.openapi import PROBLEMS, request_body
from api.paging import Cursor, Limit, Page, newest_first, paged
from api.problems import refuse
from api.submission import ACCEPTED, submit
from domain.accounts.model import Role, Scope
from domain.journal.reads import load_jobs
from domain.payments.payout_reads import (
    ItemsView,
    ItemView,
    PayoutView,
    list_items,
    list_payouts,
    load_payout,
    load_sums,
)
from domain.payments.payouts import (
    FIRST_SELLER,
    ApprovePayout,
    CollectPayout,
    FailedPayout,
    MarkPayoutFailed,
    MarkPayoutPaid,
    NewPayout,
    PayoutState,
)
from domain.rejections import Code

PATH = "/payouts/{payout_id:uuid}"
READ = allow(Role.ADMIN, scope=Scope.MONEY_READ)
BY_A_PERSON = allow(Role.ADMIN)
"""Letting money go needs somebody who has signed in."""


class PayoutPage(Page[PayoutView], frozen=True):
    """A page of payouts, newest first."""


class PayoutInFull(Page[ItemView], frozen=True):
    """A payout, what its parts come to by state, and a page of them by seller."""

    payout: PayoutView
    sums: list[ItemsView]


@post(
    "/payouts",
    status_code=202,
    operation_id="collect_payout",
    summary="Take what has settled into a payout",
    opt=allow(Role.ADMIN, scope=Scope.MONEY_WRITE) | request_body(NewPayout, required=True),
    responses={**ACCEPTED, **PROBLEMS(400, 401, 403, 409, 413, 415, 422, 500, 503)},
)
async def collect_payout(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Take what sellers are owed of a currency, and has settled by now, out of their balances.

    The job's id is the payout's. A large one goes on after its job has ended: it is `collecting` until it waits for
    approval, or is `empty`. One payout of a currency is collected at a time.
    """
    edge = edge_of(request.app.state)
    principal = await authorise(request)
    wish = await body_of(request, NewPayout)
    minimum = wish.minimum
    if minimum is not None and minimum.currency != wish.currency:
        raise refuse(422, Code.CURRENCY_MISMATCH, f"the payout is of {wish.currency}", "minimum.currency")
    if minimum is not None and minimum.amount == 0:
        raise refuse(400, Code.INVALID_REQUEST, "a seller gets 1 at least", "minimum.amount")
    command = CollectPayout(wish.currency, None if minimum is None else minimum.amount)
    return await submit(request, edge, principal, command, operation="POST /payouts")


@get(
    "/payouts",
    operation_id="list_payouts",
    opt=READ,
    summary="List payouts, newest first",
    responses={200: ResponseSpec(PayoutPage, generate_examples=False), **PROBLEMS(400, 401, 403, 503)},
)
async def list_all_payouts(
    request: Request[Any, Any, Any],
    limit: Limit = None,
    cursor: Cursor = None,
    in_state: Annotated[PayoutState | None, QueryParameter(name="state")] = None,
) -> Response[bytes]:
    """Show payouts, all or those in a state."""
    await authorise(request)

    async def read(conn: Any, *, below: UUID, limit: int) -> list[PayoutView]:
        return await list_payouts(conn, below=below, limit=limit, state=in_state)

    return await newest_first(request, PayoutPage, limit, cursor, read)


@get(
    PATH,
    operation_id="get_payout",
    opt=READ,
    summary="A payout, with what it has for each seller",
    responses={200: ResponseSpec(PayoutInFull, generate_examples=False), **PROBLEMS(400, 401, 403, 404, 503)},
)
async def get_payout(
    request: Request[Any, Any, Any], payout_id: FromPath[UUID], limit: Limit = None, cursor: Cursor = None
) -> Response[bytes]:
    """Show a payout; its parts page by page, by seller."""
    await authorise(request)
    async with edge_of(request.app.state).pool.acquire(timeout=2) as conn:
        payout = await load_payout(conn, payout_id)
        if payout is None:
            raise refuse(404, Code.NOT_FOUND, "there is no such payout")
        sums = await load_sums(conn, payout)

    async def read(conn: Any, after: UUID | None, count: int) -> list[ItemView]:
        return await list_items(conn, payout, after=after or FIRST_SELLER, limit=count)

    def page(items: list[ItemView], next_cursor: str | None) -> PayoutInFull:
        return PayoutInFull(items, next_cursor, payout, sums)

    return await paged(request, page, limit, cursor, kind=UUID, read=read, key_of=lambda item: item.seller_id)


@post(
    f"{PATH}/approve",
    status_code=202,
    operation_id="approve_payout",
    summary="Let a payout go to the bank",
    opt=BY_A_PERSON,
    responses={**ACCEPTED, **PROBLEMS(400, 401, 403, 404, 409, 500, 503)},
)
async def approve_payout(request: Request[Any, Any, Any], payout_id: FromPath[UUID]) -> ASGIResponse:
    """Approve a payout that waits for it, without sellers who are suspended or have a chargeback open by now."""
    edge = edge_of(request.app.state)
    principal = await authorise(request)
    await _must_be_there(edge, payout_id)
    return await submit(
        request, edge, principal, ApprovePayout(payout_id), operation="POST /payouts/{payout_id}/approve"
    )


@post(
    f"{PATH}/paid",
    status_code=202,
    operation_id="mark_payout_paid",
    summary="Book a payout as paid",
    opt=BY_A_PERSON,
    responses={**ACCEPTED, **PROBLEMS(400, 401, 403, 404, 409, 500, 503)},
)
async def mark_payout_paid(request: Request[Any, Any, Any], payout_id: FromPath[UUID]) -> ASGIResponse:
    """Book that the bank has paid an approved payout, all of it that isn't marked failed."""
    edge = edge_of(request.app.state)
    principal = await authorise(request)
    await _must_be_there(edge, payout_id)
    return await submit(request, edge, principal, MarkPayoutPaid(payout_id), operation="POST /payouts/{payout_id}/paid")


@post(
    f"{PATH}/failed",
    status_code=202,
    operation_id="mark_payout_failed",
    summary="Give a payout back to the sellers' balances",
    opt=BY_A_PERSON | request_body(FailedPayout, required=True),
    responses={**ACCEPTED, **PROBLEMS(400, 401, 403, 404, 409, 413, 415, 422, 500, 503)},
)
async def mark_payout_failed(request: Request[Any, Any, Any], payout_id: FromPath[UUID]) -> ASGIResponse:
    """Give back what isn't paid: all of it, or what is in it for the sellers named. The next payout finds it again.

    Of a payout that was paid, sellers may be named whose money came back.
    """
    edge = edge_of(request.app.state)
    principal = await authorise(request)
    wish = await body_of(request, FailedPayout)
    await _must_be_there(edge, payout_id)
    command = MarkPayoutFailed(payout_id, wish)
    return await submit(request, edge, principal, command, operation="POST /payouts/{payout_id}/failed")


async def _must_be_there(edge: Edge, payout_id: UUID) -> None:
    """Raise 404 unless there is such a payout, or a command that is about to make it."""
    async with edge.pool.acquire(timeout=2) as conn:
        if await load_payout(conn, payout_id) is not None:
            return
        job = (await load_jobs(conn, [payout_id])).get(payout_id)
    if job is None or job.job != CollectPayout.job or job.status.ended:
        raise refuse(404, Code.NOT_FOUND, "there is no such payout")


router = Router(
    path="/",
    route_handlers=[
        collect_payout,
        list_all_payouts,
        get_payout,
        approve_payout,
        mark_payout_paid,
        mark_payout_failed,
    ],
    tags=["money"],
)
