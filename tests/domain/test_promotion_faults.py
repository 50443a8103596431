"""What is wrong with a promotion beyond its form: the first fault is named by its path."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.money import Money
from domain.pricing.promotion_faults import fault_of
from domain.pricing.promotion_model import (
    AmountOff,
    BuyXGetY,
    FreeShipping,
    Funding,
    Level,
    PercentOff,
    PromotionContent,
    Stacking,
)
from domain.pricing.scope import Scope
from tests.domain.strategies import make_id

SELLER, OTHER = make_id(1), make_id(2)
A, B = make_id(3), make_id(4)
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
EVERYTHING = Scope()
HALF = PercentOff(Level.LINE, 5_000)
FIVE_OFF = AmountOff(Level.ORDER, Money(500, "USD"))


def promotion(benefit=HALF, **more) -> PromotionContent:
    return PromotionContent(title="A promotion", benefit=benefit, **more)


def bundle(buy=EVERYTHING, get=EVERYTHING) -> BuyXGetY:
    return BuyXGetY(buy, 2, get, 1)


SOUND = [
    promotion(),
    promotion(FIVE_OFF, minimum_subtotal=Money(2_000, "USD")),
    promotion(PercentOff(Level.ORDER, 1_000, Money(900, "JPY"))),
    promotion(FreeShipping(), minimum_quantity=3, first_order=True, users=(A,)),
    promotion(bundle(Scope(products=(A,)), Scope(products=(B,)))),
    promotion(bundle(Scope(products=(A,))), scope=Scope(products=(A, B))),
    promotion(stacking=Stacking.GROUP, group="summer"),
    promotion(stacking=Stacking.EXCLUSIVE, priority=5),
    promotion(uses_max=10, uses_per_user_max=10),
    promotion(uses_per_user_max=3),
    promotion(starts_at=NOON, ends_at=NOON + timedelta(seconds=1)),
    promotion(scope=Scope(sellers=(SELLER, OTHER)), funding=Funding.SELLER),
]


@pytest.mark.parametrize("content", SOUND)
def test_what_is_sound_passes(content):
    assert fault_of(content) is None


FAULTS = [
    (promotion(AmountOff(Level.LINE, Money(0, "USD"))), "benefit.amount"),
    (promotion(PercentOff(Level.LINE, 100, Money(0, "USD"))), "benefit.cap"),
    (promotion(minimum_subtotal=Money(0, "USD")), "minimum_subtotal"),
    (promotion(starts_at=NOON, ends_at=NOON), "ends_at"),
    (promotion(starts_at=NOON, ends_at=NOON - timedelta(days=1)), "ends_at"),
    (promotion(ends_at=datetime(3000, 1, 1, tzinfo=UTC)), "ends_at"),
    (promotion(starts_at=datetime(1969, 12, 31, tzinfo=UTC)), "starts_at"),
    (promotion(stacking=Stacking.STACKABLE, group="summer"), "group"),
    (promotion(stacking=Stacking.EXCLUSIVE, group="summer"), "group"),
    (promotion(uses_max=2, uses_per_user_max=3), "uses_per_user_max"),
    (promotion(bundle(Scope(products=(A,))), scope=Scope(products=(B,))), "benefit.buy.products"),
    (promotion(bundle(get=Scope(variants=(A,))), scope=Scope(variants=(B,))), "benefit.get.variants"),
    (promotion(scope=Scope(sellers=(SELLER,))), "funding"),
    (promotion(bundle(get=Scope(sellers=(SELLER,)))), "funding"),
]


@pytest.mark.parametrize(("content", "path"), FAULTS)
def test_what_could_never_apply_or_nobody_agreed_to_pay_is_a_fault(content, path):
    fault = fault_of(content)
    assert fault is not None
    assert (fault.status, fault.code.value, fault.path) == (400, "invalid_request", path)


@pytest.mark.parametrize(
    ("content", "path"),
    [
        (promotion(FIVE_OFF, minimum_subtotal=Money(2_000, "EUR")), "minimum_subtotal"),
        (promotion(PercentOff(Level.LINE, 100, Money(1, "JPY")), minimum_subtotal=Money(1, "KWD")), "minimum_subtotal"),
    ],
)
def test_the_amounts_of_a_promotion_are_in_one_currency(content, path):
    fault = fault_of(content)
    assert fault is not None
    assert (fault.status, fault.code.value, fault.path) == (400, "currency_mismatch", path)


def test_a_seller_bears_its_own_promotions_and_names_no_other_seller():
    own = promotion(funding=Funding.SELLER)
    assert fault_of(own, SELLER) is None
    assert fault_of(promotion(funding=Funding.SELLER, scope=Scope(sellers=(SELLER,))), SELLER) is None
    faults = [
        (promotion(), "funding"),
        (promotion(funding=Funding.SELLER, scope=Scope(sellers=(OTHER,))), "scope.sellers"),
        (promotion(funding=Funding.SELLER, scope=Scope(sellers=(SELLER, OTHER))), "scope.sellers"),
        (promotion(bundle(Scope(sellers=(OTHER,))), funding=Funding.SELLER), "benefit.buy.sellers"),
        (promotion(bundle(get=Scope(sellers=(OTHER,))), funding=Funding.SELLER), "benefit.get.sellers"),
    ]
    for content, path in faults:
        fault = fault_of(content, SELLER)
        assert fault is not None
        assert (fault.status, fault.path) == (400, path)
