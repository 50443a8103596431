"""Commission rules: what the platform takes of which lines. Administrators write them, one edit after the other."""

from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, Router, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, QueryParameter

from api import once
from api.access import allow, authorise
from api.answers import answer, expected, nothing, transaction
from api.context import edge_of
from api.decode import body_of
from api.openapi import PROBLEMS, request_body
from api.paging import Cursor, Limit, Page, newest_first
from api.problems import refuse, refuse_if
from api.submission import correlation_of
from domain.accounts.model import Role, Scope
from domain.pricing import commission_edit
from domain.pricing.commission_edit import StoredRule
from domain.pricing.commission_model import CommissionContent, fault_of
from domain.pricing.commission_reads import CommissionRuleInFull, CommissionRuleView, RuleStatus, list_rules, load_rule
from domain.pricing.commission_sql import PART, Edit, count_open, load_rules, load_unknown, lock_rules, write_rules
from domain.pricing.version_sql import raise_version
from domain.rejections import Code
from infra.clock import new_id
from infra.security import Principal


class CommissionRulePage(Page[CommissionRuleView], frozen=True):
    """A page of commission rules, newest first."""


@get(
    "/pricing/commission-rules",
    operation_id="list_commission_rules",
    opt=allow(Role.ADMIN, scope=Scope.PRICING_READ),
    summary="List commission rules, newest first",
    responses={200: ResponseSpec(CommissionRulePage, generate_examples=False), **PROBLEMS(400, 401, 403, 503)},
)
async def list_commission_rules(
    request: Request[Any, Any, Any],
    limit: Limit = None,
    cursor: Cursor = None,
    status: Annotated[RuleStatus | None, QueryParameter(name="status")] = None,
) -> Response[bytes]:
    """Show the rules as they stand, also those that have ended; with `status`, those in it."""
    await authorise(request)
    read = partial(list_rules, now=datetime.now(UTC), status=status)
    return await newest_first(request, CommissionRulePage, limit, cursor, read)


@get(
    "/pricing/commission-rules/{rule_id:uuid}",
    operation_id="get_commission_rule",
    opt=allow(Role.ADMIN, scope=Scope.PRICING_READ),
    summary="Look up a commission rule",
    responses={200: ResponseSpec(CommissionRuleInFull, generate_examples=False), **PROBLEMS(401, 403, 404, 503)},
)
async def get_commission_rule(request: Request[Any, Any, Any], rule_id: FromPath[UUID]) -> Response[bytes]:
    """Show a rule, with the rules of the same rank that may cover the same line at the same time."""
    await authorise(request)
    async with edge_of(request.app.state).pool.acquire(timeout=2) as conn:
        return await _view_answer(conn, rule_id, datetime.now(UTC))


@once.post(
    "/pricing/commission-rules",
    status_code=201,
    operation_id="create_commission_rule",
    opt=allow(Role.ADMIN, scope=Scope.PRICING_WRITE) | request_body(CommissionContent, required=True),
    summary="Make a commission rule",
    responses={
        201: ResponseSpec(CommissionRuleInFull, generate_examples=False),
        **PROBLEMS(400, 401, 403, 409, 413, 415, 503),
    },
)
async def create_commission_rule(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Make a rule; `overlaps` in the answer names those it meets. It holds for every order accepted from now on."""
    principal = await authorise(request)
    content = await body_of(request, CommissionContent)
    refuse_if(fault_of(content))
    now = datetime.now(UTC)
    async with transaction(request) as conn:
        version = await raise_version(conn, PART)
        await _check_named(conn, content)
        refuse_if(commission_edit.check_room(await count_open(conn, now)))
        made = StoredRule(new_id(), 1, False, content)
        await write_rules(conn, [("commission_rule.created", made)], Edit(version, now, *_who(request, principal)))
        return await _view_answer(conn, made.id, now, 201)


@once.put(
    "/pricing/commission-rules/{rule_id:uuid}",
    operation_id="edit_commission_rule",
    opt=allow(Role.ADMIN, scope=Scope.PRICING_WRITE) | request_body(CommissionContent, required=True),
    summary="Change a commission rule that no order pays by",
    responses={
        200: ResponseSpec(CommissionRuleInFull, generate_examples=False),
        **PROBLEMS(400, 401, 403, 404, 409, 412, 413, 415, 503),
    },
)
async def edit_commission_rule(request: Request[Any, Any, Any], rule_id: FromPath[UUID]) -> Response[bytes]:
    """Replace a rule; the same again makes no new version.

    One that orders pay by is ended instead, and another one made: a 409 says so.
    """
    principal = await authorise(request)
    seen, content = expected(request), await body_of(request, CommissionContent)
    refuse_if(fault_of(content))
    now = datetime.now(UTC)
    async with transaction(request) as conn:
        if rule_id not in await load_rules(conn, [rule_id]):
            raise _no_rule()
        version = await raise_version(conn, PART)
        rule = (await lock_rules(conn, [rule_id]))[rule_id]
        seen.check(rule.version)
        if content != rule.content:
            refuse_if(commission_edit.check_change(rule, now))
            await _check_named(conn, content)
            after = commission_edit.changed(rule, content)
            await write_rules(conn, [("commission_rule.changed", after)], Edit(version, now, *_who(request, principal)))
        return await _view_answer(conn, rule_id, now)


@once.delete(
    "/pricing/commission-rules/{rule_id:uuid}",
    status_code=204,
    operation_id="end_commission_rule",
    opt=allow(Role.ADMIN, scope=Scope.PRICING_WRITE),
    summary="End a commission rule",
    responses={
        204: ResponseSpec(None, generate_examples=False, description="no order accepted from now on pays by it"),
        **PROBLEMS(400, 401, 403, 404, 412, 503),
    },
)
async def end_commission_rule(request: Request[Any, Any, Any], rule_id: FromPath[UUID]) -> Response[None]:
    """End a rule now, whether orders pay by it or not; those keep what they were placed with."""
    principal = await authorise(request)
    seen, now = expected(request), datetime.now(UTC)
    async with transaction(request) as conn:
        if rule_id not in await load_rules(conn, [rule_id]):
            raise _no_rule()
        version = await raise_version(conn, PART)
        rule = (await lock_rules(conn, [rule_id]))[rule_id]
        seen.check(rule.version)
        if not commission_edit.has_ended(rule.content, now):
            after = commission_edit.ended(rule, now)
            await write_rules(conn, [("commission_rule.ended", after)], Edit(version, now, *_who(request, principal)))
    return nothing()


def _who(request: Request[Any, Any, Any], principal: Principal) -> tuple[UUID, str]:
    return principal.id, correlation_of(request)


async def _view_answer(conn: Any, rule_id: UUID, now: datetime, status: int = 200) -> Response[bytes]:
    view = await load_rule(conn, rule_id, now)
    if view is None:
        raise _no_rule()
    headers = {"Location": f"/pricing/commission-rules/{rule_id}"} if status == 201 else None
    return answer(view, status, version=view.version, headers=headers)


def _no_rule() -> Exception:
    return refuse(404, Code.NOT_FOUND, "there is no such commission rule")


async def _check_named(conn: Any, content: CommissionContent) -> None:
    unknown = await load_unknown(conn, content)
    if unknown is not None:
        dimension, place = unknown
        raise refuse(400, Code.INVALID_REQUEST, "there is nothing with this id", f"scope.{dimension}[{place}]")


router = Router(
    path="/",
    route_handlers=[
        list_commission_rules,
        get_commission_rule,
        create_commission_rule,
        edit_commission_rule,
        end_commission_rule,
    ],
    tags=["commission"],
)
