"""Rate cards: taxes, price lists, and how sellers and the platform ship. A ``PUT`` replaces the whole list.

Changes of rates follow each other (``raise_version`` locks), so what a list was held against still holds when it is
written; and whoever reads the version after a change was acknowledged prices by it.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Response, Router, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter
from msgspec import Struct

from api import once
from api.access import allow, authorise
from api.acting import seller_of
from api.answers import Expected, answer, expected, transaction
from api.context import edge_of
from api.decode import body_of
from api.openapi import PROBLEMS, request_body
from api.problems import refuse, refuse_if
from api.submission import correlation_of
from domain.accounts.model import Role, Scope
from domain.accounts.seller_sql import load_sellers
from domain.journal.model import Event
from domain.journal.sql import insert_events
from domain.pricing import rate_faults
from domain.pricing.rate_cards import (
    Card,
    CardKind,
    PriceListCard,
    PriceListList,
    ShippingMethodCard,
    ShippingMethodList,
    ShippingRateCard,
    ShippingRateList,
    ShippingZoneCard,
    ShippingZoneList,
    TaxRateCard,
    TaxRateList,
    replaced,
    seller_of_owner,
    stream_of,
)
from domain.pricing.rate_sql import load_cards, load_known_categories, load_known_offers, write_card
from domain.pricing.shipping import PLATFORM
from domain.pricing.version_sql import raise_version
from domain.rejections import Code, Rejection
from infra.security import Principal

Cards = Mapping[CardKind, Card]
Items = tuple[Any, ...]
FindFault = Callable[[Any, Cards, Items], Awaitable[Rejection | None]]
"""From a connection, the owner's cards and a new list to what is wrong with it."""
OfSeller = Annotated[
    UUID | None, QueryParameter(name="seller", description="whose; an admin's, without it, is the platform's")
]
_READ = PROBLEMS(400, 401, 403, 404, 503)
_WRITE = PROBLEMS(400, 401, 403, 404, 409, 412, 413, 415, 503)
_WRITE_RATES = PROBLEMS(400, 401, 403, 404, 412, 413, 415, 503)
_WRITE_PLATFORMS = PROBLEMS(400, 401, 403, 412, 413, 415, 503)


class Wish(Struct, frozen=True):
    """A list to be put in place of an owner's, and the version it is meant for."""

    kind: CardKind
    items: Items
    seen: Expected
    seller: UUID | None = None


@get(
    "/tax-rates",
    operation_id="get_tax_rates",
    opt=allow(Role.ADMIN, scope=Scope.PRICING_READ),
    summary="The rates of tax",
    responses={200: ResponseSpec(TaxRateCard, generate_examples=False), **PROBLEMS(401, 403, 503)},
)
async def get_tax_rates(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Show all rates of tax."""
    _, card = await _shown(request, CardKind.TAX_RATES, None)
    return answer(TaxRateCard(card.items, card.version), version=card.version)


@once.put(
    "/tax-rates",
    operation_id="replace_tax_rates",
    opt=allow(Role.ADMIN, scope=Scope.PRICING_WRITE) | request_body(TaxRateList, required=True),
    summary="Replace the rates of tax",
    responses={200: ResponseSpec(TaxRateCard, generate_examples=False), **_WRITE_PLATFORMS},
)
async def replace_tax_rates(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Put a list of rates in place of all there were; orders placed before keep theirs."""
    principal = await authorise(request)
    wish = Wish(CardKind.TAX_RATES, (await body_of(request, TaxRateList)).items, expected(request))

    async def fault(conn: Any, _: Cards, items: Items) -> Rejection | None:
        named = {rate.category_id for rate in items if rate.category_id is not None}
        return rate_faults.tax_fault(items, await load_known_categories(conn, named))

    _, card = await _replace(request, principal, wish, fault)
    return answer(TaxRateCard(card.items, card.version), version=card.version)


@get(
    "/price-lists",
    operation_id="get_price_lists",
    opt=allow(Role.ADMIN, scope=Scope.PRICING_READ),
    summary="The price lists",
    responses={200: ResponseSpec(PriceListCard, generate_examples=False), **PROBLEMS(401, 403, 503)},
)
async def get_price_lists(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Show all price lists; the price of an offer that stands in none is its own."""
    _, card = await _shown(request, CardKind.PRICE_LISTS, None)
    return answer(PriceListCard(card.items, card.version), version=card.version)


@once.put(
    "/price-lists",
    operation_id="replace_price_lists",
    opt=allow(Role.ADMIN, scope=Scope.PRICING_WRITE) | request_body(PriceListList, required=True),
    summary="Replace the price lists",
    responses={200: ResponseSpec(PriceListCard, generate_examples=False), **_WRITE_PLATFORMS},
)
async def replace_price_lists(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Put price lists in place of all there were; orders placed before keep their prices."""
    principal = await authorise(request)
    wish = Wish(CardKind.PRICE_LISTS, (await body_of(request, PriceListList)).items, expected(request))

    async def fault(conn: Any, _: Cards, items: Items) -> Rejection | None:
        named = {(price.variant_id, price.seller_id) for each in items for price in each.prices}
        return rate_faults.price_list_fault(items, await load_known_offers(conn, named))

    _, card = await _replace(request, principal, wish, fault)
    return answer(PriceListCard(card.items, card.version), version=card.version)


@get(
    "/shipping/zones",
    operation_id="get_shipping_zones",
    opt=allow(Role.SELLER, Role.ADMIN, scope=Scope.PRICING_READ),
    summary="Where one ships to",
    responses={200: ResponseSpec(ShippingZoneCard, generate_examples=False), **_READ},
)
async def get_shipping_zones(request: Request[Any, Any, Any], seller: OfSeller = None) -> Response[bytes]:
    """Show a seller's zones; to an admin the platform's, or those of `seller`."""
    owner, card = await _shown(request, CardKind.SHIPPING_ZONES, seller)
    return answer(ShippingZoneCard(card.items, card.version, seller_of_owner(owner)), version=card.version)


@once.put(
    "/shipping/zones",
    operation_id="replace_shipping_zones",
    opt=allow(Role.SELLER, Role.ADMIN, scope=Scope.PRICING_WRITE) | request_body(ShippingZoneList, required=True),
    summary="Replace the zones one ships to",
    responses={200: ResponseSpec(ShippingZoneCard, generate_examples=False), **_WRITE},
)
async def replace_shipping_zones(request: Request[Any, Any, Any], seller: OfSeller = None) -> Response[bytes]:
    """Put zones in place of all there were. One that rates name can't be left out: its rates go first."""
    principal = await authorise(request)
    wish = Wish(CardKind.SHIPPING_ZONES, (await body_of(request, ShippingZoneList)).items, expected(request), seller)

    async def fault(_: Any, cards: Cards, items: Items) -> Rejection | None:
        named = [rate.zone_id for rate in cards[CardKind.SHIPPING_RATES].items]
        kept = {zone.id for zone in items}
        return rate_faults.zones_fault(items) or rate_faults.still_named(kept, named, "zone")

    owner, card = await _replace(request, principal, wish, fault)
    return answer(ShippingZoneCard(card.items, card.version, seller_of_owner(owner)), version=card.version)


@get(
    "/shipping/methods",
    operation_id="get_shipping_methods",
    opt=allow(Role.SELLER, Role.ADMIN, scope=Scope.PRICING_READ),
    summary="How one ships",
    responses={200: ResponseSpec(ShippingMethodCard, generate_examples=False), **_READ},
)
async def get_shipping_methods(request: Request[Any, Any, Any], seller: OfSeller = None) -> Response[bytes]:
    """Show a seller's methods; to an admin the platform's, or those of `seller`."""
    owner, card = await _shown(request, CardKind.SHIPPING_METHODS, seller)
    return answer(ShippingMethodCard(card.items, card.version, seller_of_owner(owner)), version=card.version)


@once.put(
    "/shipping/methods",
    operation_id="replace_shipping_methods",
    opt=allow(Role.SELLER, Role.ADMIN, scope=Scope.PRICING_WRITE) | request_body(ShippingMethodList, required=True),
    summary="Replace the methods one ships by",
    responses={200: ResponseSpec(ShippingMethodCard, generate_examples=False), **_WRITE},
)
async def replace_shipping_methods(request: Request[Any, Any, Any], seller: OfSeller = None) -> Response[bytes]:
    """Put methods in place of all there were. One that rates name can't be left out: its rates go first."""
    principal = await authorise(request)
    body = await body_of(request, ShippingMethodList)
    wish = Wish(CardKind.SHIPPING_METHODS, body.items, expected(request), seller)

    async def fault(_: Any, cards: Cards, items: Items) -> Rejection | None:
        named = [rate.method_id for rate in cards[CardKind.SHIPPING_RATES].items]
        kept = {method.id for method in items}
        return rate_faults.methods_fault(items) or rate_faults.still_named(kept, named, "method")

    owner, card = await _replace(request, principal, wish, fault)
    return answer(ShippingMethodCard(card.items, card.version, seller_of_owner(owner)), version=card.version)


@get(
    "/shipping/rates",
    operation_id="get_shipping_rates",
    opt=allow(Role.SELLER, Role.ADMIN, scope=Scope.PRICING_READ),
    summary="What shipping costs",
    responses={200: ResponseSpec(ShippingRateCard, generate_examples=False), **_READ},
)
async def get_shipping_rates(request: Request[Any, Any, Any], seller: OfSeller = None) -> Response[bytes]:
    """Show a seller's rates; to an admin the platform's, or those of `seller`."""
    owner, card = await _shown(request, CardKind.SHIPPING_RATES, seller)
    return answer(ShippingRateCard(card.items, card.version, seller_of_owner(owner)), version=card.version)


@once.put(
    "/shipping/rates",
    operation_id="replace_shipping_rates",
    opt=allow(Role.SELLER, Role.ADMIN, scope=Scope.PRICING_WRITE) | request_body(ShippingRateList, required=True),
    summary="Replace what shipping costs",
    responses={200: ResponseSpec(ShippingRateCard, generate_examples=False), **_WRITE_RATES},
)
async def replace_shipping_rates(request: Request[Any, Any, Any], seller: OfSeller = None) -> Response[bytes]:
    """Put rates in place of all there were; orders placed before keep what they were told."""
    principal = await authorise(request)
    wish = Wish(CardKind.SHIPPING_RATES, (await body_of(request, ShippingRateList)).items, expected(request), seller)

    async def fault(_: Any, cards: Cards, items: Items) -> Rejection | None:
        zones, methods = cards[CardKind.SHIPPING_ZONES].items, cards[CardKind.SHIPPING_METHODS].items
        return rate_faults.rates_fault(items, zones, methods)

    owner, card = await _replace(request, principal, wish, fault)
    return answer(ShippingRateCard(card.items, card.version, seller_of_owner(owner)), version=card.version)


async def _shown(request: Request[Any, Any, Any], kind: CardKind, seller: UUID | None) -> tuple[UUID, Card]:
    principal = await authorise(request)
    async with edge_of(request.app.state).pool.acquire(timeout=2) as conn:
        owner = await _owner(conn, principal, seller)
        return owner, (await load_cards(conn, owner, [kind]))[kind]


async def _replace(
    request: Request[Any, Any, Any], principal: Principal, wish: Wish, fault: FindFault
) -> tuple[UUID, Card]:
    """Write a list with its event; one that says what the last one said makes no version of it."""
    async with transaction(request) as conn:
        owner = await _owner(conn, principal, wish.seller)
        # First, for its lock.
        await raise_version(conn, "rates")
        cards = await load_cards(conn, owner, list(CardKind))
        before = cards[wish.kind]
        wish.seen.check(before.version)
        refuse_if(await fault(conn, cards, wish.items))
        if before.items == wish.items:
            return owner, before
        card = Card(wish.items, before.version + 1)
        await write_card(conn, wish.kind, owner, card, datetime.now(UTC))
        data = msgspec.json.encode(replaced(wish.kind, owner, card.items)).decode()
        stream, correlation = stream_of(wish.kind, owner), correlation_of(request)
        event = Event(stream, card.version, "rate_card.replaced", data, principal.id, correlation)
        await insert_events(conn, [event])
    return owner, card


async def _owner(conn: Any, principal: Principal, seller: UUID | None) -> UUID:
    """Whose cards somebody asks for; raises a problem of status 404 for another seller's, or where there is none."""
    if principal.is_admin:
        if seller is not None and seller not in await load_sellers(conn, [seller]):
            raise refuse(404, Code.NOT_FOUND, "there is no such seller", "seller")
        return PLATFORM if seller is None else seller
    own = await seller_of(conn, principal)
    if seller not in {None, own}:
        raise refuse(404, Code.NOT_FOUND, "there is no such seller of yours", "seller")
    return own


router = Router(
    path="/",
    route_handlers=[
        get_tax_rates,
        replace_tax_rates,
        get_price_lists,
        replace_price_lists,
        get_shipping_zones,
        replace_shipping_zones,
        get_shipping_methods,
        replace_shipping_methods,
        get_shipping_rates,
        replace_shipping_rates,
    ],
    tags=["pricing"],
)
