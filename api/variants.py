"""Variants: what of a product can be bought, made from its attributes, shown, activated and described."""

from typing import Any
from uuid import UUID

from litestar import Request, Response, Router, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath

from api import once
from api.access import allow, anyone, authorise, visitor
from api.acting import editor_of, viewer_of
from api.answers import answer, expected, transaction
from api.context import edge_of
from api.decode import patch_of
from api.openapi import PROBLEMS, request_body
from api.problems import ProblemError, refuse, refuse_if
from api.submission import correlation_of
from domain.accounts.model import Role, Scope
from domain.catalog.category_reads import load_schemas
from domain.catalog.category_sql import hold_tree
from domain.catalog.listing_sql import refresh_listings
from domain.catalog.product_sql import lock_products
from domain.catalog.variant_reads import load_variants, load_variants_of
from domain.catalog.variant_sql import insert_variants, lock_products_of, update_variants
from domain.catalog.variants import Variant, VariantChange, VariantList, change, check_state, combinations
from domain.rejections import Code, Rejection
from infra.clock import new_id


@get(
    "/variants/{variant_id:uuid}",
    operation_id="get_variant",
    opt=anyone(Scope.CATALOG_READ),
    summary="Look up a variant",
    responses={200: ResponseSpec(Variant, generate_examples=False), **PROBLEMS(401, 403, 404, 503)},
)
async def get_variant(request: Request[Any, Any, Any], variant_id: FromPath[UUID]) -> Response[bytes]:
    """Show an active variant of an active product; any, to the product's seller and to admins."""
    edge = edge_of(request.app.state)
    principal = await visitor(request)
    async with edge.pool.acquire(timeout=2) as conn:
        owned = (await load_variants(conn, [variant_id])).get(variant_id)
        if owned is None:
            raise _not_found()
        if not owned.is_shown and not (await viewer_of(conn, principal)).is_of(owned.seller_id):
            raise _not_found()
    return answer(owned.variant, version=owned.variant.version)


@once.post(
    "/products/{product_id:uuid}/variants/generate",
    status_code=200,
    operation_id="generate_variants",
    summary="Make the variants a product lacks",
    opt=allow(Role.SELLER, scope=Scope.CATALOG_WRITE),
    responses={
        200: ResponseSpec(VariantList, generate_examples=False),
        **PROBLEMS(401, 403, 404, 409, 422, 503),
    },
)
async def generate_variants(request: Request[Any, Any, Any], product_id: FromPath[UUID]) -> Response[bytes]:
    """Make one variant for each combination of the product's variant-making values that has none yet.

    Asking again makes nothing. Variants of values that the product no longer has stay; deactivate them.
    """
    edge = edge_of(request.app.state)
    principal = await authorise(request)
    async with transaction(request) as conn:
        editor = await editor_of(conn, principal)
        # So that what is made fits the schema when it is there.
        await hold_tree(conn)
        product = (await lock_products(conn, [product_id])).get(product_id)
        if product is None or not editor.is_of(product.seller_id):
            raise refuse(404, Code.NOT_FOUND, "there is no such product")
        refuse_if(check_state(product.status))
        category_id = product.details.category_id
        if category_id is None:
            raise refuse(422, Code.UNKNOWN_CATEGORY, "the product has no category yet", "category_id")
        schema = (await load_schemas(conn, [category_id]))[category_id]
        standing = (await load_variants_of(conn, [product_id]))[product_id]
        missing = combinations(
            schema,
            product.details.attributes,
            [variant.attributes for variant in standing],
            variants_max=edge.limits.variants_max,
        )
        if isinstance(missing, Rejection):
            raise ProblemError(missing)
        made = [Variant(new_id(), product_id, combination) for combination in missing]
        if made:
            await insert_variants(conn, made, actor=principal.id, correlation=correlation_of(request))
            await refresh_listings(conn, [product_id])
    return answer(VariantList([*standing, *made], [variant.id for variant in made]))


@once.patch(
    "/variants/{variant_id:uuid}",
    operation_id="change_variant",
    summary="Activate or deactivate a variant, set its barcode and weight",
    opt=allow(Role.SELLER, scope=Scope.CATALOG_WRITE) | request_body(VariantChange, required=True),
    responses={
        200: ResponseSpec(Variant, generate_examples=False),
        **PROBLEMS(400, 401, 403, 404, 409, 412, 413, 415, 503),
    },
)
async def change_variant(request: Request[Any, Any, Any], variant_id: FromPath[UUID]) -> Response[bytes]:
    """Change what is named and leave the rest; null takes a barcode or a weight away."""
    principal = await authorise(request)
    wish = await patch_of(request, VariantChange)
    seen = expected(request)
    async with transaction(request) as conn:
        editor = await editor_of(conn, principal)
        await lock_products_of(conn, [variant_id])
        owned = (await load_variants(conn, [variant_id])).get(variant_id)
        if owned is None or not editor.is_of(owned.seller_id):
            raise _not_found()
        refuse_if(check_state(owned.product_status))
        before = owned.variant
        seen.check(before.version)
        after = change(before, wish)
        if isinstance(after, Rejection):
            raise ProblemError(after)
        if after is not before:
            await update_variants(conn, [after], actor=principal.id, correlation=correlation_of(request))
            await refresh_listings(conn, [after.product_id])
    return answer(after, version=after.version)


def _not_found() -> ProblemError:
    return refuse(404, Code.NOT_FOUND, "there is no such variant")


router = Router(path="/", route_handlers=[get_variant, generate_variants, change_variant], tags=["variants"])
