"""What is given back of lines unit by unit, as laws."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.orders.crediting import NOTHING, Credited, Parts, credit_units, line_credit, whole_line
from domain.orders.price import LineAmounts
from tests.domain.strategies import laws, make_id

amounts = st.integers(0, 10**12)
lines = st.builds(
    lambda net, seller, platform, tax, added: LineAmounts(net, seller, platform, tax, tax if added else 0),
    amounts,
    amounts,
    amounts,
    amounts,
    st.booleans(),
)


@laws(300)
@given(lines, st.lists(st.integers(1, 50), min_size=1, max_size=8))
def test_units_given_back_in_any_parts_come_to_exactly_the_whole(line: LineAmounts, steps: list[int]):
    quantity, done, total = sum(steps), NOTHING, Parts()
    for number, units in enumerate(steps):
        after = credit_units(line, quantity, done, units, 0)
        credit = line_credit(make_id(1), 0, make_id(number), before=done, after=after)
        assert credit.quantity == units
        assert min(credit.parts.net_minor, credit.parts.tax_minor, credit.parts.platform_discount_minor) >= 0
        total = Parts(
            total.net_minor + credit.parts.net_minor,
            total.platform_discount_minor + credit.parts.platform_discount_minor,
            total.tax_minor + credit.parts.tax_minor,
            total.added_tax_minor + credit.parts.added_tax_minor,
        )
        done = after
    assert total == whole_line(line) == done.parts


@laws(100)
@given(lines, st.integers(1, 100), st.data())
def test_of_some_units_their_share_rounded_half_up_is_given_back(line: LineAmounts, quantity: int, data: st.DataObject):
    units = data.draw(st.integers(1, quantity))
    parts = credit_units(line, quantity, NOTHING, units, 0).parts
    assert abs(parts.net_minor * quantity - line.net_minor * units) * 2 <= quantity
    assert abs(parts.tax_minor * quantity - line.tax_minor * units) * 2 <= quantity


@pytest.mark.parametrize(("done", "units"), [(NOTHING, 4), (Credited(3), 1), (NOTHING, 0)])
def test_more_units_than_are_left_are_an_error(done: Credited, units: int):
    with pytest.raises(ValueError, match="of 3 units"):
        credit_units(LineAmounts(100), 3, done, units, 0)
