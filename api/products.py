"""Products: made and changed by their sellers, shown to everybody while they are active.

An edit answers with the whole product. It is made on the version that ``If-Match`` names, or not at all.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Response, Router, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, PathParameter
from litestar.response.base import ASGIResponse
from msgspec import Meta, Struct

from api import once
from api.access import allow, anyone, authorise, visitor
from api.acting import editor_of, seller_of, viewer_of
from api.answers import answer, expected, kept_answer, transaction
from api.context import Edge, edge_of, encode
from api.decode import body_of, patch_of
from api.kept import Read
from api.openapi import PROBLEMS, request_body
from api.paging import Limit, LongCursor, Page, paged
from api.problems import ProblemError, refuse
from api.product_lists import list_products
from api.submission import correlation_of
from domain.accounts.model import Role, Scope
from domain.catalog.category_reads import load_schemas
from domain.catalog.category_sql import hold_tree
from domain.catalog.listing_sql import refresh_listings
from domain.catalog.model import TREE
from domain.catalog.product_edit import check_category, edit, merge
from domain.catalog.product_lifecycle import ProductStatus, Step
from domain.catalog.product_model import Product, ProductDetails, ProductPatch
from domain.catalog.product_reads import (
    VERSION_MAX,
    HistoryEntry,
    ProductView,
    find_slug,
    have_variants,
    load_history,
    load_product,
)
from domain.catalog.product_sql import change_products, insert_products, lock_products, take_slugs
from domain.catalog.schema import Schema
from domain.catalog.slugs import LENGTH_MAX, PATTERN
from domain.rejections import Code, Rejection
from infra.clock import new_id
from infra.security import Principal

_SLUG = re.compile(PATTERN)
EDITORS = (Role.SELLER, Role.ADMIN)
SlugInPath = Annotated[str, PathParameter(schema_extra={"maxLength": LENGTH_MAX})]
SHOWN = ResponseSpec(ProductView, generate_examples=False)

Decide = Callable[[Any, Product], Awaitable[Product | Rejection]]
"""What becomes of a locked product; it may read what it needs."""


class VersionKey(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a page of a history is sorted by."""

    version: Annotated[int, Meta(ge=1, le=VERSION_MAX)] = VERSION_MAX


class History(Page[HistoryEntry], frozen=True):
    """What happened to a product, the latest first."""


@get(
    "/products/{product_id:uuid}",
    operation_id="get_product",
    opt=anyone(Scope.CATALOG_READ),
    summary="Look up a product",
    responses={200: SHOWN, **PROBLEMS(401, 403, 404, 503)},
)
async def get_product(request: Request[Any, Any, Any], product_id: FromPath[UUID]) -> ASGIResponse:
    """Show an active product with its variants and lowest prices; any, to its seller and to admins."""
    edge = edge_of(request.app.state)
    principal = await visitor(request)
    return kept_answer(await _shown(edge, principal, product_id))


@get(
    "/products/by-slug/{slug:str}",
    operation_id="get_product_by_slug",
    opt=anyone(Scope.CATALOG_READ),
    summary="Look up a product by its slug",
    responses={
        200: SHOWN,
        301: ResponseSpec(None, description="it has another slug now: see `Location`"),
        **PROBLEMS(401, 403, 404, 503),
    },
)
async def get_product_by_slug(request: Request[Any, Any, Any], slug: SlugInPath) -> ASGIResponse:
    """Show a product as by its id; a slug that it had before leads to the one it has."""
    edge = edge_of(request.app.state)
    principal = await visitor(request)
    if len(slug) > LENGTH_MAX or not _SLUG.match(slug):
        raise _not_found()
    async with edge.pool.acquire(timeout=2) as conn:
        found = await find_slug(conn, slug)
    if found is None:
        raise _not_found()
    product_id, current = found
    read = await _shown(edge, principal, product_id)
    if current != slug:
        # A title may change back: who kept a redirect would go in circles.
        headers = {"Location": f"/products/by-slug/{current}", "Cache-Control": "no-cache"}
        return ASGIResponse(body=b"", status_code=301, headers=headers)
    return kept_answer(read)


async def _shown(edge: Edge, principal: Principal | None, product_id: UUID) -> Read:
    """A product that somebody may see; raises a problem of status 404."""

    async def load(conn: Any) -> Read | None:
        view = await load_product(conn, product_id)
        if view is None:
            return None
        owner = None if view.status is ProductStatus.ACTIVE else view.seller.id
        return Read(encode(view), view.version, (product_id, view.seller.id, TREE), owner)

    read = await edge.kept.get("product", product_id, load)
    if read is None:
        raise _not_found()
    if read.owner is not None:
        async with edge.pool.acquire(timeout=2) as conn:
            if not (await viewer_of(conn, principal)).is_of(read.owner):
                raise _not_found()
    return read


@get(
    "/products/{product_id:uuid}/history",
    operation_id="get_product_history",
    opt=allow(*EDITORS, scope=Scope.CATALOG_READ),
    summary="Who changed what of a product",
    responses={200: ResponseSpec(History, generate_examples=False), **PROBLEMS(400, 401, 403, 404, 503)},
)
async def get_history(
    request: Request[Any, Any, Any], product_id: FromPath[UUID], limit: Limit = None, cursor: LongCursor = None
) -> Response[bytes]:
    """Show a product's changes, the latest first, each with the fields that were other before."""
    principal = await authorise(request)

    async def read(conn: Any, after: VersionKey | None, count: int) -> list[HistoryEntry]:
        view = await load_product(conn, product_id)
        if view is None or not (await viewer_of(conn, principal)).is_of(view.seller.id):
            raise _not_found()
        return await load_history(conn, product_id, before=(after or VersionKey()).version, limit=count)

    return await paged(
        request, History, limit, cursor, kind=VersionKey, read=read, key_of=lambda e: VersionKey(e.version)
    )


@once.post(
    "/products",
    status_code=201,
    operation_id="create_product",
    opt=allow(Role.SELLER, scope=Scope.CATALOG_WRITE) | request_body(ProductDetails, required=True),
    summary="Make a product",
    responses={201: SHOWN, **PROBLEMS(400, 401, 403, 409, 413, 415, 422, 503)},
)
async def create_product(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Make a draft of the seller that the account acts for; nobody else sees it before it is approved and activated."""
    principal = await authorise(request)
    details = await body_of(request, ProductDetails)
    product_id = new_id()
    async with transaction(request) as conn:
        seller_id = await seller_of(conn, principal)
        await hold_tree(conn)
        fault = check_category(details, await _schemas(conn, details))
        if fault is not None:
            raise ProblemError(fault)
        slug = await _slug(conn, product_id, details.title)
        draft = Product(product_id, seller_id, ProductStatus.DRAFT, slug, 1, details)
        await insert_products(conn, [draft], actor=principal.id, correlation=correlation_of(request))
        await refresh_listings(conn, [product_id])
        view = await _view(conn, product_id)
    return answer(view, 201, version=view.version, headers={"Location": f"/products/{product_id}"})


@once.put(
    "/products/{product_id:uuid}",
    operation_id="replace_product",
    opt=allow(*EDITORS, scope=Scope.CATALOG_WRITE) | request_body(ProductDetails, required=True),
    summary="Say anew what a product is",
    responses={200: SHOWN, **PROBLEMS(400, 401, 403, 404, 409, 412, 413, 415, 422, 503)},
)
async def replace_product(request: Request[Any, Any, Any], product_id: FromPath[UUID]) -> Response[bytes]:
    """Set all details: what isn't named has its default. One that was rejected is a draft again."""
    principal = await authorise(request)
    details = await body_of(request, ProductDetails)

    async def decide(conn: Any, product: Product) -> Product | Rejection:
        return await _edited(conn, product, details)

    return await change_product(request, principal, product_id, Step.EDIT, decide)


@once.patch(
    "/products/{product_id:uuid}",
    operation_id="change_product",
    opt=allow(*EDITORS, scope=Scope.CATALOG_WRITE) | request_body(ProductPatch, required=True),
    summary="Change some of what a product is",
    responses={200: SHOWN, **PROBLEMS(400, 401, 403, 404, 409, 412, 413, 415, 422, 503)},
)
async def patch_product(request: Request[Any, Any, Any], product_id: FromPath[UUID]) -> Response[bytes]:
    """Change what is named and leave the rest (RFC 7396); attributes one by one, null takes away."""
    principal = await authorise(request)
    wish = await patch_of(request, ProductPatch)

    async def decide(conn: Any, product: Product) -> Product | Rejection:
        details = merge(product.details, wish)
        return details if isinstance(details, Rejection) else await _edited(conn, product, details)

    return await change_product(request, principal, product_id, Step.EDIT, decide)


async def change_product(
    request: Request[Any, Any, Any], principal: Principal, product_id: UUID, step: Step, decide: Decide
) -> Response[bytes]:
    """Take a step with a product that is the principal's, and answer with it; raises what is refused as a problem."""
    seen = expected(request)
    async with transaction(request) as conn:
        editor = await editor_of(conn, principal)
        if step in {Step.EDIT, Step.SUBMIT}:
            await hold_tree(conn)
        before = (await lock_products(conn, [product_id])).get(product_id)
        if before is None or not editor.is_of(before.seller_id):
            raise _not_found()
        seen.check(before.version)
        after = await decide(conn, before)
        if isinstance(after, Rejection):
            raise ProblemError(after)
        if after.details.title != before.details.title:
            after = msgspec.structs.replace(after, slug=await _slug(conn, product_id, after.details.title))
        if after is not before:
            correlation = correlation_of(request)
            await change_products(conn, [(before, after)], step, actor=principal.id, correlation=correlation)
        view = await _view(conn, product_id)
    return answer(view, version=view.version)


async def _edited(conn: Any, product: Product, details: ProductDetails) -> Product | Rejection:
    schemas = await _schemas(conn, details, product.details)
    has_variants = product.id in await have_variants(conn, [product.id])
    return edit(product, details, schemas, has_variants=has_variants)


async def _schemas(conn: Any, *details: ProductDetails) -> dict[UUID, Schema]:
    return await load_schemas(conn, [said.category_id for said in details if said.category_id is not None])


async def _slug(conn: Any, product_id: UUID, title: str) -> str:
    taken = await take_slugs(conn, [(product_id, title)])
    if product_id not in taken:
        detail = "every slug that this title makes belongs to another product: choose another title"
        raise refuse(409, Code.DUPLICATE_SLUG, detail, "title")
    return taken[product_id]


async def _view(conn: Any, product_id: UUID) -> ProductView:
    view = await load_product(conn, product_id)
    if view is None:
        raise LookupError(f"product {product_id} vanished under its lock")
    return view


def _not_found() -> ProblemError:
    return refuse(404, Code.NOT_FOUND, "there is no such product")


router = Router(
    path="/",
    route_handlers=[
        list_products,
        get_product,
        get_product_by_slug,
        get_history,
        create_product,
        replace_product,
        patch_product,
    ],
    tags=["products"],
)
