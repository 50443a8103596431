"""Asking to send units back, and what sellers say to it: units are counted by line, each goes back once."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.journal.model import Deferred, Rejected, Status, Succeeded
from domain.orders.cancellation import OpenOrder, Placing
from domain.orders.crediting import NOTHING, Credited
from domain.orders.fulfilment_model import Units
from domain.orders.model import Fulfilment, Payment
from domain.orders.price import LineAmounts, Price
from domain.orders.return_model import RETURN, DecideReturn, RequestReturn, ReturnState, ReturnStep
from domain.orders.returning import SentBack, decide, next_return, request
from domain.rejections import Code, Rejection
from tests.domain.strategies import claim, laws, make_id

ORDER = make_id(1)
MINE, OTHER = make_id(2), make_id(3)
NOW = datetime(2026, 3, 1, tzinfo=UTC)
MONTH = 30 * 86_400


def an_order(arrived=((NOW, 3),), credited=NOTHING):
    """An order of two sellers: line 0 of four units is the first one's, line 1 of two the other's."""
    order = OpenOrder(
        id=ORDER,
        buyer=make_id(4),
        currency="USD",
        payment=Payment.PAID,
        expired=False,
        version=5,
        price_version=1,
        price=Price({0: LineAmounts(4000), 1: LineAmounts(500)}, {}, []),
        sellers={0: MINE, 1: OTHER},
        fulfilments={MINE: Fulfilment.DELIVERED, OTHER: Fulfilment.DELIVERED},
        sold=True,
        quantities={0: 4, 1: 2},
        shipped={0: 4, 1: 2},
        credited={0: credited},
    )
    return SentBack(order, {0: list(arrived), 1: [(NOW, 2)]}, {})


def ask(known, *units, number=10, now=NOW):
    """Ask for units back; the plan."""
    command = RequestReturn(ORDER, tuple(Units(*each) for each in units), "Too small")
    return request([claim(number, command)], {ORDER: known}, {}, now, MONTH)


def refusal(plan):
    (outcome,) = plan.outcomes
    assert isinstance(outcome, Rejected), outcome
    return outcome.problem


def test_each_seller_is_asked_apart_and_told_of_by_an_event():
    known = an_order()
    plan = ask(known, (1, 2), (0, 1), (0, 1))
    assert [(made.seller_id, made.seller_no, made.lines) for made in plan.requested] == [
        (MINE, 0, {0: 2}),
        (OTHER, 1, {1: 2}),
    ]
    assert [(event.type, event.version) for event in plan.events] == [
        ("order.return_requested", 6),
        ("order.return_requested", 7),
    ]
    assert plan.versions == {ORDER: 7}


def test_a_return_has_the_same_id_whenever_its_command_runs():
    first, second = ask(an_order(), (0, 1)), ask(an_order(), (0, 1))
    assert [made.id for made in first.requested] == [made.id for made in second.requested]
    known = an_order()
    ask(known, (0, 1))
    assert refusal(ask(known, (0, 1))).code is Code.RETURN_STATE


def test_a_unit_may_be_sent_back_until_its_time_is_over():
    last = NOW + timedelta(seconds=MONTH)
    assert isinstance(ask(an_order(), (0, 3), now=last).outcomes[0], Succeeded)
    late = refusal(ask(an_order(), (0, 1), now=last + timedelta(microseconds=1)))
    assert (late.status, late.code, late.path) == (409, Code.UNITS_SHORT, "lines[0].quantity")
    # What arrived later may still be.
    known = an_order(arrived=[(NOW, 3), (last, 1)])
    assert known.units_left(0, last) == 1


def test_what_was_refunded_without_being_sent_back_is_not_asked_for():
    assert an_order(credited=Credited(2, 0)).units_left(0, NOW) == 1
    # Units that weren't shipped when they were refunded didn't arrive anyway.
    assert an_order(credited=Credited(1, 1)).units_left(0, NOW) == 3


def test_an_order_that_is_still_placed_is_waited_for():
    command = claim(10, RequestReturn(ORDER, (Units(0, 1),), "r"))
    assert request([command], {}, {}, NOW, MONTH).outcomes == [Deferred()]
    refused = request([command], {}, {ORDER: Placing(Status.CANCELLED)}, NOW, MONTH)
    assert refusal(refused).code is Code.ORDER_NOT_PLACED


@pytest.mark.parametrize("state", ReturnState)
@pytest.mark.parametrize("step", ReturnStep)
def test_every_step_in_every_state_leads_somewhere_or_is_a_409_that_says_what_may_be_done(state, step):
    new = next_return(state, step)
    if step in RETURN[state]:
        assert new is RETURN[state][step]
    else:
        assert isinstance(new, Rejection)
        assert (new.status, new.code) == (409, Code.RETURN_STATE)
        assert f"the return is {state.value}" in new.detail


@laws()
@given(st.data())
def test_no_more_goes_back_than_arrived_whatever_is_asked_answered_and_refunded(data: st.DataObject):
    arrived = [(NOW - timedelta(days=data.draw(st.integers(0, 40))), data.draw(st.integers(1, 2))) for _ in range(2)]
    known = an_order(arrived=arrived)
    total = sum(units for _, units in arrived)
    for number in range(data.draw(st.integers(1, 8))):
        match data.draw(st.sampled_from(["ask", "answer", "receive", "refund"])):
            case "ask":
                ask(known, (0, data.draw(st.integers(1, 3))), number=100 + number)
            case "answer" if known.returns:
                made = data.draw(st.sampled_from(list(known.returns.values())))
                decide([claim(200, DecideReturn(ORDER, made.id, data.draw(st.booleans())))], {ORDER: known})
            case "receive" if known.returns:
                made = data.draw(st.sampled_from(list(known.returns.values())))
                if made.state is ReturnState.APPROVED:
                    credited = known.order.credited[0].quantity
                    made.state, made.received = ReturnState.RECEIVED, {0: data.draw(st.integers(0, made.lines[0]))}
                    known.order.credited[0] = Credited(min(total, credited + made.received[0]))
            case "refund":
                known.order.credited[0] = Credited(min(total, known.order.credited[0].quantity + 1))
        taken = sum(made.taken(0) for made in known.returns.values())
        came = sum(made.received.get(0, 0) for made in known.returns.values())
        assert taken <= total
        left = known.units_left(0, NOW - timedelta(seconds=MONTH))
        assert 0 <= left <= total - taken
        assert left <= sum(units for at, units in arrived if at >= NOW - timedelta(seconds=MONTH))
        assert came <= total
