"""Cancelling orders, as laws: each command sees what the ones before it decided."""

from collections import Counter
from copy import deepcopy

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from domain import ids
from domain.journal.model import Deferred, Faulted, Rejected, Status, Succeeded
from domain.orders.cancellation import OpenOrder, Placing, decide
from domain.orders.lifecycle import order_status
from domain.orders.model import CancelOrder, Fulfilment, OrderStatus, Payment
from domain.orders.price import LineAmounts, Price
from domain.rejections import Code, Rejection
from tests.domain.strategies import cancellations, claim, laws, make_id, open_orders


def decided(commands, orders, placings=None):
    """Decide on a copy: what the orders were before stays to compare with."""
    changed = deepcopy(orders)
    return decide(commands, changed, placings or {}), changed


def _rows(plan):
    return (
        plan.cancelled,
        plan.price_versions,
        plan.fulfilments,
        plan.credits,
        plan.shipping_credits,
        plan.versions,
        plan.left,
        plan.released,
        plan.returned,
        plan.events,
        plan.freed,
        plan.refunds,
        plan.voids,
        plan.reversed,
    )


CAPTURED = {Payment.PAID, Payment.PARTIALLY_REFUNDED, Payment.REFUNDED}
SOLD = CAPTURED | {Payment.AUTHORIZED, Payment.VOIDED}


@laws(100)
@given(cancellations())
def test_each_outcome_belongs_to_its_command(case):
    commands, orders = case
    plan, _ = decided(commands, orders)
    assert len(plan.outcomes) == len(commands)
    for claimed, outcome in zip(commands, plan.outcomes, strict=True):
        if isinstance(outcome, Succeeded):
            mine = {(order, n) for order, n, command, _ in plan.cancelled if command == claimed.id}
            assert mine == {(claimed.command.order_id, n) for n in outcome.result.cancelled_lines}


@laws(100)
@given(cancellations())
def test_a_line_is_cancelled_once(case):
    commands, orders = case
    plan, _ = decided(commands, orders)
    gone = Counter((order, n) for order, n, _, _ in plan.cancelled)
    assert all(count == 1 for count in gone.values())
    assert all(n in orders[order].price.lines for order, n in gone)


@laws(100)
@given(cancellations())
def test_what_promotions_take_off_what_is_left_is_told_of_each_that_is(case):
    commands, orders = case
    plan, changed = decided(commands, orders)
    touched = set(plan.left)
    expected = {
        (order, part.promotion_id): sum(amount for _, amount in (*part.lines, *part.shipping))
        for order in touched
        for part in changed[order].price.promotions
    }
    assert plan.redeemed == expected
    assert not set(plan.freed) & set(expected)


@laws(100)
@given(cancellations())
def test_what_is_left_and_costs_nothing_is_to_be_confirmed(case):
    commands, orders = case
    plan, changed = decided(commands, orders)
    touched = dict.fromkeys(order for order, _, _ in plan.price_versions)
    waiting = [order for order in touched if changed[order].payment not in SOLD]
    left = {order: changed[order].price for order in waiting if changed[order].price.lines}
    assert plan.free == [order for order, price in left.items() if price.total_minor == 0]


@laws(100)
@given(cancellations())
def test_other_lines_keep_their_amounts(case):
    commands, orders = case
    plan, _ = decided(commands, orders)
    for order, price in [(row[0], row[2]) for row in plan.price_versions] + list(plan.left.items()):
        before = orders[order].price
        assert price.lines == {n: before.lines[n] for n in price.lines}
        assert price.shipping == {n: before.shipping[n] for n in price.shipping}
        lines = sum(a.net_minor + a.added_tax_minor for a in price.lines.values())
        assert price.total_minor == lines + sum(a.charged_minor for a in price.shipping.values())


@laws(100)
@given(cancellations())
def test_shipping_is_charged_as_long_as_a_line_of_its_seller_is_left(case):
    commands, orders = case
    _, changed = decided(commands, orders)
    for order_id, order in orders.items():
        numbers = {seller: n for n, seller in enumerate(order.fulfilments)}
        left = {numbers[order.sellers[n]] for n in changed[order_id].price.lines}
        if changed[order_id].price != order.price:
            assert set(changed[order_id].price.shipping) == set(order.price.shipping) & left


@laws(100)
@given(cancellations())
def test_the_use_of_a_promotion_comes_back_once_when_nothing_of_it_is_left(case):
    commands, orders = case
    plan, changed = decided(commands, orders)
    assert len(plan.freed) == len(set(plan.freed))
    for order_id, order in orders.items():
        had = {part.promotion_id for part in order.price.applied}
        has = {part.promotion_id for part in changed[order_id].price.applied}
        assert {promotion for o, promotion in plan.freed if o == order_id} == had - has


@laws(100)
@given(cancellations())
def test_price_versions_count_up_one_for_each_cancellation(case):
    commands, orders = case
    plan, changed = decided(commands, orders)
    for order_id, order in orders.items():
        versions = [row for row in plan.price_versions if row[0] == order_id]
        first = order.price_version + 1
        assert [row[1] for row in versions] == list(range(first, first + len(versions)))
        if versions:
            assert versions[-1][2] == changed[order_id].price


@laws(100)
@given(cancellations())
def test_each_cancellation_is_one_event_of_its_order(case):
    commands, orders = case
    plan, _ = decided(commands, orders)
    done = [c for c, outcome in zip(commands, plan.outcomes, strict=True) if isinstance(outcome, Succeeded)]
    assert [(e.stream, e.actor, e.correlation) for e in plan.events] == [
        (c.command.order_id, c.principal, c.correlation) for c in done
    ]
    for order_id, order in orders.items():
        mine = [event.version for event in plan.events if event.stream == order_id]
        assert mine == list(range(order.version + 1, order.version + 1 + len(mine)))
        assert plan.versions.get(order_id, order.version) == order.version + len(mine)
    for claimed, event in zip(done, plan.events, strict=True):
        data = msgspec.json.decode(event.data)
        assert data["reason"] == claimed.command.reason
        before = orders[event.stream]
        if before.payment in CAPTURED:
            continue
        version = next(
            row
            for row in plan.price_versions
            if row[0] == event.stream and row[1] - before.price_version == event.version - before.version
        )
        assert (event.type == "order.cancelled") == (version[2].lines == {})
        assert (data["total_minor"], data["refund_minor"]) == (version[2].total_minor, 0)


@laws(100)
@given(cancellations(cancellable=True))
def test_cancelling_whole_empties_the_order(case):
    commands, orders = case
    whole = [c for c in commands if c.command.lines is None]
    plan, changed = decided(whole, orders)
    for order_id in {c.command.order_id for c in whole}:
        assert changed[order_id].price.lines == {}
        last = [row for row in plan.price_versions if row[0] == order_id][-1]
        assert (last[2].lines, last[2].shipping, last[2].promotions, last[2].total_minor) == ({}, {}, [], 0)
        status = order_status(changed[order_id].payment, list(changed[order_id].fulfilments.values()), expired=False)
        assert status is OrderStatus.CANCELLED
    results = [outcome.result for outcome in plan.outcomes if isinstance(outcome, Succeeded)]
    assert all(result.status is OrderStatus.CANCELLED and result.total.amount == 0 for result in results)
    assert len(results) == len({c.command.order_id for c in whole})


@laws(100)
@given(cancellations())
def test_a_seller_order_is_cancelled_when_its_last_line_goes(case):
    commands, orders = case
    plan, changed = decided(commands, orders)
    for order_id, order in orders.items():
        had = {order.sellers[n] for n in order.price.lines}
        has = {order.sellers[n] for n in changed[order_id].price.lines}
        assert {seller for o, seller in plan.fulfilments if o == order_id} == had - has
        for seller in had - has:
            assert changed[order_id].fulfilments[seller] is Fulfilment.CANCELLED
        for seller in has:
            assert changed[order_id].fulfilments[seller] is order.fulfilments[seller]


@laws(100)
@given(cancellations())
def test_each_cancelled_line_gives_its_reservation_back_in_the_name_of_who_cancelled(case):
    commands, orders = case
    plan, _ = decided(commands, orders)
    principals = {c.id: c.principal for c in commands}
    sold, held = {}, {}
    for order, n, command, _ in plan.cancelled:
        which = sold if orders[order].payment in SOLD else held
        which[ids.child(order, ids.Kind.RESERVATION, n)] = principals[command]
    assert (plan.returned, plan.released) == (sold, held)


@laws(100)
@given(cancellations())
def test_a_refused_cancellation_changes_nothing(case):
    commands, orders = case
    plan, changed = decided(commands, orders)
    done = [c for c, outcome in zip(commands, plan.outcomes, strict=True) if isinstance(outcome, Succeeded)]
    spared, same = decided(done, orders)
    assert _rows(plan) == _rows(spared)
    assert changed == same
    for order_id in set(orders) - {c.command.order_id for c in done}:
        assert changed[order_id] == orders[order_id]


@laws(100)
@given(cancellations(), st.data())
def test_commands_of_different_orders_do_not_meet(case, data):
    """Moving the commands of one order past those of the others changes no outcome."""
    commands, orders = case
    plan, _ = decided(commands, orders)
    outcomes = {c.id: o for c, o in zip(commands, plan.outcomes, strict=True)}
    order = data.draw(st.permutations(sorted({c.command.order_id for c in commands})))
    regrouped = sorted(commands, key=lambda c: order.index(c.command.order_id))
    again, _ = decided(regrouped, orders)
    assert {c.id: o for c, o in zip(regrouped, again.outcomes, strict=True)} == outcomes


@laws(100)
@given(cancellations(cancellable=True))
def test_a_slow_model_agrees(case):
    """The model: an order is the set of lines that still count; a command takes some of them or is refused."""
    commands, orders = case
    left = {order_id: set(order.price.lines) for order_id, order in orders.items()}
    plan, _ = decided(commands, orders)
    for claimed, outcome in zip(commands, plan.outcomes, strict=True):
        order_id, asked = claimed.command.order_id, claimed.command.lines
        open_lines = left[order_id]
        wanted = set(open_lines) if asked is None else set(asked)
        if not open_lines:
            assert (outcome.problem.status, outcome.problem.code) == (409, Code.ORDER_STATE)
        elif wanted <= open_lines:
            assert set(outcome.result.cancelled_lines) == wanted
            left[order_id] = open_lines - wanted
            price = orders[order_id].price
            remaining = sum(price.lines[n].charged_minor for n in left[order_id])
            sellers = {list(orders[order_id].fulfilments).index(orders[order_id].sellers[n]) for n in left[order_id]}
            remaining += sum(amounts.charged_minor for n, amounts in price.shipping.items() if n in sellers)
            assert outcome.result.total.amount == remaining
        else:
            first = min(wanted - open_lines)
            known = first in orders[order_id].sellers
            assert outcome.problem.code is Code.UNKNOWN_LINE
            assert outcome.problem.status == (409 if known else 422)
            assert outcome.problem.path == f"lines[{asked.index(first)}]"


@laws(100)
@given(open_orders(1))
def test_an_order_that_may_not_be_cancelled_is_a_409_naming_its_state(order):
    plan, changed = decided([claim(100, CancelOrder(order.id))], {order.id: order})
    (outcome,) = plan.outcomes
    if isinstance(outcome, Succeeded):
        return
    fulfilments = list(order.fulfilments.values())
    status = order_status(order.payment, fulfilments, expired=order.expired)
    assert (outcome.problem.status, outcome.problem.code) == (409, Code.ORDER_STATE)
    states = {status.value, order.payment.value, *(f.value for f in fulfilments)}
    assert any(state in outcome.problem.detail for state in states)
    assert changed == {order.id: order}


@laws(100)
@given(cancellations())
def test_deciding_twice_decides_the_same(case):
    commands, orders = case
    one, other = decided(commands, orders), decided(commands, orders)
    assert one == other


class _Unhashable(int):
    """A line number that raises as soon as it is looked up."""

    __hash__ = None


@laws(100)
@given(cancellations(), st.data())
def test_a_decision_that_raises_parks_its_own_command_alone(case, data):
    commands, orders = case
    index = data.draw(st.integers(0, len(commands) - 1))
    victim = commands[index]
    bad = msgspec.structs.replace(victim, command=CancelOrder(victim.command.order_id, (_Unhashable(0),)))
    plan, changed = decided([*commands[:index], bad, *commands[index + 1 :]], orders)
    spared, same = decided(commands[:index] + commands[index + 1 :], orders)
    assert isinstance(plan.outcomes[index], Faulted | Rejected | Deferred)
    assert plan.outcomes[:index] + plan.outcomes[index + 1 :] == spared.outcomes
    assert _rows(plan) == _rows(spared)
    assert changed == same


def _alone(placing):
    order = make_id(1)
    (outcome,) = decide([claim(100, CancelOrder(order))], {}, {} if placing is None else {order: placing}).outcomes
    return outcome


def test_cancelling_an_order_that_is_still_being_placed_waits_for_it():
    assert isinstance(_alone(None), Deferred)


def test_cancelling_an_order_that_was_refused_tells_why_it_was():
    problem = _alone(Placing(Status.REJECTED, Rejection(409, Code.OUT_OF_STOCK, "2 wanted, 1 available"))).problem
    assert (problem.status, problem.code) == (409, Code.ORDER_NOT_PLACED)
    assert problem.detail == "the order was refused: 2 wanted, 1 available"


def test_cancelling_an_order_whose_placing_was_cancelled_is_refused():
    problem = _alone(Placing(Status.CANCELLED)).problem
    assert (problem.status, problem.code) == (409, Code.ORDER_NOT_PLACED)
    assert "cancelled" in problem.detail


def test_cancelling_an_order_whose_placing_is_parked_ends_the_placing_once():
    order = make_id(1)
    twice = [claim(100, CancelOrder(order)), claim(101, CancelOrder(order))]
    plan = decide(twice, {}, {order: Placing(Status.FAILED)})
    assert plan.unplaced == [order]
    assert isinstance(plan.outcomes[0], Succeeded)
    assert plan.outcomes[0].result.total is None
    assert plan.outcomes[1].problem.code == Code.ORDER_NOT_PLACED


def test_lines_of_a_parked_placing_cannot_be_cancelled():
    order = make_id(1)
    (outcome,) = decide([claim(100, CancelOrder(order, (0,)))], {}, {order: Placing(Status.FAILED)}).outcomes
    assert outcome.problem.code == Code.ORDER_NOT_PLACED


def test_a_fault_leaves_the_order_as_it_was():
    order = make_id(1)
    bad = claim(100, CancelOrder(order, (_Unhashable(0),)))
    case = {order: _simple(order)}
    plan, changed = decided([bad], case)
    assert isinstance(plan.outcomes[0], Faulted)
    assert changed == case


def _simple(order):
    seller = make_id(2_000)
    return OpenOrder(
        id=order,
        buyer=make_id(900_000),
        currency="USD",
        payment=Payment.UNPAID,
        expired=False,
        version=1,
        price_version=1,
        price=Price({0: LineAmounts(100), 1: LineAmounts(250)}, {}, []),
        sellers={0: seller, 1: seller},
        fulfilments={seller: Fulfilment.AWAITING},
    )


def test_a_line_cancelled_before_is_a_409_and_one_that_never_was_a_422():
    order = make_id(1)
    commands = [claim(100 + n, CancelOrder(order, (line,))) for n, line in enumerate((0, 0, 7))]
    plan, _ = decided(commands, {order: _simple(order)})
    assert isinstance(plan.outcomes[0], Succeeded)
    assert [(o.problem.status, o.problem.detail) for o in plan.outcomes[1:]] == [
        (409, "line 0 is cancelled already"),
        (422, "the order has no line 7"),
    ]


def test_a_line_named_twice_is_cancelled_once():
    order = make_id(1)
    plan, _ = decided([claim(100, CancelOrder(order, (1, 1)))], {order: _simple(order)})
    assert plan.outcomes[0].result.cancelled_lines == (1,)
    assert plan.price_versions == [(order, 2, Price({0: LineAmounts(100)}, {}, []))]
