"""Attributes: what products may say of themselves, and which categories ask for it.

As for categories, every edit waits for the one before it.
"""

from collections.abc import Awaitable
from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, Router, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath
from litestar.response.base import ASGIResponse
from msgspec import Meta, Struct

from api import once
from api.access import allow, anyone, authorise, visitor
from api.answers import Expected, answer, expected, kept_answer, nothing, transaction
from api.categories import check_schema_size, standing, view_answer
from api.context import edge_of, encode
from api.decode import body_of, body_or
from api.kept import Read
from api.openapi import PROBLEMS, request_body
from api.paging import Limit, LongCursor, Page, paged
from api.problems import refuse, refuse_if
from api.submission import correlation_of
from domain.accounts.model import Role, Scope
from domain.catalog import attribute_reads, attribute_sql, category_sql, use_sql
from domain.catalog.attribute_edit import (
    AttributeUse,
    ValueUse,
    check_change,
    check_form,
    check_losers,
    check_unused,
)
from domain.catalog.model import TREE
from domain.catalog.schema import CODE_LENGTH_MAX
from domain.catalog.taxonomy import (
    Assigned,
    AssignmentEdit,
    AttributeEdit,
    AttributeView,
    CategoryView,
    StoredAttribute,
)
from domain.journal.changes_sql import note_changes
from domain.rejections import Code
from infra.clock import new_id


class AttributePage(Page[AttributeView], frozen=True):
    """A page of attributes, by code."""


class CodeKey(Struct, frozen=True, array_like=True):
    """Where an attribute stands among all."""

    code: Annotated[str, Meta(max_length=CODE_LENGTH_MAX)] = ""


@get(
    "/attributes",
    operation_id="list_attributes",
    opt=anyone(Scope.CATALOG_READ),
    summary="List attributes by code",
    responses={200: ResponseSpec(AttributePage, generate_examples=False), **PROBLEMS(400, 401, 403, 503)},
)
async def list_attributes(
    request: Request[Any, Any, Any], limit: Limit = None, cursor: LongCursor = None
) -> Response[bytes]:
    """List the attributes categories may ask for."""
    await visitor(request)

    def read(conn: Any, after: CodeKey | None, count: int) -> Awaitable[list[AttributeView]]:
        return attribute_reads.list_attributes(conn, after=(after or CodeKey()).code, limit=count)

    return await paged(request, AttributePage, limit, cursor, kind=CodeKey, read=read, key_of=lambda a: CodeKey(a.code))


@get(
    "/attributes/{attribute_id:uuid}",
    operation_id="get_attribute",
    opt=anyone(Scope.CATALOG_READ),
    summary="Look up an attribute",
    responses={200: ResponseSpec(AttributeView, generate_examples=False), **PROBLEMS(401, 403, 404, 503)},
)
async def get_attribute(request: Request[Any, Any, Any], attribute_id: FromPath[UUID]) -> ASGIResponse:
    """Show an attribute."""
    edge = edge_of(request.app.state)
    await visitor(request)

    async def load(conn: Any) -> Read | None:
        view = (await attribute_reads.load_attribute_views(conn, [attribute_id])).get(attribute_id)
        return None if view is None else Read(encode(view), view.version, (TREE,))

    read = await edge.kept.get("attribute", attribute_id, load, noted_as=TREE)
    if read is None:
        raise _no_attribute()
    return kept_answer(read)


@once.post(
    "/attributes",
    status_code=201,
    operation_id="create_attribute",
    opt=allow(Role.ADMIN, scope=Scope.CATALOG_WRITE) | request_body(AttributeEdit, required=True),
    summary="Make an attribute",
    responses={
        201: ResponseSpec(AttributeView, generate_examples=False),
        **PROBLEMS(400, 401, 403, 409, 413, 415, 503),
    },
)
async def create_attribute(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Make an attribute; nothing has it until a category asks for it."""
    principal = await authorise(request)
    wish = await body_of(request, AttributeEdit)
    refuse_if(check_form(wish))
    made = StoredAttribute(new_id(), 1, wish)
    async with transaction(request) as conn:
        await note_changes(conn, [TREE])
        await _check_code(conn, made)
        await attribute_sql.insert_attributes(conn, [made], actor=principal.id, correlation=correlation_of(request))
        return await _view_answer(conn, made.id, 201)


@once.put(
    "/attributes/{attribute_id:uuid}",
    operation_id="edit_attribute",
    opt=allow(Role.ADMIN, scope=Scope.CATALOG_WRITE) | request_body(AttributeEdit, required=True),
    summary="Edit an attribute",
    responses={
        200: ResponseSpec(AttributeView, generate_examples=False),
        **PROBLEMS(400, 401, 403, 404, 409, 412, 413, 415, 503),
    },
)
async def edit_attribute(request: Request[Any, Any, Any], attribute_id: FromPath[UUID]) -> Response[bytes]:
    """Replace an attribute, as far as nobody relies on what it was; the same again makes no new version."""
    principal = await authorise(request)
    seen, wish = expected(request), await body_of(request, AttributeEdit)
    refuse_if(check_form(wish))
    async with transaction(request) as conn:
        before = await _standing(conn, attribute_id, seen)
        if wish != before.content:
            after = StoredAttribute(attribute_id, before.version + 1, wish)
            await _check_code(conn, after)
            refuse_if(check_change(before.content, wish, await _use_of(conn, before, wish)))
            await attribute_sql.edit_attribute(conn, after, actor=principal.id, correlation=correlation_of(request))
        return await _view_answer(conn, attribute_id)


@once.delete(
    "/attributes/{attribute_id:uuid}",
    status_code=204,
    operation_id="delete_attribute",
    opt=allow(Role.ADMIN, scope=Scope.CATALOG_WRITE),
    summary="Delete an attribute that isn't used",
    responses={
        204: ResponseSpec(None, generate_examples=False),
        **PROBLEMS(400, 401, 403, 404, 409, 412, 503),
    },
)
async def delete_attribute(request: Request[Any, Any, Any], attribute_id: FromPath[UUID]) -> Response[None]:
    """Delete an attribute that no category asks for and no product has."""
    principal = await authorise(request)
    seen = expected(request)
    async with transaction(request) as conn:
        attribute = await _standing(conn, attribute_id, seen)
        refuse_if(check_unused((await attribute_sql.load_attribute_uses(conn, [attribute_id]))[attribute_id]))
        await attribute_sql.delete_attributes(
            conn, [attribute], actor=principal.id, correlation=correlation_of(request)
        )
    return nothing()


@once.put(
    "/categories/{category_id:uuid}/attributes/{attribute_id:uuid}",
    operation_id="assign_attribute",
    opt=allow(Role.ADMIN, scope=Scope.CATALOG_WRITE) | request_body(AssignmentEdit),
    summary="Have a category ask for an attribute",
    responses={
        200: ResponseSpec(CategoryView, generate_examples=False),
        **PROBLEMS(400, 401, 403, 404, 409, 412, 413, 415, 503),
    },
)
async def assign_attribute(
    request: Request[Any, Any, Any], category_id: FromPath[UUID], attribute_id: FromPath[UUID]
) -> Response[bytes]:
    """Have a category, and all below it, ask for an attribute.

    One that is inherited already may be assigned, too: that overrides its position and whether it is required. The
    same again makes no new version. `If-Match` names the category's version.
    """
    principal = await authorise(request)
    seen, wish = expected(request), await body_or(request, AssignmentEdit())
    async with transaction(request) as conn:
        category = await standing(conn, category_id, seen)
        if attribute_id not in await attribute_sql.load_attributes(conn, [attribute_id]):
            raise _no_attribute()
        before = (await category_sql.load_assigned(conn, [category_id])).get((category_id, attribute_id))
        if before is None or (before.required, before.position) != (wish.required, wish.position):
            await check_schema_size(conn, category_id, above=category.path[:-1], more=(attribute_id,))
            assigned = Assigned(category_id, attribute_id, wish.required, wish.position, category.version + 1)
            await category_sql.assign_attributes(
                conn, [assigned], actor=principal.id, correlation=correlation_of(request)
            )
        return await view_answer(conn, category_id)


@once.delete(
    "/categories/{category_id:uuid}/attributes/{attribute_id:uuid}",
    status_code=204,
    operation_id="unassign_attribute",
    opt=allow(Role.ADMIN, scope=Scope.CATALOG_WRITE),
    summary="Have a category no longer ask for an attribute",
    responses={
        204: ResponseSpec(None, generate_examples=False),
        **PROBLEMS(400, 401, 403, 404, 409, 412, 503),
    },
)
async def unassign_attribute(
    request: Request[Any, Any, Any], category_id: FromPath[UUID], attribute_id: FromPath[UUID]
) -> Response[None]:
    """Have a category no longer ask for an attribute by itself; what it inherits stays.

    Refused if products would lose an attribute they have values for.

    `If-Match` names the category's version.
    """
    principal = await authorise(request)
    seen = expected(request)
    async with transaction(request) as conn:
        category = await standing(conn, category_id, seen)
        before = (await category_sql.load_assigned(conn, [category_id])).get((category_id, attribute_id))
        if before is None:
            raise refuse(404, Code.NOT_FOUND, "the category doesn't ask for such an attribute by itself")
        inherited = {attribute for _, attribute in await category_sql.load_assigned(conn, category.path[:-1])}
        if attribute_id not in inherited:
            refuse_if(
                check_losers(*await use_sql.count_losers(conn, category_id, [attribute_id], above=len(category.path)))
            )
        gone = Assigned(category_id, attribute_id, None, 0, category.version + 1)
        await category_sql.unassign_attributes(conn, [gone], actor=principal.id, correlation=correlation_of(request))
    return nothing()


async def _standing(conn: Any, attribute_id: UUID, seen: Expected) -> StoredAttribute:
    """The attribute to edit, with the tree kept still; raises 404, and 412 when it isn't what the client has seen."""
    await note_changes(conn, [TREE])
    attribute = (await attribute_sql.load_attributes(conn, [attribute_id])).get(attribute_id)
    if attribute is None:
        raise _no_attribute()
    seen.check(attribute.version)
    return attribute


async def _use_of(conn: Any, before: StoredAttribute, wish: AttributeEdit) -> AttributeUse:
    """Who uses an attribute, as far as a change asks for it."""
    use = (await attribute_sql.load_attribute_uses(conn, [before.id]))[before.id]
    code, gone = before.content.code, set(before.content.choices) - set(wish.choices)
    values = choices = ValueUse()
    if before.content.unit != wish.unit:
        values = await use_sql.count_values(conn, before.id, code)
    if gone:
        choices = await use_sql.count_choices(conn, before.id, code, sorted(gone))
    return AttributeUse(use.categories, values, choices)


async def _view_answer(conn: Any, attribute_id: UUID, status: int = 200) -> Response[bytes]:
    view = (await attribute_reads.load_attribute_views(conn, [attribute_id])).get(attribute_id)
    if view is None:
        raise _no_attribute()
    headers = {"Location": f"/attributes/{attribute_id}"} if status == 201 else None
    return answer(view, status, version=view.version, headers=headers)


def _no_attribute() -> Exception:
    return refuse(404, Code.NOT_FOUND, "there is no such attribute")


async def _check_code(conn: Any, attribute: StoredAttribute) -> None:
    code = attribute.content.code
    if await attribute_sql.load_taken_codes(conn, [code], but=attribute.id):
        raise refuse(409, Code.DUPLICATE_CODE, f"another attribute has the code {code}", "code")


router = Router(
    path="/",
    route_handlers=[
        list_attributes,
        get_attribute,
        create_attribute,
        edit_attribute,
        delete_attribute,
        assign_attribute,
        unassign_attribute,
    ],
    tags=["catalog"],
)
