"""Working out commissions, as laws: once for an order, by what its lines were placed with."""

from copy import deepcopy

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from domain.journal.model import SYSTEM, Faulted, Succeeded
from domain.orders.commission_sql import FrozenLine
from domain.orders.lifecycle import order_status
from domain.orders.model import OrderStatus, Payment
from domain.orders.snapshots import decide
from domain.pricing.commission import CommissionRules, CommissionTerms, commission_on
from domain.pricing.scope import Facts
from domain.pricing.snapshot import SnapshotCommissions, amount_of, base_of
from domain.rejections import Code
from tests.domain.pricing_builders import rule
from tests.domain.strategies import NOW, claim, laws, make_id, open_orders

RULES = [rule(n, priority=n) for n in range(3)]
_terms = st.builds(
    CommissionTerms,
    rate_bp=st.sampled_from([0, 1, 250, 1_000, 3_333, 10_000]),
    fixed_minor=st.integers(0, 300),
    minimum_minor=st.integers(0, 500),
    maximum_minor=st.none() | st.integers(500, 900),
)


@st.composite
def _frozen(draw, order, version):
    """The lines of an order, some of which no rule covered."""
    made = []
    for n, seller in order.sellers.items():
        ruled = draw(st.booleans())
        facts = Facts(make_id(3_000 + n), make_id(1_000 + n), seller)
        terms = draw(_terms) if ruled else CommissionTerms()
        rule_id = RULES[version].id if ruled else None
        made.append(FrozenLine(order.id, n, facts, draw(st.integers(1, 5)), rule_id, terms, "USD", NOW, version))
    return made


@st.composite
def snapshots(draw):
    """Snapshots of up to three orders, most of them paid, of one that isn't there, and of some that have theirs."""
    orders = {make_id(n): draw(open_orders(n)) for n in range(draw(st.integers(1, 3)))}
    for order in orders.values():
        if draw(st.integers(0, 3)):
            order.payment, order.expired = Payment.PAID, False
    lines = {order.id: draw(_frozen(order, draw(st.integers(0, 2)))) for order in orders.values()}
    done = {order for order in orders if draw(st.integers(0, 4)) == 0}
    known = [*orders, make_id(50)]
    commands = [
        claim(100 + n, SnapshotCommissions(draw(st.sampled_from(known)))) for n in range(draw(st.integers(1, 6)))
    ]
    return commands, orders, lines, done


def _decide(commands, orders, lines, done):
    """Decide on a copy: what the orders were before stays to compare with. At version n the first n + 1 rules held."""
    rules = {n: CommissionRules(RULES[: n + 1]) for n in range(3)}
    return decide(commands, deepcopy(orders), lines, rules, done)


@laws(150)
@given(snapshots())
def test_each_line_that_is_left_of_a_confirmed_order_has_one_snapshot(case):
    commands, orders, lines, done = case
    plan = _decide(commands, orders, lines, done)
    asked = {c.command.order_id for c in commands} & set(orders)
    confirmed = {OrderStatus.CONFIRMED, OrderStatus.COMPLETED}
    expected = {
        (order.id, n)
        for order in (orders[each] for each in asked - done)
        if order_status(order.payment, list(order.fulfilments.values()), expired=order.expired) in confirmed
        for n in order.price.lines
    }
    made = [(each.order_id, each.line_no) for each in plan.snapshots]
    assert len(made) == len(set(made))
    assert set(made) == expected


@laws(150)
@given(snapshots())
def test_the_amount_is_by_the_frozen_terms_on_the_last_price(case):
    commands, orders, lines, done = case
    for made in _decide(commands, orders, lines, done).snapshots:
        line = lines[made.order_id][made.line_no]
        price = orders[made.order_id].price.lines[made.line_no]
        included = price.tax_minor - price.added_tax_minor
        assert made.base_minor == max(0, price.net_minor + price.platform_discount_minor - included)
        expected = 0 if line.rule_id is None else commission_on(made.base_minor, line.quantity, line.terms)
        assert (made.rule_id, made.amount_minor) == (line.rule_id, expected)
        assert 0 <= made.amount_minor <= made.base_minor
        assert (made.seller_id, made.currency) == (line.facts.seller_id, line.currency)


@laws(100)
@given(snapshots())
def test_considered_are_the_rules_as_they_were_when_the_line_was_placed(case):
    commands, orders, lines, done = case
    for made in _decide(commands, orders, lines, done).snapshots:
        version = lines[made.order_id][made.line_no].version
        told = [(each.rule_id, each.lost) for each in made.considered]
        assert told[0] == (RULES[version].id, None)
        assert told[1:] == [(RULES[n].id, "lower_priority") for n in reversed(range(version))]


@laws(100)
@given(snapshots())
def test_the_event_and_the_result_tell_what_was_written(case):
    commands, orders, lines, done = case
    plan = _decide(commands, orders, lines, done)
    by_order = {}
    for made in plan.snapshots:
        by_order.setdefault(made.order_id, []).append(made)
    assert [(e.stream, e.version) for e in plan.events] == list(plan.versions.items())
    for event in plan.events:
        assert event.version == orders[event.stream].version + 1
        assert (event.type, event.actor) == ("order.commission_snapshotted", SYSTEM)
        told = [(line["line_no"], line["amount_minor"]) for line in msgspec.json.decode(event.data)["lines"]]
        assert told == [(made.line_no, made.amount_minor) for made in by_order.get(event.stream, [])]
    for claimed, outcome in zip(commands, plan.outcomes, strict=True):
        if isinstance(outcome, Succeeded):
            total = sum(made.amount_minor for made in by_order[claimed.command.order_id])
            assert (outcome.result.order_id, outcome.result.commission.amount) == (claimed.command.order_id, total)
        elif claimed.command.order_id not in orders:
            assert outcome.problem.code is Code.NOT_FOUND
        else:
            assert outcome.problem.code in {Code.CONFLICT, Code.ORDER_STATE}


@laws(100)
@given(snapshots(), st.data())
def test_a_decision_that_raises_parks_its_own_command_alone(case, data):
    commands, orders, lines, done = case
    index = data.draw(st.integers(0, len(commands) - 1))
    poisoned = [*commands[:index], replace(commands[index], command=None), *commands[index + 1 :]]
    plan = _decide(poisoned, orders, lines, done)
    spared = _decide(commands[:index] + commands[index + 1 :], orders, lines, done)
    assert isinstance(plan.outcomes[index], Faulted)
    assert plan.outcomes[:index] + plan.outcomes[index + 1 :] == spared.outcomes
    assert (plan.snapshots, plan.events) == (spared.snapshots, spared.events)


def test_the_base_is_before_what_the_platform_gave_off_and_without_tax_that_prices_hold():
    assert base_of(net_minor=800, platform_discount_minor=200, tax_minor=128, added_tax_minor=0) == 872
    assert base_of(net_minor=800, platform_discount_minor=200, tax_minor=152, added_tax_minor=152) == 1_000
    assert base_of(net_minor=0, platform_discount_minor=0, tax_minor=0, added_tax_minor=0) == 0


def test_without_a_rule_nothing_is_paid_whatever_the_terms_would_come_to():
    assert amount_of(None, CommissionTerms(minimum_minor=5), 100, 1) == 0
    assert amount_of(RULES[0].id, CommissionTerms(minimum_minor=5), 100, 1) == 5
    assert amount_of(RULES[0].id, CommissionTerms(minimum_minor=5), 3, 1) == 3
