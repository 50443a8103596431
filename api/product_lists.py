"""Lists of products: what is asked for, read strictly, and the pages that come of it."""

from collections import Counter
from typing import Annotated, Any
from urllib.parse import parse_qsl
from uuid import UUID

import msgspec
from litestar import Request, Response, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter

from api.access import anyone, visitor
from api.acting import viewer_of
from api.context import edge_of
from api.openapi import PROBLEMS
from api.paging import Limit, LongCursor, Page, paged
from api.problems import refuse
from domain.accounts.model import Role, Scope
from domain.catalog.listing import PLACES, Key, ListQuery, Place, Sort, place_of
from domain.catalog.listing_reads import Found, ProductCard, Wanted, gather, load_cards, load_descendants, walk
from domain.catalog.product_lifecycle import ProductStatus
from domain.catalog.taxonomy import AttributeCode
from domain.money import MINOR_MAX
from domain.rejections import Code
from infra.postgres import planning
from infra.security import Principal

ATTRIBUTE = "attr."
VALUES_MAX = 100
QUERY_LENGTH_MAX = 16_000
_REPEATED = {"status"}
_KNOWN = {"category", "seller", "currency", "price_min", "price_max", "sort", "limit", "cursor", *_REPEATED}
# The framework leaves a minimum of 0 out of the description.
_AMOUNT: dict[str, Any] = {"ge": 0, "le": MINOR_MAX, "schema_extra": {"minimum": 0}}


class ProductPage(Page[ProductCard], frozen=True):
    """A page of products in the order asked for."""


@get(
    "/products",
    operation_id="list_products",
    opt=anyone(Scope.CATALOG_READ),
    summary="List products",
    responses={200: ResponseSpec(ProductPage, generate_examples=False), **PROBLEMS(400, 401, 403, 503)},
)
async def list_products(
    request: Request[Any, Any, Any],
    *,
    category: Annotated[UUID | None, QueryParameter(name="category")] = None,
    seller: Annotated[UUID | None, QueryParameter(name="seller")] = None,
    status: Annotated[list[ProductStatus] | None, QueryParameter(name="status", max_items=len(ProductStatus))] = None,
    currency: Annotated[str | None, QueryParameter(name="currency", pattern="^[A-Z]{3}$", max_length=3)] = None,
    price_min: Annotated[int | None, QueryParameter(name="price_min", **_AMOUNT)] = None,
    price_max: Annotated[int | None, QueryParameter(name="price_max", **_AMOUNT)] = None,
    sort: Annotated[Sort, QueryParameter(name="sort")] = Sort.NEWEST,
    limit: Limit = None,
    cursor: LongCursor = None,
) -> Response[bytes]:
    """List active products; a member of a seller may ask for its own in any `status`, an admin for everybody's.

    `category` covers what is below it, and `seller` is who made a product or offers it. With `currency`, products have
    a lowest price in it, from `price_min` to `price_max` minor units. `attr.CODE=VALUE` asks for a value of an
    attribute, of the product or of a variant of it; the same code again for any of the values. Sorted by price, a list
    needs a currency. A price may be some seconds old here when an offer's validity began or ended; an order's never is.
    """
    principal = await visitor(request)
    query = ListQuery(
        sort=sort,
        statuses=tuple(dict.fromkeys(status or (ProductStatus.ACTIVE,))),
        category_id=category,
        seller_id=seller,
        currency=_currency(currency, sort, price_min, price_max),
        price_min=price_min or 0,
        price_max=MINOR_MAX if price_max is None else price_max,
        attributes=_attributes(request.scope["query_string"]),
    )
    if set(query.statuses) != {ProductStatus.ACTIVE}:
        async with edge_of(request.app.state).pool.acquire(timeout=2) as conn:
            query = msgspec.structs.replace(query, owner_id=await _owner(conn, principal))

    async def read(conn: Any, place: Place | None, count: int) -> Found:
        if place is not None and place.query != query.digest():
            raise refuse(400, Code.INVALID_REQUEST, "this cursor belongs to a list with other filters", "cursor")
        return await _find(conn, query, place, count)

    async def show(conn: Any, found: Found) -> list[ProductCard]:
        return await load_cards(conn, [product_id for product_id, _ in found], query.statuses)

    def key_of(found: tuple[UUID, Key]) -> Place:
        product_id, key = found
        return place_of(query, key, product_id)

    return await paged(request, ProductPage, limit, cursor, kind=PLACES[sort], read=read, key_of=key_of, show=show)


async def _find(conn: Any, query: ListQuery, place: Place | None, limit: int) -> Found:
    categories = None if query.category_id is None else await load_descendants(conn, query.category_id)
    if categories == []:
        return []
    wanted = Wanted(query, place, categories, limit)
    found = await walk(conn, wanted)
    if found is not None:
        return found
    async with planning(conn):
        return await gather(conn, wanted)


async def _owner(conn: Any, principal: Principal | None) -> UUID | None:
    """Whose products somebody may see in any state; None for everybody's. Raises a problem of status 401 or 403."""
    if principal is None:
        detail = "send a bearer token to see what isn't active"
        raise refuse(401, Code.UNAUTHENTICATED, detail, WWW_Authenticate="Bearer")
    viewer = await viewer_of(conn, principal)
    if viewer.is_admin or viewer.seller_id is not None:
        return viewer.seller_id
    detail = f"only members of a seller ({Role.SELLER.value}) and admins see what isn't active"
    raise refuse(403, Code.FORBIDDEN, detail, "status")


def _currency(currency: str | None, sort: Sort, price_min: int | None, price_max: int | None) -> str | None:
    if currency is None and (sort in {Sort.PRICE, Sort.DEAREST} or price_min is not None or price_max is not None):
        raise refuse(400, Code.INVALID_REQUEST, "prices are compared in one currency: name it", "currency")
    if price_min is not None and price_max is not None and price_min > price_max:
        raise refuse(400, Code.INVALID_REQUEST, "no price is over price_min and below price_max", "price_max")
    return currency


def _attributes(raw: bytes) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The values asked for by attribute; raises a problem of status 400, also for what isn't a parameter of ours."""
    if len(raw) > QUERY_LENGTH_MAX:
        raise refuse(400, Code.INVALID_REQUEST, f"a query has at most {QUERY_LENGTH_MAX} bytes")
    given = parse_qsl(raw.decode("latin-1"), keep_blank_values=True)
    twice = [name for name, times in Counter(name for name, _ in given).items() if times > 1]
    found: dict[str, dict[str, None]] = {}
    for name, value in given:
        code = name.removeprefix(ATTRIBUTE)
        if code == name:
            if name not in _KNOWN:
                raise refuse(400, Code.INVALID_REQUEST, "there is no such parameter", name[:100])
            if name in twice and name not in _REPEATED:
                raise refuse(400, Code.INVALID_REQUEST, "this parameter is given once", name)
            continue
        try:
            msgspec.convert(code, AttributeCode)
        except msgspec.ValidationError:
            raise refuse(400, Code.INVALID_REQUEST, "this is no attribute's code", name[:100]) from None
        if not value or "\0" in value:
            raise refuse(400, Code.INVALID_REQUEST, "this is no attribute's value", name)
        found.setdefault(code, {})[value] = None
    if sum(map(len, found.values())) > VALUES_MAX:
        raise refuse(400, Code.INVALID_REQUEST, f"at most {VALUES_MAX} values of attributes", ATTRIBUTE)
    return tuple((code, tuple(sorted(found[code]))) for code in sorted(found))
