"""Money: integers, rounded half up once, split without a remainder."""

from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from domain import money
from tests.domain.strategies import laws

amounts = st.integers(0, money.MINOR_MAX)
weights = st.lists(st.integers(0, 10**9), min_size=1, max_size=20)


@laws(300)
@given(st.integers(-(10**18), 10**18), st.integers(1, 10**9))
def test_rounding_is_half_up_as_decimal_does_it(numerator, denominator):
    # Digits enough that the division doesn't round before the rounding does.
    with localcontext(prec=60):
        expected = (Decimal(numerator) / Decimal(denominator)).quantize(Decimal(1), rounding=ROUND_HALF_UP)
    assert money.round_half_up(numerator, denominator) == int(expected)


@laws()
@given(st.integers(-(10**12), 10**12), st.integers(1, 10**6))
def test_a_half_goes_away_from_zero(whole, half):
    """``whole`` and a half, over any even denominator."""
    denominator = 2 * half
    numerator = whole * denominator + half
    expected = whole + 1 if whole >= 0 else whole
    assert money.round_half_up(numerator, denominator) == expected


@pytest.mark.parametrize("denominator", [0, -1])
def test_a_denominator_that_is_not_positive_is_refused(denominator):
    with pytest.raises(ValueError, match="positive"):
        money.round_half_up(1, denominator)


@laws()
@given(amounts, st.integers(0, 10_000))
def test_a_rates_share_is_within_half_a_minor_unit(amount, basis_points):
    share = money.share(amount, basis_points)
    assert abs(Fraction(share) - Fraction(amount * basis_points, 10_000)) <= Fraction(1, 2)
    assert 0 <= share <= amount


@laws(300)
@given(amounts, weights)
def test_the_parts_of_a_split_sum_exactly(amount, parts):
    assume(sum(parts) > 0)
    assert sum(money.split(amount, parts)) == amount


@laws(300)
@given(amounts, weights)
def test_each_part_is_its_fair_share_rounded_down_or_up(amount, parts):
    assume(sum(parts) > 0)
    total = sum(parts)
    for part, weight in zip(money.split(amount, parts), parts, strict=True):
        floor = amount * weight // total
        assert floor <= part <= floor + 1
        if weight == 0:
            assert part == 0


@laws(300)
@given(amounts, weights)
def test_the_largest_remainders_get_the_odd_units_ties_to_the_lowest_index(amount, parts):
    """The definition, slowly: hand out one unit at a time to the largest remainder that has none yet."""
    total = sum(parts)
    assume(total > 0)
    slow = [amount * weight // total for weight in parts]
    remainders = [Fraction(amount * weight % total, total) for weight in parts]
    while sum(slow) < amount:
        best = max(remainders)
        first = remainders.index(best)
        slow[first] += 1
        remainders[first] = Fraction(-1)
    assert money.split(amount, parts) == slow


def test_a_tie_goes_to_the_lowest_index():
    assert money.split(100, [1, 1, 1]) == [34, 33, 33]
    assert money.split(2, [1, 1, 1]) == [1, 1, 0]


@laws(200)
@given(st.integers(0, 10_000), st.lists(st.integers(1, 1_000), min_size=2, max_size=10))
def test_a_larger_weight_never_gets_a_smaller_part(amount, parts):
    ordered = sorted(parts, reverse=True)
    result = money.split(amount, ordered)
    assert result == sorted(result, reverse=True)


def test_only_nothing_can_be_split_over_no_weight():
    assert money.split(0, [0, 0]) == [0, 0]
    assert money.split(0, []) == []
    with pytest.raises(ValueError, match="no weight"):
        money.split(1, [0, 0])
    with pytest.raises(ValueError, match="negative"):
        money.split(-1, [1])
    with pytest.raises(ValueError, match="negative"):
        money.split(1, [1, -1])


@pytest.mark.parametrize(
    ("currency", "digits"),
    [("USD", 2), ("EUR", 2), ("BRL", 2), ("JPY", 0), ("KRW", 0), ("KWD", 3), ("BHD", 3), ("CLF", 4)],
)
def test_a_currency_has_its_own_exponent(currency, digits):
    assert money.exponent(currency) == digits


@pytest.mark.parametrize(
    "wire",
    [
        b'{"amount": 19.99, "currency": "USD"}',
        b'{"amount": "1999", "currency": "USD"}',
        b'{"amount": 1e3, "currency": "USD"}',
        b'{"amount": -1, "currency": "USD"}',
        b'{"amount": 1000000000000001, "currency": "USD"}',
        b'{"amount": 1, "currency": "usd"}',
        b'{"amount": 1, "currency": "USDT"}',
        b'{"amount": 1, "currency": "USD\\n"}',
        b'{"amount": 1}',
        b'{"amount": 1, "currency": "USD", "exponent": 2}',
    ],
)
def test_money_on_the_wire_is_whole_minor_units_of_a_currency(wire):
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(wire, type=money.Money)


def test_money_is_written_as_it_is_read():
    assert msgspec.json.encode(money.Money(1999, "USD")) == b'{"amount":1999,"currency":"USD"}'


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [(1999, "USD", "19.99 USD"), (5, "EUR", "0.05 EUR"), (1999, "JPY", "1999 JPY"), (-1050, "KWD", "-1.050 KWD")],
)
def test_an_amount_is_written_as_people_read_it(amount: int, currency: str, text: str):
    assert money.written(amount, currency) == text


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (1_234, "USD", "12.34"),
        (-5, "USD", "-0.05"),
        (0, "USD", "0.00"),
        (1_200, "JPY", "1200"),
        (-1_250, "KWD", "-1.250"),
    ],
)
def test_minor_units_are_written_as_a_decimal_of_the_major_unit(amount, currency, text):
    assert money.in_major(amount, currency) == text
