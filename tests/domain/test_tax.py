"""Tax: which rate a line bears, and what it comes to."""

from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.money import MINOR_MAX
from domain.pricing.promotion_model import FreeShipping
from domain.pricing.tax import PPM, Destination, Percent, Tax, TaxRate, TaxRates, TaxTerms, ppm_of, tax_on
from tests.domain.pricing_builders import (
    BERLIN,
    book,
    category,
    flat,
    line,
    off_order,
    order,
    percent,
    priced,
    promotion,
)
from tests.domain.strategies import laws


def tax_rate(percent_="19", country="DE", *, inclusive=False, of=None, region=None, on_shipping=False):
    named = None if of is None else category(of)
    return TaxRate(country, percent_, inclusive, region, named, on_shipping)


def percent_on(*rates, at=BERLIN, path=(1, 2)):
    terms = TaxRates(rates).on_line(at, [category(n) for n in path])
    return None if terms is None else terms.rate_ppm / 10_000


def test_tax_that_is_not_included_is_added_rounded_once_for_each_line():
    version = priced(book(taxes=(tax_rate("7.5"),)), order(line(33, 2), line(10), destination=BERLIN))
    # 7.5 % of 66 is 4.95, of 10 it is 0.75.
    assert [each.tax for each in version.lines] == [Tax(5, 5), Tax(1, 1)]
    assert version.total_minor == 66 + 5 + 10 + 1


def test_tax_that_is_included_changes_no_total():
    version = priced(book(taxes=(tax_rate(inclusive=True),)), order(line(119), line(100), destination=BERLIN))
    # 100 hold 15.97.
    assert [each.tax for each in version.lines] == [Tax(19, 0), Tax(16, 0)]
    assert version.total_minor == 219


def test_tax_is_on_what_is_left_after_discounts():
    version = priced(book(promotion(off_order(100)), taxes=(tax_rate("10"),)), order(line(1_000), destination=BERLIN))
    assert (version.lines[0].tax, version.total_minor) == (Tax(90, 90), 990)


def test_a_half_of_a_minor_unit_is_rounded_up():
    assert tax_on(50, TaxTerms(10_000, inclusive=False)) == Tax(1, 1)
    assert tax_on(49, TaxTerms(10_000, inclusive=False)) == Tax(0, 0)
    assert tax_on(3, TaxTerms(PPM // 5, inclusive=True)) == Tax(1, 0)


def test_a_line_that_costs_nothing_bears_no_tax():
    version = priced(book(promotion(percent(10_000)), taxes=(tax_rate(),)), order(line(9), line(0), destination=BERLIN))
    assert [each.tax for each in version.lines] == [Tax(0, 0), Tax(0, 0)]


@pytest.mark.parametrize(("price", "expected"), [(105, 11), (1_15, 12), (1_005, 101)], ids=["JPY", "USD", "KWD"])
def test_tax_is_rounded_to_the_currencys_own_minor_unit(price, expected):
    version = priced(book(taxes=(tax_rate("10"),)), order(line(price), destination=BERLIN))
    assert version.total_minor == price + expected


def test_no_destination_no_tax():
    version = priced(book(taxes=(tax_rate(),)), order(line(100)))
    assert (version.lines[0].tax, version.lines[0].terms.tax) == (Tax(0, 0), None)


def test_the_rate_is_the_destinations():
    assert percent_on(tax_rate("20", "FR"), tax_rate("19")) == 19
    assert percent_on(tax_rate("20", "FR")) is None


def test_a_regions_rate_counts_before_its_countrys():
    rates = tax_rate("5"), tax_rate("6", region="Berlin"), tax_rate("7", region="Bayern")
    assert percent_on(*rates) == 6
    assert percent_on(*rates, at=Destination("DE", "Hessen")) == 5
    assert percent_on(*rates, at=Destination("DE")) == 5
    assert percent_on(*rates, at=Destination("FR", "Berlin")) is None


def test_regions_are_compared_without_regard_to_case():
    assert percent_on(tax_rate("6", region="BERLIN")) == 6
    assert percent_on(tax_rate("6", region="Berlin"), at=Destination("DE", "berlin")) == 6


def test_the_deepest_category_counts_and_a_rate_without_one_is_for_whatever_no_other_is_for():
    rates = tax_rate("19"), tax_rate("7", of=1), tax_rate("5", of=2)
    assert percent_on(*rates, path=(1, 2)) == 5
    assert percent_on(*rates, path=(1, 3)) == 7
    assert percent_on(*rates, path=(4,)) == percent_on(*rates, path=()) == 19


def test_a_countrys_rate_by_category_holds_where_the_region_has_none_for_the_line():
    rates = tax_rate("6", region="Berlin", of=9), tax_rate("7", of=1)
    assert percent_on(*rates) == 7
    assert percent_on(*rates, tax_rate("8", region="Berlin")) == 8


def test_a_rate_of_nothing_is_a_rate():
    assert percent_on(tax_rate("0", region="Berlin"), tax_rate("19")) == 0


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ((tax_rate("10", on_shipping=True),), 10),
        ((tax_rate("10"),), None),
        ((tax_rate("10", of=1, on_shipping=True),), None),
        ((tax_rate("10", on_shipping=True), tax_rate("5", region="Berlin", on_shipping=True)), 5),
        ((tax_rate("10", on_shipping=True), tax_rate("5", region="Berlin")), None),
        ((tax_rate("10", on_shipping=True), tax_rate("5", region="Berlin", of=1)), 10),
    ],
    ids=["charged", "not charged", "of a category", "the region's", "not in the region", "region has categories only"],
)
def test_shipping_is_taxed_where_a_rate_without_category_says_so(rates, expected):
    terms = TaxRates(rates).on_shipping(BERLIN)
    assert (None if terms is None else terms.rate_ppm / 10_000) == expected


def test_tax_on_shipping_is_on_what_is_charged_for_it():
    taxed = (tax_rate("10", on_shipping=True),)
    version = priced(book(taxes=taxed, shipping=flat(95)), order(line(100), destination=BERLIN))
    assert (version.shipping[0].tax, version.total_minor) == (Tax(10, 10), 110 + 105)
    free = book(promotion(FreeShipping()), taxes=taxed, shipping=flat(95))
    assert priced(free, order(line(100), destination=BERLIN)).shipping[0].tax == Tax(0, 0)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("0", 0), ("19", 190_000), ("8.875", 88_750), ("8.8750", 88_750), ("0.0001", 1), ("0.1", 1_000),
        ("99.9999", 999_999), ("100", 1_000_000), ("100.0000", 1_000_000),
    ],
)  # fmt: skip
def test_a_rate_is_a_percentage_with_at_most_four_decimals(written, expected):
    assert ppm_of(msgspec.convert(written, Percent)) == expected


@pytest.mark.parametrize(
    "written",
    [
        19, 19.0, "", ".5", "5.", "1e1", "0.00001", "100.0001", "101", "-0.1", "+1", "-0", "NaN", "sNaN", "Infinity",
        " 19", "19 ", "19\n", "1_0", "\N{FULLWIDTH DIGIT ONE}", "007", "19,5", "19%", "0" * 100,
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_no_such_percentage_is_not_read(written):
    """A number isn't, either: it may have passed through a float."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(written, Percent)


@laws(400)
@given(st.integers(0, MINOR_MAX), st.integers(0, PPM), st.booleans())
def test_tax_is_the_exact_share_rounded_and_is_added_or_held(amount, ppm, inclusive):
    tax = tax_on(amount, TaxTerms(ppm, inclusive))
    exact = Fraction(amount * ppm, PPM + ppm if inclusive else PPM)
    assert abs(tax.amount_minor - exact) <= Fraction(1, 2)
    assert 0 <= tax.amount_minor <= amount
    assert tax.added_minor == (0 if inclusive else tax.amount_minor)
