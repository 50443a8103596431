"""Shipping: which methods serve a destination, what they cost, and which one is taken."""

import pytest

from domain.pricing.contest import no_usage
from domain.pricing.quote import quote
from domain.pricing.shipping import (
    PLATFORM,
    BySubtotal,
    ByWeight,
    Flat,
    Owner,
    Parcel,
    Place,
    ShippingRates,
    ShippingZone,
    Step,
    cost_of,
)
from domain.pricing.tax import Destination
from domain.rejections import Code, Rejection
from tests.domain.pricing_builders import (
    BERLIN,
    EVERYWHERE,
    NOW,
    book,
    flat,
    line,
    method,
    off_order,
    order,
    priced,
    promotion,
    rate,
    seller,
    thing,
)

STEPS = (Step(1_000, 500), Step(5_000, 900))


def zone(number, *places):
    return ShippingZone(thing("zone", number), f"Zone {number}", tuple(Place(*place) for place in places))


def costs(owner, *lines, at=BERLIN, **said):
    """What each seller order's shipping costs."""
    version = priced(book(shipping=owner), order(*lines, destination=at, **said))
    return [each.shipping.cost_minor for each in version.shipping]


def refused(owner, *lines, at=BERLIN, **said):
    rejection = quote(order(*lines, destination=at, **said), book(shipping=owner), no_usage(), NOW)
    assert isinstance(rejection, Rejection)
    return rejection


def one(cost, **said):
    return Owner((EVERYWHERE,), (method(1),), (rate(1, cost, **said),))


def test_a_flat_rate_is_the_same_for_every_seller_order():
    assert costs(one(Flat(590)), line(1, 9), line(1, number=1), line(1, of=1)) == [590, 590]


@pytest.mark.parametrize(("grams", "expected"), [(0, 500), (1_000, 500), (1_001, 900), (5_000, 900), (5_001, None)])
def test_by_weight_the_first_step_that_holds_it_counts_and_nothing_heavier_is_shipped(grams, expected):
    assert cost_of(rate(1, ByWeight(STEPS)), Parcel(grams, 0)) == expected


def test_weight_is_of_all_units_of_the_seller_order():
    assert costs(one(ByWeight(STEPS)), line(1, 2, grams=300), line(1, 4, 1, grams=101), line(1, 1, of=1)) == [900, 500]


def test_what_is_too_heavy_is_not_shipped():
    rejection = refused(one(ByWeight(STEPS)), line(1, grams=5_001))
    assert (rejection.status, rejection.code) == (422, Code.NOT_SHIPPABLE)


@pytest.mark.parametrize(("subtotal", "expected"), [(0, 500), (1_000, 500), (1_001, 900), (5_000, 900), (5_001, 0)])
def test_by_subtotal_the_first_step_that_holds_it_counts_and_more_is_free(subtotal, expected):
    assert cost_of(rate(1, BySubtotal(STEPS)), Parcel(0, subtotal)) == expected


@pytest.mark.parametrize(("subtotal", "expected"), [(4_999, 590), (5_000, 0), (5_001, 0)])
def test_from_a_subtotal_on_shipping_is_free(subtotal, expected):
    assert costs(one(Flat(590), free_from=5_000), line(subtotal)) == [expected]


def test_from_nothing_on_is_always_free_even_of_weight():
    assert costs(one(ByWeight(STEPS), free_from=0), line(0, grams=9_999)) == [0]


def test_the_subtotal_is_the_seller_orders_after_discounts():
    owner = one(Flat(590), free_from=1_000)
    assert costs(owner, line(1_000), line(999, of=1)) == [0, 590]
    version = priced(book(promotion(off_order(1)), shipping=owner), order(line(1_000), destination=BERLIN))
    assert version.total_minor == 999 + 590


def test_a_seller_with_methods_of_its_own_ships_by_those_alone():
    own = one(Flat(1))
    assert costs({PLATFORM: flat(500), seller(1): own}, line(1), line(1, of=1)) == [500, 1]
    elsewhere = Owner((zone(1, ("FR",)),), (method(1),), (rate(1, Flat(1), zone=zone(1)),))
    assert refused({PLATFORM: flat(500), seller(1): elsewhere}, line(1, of=1)).code == Code.NOT_SHIPPABLE


def test_a_seller_without_methods_ships_by_the_platforms():
    assert costs({PLATFORM: flat(500), seller(1): Owner((EVERYWHERE,))}, line(1, of=1)) == [500]


def test_where_nobody_said_how_goods_are_shipped_shipping_costs_nothing():
    version = priced(book(), order(line(1), destination=BERLIN))
    (shipped,) = version.shipping
    assert (shipped.shipping.method_id, shipped.shipping.cost_minor) == (None, 0)


def test_without_a_destination_shipping_costs_nothing_yet():
    assert costs(one(Flat(590)), line(1), at=None) == [0]


def test_a_zone_that_names_the_region_counts_before_the_countrys_before_everywhere():
    zones = zone(1), zone(2, ("DE",)), zone(3, ("FR",), ("DE", "Berlin"))
    rates = tuple(rate(1, Flat(each.id.int & 0xF), zone=each) for each in zones)
    owner = Owner(zones, (method(1),), rates)
    assert costs(owner, line(1)) == [3]
    assert costs(owner, line(1), at=Destination("DE", "BERLIN")) == [3]
    assert costs(owner, line(1), at=Destination("DE", "Hessen")) == costs(owner, line(1), at=Destination("DE")) == [2]
    assert costs(owner, line(1), at=Destination("US", "Berlin")) == [1]


def test_the_zone_that_counts_is_the_only_one_that_does():
    zones = zone(1), zone(2, ("DE",))
    owner = Owner(zones, (method(1),), (rate(1, Flat(5), zone=zones[0]),))
    assert refused(owner, line(1)).code == Code.NOT_SHIPPABLE


def test_no_zone_for_the_destination_no_shipping():
    owner = Owner((zone(1, ("FR",)),), (method(1),), (rate(1, Flat(5), zone=zone(1)),))
    rejection = refused(owner, line(1))
    assert (rejection.code, rejection.detail) == (
        Code.NOT_SHIPPABLE,
        f"nothing of seller {seller(0)} is shipped to DE Berlin",
    )


def test_a_rate_is_for_its_own_currency():
    owner = Owner((EVERYWHERE,), (method(1),), (rate(1, Flat(590)), rate(1, Flat(80), currency="JPY")))
    assert costs(owner, line(1), currency="JPY") == [80]
    assert refused(owner, line(1), currency="KWD").code == Code.NOT_SHIPPABLE


def several(*costs_):
    methods = tuple(method(n, f"Method {n}") for n in range(1, len(costs_) + 1))
    return Owner((EVERYWHERE,), methods, tuple(rate(n, Flat(cost)) for n, cost in enumerate(costs_, start=1)))


def test_without_a_choice_the_cheapest_method_is_taken_the_first_listed_of_equals():
    version = priced(book(shipping=several(700, 500, 500)), order(line(1), destination=BERLIN))
    (shipped,) = version.shipping
    assert (shipped.shipping.name, shipped.shipping.cost_minor) == ("Method 2", 500)


def test_each_seller_order_is_shipped_by_the_method_chosen_for_it():
    choice = {seller(0): thing("method", 1)}
    assert costs(several(700, 500), line(1), line(1, of=1), methods=choice) == [700, 500]


def test_a_method_that_does_not_serve_is_refused_by_name():
    rejection = refused(several(700), line(1), methods={seller(0): thing("method", 9)})
    assert (rejection.status, rejection.code) == (422, Code.UNKNOWN_SHIPPING_METHOD)
    assert rejection.path == f"shipping_methods.{seller(0)}"
    assert refused(None, line(1), methods={seller(0): thing("method", 1)}).code == Code.UNKNOWN_SHIPPING_METHOD


def test_a_method_that_is_not_active_is_offered_no_more():
    owner = Owner((EVERYWHERE,), (method(1, active=False), method(2)), (rate(1, Flat(1)), rate(2, Flat(2))))
    assert costs(owner, line(1)) == [2]
    assert refused(owner, line(1), methods={seller(0): thing("method", 1)}).code == Code.UNKNOWN_SHIPPING_METHOD


def test_a_seller_whose_methods_are_all_inactive_ships_nothing():
    own = Owner((EVERYWHERE,), (method(1, active=False),), (rate(1, Flat(1)),))
    rates = ShippingRates({PLATFORM: flat(500), seller(0): own})
    assert rates.ships(seller(0))
    assert rates.serving(seller(0), BERLIN, "USD") == []
