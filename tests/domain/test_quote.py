"""What an order comes to as a whole, in exact amounts; and when it comes to nothing or to too much."""

import pytest

from domain.money import MINOR_MAX
from domain.pricing.contest import no_usage
from domain.pricing.promotion_model import FreeShipping, Funding
from domain.pricing.quote import quote
from domain.pricing.scope import Scope
from domain.pricing.tax import TaxRate
from domain.rejections import Code, Rejection
from tests.domain.pricing_builders import (
    BERLIN,
    NOW,
    book,
    bundle,
    category,
    code,
    flat,
    line,
    off_order,
    order,
    percent,
    priced,
    product,
    promotion,
    rule,
    seller,
    thing,
    told,
)

VAT = TaxRate("DE", "10", inclusive=False, on_shipping=True)


def test_without_any_rules_an_order_costs_what_its_lines_do():
    version = priced(book(), order(line(650, 2), line(0), line(1_999, of=1)))
    assert ([each.net_minor for each in version.lines], version.total_minor) == ([1_300, 0, 1_999], 3_299)
    assert version.promotions == ()


def test_an_order_without_lines_comes_to_nothing():
    rules = book(promotion(off_order(100)), promotion(FreeShipping(), 2), taxes=(VAT,), shipping=flat(500))
    version = priced(rules, order(destination=BERLIN))
    assert (version.lines, version.shipping, version.promotions, version.total_minor) == ((), (), (), 0)


def test_everything_together_on_one_order():
    rules = book(
        promotion(bundle(1, 1), 1, priority=1, scope=Scope(products=(product(0),))),
        promotion(percent(1_000), 2, funding=Funding.SELLER),
        promotion(off_order(100), 3, automatic=False),
        promotion(FreeShipping(), 4, made_by=seller(1)),
        rules=(rule(1), rule(2, scope=Scope(categories=(category(1),)))),
        taxes=(VAT,),
        shipping=flat(290),
    )
    asked = order(line(500, 3), line(1_000, 1, 1, of=1, path=(1,)), codes=[code("HUNDRED", 3)], destination=BERLIN)
    version = priced(rules, asked)
    # 1500 - 500 - 100 = 900 and 1000 - 100 = 900; then 50 off each.
    assert [told(version, n).lines for n in (1, 2, 3)] == [((0, 500),), ((0, 100), (1, 100)), ((0, 50), (1, 50))]
    assert [(each.net_minor, each.tax.added_minor) for each in version.lines] == [(850, 85), (850, 85)]
    assert [(each.seller_discount_minor, each.platform_discount_minor) for each in version.lines] == [
        (100, 550),
        (100, 50),
    ]
    assert [(each.seller_id, each.net_minor, each.tax.added_minor) for each in version.shipping] == [
        (seller(0), 290, 29),
        (seller(1), 0, 0),
    ]
    assert [each.terms.commission.rule_id for each in version.lines] == [thing("rule", 1), thing("rule", 2)]
    assert version.total_minor == 850 + 85 + 850 + 85 + 290 + 29


def test_seller_orders_stand_in_the_order_of_their_first_lines():
    version = priced(book(shipping=flat(1)), order(line(1, of=2), line(1), line(1, of=2), destination=BERLIN))
    assert [each.seller_id for each in version.shipping] == [seller(2), seller(0)]


def test_an_order_may_come_to_as_much_as_money_can_say():
    assert priced(book(), order(line(MINOR_MAX))).total_minor == MINOR_MAX
    half = promotion(percent(5_000))
    assert priced(book(half), order(line(MINOR_MAX // 2, 2))).total_minor == MINOR_MAX // 2


@pytest.mark.parametrize(
    ("rules", "lines"),
    [
        (book(), (line(MINOR_MAX), line(1))),
        (book(), (line(MINOR_MAX, 2),)),
        (book(promotion(percent(10_000))), (line(MINOR_MAX, 2),)),
        (book(taxes=(VAT,)), (line(MINOR_MAX),)),
        (book(shipping=flat(1)), (line(MINOR_MAX),)),
    ],
    ids=["lines", "units", "before discounts", "with tax", "with shipping"],
)
def test_an_order_that_comes_to_more_is_refused(rules, lines):
    rejection = quote(order(*lines, destination=BERLIN), rules, no_usage(), NOW)
    assert isinstance(rejection, Rejection)
    assert (rejection.status, rejection.code, rejection.path) == (422, Code.AMOUNT_TOO_LARGE, "lines")
