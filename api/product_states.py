"""The lifecycle of products: submitted by their sellers, approved or rejected by admins, activated, archived."""

from typing import Any
from uuid import UUID

from litestar import Request, Response, Router
from litestar.params import FromPath
from msgspec import Struct

from api import once
from api.access import allow, authorise
from api.decode import body_of
from api.openapi import PROBLEMS, request_body
from api.problems import refuse
from api.products import EDITORS, SHOWN, change_product
from domain.accounts.model import Role, Scope
from domain.catalog.category_reads import load_schemas
from domain.catalog.product_edit import submit, take
from domain.catalog.product_lifecycle import Step
from domain.catalog.product_model import Product, Reason
from domain.rejections import Code, Rejection
from infra.security import Principal


class Approval(Struct, frozen=True, forbid_unknown_fields=True):
    """An admin's word on a product that was submitted; a rejection, and it alone, says why."""

    approve: bool
    reason: Reason | None = None


@once.post(
    "/products/{product_id:uuid}/submit",
    status_code=200,
    operation_id="submit_product",
    opt=allow(Role.SELLER, scope=Scope.CATALOG_WRITE),
    summary="Ask for a product's approval",
    responses={200: SHOWN, **PROBLEMS(400, 401, 403, 404, 409, 412, 422, 503)},
)
async def submit_product(request: Request[Any, Any, Any], product_id: FromPath[UUID]) -> Response[bytes]:
    """Submit a draft whose attributes are complete by its category's schema."""
    principal = await authorise(request)

    async def decide(conn: Any, product: Product) -> Product | Rejection:
        category = product.details.category_id
        return submit(product, await load_schemas(conn, [] if category is None else [category]))

    return await change_product(request, principal, product_id, Step.SUBMIT, decide)


@once.post(
    "/products/{product_id:uuid}/approve",
    status_code=200,
    operation_id="approve_product",
    opt=allow(Role.ADMIN, scope=Scope.CATALOG_WRITE) | request_body(Approval, required=True),
    summary="Approve a product, or reject it with a reason",
    responses={200: SHOWN, **PROBLEMS(400, 401, 403, 404, 409, 412, 413, 415, 503)},
)
async def approve_product(request: Request[Any, Any, Any], product_id: FromPath[UUID]) -> Response[bytes]:
    """Decide about a product that was submitted."""
    principal = await authorise(request)
    word = await body_of(request, Approval)
    if word.approve == (word.reason is not None):
        raise refuse(400, Code.INVALID_REQUEST, "a rejection says why, and an approval doesn't", "reason")
    step = Step.APPROVE if word.approve else Step.REJECT
    return await _take(request, principal, product_id, step, reason=word.reason or "")


@once.post(
    "/products/{product_id:uuid}/activate",
    status_code=200,
    operation_id="activate_product",
    opt=allow(*EDITORS, scope=Scope.CATALOG_WRITE),
    summary="Show a product to buyers",
    responses={200: SHOWN, **PROBLEMS(400, 401, 403, 404, 409, 412, 503)},
)
async def activate_product(request: Request[Any, Any, Any], product_id: FromPath[UUID]) -> Response[bytes]:
    """Activate a product that was approved, or that was active before.

    It needs no variants for that: without an offer that stands, it is shown and can't be ordered.
    """
    return await _take(request, await authorise(request), product_id, Step.ACTIVATE)


@once.post(
    "/products/{product_id:uuid}/deactivate",
    status_code=200,
    operation_id="deactivate_product",
    opt=allow(*EDITORS, scope=Scope.CATALOG_WRITE),
    summary="Show a product to buyers no more",
    responses={200: SHOWN, **PROBLEMS(400, 401, 403, 404, 409, 412, 503)},
)
async def deactivate_product(request: Request[Any, Any, Any], product_id: FromPath[UUID]) -> Response[bytes]:
    """Deactivate a product, nobody's offer of which can be ordered from then on."""
    return await _take(request, await authorise(request), product_id, Step.DEACTIVATE)


@once.post(
    "/products/{product_id:uuid}/archive",
    status_code=200,
    operation_id="archive_product",
    opt=allow(*EDITORS, scope=Scope.CATALOG_WRITE),
    summary="Put a product away for good",
    responses={200: SHOWN, **PROBLEMS(400, 401, 403, 404, 409, 412, 503)},
)
async def archive_product(request: Request[Any, Any, Any], product_id: FromPath[UUID]) -> Response[bytes]:
    """Archive an inactive product; nothing follows."""
    return await _take(request, await authorise(request), product_id, Step.ARCHIVE)


async def _take(
    request: Request[Any, Any, Any], principal: Principal, product_id: UUID, step: Step, *, reason: str = ""
) -> Response[bytes]:
    async def decide(_conn: Any, product: Product) -> Product | Rejection:
        return take(product, step, reason=reason)

    return await change_product(request, principal, product_id, step, decide)


router = Router(
    path="/",
    route_handlers=[submit_product, approve_product, activate_product, deactivate_product, archive_product],
    tags=["products"],
)
