"""Buy X, get Y: by example, and against every way there is to make the sets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.pricing.bundles import Stock, discounted_units, sets_of
from domain.pricing.promotions import Reason
from domain.pricing.scope import Scope
from tests.domain.pricing_builders import (
    book,
    bundle,
    category,
    discounts_of,
    line,
    off_each,
    order,
    percent,
    priced,
    product,
    promotion,
    reasons,
)
from tests.domain.promotion_oracle import brute_force
from tests.domain.strategies import laws


def test_for_each_two_one_costs_nothing():
    assert [discounts_of(line(100, n), by=bundle(1, 1)) for n in range(1, 6)] == [[0], [100], [100], [200], [200]]


def test_three_for_two_counts_whole_sets_only():
    assert [discounts_of(line(100, n), by=bundle(2, 1))[0] for n in range(1, 7)] == [0, 0, 100, 100, 100, 200]


def test_the_cheapest_units_are_discounted():
    assert discounts_of(line(300), line(100), line(200), by=bundle(2, 1)) == [0, 100, 0]
    assert discounts_of(line(300, 2), line(100), line(200, 3), by=bundle(1, 1)) == [0, 100, 400]


def test_of_units_that_cost_the_same_those_of_the_first_line_are_discounted():
    assert discounts_of(line(100), line(100), line(100), by=bundle(2, 1)) == [100, 0, 0]


def test_a_unit_that_qualified_is_not_discounted():
    only_first = Scope(products=(product(0),))
    assert discounts_of(line(100), by=bundle(1, 1, buy_scope=only_first)) == [0]
    # The one unit that may qualify has to, though it is the cheapest.
    assert discounts_of(line(100), line(500, number=1), by=bundle(1, 1, buy_scope=only_first)) == [0, 500]


def test_sets_are_made_of_two_scopes():
    shoes, socks = Scope(categories=(category(1),)), Scope(categories=(category(2),))
    lines = line(5_000, 2, path=(1,)), line(400, 3, number=1, path=(2,)), line(100, number=2, path=(3,))
    assert discounts_of(*lines, by=bundle(1, 1, buy_scope=shoes, get_scope=socks)) == [0, 800, 0]
    assert discounts_of(*lines, by=bundle(1, 2, buy_scope=shoes, get_scope=socks)) == [0, 800, 0]


def test_more_sets_count_before_cheaper_units():
    # To make two sets the units of the first line, which alone may be bought, have to qualify; the dear ones are free.
    buys = Scope(products=(product(0),))
    assert discounts_of(line(10, 2), line(900, 2, number=1), by=bundle(1, 1, buy_scope=buys)) == [0, 1_800]


def test_a_bundle_happens_at_most_so_many_times():
    assert discounts_of(line(100, 10), by=bundle(1, 1, times=3)) == [300]
    assert discounts_of(line(100, 4), by=bundle(1, 1, times=3)) == [200]


def test_a_bundle_takes_percents_off_rounded_at_the_lines_total():
    assert discounts_of(line(101, 4), by=bundle(1, 1, off_bp=5_000)) == [101]
    assert discounts_of(line(101, 2), by=bundle(1, 1, off_bp=5_000)) == [51]


def test_units_cost_what_is_left_of_their_line():
    # After the percents a unit of the first line costs 90, one of the second 95.
    cheaper = promotion(percent(1_000), 1, priority=1, scope=Scope(products=(product(0),)))
    assert discounts_of(line(100), line(95, number=1), by=(cheaper, promotion(bundle(1, 1), 2))) == [10 + 90, 0]
    off_line = promotion(off_each(1), 1, priority=1)
    assert discounts_of(line(35, 3), by=(off_line, promotion(bundle(2, 1), 2))) == [3 + 34]


def test_a_unit_that_costs_nothing_is_the_cheapest():
    assert discounts_of(line(0), line(500), by=bundle(1, 1)) == [0, 0]
    version = priced(book(promotion(bundle(1, 1))), order(line(0), line(500)))
    assert reasons(version) == {1: Reason.NOTHING_TO_DISCOUNT}


def test_too_few_units_for_a_set_are_nothing_to_discount():
    assert reasons(priced(book(promotion(bundle(2, 1))), order(line(100, 2)))) == {1: Reason.NOTHING_TO_DISCOUNT}


@pytest.mark.parametrize(
    ("buy", "get", "times", "expected"),
    [(1, 1, None, 500_000), (3, 2, None, 200_000), (1, 1, 7, 7), (1_000_000, 1, None, 0), (999_999, 1, None, 1)],
)
def test_a_million_units_are_no_slower_than_one(buy, get, times, expected):
    assert sets_of([Stock(1_000_000, 10**9, buys=True, gets=True)], buy, get, times) == expected


_stocks = st.lists(
    st.tuples(
        st.integers(1, 4), st.sampled_from([0, 1, 2, 3, 100, 101]), st.sampled_from(["buys", "gets", "both", "none"])
    ),
    min_size=1,
    max_size=4,
)


def _made(stocks):
    return [
        Stock(units, worth, buys=may in {"buys", "both"}, gets=may in {"gets", "both"}) for units, worth, may in stocks
    ]


@laws(300)
@given(_stocks, st.integers(1, 3), st.integers(1, 3), st.sampled_from([None, None, 1, 2]))
def test_sets_and_discounted_units_are_those_of_brute_force(stocks, buy, get, times):
    lines = _made(stocks)
    sets, units = brute_force(lines, buy, get, times)
    assert sets_of(lines, buy, get, times) == sets
    assert discounted_units(lines, buy, get, times) == units


@laws(200)
@given(
    st.lists(st.tuples(st.integers(1, 10**6), st.integers(0, 10**12), st.integers(1, 3)), min_size=1, max_size=8),
    st.integers(1, 1_000),
    st.integers(1, 1_000),
    st.none() | st.integers(1, 100),
)
def test_whole_sets_are_discounted_and_enough_units_are_left_to_qualify(stocks, buy, get, times):
    lines = [Stock(units, worth, buys=bool(may & 1), gets=bool(may & 2)) for units, worth, may in stocks]
    sets, units = sets_of(lines, buy, get, times), discounted_units(lines, buy, get, times)
    assert sum(units) == sets * get
    assert times is None or sets <= times
    assert all(0 <= taken <= (each.units if each.gets else 0) for each, taken in zip(lines, units, strict=True))
    left = sum(each.units - taken for each, taken in zip(lines, units, strict=True) if each.buys)
    assert left >= sets * buy
