"""Accepting, shipping and delivering seller orders: units are counted by line, each is shipped once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.journal.model import Rejected, Succeeded
from domain.orders.fulfilment import SHIPPABLE, FulfilledOrder, Part, decide, fulfilment_after, units_left
from domain.orders.fulfilment_model import AcceptSellerOrder, DeliverSellerOrder, ShipSellerOrder, Units
from domain.orders.lifecycle import FULFILMENT, FulfilmentStep
from domain.orders.model import Fulfilment, OrderStatus, Payment
from domain.rejections import Code
from tests.domain.strategies import claim, laws, make_id

ORDER = make_id(1)
MINE, OTHER = make_id(2), make_id(3)
AWAITING, PROCESSING, PARTLY, SHIPPED = (
    Fulfilment.AWAITING,
    Fulfilment.PROCESSING,
    Fulfilment.PARTLY_SHIPPED,
    Fulfilment.SHIPPED,
)


def an_order(fulfilment=PROCESSING, payment=Payment.PAID, *, expired=False, **part):
    """An order of two sellers; the first one has lines 0 and 2, of three units and of one."""
    mine = Part(MINE, fulfilment, {0: 3, 2: 1}, **part)
    return FulfilledOrder(ORDER, payment, expired, 5, {0: mine, 1: Part(OTHER, AWAITING, {1: 2})})


def run(order, *commands):
    return decide([claim(10 + n, command) for n, command in enumerate(commands)], {ORDER: order})


def ship(*units, **more):
    return ShipSellerOrder(ORDER, 0, tuple(Units(*each) for each in units) or None, **more)


def refusal(plan):
    """Why the last command was refused."""
    assert isinstance(plan.outcomes[-1], Rejected), plan.outcomes
    return plan.outcomes[-1].problem


def kinds(plan):
    return [event.type for event in plan.events]


def test_an_accepted_seller_order_is_worked_on():
    plan = run(an_order(AWAITING), AcceptSellerOrder(ORDER, 0, "in stock"))
    assert plan.fulfilments == {(ORDER, MINE): PROCESSING}
    assert kinds(plan) == ["order.accepted"]
    assert b'"reason":"in stock"' in plan.events[0].data.encode()
    assert (plan.events[0].version, plan.versions) == (6, {ORDER: 6})


@pytest.mark.parametrize("payment", [p for p in Payment if p not in SHIPPABLE])
@pytest.mark.parametrize("command", [AcceptSellerOrder(ORDER, 0), ship()])
def test_what_is_not_paid_is_neither_accepted_nor_shipped(payment, command):
    problem = refusal(run(an_order(AWAITING, payment), command))
    assert (problem.status, problem.code) == (409, Code.ORDER_STATE)
    assert payment.value in problem.detail


def test_an_expired_order_is_not_shipped():
    assert "expired" in refusal(run(an_order(expired=True), ship())).detail


@pytest.mark.parametrize("fulfilment", [f for f in Fulfilment if FulfilmentStep.SHIP not in FULFILMENT[f]])
def test_a_seller_order_in_another_state_is_not_shipped_and_the_refusal_says_what_may_be_done(fulfilment):
    problem = refusal(run(an_order(fulfilment), ship()))
    assert (problem.status, problem.code) == (409, Code.ORDER_STATE)
    assert fulfilment.value.replace("_", " ") in problem.detail or "cancelled" in problem.detail


def test_shipping_needs_accepting_first():
    assert "it may be accepted" in refusal(run(an_order(AWAITING), ship())).detail


def test_a_part_that_is_not_there_is_a_404():
    assert refusal(run(an_order(), AcceptSellerOrder(ORDER, 7))).status == 404
    assert refusal(run(an_order(), AcceptSellerOrder(make_id(99), 0))).status == 404


def test_without_lines_all_that_is_left_is_shipped():
    plan = run(an_order(shipped={0: 1}, withdrawn={0: 1}, arrived={make_id(8): True}), ship(tracking="T1"))
    (shipment,) = plan.shipments
    assert shipment.lines == (Units(0, 1), Units(2, 1))
    assert (shipment.id, shipment.seller_id, shipment.carrier, shipment.tracking) == (make_id(10), MINE, "manual", "T1")
    assert plan.fulfilments == {(ORDER, MINE): SHIPPED}
    assert plan.outcomes[0].result.left == ()


def test_a_seller_order_is_partly_shipped_until_nothing_is_left():
    order = an_order()
    plan = run(order, ship((0, 2)), ship((0, 1)), ship((2, 1)))
    assert [outcome.result.fulfilment for outcome in plan.outcomes] == [PARTLY, PARTLY, SHIPPED]
    assert plan.outcomes[0].result.left == (Units(0, 1), Units(2, 1))
    assert [event.version for event in plan.events] == [6, 7, 8]


def test_units_of_a_line_named_twice_are_added_up():
    plan = run(an_order(), ship((0, 1), (0, 1)))
    assert plan.shipments[0].lines == (Units(0, 2),)
    assert refusal(run(an_order(), ship((0, 2), (0, 2)))).path == "lines[1]"


def test_too_many_units_are_refused_with_the_number_left():
    problem = refusal(run(an_order(withdrawn={0: 1}), ship((0, 3))))
    assert (problem.status, problem.code, problem.path) == (409, Code.UNITS_SHORT, "lines[0]")
    assert "2 units are left" in problem.detail


@pytest.mark.parametrize("line", [1, 9])
def test_a_line_of_another_seller_is_unknown(line):
    problem = refusal(run(an_order(), ship((0, 1), (line, 1))))
    assert (problem.status, problem.code, problem.path) == (422, Code.UNKNOWN_LINE, "lines[1]")


def test_a_cancelled_line_is_not_shipped():
    plan = run(an_order(cancelled={0}), ship())
    assert plan.shipments[0].lines == (Units(2, 1),)
    assert refusal(run(an_order(cancelled={0}), ship((0, 1)))).code is Code.UNITS_SHORT


def test_a_refused_shipment_changes_nothing():
    order = an_order()
    plan = run(order, ship((0, 9)))
    assert (plan.shipments, plan.events, plan.fulfilments, order.version) == ([], [], {}, 5)


def test_shipping_has_what_was_authorized_captured_once():
    plan = run(an_order(payment=Payment.AUTHORIZED), ship((0, 1)), ship())
    assert list(plan.uncaptured) == [ORDER]
    assert run(an_order(), ship()).uncaptured == {}


def test_a_shipment_is_made_once():
    order = an_order()
    assert isinstance(run(order, ship((0, 1))).outcomes[0], Succeeded)
    assert refusal(run(order, ship((0, 1)))).code is Code.ORDER_STATE


def test_a_seller_order_is_delivered_when_all_its_shipments_have_arrived():
    order = an_order()
    first, second = (s.id for s in run(order, ship((0, 3)), ship((2, 1))).shipments)
    plan = run(order, DeliverSellerOrder(ORDER, 0, first))
    assert (plan.arrived, kinds(plan), plan.delivered) == ([first], ["order.shipment_delivered"], [])
    plan = run(order, DeliverSellerOrder(ORDER, 0))
    assert (plan.arrived, plan.delivered) == ([second], [(ORDER, 0)])
    assert kinds(plan) == ["order.shipment_delivered", "order.delivered"]
    assert plan.fulfilments == {(ORDER, MINE): Fulfilment.DELIVERED}


def test_an_order_is_completed_when_all_its_parts_have_arrived():
    order = an_order(SHIPPED, arrived={make_id(8): False})
    order.parts[1].fulfilment = Fulfilment.CANCELLED
    assert run(order, DeliverSellerOrder(ORDER, 0)).outcomes[0].result.status is OrderStatus.COMPLETED


def test_what_arrives_of_a_partly_shipped_seller_order_leaves_it_so():
    plan = run(an_order(PARTLY, shipped={0: 1}, arrived={make_id(8): False}), DeliverSellerOrder(ORDER, 0))
    assert plan.outcomes[0].result.fulfilment is PARTLY
    assert plan.fulfilments == {}


def test_a_shipment_arrives_once_and_whatever_became_of_the_payment():
    order = an_order(SHIPPED, Payment.REFUNDED, shipped={0: 3, 2: 1}, arrived={make_id(8): False})
    assert isinstance(run(order, DeliverSellerOrder(ORDER, 0, make_id(8))).outcomes[0], Succeeded)
    assert refusal(run(order, DeliverSellerOrder(ORDER, 0, make_id(8)))).status == 409
    assert refusal(run(order, DeliverSellerOrder(ORDER, 0))).status == 409
    assert refusal(run(order, DeliverSellerOrder(ORDER, 0, make_id(9)))).code is Code.UNKNOWN_SHIPMENT


@pytest.mark.parametrize("fulfilment", [AWAITING, PROCESSING, PARTLY, Fulfilment.CANCELLED])
def test_nothing_arrives_that_was_not_sent(fulfilment):
    assert refusal(run(an_order(fulfilment), DeliverSellerOrder(ORDER, 0))).code is Code.ORDER_STATE


def test_cancelling_what_had_not_been_shipped_leaves_the_rest_shipped_or_delivered():
    lines, sent, gone = {0: 3, 1: 2}, {0: 3}, {1}
    assert fulfilment_after(PARTLY, lines, sent, {}, gone, all_arrived=False) is SHIPPED
    assert fulfilment_after(PARTLY, lines, sent, {}, gone, all_arrived=True) is Fulfilment.DELIVERED
    assert fulfilment_after(PARTLY, lines, {0: 1}, {0: 2}, gone, all_arrived=False) is SHIPPED
    assert fulfilment_after(PARTLY, lines, {0: 1}, {0: 1}, gone, all_arrived=True) is PARTLY
    assert fulfilment_after(PROCESSING, lines, {}, {}, gone, all_arrived=True) is PROCESSING
    assert fulfilment_after(PROCESSING, lines, {}, {0: 3}, gone, all_arrived=True) is Fulfilment.CANCELLED
    assert fulfilment_after(Fulfilment.RETURNED, lines, sent, {}, gone, all_arrived=True) is Fulfilment.RETURNED


UNITS = st.dictionaries(st.integers(0, 3), st.integers(0, 4), max_size=4)


@laws(200)
@given(
    st.lists(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3)), max_size=3), max_size=6),
    UNITS,
    UNITS,
    st.sets(st.integers(0, 3)),
)
def test_no_unit_is_shipped_twice_and_none_that_was_withdrawn(shipments, quantities, withdrawn, cancelled):
    lines = {n: q for n, q in quantities.items() if q}
    gone = {n: min(units, lines[n]) for n, units in withdrawn.items() if n in lines}
    part = Part(MINE, PROCESSING, lines, gone, cancelled)
    order = FulfilledOrder(ORDER, Payment.PAID, expired=False, version=1, parts={0: part})
    plan = run(order, *(ship(*units) for units in shipments))
    sent: dict[int, int] = {}
    for shipment in plan.shipments:
        for units in shipment.lines:
            sent[units.line_no] = sent.get(units.line_no, 0) + units.quantity
    assert all(n not in cancelled and sent[n] + gone.get(n, 0) <= lines[n] for n in sent)
    if sent:
        left = units_left(lines, sent, gone, cancelled)
        assert part.fulfilment is (PARTLY if left else SHIPPED)
    assert [event.version for event in plan.events] == list(range(2, 2 + len(plan.events)))
