"""Offers: what sellers ask for variants, shown to everyone, changed by each seller for its own."""

from typing import Any
from uuid import UUID

from litestar import Request, Response, Router, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath

from api import once
from api.access import allow, anyone, authorise, visitor
from api.acting import editor_of, viewer_of
from api.answers import Expected, answer, expected, nothing, transaction
from api.decode import body_of
from api.openapi import PROBLEMS, request_body
from api.paging import Limit, LongCursor, Page, paged
from api.problems import ProblemError, refuse, refuse_if
from api.submission import correlation_of
from domain.accounts.model import Role, Scope, SellerStatus
from domain.accounts.reads import load_seller_status
from domain.catalog.listing_sql import refresh_listings
from domain.catalog.offer_reads import OfferPlace, OfferView, list_offers, load_offer_views, place_of
from domain.catalog.offer_sql import SKU_UNIQUE, apply_offers, load_states
from domain.catalog.offers import OfferPlan, OfferTerms, WantedOffer, check_offering, check_terms, decide, end
from domain.catalog.variant_reads import load_variants
from domain.catalog.variant_sql import lock_products_of
from domain.catalog.variants import OwnedVariant
from domain.inventory.received_sql import open_stock
from domain.rejections import Code
from infra.postgres import violated


class OfferPage(Page[OfferView], frozen=True):
    """A page of a variant's offers: by currency, then the cheapest first, then by seller."""


@get(
    "/variants/{variant_id:uuid}/offers",
    operation_id="list_offers",
    opt=anyone(Scope.CATALOG_READ),
    summary="Who offers a variant, and for how much",
    responses={200: ResponseSpec(OfferPage, generate_examples=False), **PROBLEMS(400, 401, 403, 404, 503)},
)
async def list_variant_offers(
    request: Request[Any, Any, Any], variant_id: FromPath[UUID], limit: Limit = None, cursor: LongCursor = None
) -> Response[bytes]:
    """Show the offers that may be ordered now; a seller sees its own in any state, an admin every one."""
    principal = await visitor(request)

    async def read(conn: Any, after: OfferPlace | None, count: int) -> list[OfferView]:
        viewer = await viewer_of(conn, principal)
        found = await list_offers(
            conn, variant_id, after=after, limit=count, seller_id=viewer.seller_id, every=viewer.is_admin
        )
        if not found and after is None:
            variant = (await load_variants(conn, [variant_id])).get(variant_id)
            if variant is None or not (variant.is_shown or viewer.is_of(variant.seller_id)):
                raise refuse(404, Code.NOT_FOUND, "there is no such variant")
        return found

    return await paged(request, OfferPage, limit, cursor, kind=OfferPlace, read=read, key_of=place_of)


@once.put(
    "/offers/{variant_id:uuid}/{seller_id:uuid}",
    operation_id="put_offer",
    summary="Offer a variant, or change the offer",
    opt=allow(Role.SELLER, Role.ADMIN, scope=Scope.CATALOG_WRITE) | request_body(OfferTerms, required=True),
    responses={
        200: ResponseSpec(OfferView, generate_examples=False, description="changed, or the same as before"),
        201: ResponseSpec(OfferView, generate_examples=False, description="offered, with no stock yet"),
        **PROBLEMS(400, 401, 403, 404, 409, 412, 413, 415, 503),
    },
)
async def put_offer(
    request: Request[Any, Any, Any], variant_id: FromPath[UUID], seller_id: FromPath[UUID]
) -> Response[bytes]:
    """Set the terms of a seller's offer, all of them: what isn't named has its default."""
    principal = await authorise(request)
    terms = await body_of(request, OfferTerms)
    refuse_if(check_terms(terms))
    seen = expected(request)
    key = (variant_id, seller_id)
    wanted = WantedOffer(variant_id, seller_id, terms)
    try:
        async with transaction(request) as conn:
            if not (await editor_of(conn, principal)).is_of(seller_id):
                raise _not_found()
            await lock_products_of(conn, [variant_id])
            variant = (await load_variants(conn, [variant_id])).get(variant_id)
            states = await load_states(conn, [key])
            if key in states:
                seen.check(states[key].version)
            else:
                await _check_new(conn, seen, variant, seller_id)
            plan = decide([wanted], states, actor=principal.id, correlation=correlation_of(request))
            await _write(conn, plan, variant)
            view = (await load_offer_views(conn, [key]))[key]
    except Exception as error:
        if violated(error) == SKU_UNIQUE:
            raise refuse(409, Code.DUPLICATE_SKU, "the seller has another offer with this SKU", "sku") from None
        raise
    if plan.new:
        return answer(view, 201, version=view.version, headers={"Location": f"/offers/{variant_id}/{seller_id}"})
    return answer(view, version=view.version)


@once.delete(
    "/offers/{variant_id:uuid}/{seller_id:uuid}",
    status_code=204,
    operation_id="end_offer",
    summary="Offer a variant no more",
    opt=allow(Role.SELLER, Role.ADMIN, scope=Scope.CATALOG_WRITE),
    responses={
        204: ResponseSpec(None, generate_examples=False, description="offered no more"),
        **PROBLEMS(400, 401, 403, 404, 412, 503),
    },
)
async def end_offer(
    request: Request[Any, Any, Any], variant_id: FromPath[UUID], seller_id: FromPath[UUID]
) -> Response[None]:
    """End a seller's offer. It stays, inactive, with its SKU and its stock; putting it anew begins it again."""
    principal = await authorise(request)
    seen = expected(request)
    key = (variant_id, seller_id)
    async with transaction(request) as conn:
        if not (await editor_of(conn, principal)).is_of(seller_id):
            raise _not_found()
        await lock_products_of(conn, [variant_id])
        variant = (await load_variants(conn, [variant_id])).get(variant_id)
        state = (await load_states(conn, [key])).get(key)
        if state is None:
            raise _not_found()
        seen.check(state.version)
        await _write(conn, end(key, state, actor=principal.id, correlation=correlation_of(request)), variant)
    return nothing()


async def _check_new(conn: Any, seen: Expected, variant: OwnedVariant | None, seller_id: UUID) -> None:
    """Raise a problem unless a seller may begin to offer a variant."""
    status = await load_seller_status(conn, seller_id)
    if status is None:
        raise _not_found()
    refuse_if(check_offering(variant, seller_id))
    if status is not SellerStatus.APPROVED:
        raise refuse(409, Code.CONFLICT, f"the seller is {status.value}: only an approved one may offer anything new")
    if seen.tags is not None:
        raise refuse(412, Code.STALE_VERSION, "there is no such offer yet: send no If-Match to make it", "If-Match")


async def _write(conn: Any, plan: OfferPlan, variant: OwnedVariant | None) -> None:
    """Write what was decided of a variant's offers, with what hangs on it."""
    if variant is None or not plan.events:
        return
    await apply_offers(conn, plan)
    await open_stock(conn, [offer.key for offer in plan.new])
    await refresh_listings(conn, [variant.variant.product_id])


def _not_found() -> ProblemError:
    return refuse(404, Code.NOT_FOUND, "there is no such offer of yours")


router = Router(path="/", route_handlers=[list_variant_offers, put_offer, end_offer], tags=["offers"])
