"""Categories: the tree, what a category asks of its products, and an admin's edits of both.

Every edit waits for the one before it (``note_changes`` of the tree), so what it is decided on still holds when it
is written.
"""

from collections.abc import Awaitable
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Response, Router, get
from litestar.datastructures.headers import Accept
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, QueryParameter
from litestar.response.base import ASGIResponse
from msgspec import Struct

from api import once
from api.access import allow, anyone, authorise, visitor
from api.answers import JSON, Expected, answer, expected, kept_answer, nothing, transaction
from api.context import edge_of, encode, field
from api.decode import body_of
from api.kept import Read
from api.openapi import PROBLEMS, also_as, request_body
from api.paging import Limit, LongCursor, Page, paged
from api.problems import ProblemError, refuse, refuse_if
from api.submission import correlation_of
from domain.accounts.model import Role, Scope
from domain.catalog import category_reads, category_sql, use_sql
from domain.catalog.attribute_edit import check_losers
from domain.catalog.category_reads import SiblingKey
from domain.catalog.model import TREE
from domain.catalog.schema import ATTRIBUTES_MAX, Schema, to_json_schema
from domain.catalog.slugs import slugs_of
from domain.catalog.taxonomy import Category, CategoryEdit, CategoryMove, CategorySummary, CategoryView, NewCategory
from domain.catalog.tree import check_unused, path_below
from domain.journal.changes_sql import note_changes
from domain.rejections import Code, Rejection
from infra.clock import new_id

JSON_SCHEMA = "application/schema+json"
ROOT = "root"


class CategoryPage(Page[CategorySummary], frozen=True):
    """A page of categories."""


class IdKey(Struct, frozen=True, array_like=True):
    """Where a category stands among all: in the order they were made."""

    id: UUID = UUID(int=0)


@get(
    "/categories",
    operation_id="list_categories",
    opt=anyone(Scope.CATALOG_READ),
    summary="List categories",
    responses={200: ResponseSpec(CategoryPage, generate_examples=False), **PROBLEMS(400, 401, 403, 503)},
)
async def list_categories(
    request: Request[Any, Any, Any],
    parent: Annotated[str | None, QueryParameter(name="parent", max_length=36)] = None,
    limit: Limit = None,
    cursor: LongCursor = None,
) -> Response[bytes]:
    """List all categories in the order they were made.

    With `parent`, an id or `root`, those right below it, by position and then by name.
    """
    await visitor(request)
    if parent is None:

        def read(conn: Any, after: IdKey | None, count: int) -> Awaitable[list[CategorySummary]]:
            return category_reads.list_categories(conn, after=(after or IdKey()).id, limit=count)

        return await paged(request, CategoryPage, limit, cursor, kind=IdKey, read=read, key_of=lambda c: IdKey(c.id))
    above = _parent_of(parent)

    def read_below(conn: Any, after: SiblingKey | None, count: int) -> Awaitable[list[CategorySummary]]:
        return category_reads.list_children(conn, above, after=after or SiblingKey(), limit=count)

    def key_of(last: CategorySummary) -> SiblingKey:
        return SiblingKey(last.position, last.name, last.id)

    return await paged(request, CategoryPage, limit, cursor, kind=SiblingKey, read=read_below, key_of=key_of)


def _parent_of(parent: str) -> UUID | None:
    if parent == ROOT:
        return None
    try:
        return msgspec.convert(parent, UUID)
    except msgspec.ValidationError:
        raise refuse(400, Code.INVALID_REQUEST, "parent is a category's id, or root", "parent") from None


@get(
    "/categories/{category_id:uuid}",
    operation_id="get_category",
    opt=anyone(Scope.CATALOG_READ),
    summary="Look up a category",
    responses={200: ResponseSpec(CategoryView, generate_examples=False), **PROBLEMS(401, 403, 404, 503)},
)
async def get_category(request: Request[Any, Any, Any], category_id: FromPath[UUID]) -> ASGIResponse:
    """Show a category and the attributes it asks for by itself."""
    edge = edge_of(request.app.state)
    await visitor(request)

    async def load(conn: Any) -> Read | None:
        view = (await category_reads.load_category_views(conn, [category_id])).get(category_id)
        return None if view is None else Read(encode(view), view.version, (TREE,))

    read = await edge.kept.get("category", category_id, load, noted_as=TREE)
    if read is None:
        raise no_category()
    return kept_answer(read)


@get(
    "/categories/{category_id:uuid}/schema",
    operation_id="get_category_schema",
    opt=anyone(Scope.CATALOG_READ) | also_as(JSON_SCHEMA, "a JSON Schema (2020-12) of a complete product's attributes"),
    summary="What a category asks of its products",
    responses={200: ResponseSpec(Schema, generate_examples=False), **PROBLEMS(401, 403, 404, 503)},
)
async def get_schema(request: Request[Any, Any, Any], category_id: FromPath[UUID]) -> ASGIResponse:
    """Show all attributes a product of this category has, inherited ones included.

    With `Accept: application/schema+json`, as a JSON Schema (2020-12) that a complete product's attributes fit.
    """
    edge = edge_of(request.app.state)
    await visitor(request)
    wished = Accept(field(request, b"accept") or "").best_match([JSON, JSON_SCHEMA], default=JSON)

    async def load(conn: Any) -> Read | None:
        schema = (await category_reads.load_schemas(conn, [category_id])).get(category_id)
        if schema is None:
            return None
        return Read(encode(to_json_schema(schema) if wished == JSON_SCHEMA else schema), 0, (TREE,))

    read = await edge.kept.get(f"schema as {wished}", category_id, load, noted_as=TREE)
    if read is None:
        raise no_category()
    return kept_answer(read, media_type=wished or JSON, vary="Accept")


@once.post(
    "/categories",
    status_code=201,
    operation_id="create_category",
    opt=allow(Role.ADMIN, scope=Scope.CATALOG_WRITE) | request_body(NewCategory, required=True),
    summary="Make a category",
    responses={
        201: ResponseSpec(CategoryView, generate_examples=False),
        **PROBLEMS(400, 401, 403, 409, 413, 415, 422, 503),
    },
)
async def create_category(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Make a category, below another one or as a root."""
    principal = await authorise(request)
    wish = await body_of(request, NewCategory)
    made = new_id()
    async with transaction(request) as conn:
        await note_changes(conn, [TREE])
        path = _path(await _path_of(conn, wish.parent_id), made, levels=1)
        slug = await _free_slug(conn, wish.slug, wish.name, made)
        category = Category(made, wish.parent_id, wish.name, slug, path, wish.position, version=1)
        await category_sql.insert_categories(conn, [category], actor=principal.id, correlation=correlation_of(request))
        return await view_answer(conn, made, 201)


@once.put(
    "/categories/{category_id:uuid}",
    operation_id="edit_category",
    opt=allow(Role.ADMIN, scope=Scope.CATALOG_WRITE) | request_body(CategoryEdit, required=True),
    summary="Rename a category",
    responses={
        200: ResponseSpec(CategoryView, generate_examples=False),
        **PROBLEMS(400, 401, 403, 404, 409, 412, 413, 415, 503),
    },
)
async def edit_category(request: Request[Any, Any, Any], category_id: FromPath[UUID]) -> Response[bytes]:
    """Give a category another name, another slug, or both; what is so already stays and makes no new version."""
    principal = await authorise(request)
    seen, wish = expected(request), await body_of(request, CategoryEdit)
    async with transaction(request) as conn:
        before = await standing(conn, category_id, seen)
        slug = before.slug if wish.slug is None else await _free_slug(conn, wish.slug, wish.name, category_id)
        if (wish.name, slug) != (before.name, before.slug):
            after = msgspec.structs.replace(before, name=wish.name, slug=slug, version=before.version + 1)
            await category_sql.edit_categories(conn, [after], actor=principal.id, correlation=correlation_of(request))
        return await view_answer(conn, category_id)


@once.post(
    "/categories/{category_id:uuid}/move",
    status_code=200,
    operation_id="move_category",
    opt=allow(Role.ADMIN, scope=Scope.CATALOG_WRITE) | request_body(CategoryMove, required=True),
    summary="Move a category and all below it",
    responses={
        200: ResponseSpec(CategoryView, generate_examples=False),
        **PROBLEMS(400, 401, 403, 404, 409, 412, 413, 415, 422, 503),
    },
)
async def move_category(request: Request[Any, Any, Any], category_id: FromPath[UUID]) -> Response[bytes]:
    """Put a category below another one, or make it a root; with a position, put it among its siblings anew.

    Refused if products would lose attributes they have values for: assign these to the category itself first.
    """
    principal = await authorise(request)
    seen, wish = expected(request), await body_of(request, CategoryMove)
    async with transaction(request) as conn:
        before = await standing(conn, category_id, seen)
        above = await _path_of(conn, wish.parent_id)
        path = _path(above, category_id, levels=await category_sql.load_levels(conn, category_id))
        position = before.position if wish.position is None else wish.position
        if (path, position) != (before.path, before.position):
            await check_schema_size(conn, category_id, above=above)
            await _check_losers(conn, before, above)
            after = msgspec.structs.replace(
                before, parent_id=wish.parent_id, path=path, position=position, version=before.version + 1
            )
            await category_sql.move_category(conn, after, actor=principal.id, correlation=correlation_of(request))
        return await view_answer(conn, category_id)


@once.delete(
    "/categories/{category_id:uuid}",
    status_code=204,
    operation_id="delete_category",
    opt=allow(Role.ADMIN, scope=Scope.CATALOG_WRITE),
    summary="Delete a category that isn't used",
    responses={
        204: ResponseSpec(None, generate_examples=False),
        **PROBLEMS(400, 401, 403, 404, 409, 412, 503),
    },
)
async def delete_category(request: Request[Any, Any, Any], category_id: FromPath[UUID]) -> Response[None]:
    """Delete a category without children, products and attributes."""
    principal = await authorise(request)
    seen = expected(request)
    async with transaction(request) as conn:
        category = await standing(conn, category_id, seen)
        refuse_if(check_unused((await category_sql.load_category_uses(conn, [category_id]))[category_id]))
        await category_sql.delete_categories(conn, [category], actor=principal.id, correlation=correlation_of(request))
    return nothing()


async def standing(conn: Any, category_id: UUID, seen: Expected) -> Category:
    """The category to edit, with the tree kept still; raises 404, and 412 when it isn't what the client has seen."""
    await note_changes(conn, [TREE])
    category = (await category_sql.load_categories(conn, [category_id])).get(category_id)
    if category is None:
        raise no_category()
    seen.check(category.version)
    return category


async def view_answer(conn: Any, category_id: UUID, status: int = 200) -> Response[bytes]:
    """Answer with a category as it stands."""
    view = (await category_reads.load_category_views(conn, [category_id])).get(category_id)
    if view is None:
        raise no_category()
    headers = {"Location": f"/categories/{category_id}"} if status == 201 else None
    return answer(view, status, version=view.version, headers=headers)


async def check_schema_size(
    conn: Any, category_id: UUID, *, above: tuple[UUID, ...], more: tuple[UUID, ...] = ()
) -> None:
    """Refuse what would give a category, or one below it, too many attributes."""
    size = await category_sql.load_largest_schema(conn, category_id, above=above, more=more)
    if size > ATTRIBUTES_MAX:
        detail = f"a category has at most {ATTRIBUTES_MAX} attributes, inherited ones included; this would make {size}"
        raise refuse(409, Code.CONFLICT, detail)


async def _check_losers(conn: Any, moved: Category, above: tuple[UUID, ...]) -> None:
    """Refuse a move that would take attributes away from products that have values for them."""
    left = moved.path[:-1]
    assigned = await category_sql.load_assigned(conn, [*left, *above])
    asked = {attribute for category, attribute in assigned if category in left}
    gone = asked - {attribute for category, attribute in assigned if category in above}
    if gone:
        refuse_if(check_losers(*await use_sql.count_losers(conn, moved.id, gone, above=len(left))))


def no_category() -> Exception:
    """What to raise for a category that isn't there."""
    return refuse(404, Code.NOT_FOUND, "there is no such category")


async def _path_of(conn: Any, parent_id: UUID | None) -> tuple[UUID, ...]:
    """The path of a parent that a client named; empty for none."""
    if parent_id is None:
        return ()
    parent = (await category_sql.load_categories(conn, [parent_id])).get(parent_id)
    if parent is None:
        raise refuse(422, Code.UNKNOWN_CATEGORY, f"there is no category {parent_id}", "parent_id")
    return parent.path


def _path(above: tuple[UUID, ...], category_id: UUID, *, levels: int) -> tuple[UUID, ...]:
    path = path_below(above, category_id, levels)
    if isinstance(path, Rejection):
        raise ProblemError(path)
    return path


async def _free_slug(conn: Any, wish: str | None, name: str, category_id: UUID) -> str:
    """The slug a client asks for, if nobody has it; without a wish, the first free one made from the name."""
    tried = slugs_of(name, category_id) if wish is None else (wish,)
    taken = await category_sql.load_taken_slugs(conn, tried, but=category_id)
    free = next((slug for slug in tried if slug not in taken), None)
    if free is None:
        raise refuse(409, Code.DUPLICATE_SLUG, f"another category has the slug {tried[-1]}", "slug")
    return free


router = Router(
    path="/",
    route_handlers=[
        list_categories,
        get_category,
        get_schema,
        create_category,
        edit_category,
        move_category,
        delete_category,
    ],
    tags=["catalog"],
)
