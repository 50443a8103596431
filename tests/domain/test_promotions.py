"""What each kind of promotion takes off which line, in exact amounts."""

import pytest

from domain.money import Money
from domain.pricing.promotion_model import AmountOff, FreeShipping, Funding, Level, PercentOff
from domain.pricing.promotions import Reason
from domain.pricing.scope import Scope
from tests.domain.pricing_builders import (
    BERLIN,
    NOW,
    book,
    bundle,
    category,
    discounts_of,
    flat,
    line,
    off_each,
    off_order,
    order,
    percent,
    percent_of_order,
    priced,
    product,
    promotion,
    reasons,
    rule,
    seller,
    thing,
    told,
    usd,
)


def test_a_percentage_of_lines_is_rounded_half_up_at_each_lines_total():
    # A tenth of 3 at 15 is 4.5, of one at 14 it is 1.4.
    assert discounts_of(line(15, 3), line(14), by=percent(1_000)) == [5, 1]


def test_a_percentage_of_lines_takes_at_most_its_cap_split_over_them():
    assert discounts_of(line(1_000), line(500), by=percent(5_000, cap=750)) == [500, 250]
    assert discounts_of(line(1_000), line(500), by=percent(5_000, cap=749)) == [499, 250]
    assert discounts_of(line(1_000), line(500), by=percent(5_000, cap=751)) == [500, 250]
    assert discounts_of(line(100), line(100), line(100), by=percent(10_000, cap=100)) == [34, 33, 33]


def test_a_percentage_of_the_order_is_rounded_once_and_spread_over_its_lines():
    # Each line's tenth would be 0.5, rounded 1; the order's is 1.5, rounded 2.
    assert discounts_of(line(5), line(5), line(5), by=percent_of_order(1_000)) == [1, 1, 0]
    assert discounts_of(line(5), line(5), line(5), by=percent(1_000)) == [1, 1, 1]


def test_a_percentage_of_the_order_takes_at_most_its_cap():
    assert discounts_of(line(1_000), line(500), by=percent_of_order(5_000, cap=600)) == [400, 200]


def test_an_amount_off_lines_is_for_each_unit_and_never_more_than_the_line():
    assert discounts_of(line(500, 3), line(100, 2), by=off_each(150)) == [450, 200]


def test_an_amount_off_the_order_is_spread_by_largest_remainder_ties_to_the_first_line():
    assert discounts_of(line(100), line(100), line(100), by=off_order(100)) == [34, 33, 33]
    assert discounts_of(line(999), line(1), line(1_000), by=off_order(3)) == [1, 0, 2]


def test_an_amount_off_the_order_is_spread_over_lines_never_over_units():
    # The lines get 5.25 and 1.75, rounded 5 and 2; four units would get 1.75 each, rounded 2, 2, 2 and 1.
    assert discounts_of(line(100, 3), line(100, number=1), by=off_order(7)) == [5, 2]


def test_an_amount_off_the_order_is_never_more_than_its_lines():
    assert discounts_of(line(100), line(50), by=off_order(1_000)) == [100, 50]


def test_an_order_discount_is_spread_on_what_is_left_of_the_lines():
    half_of_first = promotion(percent(5_000), 1, scope=Scope(products=(product(0),)))
    taken = discounts_of(line(1_000), line(500, number=1), by=(half_of_first, promotion(off_order(100), 2)))
    assert taken == [500 + 50, 50]


def test_all_that_is_taken_off_leaves_nothing_and_no_less():
    everything = promotion(percent(10_000), 1)
    version = priced(book(everything, promotion(off_each(1), 2)), order(line(700, 2)))
    assert (version.lines[0].net_minor, version.total_minor) == (0, 0)
    assert reasons(version) == {1: None, 2: Reason.NOTHING_TO_DISCOUNT}


def test_a_line_that_costs_nothing_is_left_alone():
    assert discounts_of(line(0), line(10), by=off_order(4)) == [0, 4]
    version = priced(book(promotion(percent(5_000))), order(line(0, 3)))
    assert reasons(version) == {1: Reason.NOTHING_TO_DISCOUNT}


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        (Scope(), [10, 10, 10]),
        (Scope(products=(product(1),)), [0, 10, 0]),
        (Scope(products=(product(0), product(1))), [10, 10, 0]),
        (Scope(variants=(thing("variant", 2),)), [0, 0, 10]),
        (Scope(sellers=(seller(1),)), [0, 10, 10]),
        (Scope(categories=(category(1),)), [10, 10, 0]),
        (Scope(categories=(category(2),)), [0, 10, 0]),
        (Scope(categories=(category(9),)), [0, 0, 0]),
        (Scope(categories=(category(1),), sellers=(seller(1),)), [0, 10, 0]),
    ],
    ids=["global", "product", "either product", "variant", "seller", "category", "subcategory", "other", "both"],
)
def test_a_scope_names_values_any_of_which_match_and_dimensions_all_of_which_must(scope, expected):
    lines = line(100, path=(1,)), line(100, number=1, of=1, path=(1, 2)), line(100, number=2, of=1, path=(3,))
    assert discounts_of(*lines, by=promotion(percent(1_000), scope=scope)) == expected


def test_a_sellers_own_promotion_is_for_that_sellers_lines_alone():
    lines = line(100), line(100, of=1)
    assert discounts_of(*lines, by=promotion(percent(1_000), made_by=seller(1))) == [0, 10]
    elsewhere = promotion(percent(1_000), made_by=seller(1), scope=Scope(sellers=(seller(0),)))
    assert discounts_of(*lines, by=elsewhere) == [0, 10]


def test_a_minimum_subtotal_counts_the_lines_in_scope_and_is_met_by_as_much():
    scope = Scope(products=(product(0),))
    lines = line(500, 2), line(10_000, number=1)
    met = promotion(percent(1_000), scope=scope, minimum_subtotal=usd(1_000))
    missed = promotion(percent(1_000), scope=scope, minimum_subtotal=usd(1_001))
    assert discounts_of(*lines, by=met) == [100, 0]
    assert reasons(priced(book(missed), order(*lines))) == {1: Reason.MINIMUM_SUBTOTAL_NOT_MET}


def test_a_minimum_quantity_counts_units_of_the_lines_in_scope():
    scope = Scope(categories=(category(1),))
    lines = line(100, 2, path=(1,)), line(100, 1, number=1, path=(1, 2)), line(100, 9, number=2)
    met = promotion(percent(1_000), scope=scope, minimum_quantity=3)
    missed = promotion(percent(1_000), scope=scope, minimum_quantity=4)
    assert discounts_of(*lines, by=met) == [20, 10, 0]
    assert reasons(priced(book(missed), order(*lines))) == {1: Reason.MINIMUM_QUANTITY_NOT_MET}


def test_a_minimum_is_tested_on_the_totals_as_they_run():
    first = promotion(percent(1_000), 1, priority=2)
    missed = promotion(percent(1_000), 2, priority=1, minimum_subtotal=usd(901))
    met = promotion(percent(1_000), 3, minimum_subtotal=usd(900))
    version = priced(book(missed, met, first), order(line(1_000)))
    assert reasons(version) == {1: None, 2: Reason.MINIMUM_SUBTOTAL_NOT_MET, 3: None}
    assert version.total_minor == 810


def test_free_shipping_takes_off_what_shipping_costs_and_no_more():
    version = priced(book(promotion(FreeShipping()), shipping=flat(590)), order(line(1_000), destination=BERLIN))
    (shipped,) = version.shipping
    assert (shipped.shipping.cost_minor, shipped.net_minor, version.total_minor) == (590, 0, 1_000)
    assert told(version, 1).shipping == ((seller(0), 590),)
    twice = book(promotion(FreeShipping()), promotion(FreeShipping(), 2), shipping=flat(590))
    version = priced(twice, order(line(1_000), destination=BERLIN))
    assert reasons(version) == {1: None, 2: Reason.NOTHING_TO_DISCOUNT}
    assert version.total_minor == 1_000


def test_free_shipping_is_for_the_seller_orders_with_a_line_in_scope():
    scoped = promotion(FreeShipping(), scope=Scope(products=(product(1),)))
    version = priced(
        book(scoped, shipping=flat(300)),
        order(line(100), line(100, number=1, of=1), line(100, number=2, of=1), destination=BERLIN),
    )
    assert [each.net_minor for each in version.shipping] == [300, 0]


def test_shipping_that_costs_nothing_needs_no_promotion():
    version = priced(book(promotion(FreeShipping()), shipping=flat(0)), order(line(100), destination=BERLIN))
    assert reasons(version) == {1: Reason.NOTHING_TO_DISCOUNT}


def test_each_share_of_a_discount_is_borne_by_who_funds_it():
    platforms = promotion(off_order(100), 1)
    sellers = promotion(percent(1_000), 2, funding=Funding.SELLER)
    (priced_line,) = priced(book(platforms, sellers), order(line(1_000))).lines
    assert (priced_line.seller_discount_minor, priced_line.platform_discount_minor) == (100, 100)
    assert priced_line.net_minor == 800


@pytest.mark.parametrize(
    "theirs",
    [
        promotion(percent(1_000), made_by=seller(0)),
        promotion(percent(1_000), scope=Scope(sellers=(seller(0), seller(1)))),
    ],
    ids=["made by the seller", "for sellers that are named"],
)
def test_what_is_scoped_to_sellers_is_funded_by_them_whatever_it_says(theirs):
    version = priced(book(theirs), order(line(1_000)))
    (priced_line,) = version.lines
    assert (priced_line.seller_discount_minor, priced_line.platform_discount_minor) == (100, 0)
    assert told(version, 1).funding is Funding.SELLER


def test_free_shipping_of_a_seller_is_borne_by_the_seller():
    theirs = promotion(FreeShipping(), made_by=seller(0))
    version = priced(
        book(theirs, promotion(FreeShipping(), 2), shipping=flat(50)),
        order(line(1), line(1, of=1), destination=BERLIN),
    )
    assert [(each.seller_discount_minor, each.platform_discount_minor) for each in version.shipping] == [
        (50, 0),
        (0, 50),
    ]


def test_what_applied_is_told_with_its_amount_for_each_line():
    version = priced(book(promotion(off_order(100))), order(line(0), line(300), line(100)))
    explained = told(version, 1)
    assert (explained.reason, explained.version, explained.title) == (None, 1, "Promotion 1")
    assert explained.lines == ((1, 75), (2, 25))
    assert (explained.shipping, explained.amount_minor) == ((), 100)


@pytest.mark.parametrize(
    ("currency", "price", "expected"),
    [("JPY", 105, 11), ("USD", 1_05, 11), ("KWD", 1_005, 101)],
)
def test_a_discount_is_rounded_to_the_currencys_own_minor_unit(currency, price, expected):
    version = priced(book(promotion(percent(1_000))), order(line(price), currency=currency))
    assert version.total_minor == price - expected


def test_a_promotion_with_amounts_is_for_orders_in_their_currency():
    yen = promotion(AmountOff(Level.ORDER, Money(100, "JPY")))
    assert reasons(priced(book(yen), order(line(1_000)))) == {1: Reason.OTHER_CURRENCY}
    assert priced(book(yen), order(line(1_000), currency="JPY")).total_minor == 900
    capped = promotion(PercentOff(Level.ORDER, 1_000, Money(100, "KWD")))
    assert reasons(priced(book(capped), order(line(1_000), currency="JPY"))) == {1: Reason.OTHER_CURRENCY}


def test_promotions_change_the_base_of_commission_only_where_the_seller_pays():
    sellers = promotion(percent(1_000), funding=Funding.SELLER)
    version = priced(book(sellers, promotion(percent(1_000), 2), rules=(rule(),)), order(line(1_000)), now=NOW)
    (priced_line,) = version.lines
    assert (priced_line.gross_minor - priced_line.seller_discount_minor, priced_line.net_minor) == (900, 810)


def test_a_promotion_that_covers_nothing_is_told_only_to_who_gave_its_code():
    other = promotion(percent(1_000), scope=Scope(products=(product(9),)))
    assert priced(book(other), order(line(1_000))).promotions == ()


def test_a_bundle_is_a_discount_of_lines_with_its_own_scope():
    scoped = promotion(bundle(1, 1), scope=Scope(sellers=(seller(0),)))
    assert discounts_of(line(100, 2), line(50, 2, of=1), by=scoped) == [100, 0]
