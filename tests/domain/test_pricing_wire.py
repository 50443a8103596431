"""What makers of promotions, rates and price lists send: read strictly, and written as it is read."""

import json
from datetime import UTC, datetime

import msgspec
import pytest

from domain.money import MINOR_MAX
from domain.pricing.price_lists import ListedPrice, PriceList
from domain.pricing.promotion_model import (
    FreeShipping,
    Funding,
    PromotionContent,
    Stacking,
    StoredPromotion,
)
from domain.pricing.scope import VALUES_MAX, Scope
from domain.pricing.shipping import (
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
from tests.domain.pricing_builders import (
    bundle,
    category,
    off_each,
    off_order,
    percent,
    percent_of_order,
    product,
    seller,
    thing,
    usd,
)

FULL_SCOPE = Scope((product(1),), (thing("variant", 1),), (seller(1), seller(2)), (category(1),))
WINDOW = {"starts_at": datetime(2026, 1, 1, tzinfo=UTC), "ends_at": datetime(2026, 2, 1, tzinfo=UTC)}
FULL = {
    "scope": FULL_SCOPE,
    "users": (thing("user", 1),),
    "minimum_subtotal": usd(1_000),
    "minimum_quantity": 2,
    "first_order": True,
    "automatic": True,
    "priority": -5,
    "stacking": Stacking.EXCLUSIVE,
    "group": "spring-sale",
    "funding": Funding.SELLER,
    "uses_max": 100,
    "uses_per_user_max": 1,
    **WINDOW,
}
WIRE = [
    *(
        PromotionContent(title="Spring", benefit=benefit, **settings)
        for benefit in (
            percent(1),
            percent(10_000, cap=500),
            percent_of_order(2_500),
            off_each(5),
            off_order(MINOR_MAX),
            bundle(1, 1),
            bundle(2, 1, off_bp=5_000, times=3, buy_scope=FULL_SCOPE, get_scope=Scope(products=(product(2),))),
            FreeShipping(),
        )
        for settings in ({}, FULL)
    ),
    *(
        ShippingRate(thing("method", 1), thing("zone", 1), "JPY", cost, free)
        for cost in (Flat(0), ByWeight((Step(1_000, 500), Step(5_000, 900))), BySubtotal((Step(0, 1),)))
        for free in (None, 0, 5_000)
    ),
    ShippingZone(thing("zone", 1), "Home", (Place("DE"), Place("US", "California"))),
    ShippingMethod(thing("method", 1), "Post", active=False),
    TaxRate("DE", "19", inclusive=True),
    TaxRate("US", "8.8750", inclusive=False, region="New York", category_id=category(1), on_shipping=True),
    PriceList(thing("list", 1), "Trade", "KWD", (ListedPrice(thing("variant", 1), seller(1), 0),)),
    PriceList(thing("list", 1), "Trade", "KWD", (), "trade", 7, WINDOW["starts_at"], WINDOW["ends_at"]),
]


@pytest.mark.parametrize("value", WIRE, ids=lambda value: type(value).__name__)
def test_what_is_written_is_read_again(value):
    assert msgspec.json.decode(msgspec.json.encode(value), type=type(value)) == value


def places_of(wire, path=()):
    """Every object in a document, by the path to it."""
    if isinstance(wire, dict):
        yield path
        for name, inner in wire.items():
            yield from places_of(inner, (*path, name))
    elif isinstance(wire, list):
        for n, inner in enumerate(wire):
            yield from places_of(inner, (*path, n))


@pytest.mark.parametrize("value", WIRE, ids=lambda value: type(value).__name__)
def test_a_field_nobody_knows_is_refused_wherever_it_stands(value):
    written = msgspec.json.encode(value)
    for path in places_of(json.loads(written)):
        document = json.loads(written)
        inner = document
        for step in path:
            inner = inner[step]
        inner["surprise"] = 1
        with pytest.raises(msgspec.ValidationError, match="unknown field `surprise`"):
            msgspec.json.decode(json.dumps(document), type=type(value))


@pytest.mark.parametrize("field", sorted(set(StoredPromotion.__struct_fields__) - {"content"}))
def test_what_a_promotion_is_kept_with_cannot_be_sent_with_it(field):
    wire = {"title": "Spring", "benefit": {"type": "free_shipping"}, field: None}
    with pytest.raises(msgspec.ValidationError, match=f"unknown field `{field}`"):
        msgspec.convert(wire, PromotionContent)


def test_a_promotion_is_by_code_not_stackable_and_the_platforms_unless_it_says_so():
    content = msgspec.json.decode('{"title":"Spring","benefit":{"type":"free_shipping"}}', type=PromotionContent)
    assert (content.automatic, content.stacking, content.group) == (False, Stacking.GROUP, "default")
    assert (content.funding, content.scope, content.uses_max) == (Funding.PLATFORM, Scope(), None)


BENEFIT = {"type": "percentage", "level": "line", "off_bp": 100}
MONEY = {"amount": 1, "currency": "USD"}
BUNDLE = {"type": "buy_x_get_y", "buy": {}, "buy_quantity": 1, "get": {}, "get_quantity": 1}
FIXED = {"type": "fixed", "level": "order", "amount": MONEY}


@pytest.mark.parametrize(
    "benefit",
    [
        {},
        {"type": "half"},
        {**BENEFIT, "off_bp": 0},
        {**BENEFIT, "off_bp": 10_001},
        {**BENEFIT, "off_bp": 12.5},
        {**BENEFIT, "off_bp": "100"},
        {**BENEFIT, "level": "unit"},
        {"type": "percentage", "off_bp": 100},
        {**BENEFIT, "cap": 5},
        {**BENEFIT, "cap": {**MONEY, "amount": -1}},
        {**FIXED, "amount": {**MONEY, "amount": MINOR_MAX + 1}},
        {**FIXED, "amount": {**MONEY, "currency": "usd"}},
        {**FIXED, "off_bp": 100},
        {**BUNDLE, "buy_quantity": 0},
        {**BUNDLE, "get_quantity": 0},
        {**BUNDLE, "buy_quantity": 1_000_001},
        {**BUNDLE, "times_max": 0},
        {**BUNDLE, "off_bp": 0},
        {"type": "free_shipping", "cap": MONEY},
    ],
    ids=str,
)
def test_a_benefit_out_of_bounds_is_refused(benefit):
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(json.dumps({"title": "Spring", "benefit": benefit}), type=PromotionContent)


@pytest.mark.parametrize(
    "settings",
    [
        {"title": ""},
        {"title": "x" * 201},
        {"title": "two\nlines"},
        {"scope": {"products": ["one"]}},
        {"scope": {"products": [str(product(n)) for n in range(VALUES_MAX + 1)]}},
        {"users": [str(thing("user", n)) for n in range(VALUES_MAX + 1)]},
        {"minimum_quantity": 0},
        {"minimum_subtotal": 100},
        {"priority": 1_000_001},
        {"priority": -1_000_001},
        {"stacking": "always"},
        {"group": ""},
        {"group": "Spring"},
        {"group": "x" * 51},
        {"group": "default\n"},
        {"funding": "buyer"},
        {"uses_max": 0},
        {"uses_max": 1_000_000_001},
        {"uses_per_user_max": 0},
        {"starts_at": "2026-01-01"},
        {"starts_at": "2026-01-01T00:00:00"},
        {"ends_at": "2026-01-01T00:00:00"},
        {"automatic": 1},
    ],
    ids=lambda settings: str(settings)[:60],
)
def test_settings_out_of_bounds_are_refused(settings):
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(json.dumps({"title": "Spring", "benefit": BENEFIT, **settings}), type=PromotionContent)


LIST = {"id": str(thing("list", 1)), "name": "Trade", "currency": "USD", "prices": []}
PRICE = {"variant_id": str(thing("variant", 1)), "seller_id": str(seller(1)), "price_minor": 1}
RATE = {"method_id": str(thing("method", 1)), "zone_id": str(thing("zone", 1)), "currency": "USD"}
TAX = {"country": "DE", "percent": "19", "inclusive": True}


@pytest.mark.parametrize(
    ("kind", "wire"),
    [
        (PriceList, {**LIST, "currency": "US"}),
        (PriceList, {**LIST, "name": " Trade"}),
        (PriceList, {**LIST, "group": "trade\n"}),
        (PriceList, {**LIST, "group": "Trade"}),
        (PriceList, {**LIST, "prices": [{**PRICE, "price_minor": -1}]}),
        (PriceList, {**LIST, "prices": [{**PRICE, "price_minor": MINOR_MAX + 1}]}),
        (PriceList, {**LIST, "prices": [PRICE] * 10_001}),
        (PriceList, {**LIST, "starts_at": "2026-01-01T00:00:00"}),
        (PriceList, {**LIST, "ends_at": "2026-01-01T00:00:00"}),
        (ShippingRate, RATE),
        (ShippingRate, {**RATE, "cost": {"by": "flat", "amount_minor": -1}}),
        (ShippingRate, {**RATE, "cost": {"by": "flat", "amount_minor": 1.5}}),
        (ShippingRate, {**RATE, "cost": {"by": "weight", "steps": []}}),
        (ShippingRate, {**RATE, "cost": {"by": "weight", "steps": [{"up_to": -1, "amount_minor": 1}]}}),
        (ShippingRate, {**RATE, "cost": {"by": "weight", "steps": [{"up_to": 1, "amount_minor": 1}] * 101}}),
        (ShippingRate, {**RATE, "cost": {"by": "distance", "steps": [{"up_to": 1, "amount_minor": 1}]}}),
        (ShippingRate, {**RATE, "cost": {"by": "flat", "amount_minor": 1}, "free_from_minor": -1}),
        (TaxRate, {**TAX, "country": "de"}),
        (TaxRate, {**TAX, "country": "DEU"}),
        (TaxRate, {**TAX, "percent": "a fifth"}),
        (TaxRate, {**TAX, "inclusive": "yes"}),
        (TaxRate, {**TAX, "region": ""}),
        (TaxRate, {"country": "DE", "percent": "19"}),
    ],
    ids=lambda part: part.__name__ if isinstance(part, type) else str(part)[-60:],
)
def test_lists_and_rates_out_of_bounds_are_refused(kind, wire):
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(json.dumps(wire), type=kind)
