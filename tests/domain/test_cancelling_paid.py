"""Cancelling orders that were paid, as laws: what is given back, and what is taken back."""

from hypothesis import given

from tests.domain.strategies import cancellations, laws
from tests.domain.test_cancellation import CAPTURED, SOLD, decided


@laws(100)
@given(cancellations())
def test_what_was_paid_keeps_its_price_and_is_given_back_line_by_line(case):
    commands, orders = case
    plan, changed = decided(commands, orders)
    for order_id, order in orders.items():
        owed = [amount for o, amount, _ in plan.refunds if o == order_id]
        if order.payment not in CAPTURED:
            assert owed == []
            continue
        assert all(row[0] != order_id for row in plan.price_versions)
        assert sum(owed) == order.price.total_minor - changed[order_id].price.total_minor
        assert {paid for o, _, _, paid in plan.cancelled if o == order_id} <= {True}


@laws(100)
@given(cancellations())
def test_commission_is_taken_back_of_lines_whose_order_had_been_confirmed(case):
    commands, orders = case
    plan, _ = decided(commands, orders)
    sold = [(order, n, command) for order, n, command, _ in plan.cancelled if orders[order].payment in SOLD]
    assert [(r.order_id, r.line_no, r.cause_id) for r in plan.reversed] == sold
    assert {r.base_minor for r in plan.reversed} <= {None}
