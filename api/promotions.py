"""Promotions: made as drafts by admins and sellers, edited on a version, activated, paused, ended.

A change holds for every order that is accepted after its answer: what orders are priced by has a version, which rises
with it.
"""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, Router, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, QueryParameter

from api import once
from api.access import allow, authorise
from api.acting import Viewer, editor_of, viewer_of
from api.answers import answer, expected, transaction
from api.context import edge_of
from api.decode import body_of
from api.openapi import PROBLEMS, request_body
from api.paging import Cursor, Limit, Page, newest_first
from api.problems import ProblemError, refuse, refuse_if
from api.submission import correlation_of
from domain.accounts.model import Role, Scope
from domain.pricing.promotion_edit import Step, edit, take
from domain.pricing.promotion_faults import fault_of
from domain.pricing.promotion_model import PromotionContent, PromotionState, StoredPromotion
from domain.pricing.promotion_reads import PromotionView, list_promotions, load_promotion
from domain.pricing.promotion_sql import (
    change_of,
    change_promotions,
    insert_promotions,
    lock_promotions,
    set_most,
)
from domain.rejections import Code, Rejection
from infra.clock import new_id
from infra.security import Principal

EDITORS = (Role.SELLER, Role.ADMIN)
SHOWN = ResponseSpec(PromotionView, generate_examples=False)


class PromotionPage(Page[PromotionView], frozen=True):
    """A page of promotions, newest first."""


@get(
    "/promotions",
    operation_id="list_promotions",
    opt=allow(*EDITORS, scope=Scope.PRICING_READ),
    summary="List promotions, newest first",
    responses={200: ResponseSpec(PromotionPage, generate_examples=False), **PROBLEMS(400, 401, 403, 503)},
)
async def list_own_promotions(
    request: Request[Any, Any, Any],
    of_state: Annotated[PromotionState | None, QueryParameter(name="state")] = None,
    limit: Limit = None,
    cursor: Cursor = None,
) -> Response[bytes]:
    """Show a seller's own promotions; an admin's list holds all."""
    principal = await authorise(request)

    async def read(conn: Any, *, below: UUID, limit: int) -> list[PromotionView]:
        viewer = await viewer_of(conn, principal)
        if not viewer.is_admin and viewer.seller_id is None:
            return []
        return await list_promotions(conn, seller_id=viewer.seller_id, state=of_state, below=below, limit=limit)

    return await newest_first(request, PromotionPage, limit, cursor, read)


@once.post(
    "/promotions",
    status_code=201,
    operation_id="create_promotion",
    opt=allow(*EDITORS, scope=Scope.PRICING_WRITE) | request_body(PromotionContent, required=True),
    summary="Make a promotion",
    responses={201: SHOWN, **PROBLEMS(400, 401, 403, 413, 415, 503)},
)
async def create_promotion(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Make a draft: the platform's for an admin, for a seller its own. It does nothing before it is activated."""
    principal = await authorise(request)
    content = await body_of(request, PromotionContent)
    async with transaction(request) as conn:
        seller_id = (await editor_of(conn, principal)).seller_id
        refuse_if(fault_of(content, seller_id))
        draft = StoredPromotion(new_id(), 1, seller_id, PromotionState.DRAFT, content, datetime.now(UTC))
        await insert_promotions(conn, [draft], actor=principal.id, correlation=correlation_of(request))
        view = await _view(conn, draft.id)
    return answer(view, 201, version=view.version, headers={"Location": f"/promotions/{view.id}"})


@get(
    "/promotions/{promotion_id:uuid}",
    operation_id="get_promotion",
    opt=allow(*EDITORS, scope=Scope.PRICING_READ),
    summary="Look up a promotion",
    responses={200: SHOWN, **PROBLEMS(401, 403, 404, 503)},
)
async def get_promotion(request: Request[Any, Any, Any], promotion_id: FromPath[UUID]) -> Response[bytes]:
    """Show a promotion as it is now."""
    principal = await authorise(request)
    async with edge_of(request.app.state).pool.acquire(timeout=2) as conn:
        view = await seen_by(conn, principal, promotion_id)
    return answer(view, version=view.version)


@once.put(
    "/promotions/{promotion_id:uuid}",
    operation_id="replace_promotion",
    opt=allow(*EDITORS, scope=Scope.PRICING_WRITE) | request_body(PromotionContent, required=True),
    summary="Say anew what a promotion does",
    responses={200: SHOWN, **PROBLEMS(400, 401, 403, 404, 409, 412, 413, 415, 503)},
)
async def replace_promotion(request: Request[Any, Any, Any], promotion_id: FromPath[UUID]) -> Response[bytes]:
    """Make the next version: what isn't named has its default. Orders keep the version they were placed with."""
    principal = await authorise(request)
    content = await body_of(request, PromotionContent)
    return await _change(request, principal, promotion_id, Step.EDIT, content)


@once.post(
    "/promotions/{promotion_id:uuid}/activate",
    status_code=200,
    operation_id="activate_promotion",
    opt=allow(*EDITORS, scope=Scope.PRICING_WRITE),
    summary="Have a promotion apply",
    responses={200: SHOWN, **PROBLEMS(400, 401, 403, 404, 409, 412, 503)},
)
async def activate_promotion(request: Request[Any, Any, Any], promotion_id: FromPath[UUID]) -> Response[bytes]:
    """Activate a draft or one that is paused; with `starts_at` it applies from then on."""
    return await _change(request, await authorise(request), promotion_id, Step.ACTIVATE)


@once.post(
    "/promotions/{promotion_id:uuid}/pause",
    status_code=200,
    operation_id="pause_promotion",
    opt=allow(*EDITORS, scope=Scope.PRICING_WRITE),
    summary="Have a promotion apply no more, for now",
    responses={200: SHOWN, **PROBLEMS(400, 401, 403, 404, 409, 412, 503)},
)
async def pause_promotion(request: Request[Any, Any, Any], promotion_id: FromPath[UUID]) -> Response[bytes]:
    """Pause an active promotion; orders that have it keep it."""
    return await _change(request, await authorise(request), promotion_id, Step.PAUSE)


@once.post(
    "/promotions/{promotion_id:uuid}/end",
    status_code=200,
    operation_id="end_promotion",
    opt=allow(*EDITORS, scope=Scope.PRICING_WRITE),
    summary="End a promotion",
    responses={200: SHOWN, **PROBLEMS(400, 401, 403, 404, 409, 412, 503)},
)
async def end_promotion(request: Request[Any, Any, Any], promotion_id: FromPath[UUID]) -> Response[bytes]:
    """End a promotion for good; orders that have it keep it."""
    return await _change(request, await authorise(request), promotion_id, Step.END)


async def _change(
    request: Request[Any, Any, Any],
    principal: Principal,
    promotion_id: UUID,
    step: Step,
    content: PromotionContent | None = None,
) -> Response[bytes]:
    """Take a step with a promotion that is the principal's, and answer with it; raises what is refused as a problem."""
    seen, now = expected(request), datetime.now(UTC)
    async with transaction(request) as conn:
        editor = await editor_of(conn, principal)
        before = (await lock_promotions(conn, [promotion_id])).get(promotion_id)
        if before is None or not _is_theirs(editor, before.seller_id):
            raise not_found()
        seen.check(before.version)
        after = take(before, step, now) if content is None else edit(before, content)
        if isinstance(after, Rejection):
            raise ProblemError(after)
        if after is not before:
            await _count_to(conn, before, after)
            change = change_of(before, after, step)
            await change_promotions(conn, [change], now, actor=principal.id, correlation=correlation_of(request))
        view = await _view(conn, promotion_id)
    return answer(view, version=view.version)


async def _count_to(conn: Any, before: StoredPromotion, after: StoredPromotion) -> None:
    """Have a promotion that counts its uses count to its new limit; raises a problem of status 409 below its uses."""
    most = after.content.uses_max
    counting = before.state is not PromotionState.DRAFT and most is not None
    if counting and most != before.content.uses_max and not await set_most(conn, after):
        detail = f"the promotion is used by more than {most} orders: it can't be limited to fewer than it has"
        raise refuse(409, Code.CONFLICT, detail, "uses_max")


async def seen_by(conn: Any, principal: Principal, promotion_id: UUID) -> PromotionView:
    """A promotion that somebody may see; raises a problem of status 404."""
    view = await load_promotion(conn, promotion_id)
    if view is None or not _is_theirs(await viewer_of(conn, principal), view.seller_id):
        raise not_found()
    return view


async def edited_by(conn: Any, principal: Principal, promotion_id: UUID) -> PromotionView:
    """A promotion that somebody may change; raises problems of status 403 and 404."""
    editor = await editor_of(conn, principal)
    view = await load_promotion(conn, promotion_id)
    if view is None or not _is_theirs(editor, view.seller_id):
        raise not_found()
    return view


def _is_theirs(viewer: Viewer, seller_id: UUID | None) -> bool:
    """Whether a promotion is theirs; the platform's is its admins' alone."""
    return viewer.is_admin if seller_id is None else viewer.is_of(seller_id)


async def _view(conn: Any, promotion_id: UUID) -> PromotionView:
    view = await load_promotion(conn, promotion_id)
    if view is None:
        raise LookupError(f"promotion {promotion_id} vanished in its own transaction")
    return view


def not_found() -> ProblemError:
    """The refusal of a promotion that isn't there or isn't theirs."""
    return refuse(404, Code.NOT_FOUND, "there is no such promotion of yours")


router = Router(
    path="/",
    route_handlers=[
        list_own_promotions,
        create_promotion,
        get_promotion,
        replace_promotion,
        activate_promotion,
        pause_promotion,
        end_promotion,
    ],
    tags=["promotions"],
)
