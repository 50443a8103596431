"""What is wrong with a rate card beyond its form: pure, one function for each kind; the first fault is told.

Invariant: of what passes here each place, line and parcel has one answer at most. So it never depends on the order of a
list which rate holds, but for methods, whose order is that in which they are offered.
"""

from collections.abc import Collection, Sequence
from uuid import UUID

from domain.accounts.address_countries import COUNTRIES
from domain.catalog.model import OfferKey
from domain.pricing.price_lists import PriceList
from domain.pricing.shipping import BySubtotal, ByWeight, ShippingMethod, ShippingRate, ShippingZone
from domain.pricing.tax import TaxRate
from domain.rejections import Code, Rejection

_NO_COUNTRY = "there is no such country: use an ISO 3166-1 alpha-2 code"


def _fault(detail: str, path: str) -> Rejection:
    return Rejection(400, Code.INVALID_REQUEST, detail, path)


def tax_fault(rates: Sequence[TaxRate], categories: Collection[UUID]) -> Rejection | None:
    """What is wrong with rates of tax; ``categories`` are those there are."""
    seen: set[tuple[str, str, UUID | None]] = set()
    for n, rate in enumerate(rates):
        if rate.country not in COUNTRIES:
            return _fault(_NO_COUNTRY, f"items[{n}].country")
        if rate.category_id is not None and rate.category_id not in categories:
            return _fault("there is no such category", f"items[{n}].category_id")
        if rate.on_shipping and rate.category_id is not None:
            return _fault("only a rate without a category is charged on shipping", f"items[{n}].on_shipping")
        key = (rate.country, (rate.region or "").casefold(), rate.category_id)
        if key in seen:
            return _fault("there is a rate for this country, region and category already", f"items[{n}]")
        seen.add(key)
    return None


def price_list_fault(lists: Sequence[PriceList], offers: Collection[OfferKey]) -> Rejection | None:
    """What is wrong with price lists; ``offers`` are those there are."""
    ids: set[UUID] = set()
    for n, each in enumerate(lists):
        if each.id in ids:
            return _fault("another list has this id", f"items[{n}].id")
        ids.add(each.id)
        if each.starts_at is not None and each.ends_at is not None and each.ends_at <= each.starts_at:
            return _fault("a list ends after it began", f"items[{n}].ends_at")
        named: set[OfferKey] = set()
        for m, price in enumerate(each.prices):
            key = (price.variant_id, price.seller_id)
            if key in named:
                return _fault("the list has a price of this offer already", f"items[{n}].prices[{m}]")
            if key not in offers:
                return _fault("there is no such offer of this seller", f"items[{n}].prices[{m}]")
            named.add(key)
    return None


def zones_fault(zones: Sequence[ShippingZone]) -> Rejection | None:
    """What is wrong with zones."""
    ids: set[UUID] = set()
    places: set[tuple[str, str]] = set()
    for n, zone in enumerate(zones):
        if zone.id in ids:
            return _fault("another zone has this id", f"items[{n}].id")
        ids.add(zone.id)
        if not zone.places:
            if ("", "") in places:
                return _fault("another zone is for everywhere else already", f"items[{n}].places")
            places.add(("", ""))
        for m, place in enumerate(zone.places):
            if place.country not in COUNTRIES:
                return _fault(_NO_COUNTRY, f"items[{n}].places[{m}].country")
            key = (place.country, (place.region or "").casefold())
            if key in places:
                return _fault("a place is in one zone, once", f"items[{n}].places[{m}]")
            places.add(key)
    return None


def methods_fault(methods: Sequence[ShippingMethod]) -> Rejection | None:
    """What is wrong with methods."""
    ids: set[UUID] = set()
    for n, method in enumerate(methods):
        if method.id in ids:
            return _fault("another method has this id", f"items[{n}].id")
        ids.add(method.id)
    return None


def rates_fault(
    rates: Sequence[ShippingRate], zones: Sequence[ShippingZone], methods: Sequence[ShippingMethod]
) -> Rejection | None:
    """What is wrong with rates, beside their owner's zones and methods."""
    known_zones, known_methods = {zone.id for zone in zones}, {method.id for method in methods}
    seen: set[tuple[UUID, UUID, str]] = set()
    for n, rate in enumerate(rates):
        if rate.method_id not in known_methods:
            return _fault("there is no such method of this owner", f"items[{n}].method_id")
        if rate.zone_id not in known_zones:
            return _fault("there is no such zone of this owner", f"items[{n}].zone_id")
        key = (rate.method_id, rate.zone_id, rate.currency)
        if key in seen:
            return _fault("there is a rate of this method, zone and currency already", f"items[{n}]")
        seen.add(key)
        if isinstance(rate.cost, ByWeight | BySubtotal):
            steps = [step.up_to for step in rate.cost.steps]
            late = next((m for m in range(1, len(steps)) if steps[m] <= steps[m - 1]), None)
            if late is not None:
                return _fault("each step goes further than the one before", f"items[{n}].cost.steps[{late}].up_to")
    return None


def still_named(kept: Collection[UUID], named: Sequence[UUID], what: str) -> Rejection | None:
    """Refuse to take away a zone or a method that rates name: they are taken away first."""
    lost = [each for each in named if each not in kept]
    if not lost:
        return None
    detail = f"rates name the {what} {lost[0]}: take its rates away first"
    return Rejection(409, Code.CONFLICT, detail, "items")
