"""Rate cards: what is wrong with one beyond its form, and what an event tells of it."""

from datetime import UTC, datetime
from uuid import UUID

import msgspec
import pytest

from domain.pricing.price_lists import ListedPrice, PriceList
from domain.pricing.rate_cards import TOLD_BYTES_MAX, CardKind, replaced, stream_of
from domain.pricing.rate_faults import (
    methods_fault,
    price_list_fault,
    rates_fault,
    still_named,
    tax_fault,
    zones_fault,
)
from domain.pricing.shipping import (
    PLATFORM,
    BySubtotal,
    ByWeight,
    Flat,
    Place,
    ShippingMethod,
    ShippingRate,
    ShippingZone,
    Step,
)
from domain.pricing.tax import TaxRate

SHOES, SOCKS = UUID(int=11), UUID(int=12)
OFFER, OTHER = (UUID(int=21), UUID(int=31)), (UUID(int=22), UUID(int=31))
POST, ABROAD = ShippingMethod(UUID(int=41), "Post"), ShippingZone(UUID(int=51), "Abroad")


def tax(percent: str = "19", **more: object) -> TaxRate:
    return TaxRate(**{"country": "DE", "percent": percent, "inclusive": True, **more})


def listed(**more: object) -> PriceList:
    fields = {"id": UUID(int=1), "name": "Sale", "currency": "USD", "prices": (ListedPrice(*OFFER, 100),), **more}
    return PriceList(**fields)


def zone(number: int, *places: Place) -> ShippingZone:
    return ShippingZone(UUID(int=number), "A zone", places)


def rate(cost: object = None, **more: object) -> ShippingRate:
    fields = {"method_id": POST.id, "zone_id": ABROAD.id, "currency": "USD", "cost": cost or Flat(500), **more}
    return ShippingRate(**fields)


@pytest.mark.parametrize(
    ("rates", "path"),
    [
        ([tax(country="XX")], "items[0].country"),
        ([tax(category_id=UUID(int=99))], "items[0].category_id"),
        ([tax(category_id=SHOES, on_shipping=True)], "items[0].on_shipping"),
        ([tax(), tax("7")], "items[1]"),
        ([tax(region="Bayern"), tax("7", region="BAYERN")], "items[1]"),
        ([tax(category_id=SHOES), tax(), tax("7", category_id=SHOES)], "items[2]"),
    ],
)
def test_a_bad_rate_of_tax_is_told_with_its_place(rates, path):
    fault = tax_fault(rates, {SHOES, SOCKS})
    assert (fault.status, fault.path) == (400, path)


def test_rates_of_tax_differ_in_country_region_or_category():
    rates = [
        tax("0"),
        tax("100", region="Bayern"),
        tax("8.8755", country="US", region="New York"),
        tax(category_id=SHOES),
        tax(category_id=SOCKS),
        tax(region="Bayern", category_id=SHOES),
    ]
    assert tax_fault(rates, {SHOES, SOCKS}) is None


NOON, ONE = datetime(2026, 3, 1, 12, tzinfo=UTC), datetime(2026, 3, 1, 13, tzinfo=UTC)


@pytest.mark.parametrize(
    ("lists", "path"),
    [
        ([listed(), listed()], "items[1].id"),
        ([listed(starts_at=ONE, ends_at=NOON)], "items[0].ends_at"),
        ([listed(starts_at=ONE, ends_at=ONE)], "items[0].ends_at"),
        ([listed(prices=(ListedPrice(*OFFER, 1), ListedPrice(*OFFER, 2)))], "items[0].prices[1]"),
        ([listed(), listed(id=UUID(int=2), prices=(ListedPrice(*OTHER, 1),))], "items[1].prices[0]"),
    ],
)
def test_a_bad_price_list_is_told_with_its_place(lists, path):
    fault = price_list_fault(lists, {OFFER})
    assert (fault.status, fault.path) == (400, path)


def test_lists_may_name_the_same_offer_and_be_empty():
    lists = [listed(starts_at=NOON, ends_at=ONE), listed(id=UUID(int=2)), listed(id=UUID(int=3), prices=())]
    assert price_list_fault(lists, {OFFER}) is None


@pytest.mark.parametrize(
    ("zones", "path"),
    [
        ([zone(1, Place("DE")), zone(1, Place("FR"))], "items[1].id"),
        ([zone(1), zone(2)], "items[1].places"),
        ([zone(1, Place("XX"))], "items[0].places[0].country"),
        ([zone(1, Place("DE")), zone(2, Place("FR"), Place("DE"))], "items[1].places[1]"),
        ([zone(1, Place("DE", "Bayern"), Place("DE", "bayern"))], "items[0].places[1]"),
    ],
)
def test_a_bad_zone_is_told_with_its_place(zones, path):
    fault = zones_fault(zones)
    assert (fault.status, fault.path) == (400, path)


def test_a_country_a_region_of_it_and_everywhere_else_are_three_places():
    assert zones_fault([zone(1, Place("DE")), zone(2, Place("DE", "Bayern")), zone(3)]) is None


def test_two_methods_have_two_ids():
    assert methods_fault([POST, POST]).path == "items[1].id"
    assert methods_fault([POST, ShippingMethod(UUID(int=42), "Post")]) is None


@pytest.mark.parametrize(
    ("rates", "path"),
    [
        ([rate(method_id=UUID(int=9))], "items[0].method_id"),
        ([rate(zone_id=UUID(int=9))], "items[0].zone_id"),
        ([rate(), rate(currency="EUR"), rate(Flat(1))], "items[2]"),
        ([rate(ByWeight((Step(100, 1), Step(100, 2))))], "items[0].cost.steps[1].up_to"),
        ([rate(BySubtotal((Step(100, 1), Step(200, 2), Step(150, 3))))], "items[0].cost.steps[2].up_to"),
    ],
)
def test_a_bad_shipping_rate_is_told_with_its_place(rates, path):
    fault = rates_fault(rates, [ABROAD], [POST])
    assert (fault.status, fault.path) == (400, path)


def test_costs_may_fall_with_the_steps():
    assert rates_fault([rate(BySubtotal((Step(0, 900), Step(5_000, 500), Step(10_000, 0))))], [ABROAD], [POST]) is None


def test_what_rates_name_is_not_taken_away():
    assert still_named({POST.id}, [POST.id, POST.id], "method") is None
    refusal = still_named(set(), [POST.id], "method")
    assert refusal.status == 409
    assert str(POST.id) in refusal.detail


def test_an_event_tells_a_list_whole_until_it_is_too_long():
    short = replaced(CardKind.TAX_RATES, PLATFORM, (tax(),))
    assert msgspec.json.decode(short.items) == [{"country": "DE", "percent": "19", "inclusive": True}]
    prices = tuple(ListedPrice(UUID(int=n), UUID(int=1), n) for n in range(1_000))
    long = replaced(CardKind.PRICE_LISTS, PLATFORM, (listed(prices=prices),))
    assert len(msgspec.json.encode((listed(prices=prices),))) > TOLD_BYTES_MAX
    assert (long.count, long.items) == (1, None)
    assert len(long.sha256) == 64


def test_each_card_has_a_stream_of_its_own():
    streams = {stream_of(kind, owner) for kind in CardKind for owner in (PLATFORM, SHOES)}
    assert len(streams) == 2 * len(CardKind)
