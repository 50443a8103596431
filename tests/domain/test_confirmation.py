"""Confirming orders that cost nothing, as laws: once, and only what is still held."""

from copy import deepcopy

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from domain import ids
from domain.journal.model import SYSTEM, Faulted, Rejected, Succeeded
from domain.orders.confirmation import decide, holds_of
from domain.orders.lifecycle import order_status
from domain.orders.model import ConfirmOrder, OrderStatus, Payment
from domain.orders.price import LineAmounts, Price, ShippingAmounts
from domain.rejections import Code
from tests.domain.strategies import claim, laws, make_id, open_orders


def _status(order):
    return order_status(order.payment, list(order.fulfilments.values()), expired=order.expired)


def _for_nothing(price):
    """The same lines and shipping, with everything taken off."""
    lines = {n: LineAmounts(0, 0, each.net_minor) for n, each in price.lines.items()}
    shipping = {n: ShippingAmounts(500, each.terms, 0, 500) for n, each in price.shipping.items()}
    return Price(lines, shipping, price.promotions)


@st.composite
def confirmations(draw):
    """Confirmations of up to three orders, most of which cost nothing, and whose holds mostly are there."""
    orders = {make_id(n): draw(open_orders(n)) for n in range(draw(st.integers(1, 3)))}
    for order in orders.values():
        if draw(st.integers(0, 3)):
            order.price = _for_nothing(order.price)
    holds = [hold for order in orders.values() for hold in holds_of(order)]
    held = {hold for hold in holds if draw(st.integers(0, 9))}
    known = [*orders, make_id(50)]
    commands = [claim(100 + n, ConfirmOrder(draw(st.sampled_from(known)))) for n in range(draw(st.integers(1, 6)))]
    return commands, orders, held


def _decide(commands, orders, held):
    """Decide on a copy: what the orders were before stays to compare with."""
    changed = deepcopy(orders)
    return decide(commands, changed, held), changed


@laws(150)
@given(confirmations())
def test_an_order_is_confirmed_if_it_waits_costs_nothing_and_is_held_whole(case):
    commands, orders, held = case
    plan, changed = _decide(commands, orders, held)
    confirmed = set(plan.versions)
    for order_id in {c.command.order_id for c in commands}:
        order = orders.get(order_id)
        waits = (
            order is not None
            and order.payment in {Payment.UNPAID, Payment.FAILED}
            and _status(order) is OrderStatus.PENDING_PAYMENT
        )
        right = waits and order.price.total_minor == 0 and set(holds_of(order)) <= held
        assert (order_id in confirmed) is bool(right)
        if right:
            assert changed[order_id].payment is Payment.PAID
            assert _status(changed[order_id]) in {OrderStatus.CONFIRMED, OrderStatus.COMPLETED}


@laws(100)
@given(confirmations())
def test_an_order_is_confirmed_once_and_then_refused(case):
    commands, orders, held = case
    plan, _ = _decide(commands, orders, held)
    done = [o.result.order_id for o in plan.outcomes if isinstance(o, Succeeded)]
    assert len(done) == len(set(done)) == len(plan.versions)
    for claimed, outcome in zip(commands, plan.outcomes, strict=True):
        if isinstance(outcome, Succeeded):
            assert outcome.result.order_id == claimed.command.order_id
        else:
            code = outcome.problem.code
            assert code is (Code.ORDER_STATE if claimed.command.order_id in orders else Code.NOT_FOUND)


@laws(100)
@given(confirmations())
def test_what_is_left_of_it_is_sold_and_nothing_else(case):
    commands, orders, held = case
    plan, _ = _decide(commands, orders, held)
    lines = {ids.child(o, ids.Kind.RESERVATION, n) for o in plan.versions for n in orders[o].price.lines}
    assert len(plan.reservations) == len(lines)
    assert set(plan.reservations) == lines <= held


@laws(100)
@given(confirmations())
def test_the_event_follows_on_and_tells_the_total(case):
    commands, orders, held = case
    plan, _ = _decide(commands, orders, held)
    assert [(e.stream, e.version) for e in plan.events] == list(plan.versions.items())
    for event in plan.events:
        assert event.version == orders[event.stream].version + 1
        assert (event.type, event.actor) == ("order.confirmed", SYSTEM)
        assert msgspec.json.decode(event.data)["total_minor"] == 0


@laws(100)
@given(confirmations(), st.data())
def test_a_decision_that_raises_parks_its_own_command_alone(case, data):
    commands, orders, held = case
    index = data.draw(st.integers(0, len(commands) - 1))
    poisoned = [*commands[:index], replace(commands[index], command=None), *commands[index + 1 :]]
    plan, _ = _decide(poisoned, orders, held)
    spared, _ = _decide(commands[:index] + commands[index + 1 :], orders, held)
    assert isinstance(plan.outcomes[index], Faulted)
    assert plan.outcomes[:index] + plan.outcomes[index + 1 :] == spared.outcomes
    assert (plan.versions, plan.events, plan.reservations) == (spared.versions, spared.events, spared.reservations)


@laws(20)
@given(open_orders(1, cancellable=True))
def test_units_whose_hold_has_run_out_may_be_somebody_elses_by_now(order):
    order.price = _for_nothing(order.price)
    plan, _ = _decide([claim(1, ConfirmOrder(order.id))], {order.id: order}, holds_of(order)[1:])
    (outcome,) = plan.outcomes
    assert isinstance(outcome, Rejected)
    assert "run out" in outcome.problem.detail
    assert (plan.versions, plan.reservations, plan.events) == ({}, [], [])
