"""What may become of a commission rule, and which rules it meets, against every line there could be."""

from datetime import timedelta
from itertools import product as every

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.money import Money
from domain.pricing.commission import CommissionRules
from domain.pricing.commission_edit import (
    RULES_MAX,
    StoredRule,
    changed,
    check_change,
    check_room,
    ended,
    has_ended,
    overlapping,
)
from domain.pricing.commission_model import CommissionContent
from domain.pricing.scope import Facts, Scope
from domain.rejections import Code
from tests.domain.pricing_builders import NOW, category, product, seller, thing
from tests.domain.strategies import laws

DAY = timedelta(days=1)
# A root with two below it, one of which has another below.
PATHS = {1: (1,), 2: (1, 2), 3: (1, 3), 4: (1, 2, 4), 5: (5,)}
TREE = {category(n): tuple(category(step) for step in path) for n, path in PATHS.items()}
TIMES = [NOW + n * DAY for n in range(4)]
LINES = [
    Facts(product(p), thing("variant", 0), seller(s), TREE[category(c)]) for p, s, c in every((1, 2), (1, 2), PATHS)
]


def stored(**content):
    used = content.pop("used", False)
    return StoredRule(thing("rule", 1), 1, used, CommissionContent(title="A rule", **content))


def _some(make, numbers):
    return st.sets(st.sampled_from(numbers), max_size=2).map(lambda found: tuple(make(n) for n in sorted(found)))


_contents = st.builds(
    CommissionContent,
    title=st.just("A rule"),
    scope=st.builds(
        Scope, products=_some(product, (1, 2)), sellers=_some(seller, (1, 2)), categories=_some(category, list(PATHS))
    ),
    fixed=st.sampled_from([None, None, Money(1, "USD"), Money(1, "EUR")]),
    priority=st.sampled_from([0, 0, 1]),
    valid_from=st.sampled_from([None, *TIMES[:2]]),
    valid_until=st.sampled_from([None, *TIMES[2:]]),
    active=st.sampled_from([True, True, True, False]),
)


def _meet(one, other):
    """Whether there is a line, a time and a currency at which only the category's depth or the id decides."""
    rules = CommissionRules([one.rule(thing("rule", 1)), other.rule(thing("rule", 2))])
    for line, at, currency in every(LINES, TIMES, ("USD", "EUR")):
        told = {each.lost for each in rules.consider(line, currency, at)}
        if len(told) == 2 and told <= {None, "shallower_category", "higher_id"}:
            return True
    return False


@laws(300)
@given(_contents, _contents)
def test_rules_overlap_where_some_line_is_left_to_the_deeper_category_or_the_id(one, other):
    found = overlapping(one.rule(thing("rule", 1)), [(thing("rule", 2), other)], TREE)
    assert bool(found) is _meet(one, other)


@laws(100)
@given(_contents, _contents)
def test_of_two_that_overlap_each_names_the_other(one, other):
    ids = thing("rule", 1), thing("rule", 2)
    there = overlapping(one.rule(ids[0]), [(ids[1], other)], TREE)
    back = overlapping(other.rule(ids[1]), [(ids[0], one)], TREE)
    assert bool(there) is bool(back)


def test_a_rule_is_changed_while_no_line_pays_by_it_and_it_goes_on():
    assert check_change(stored(valid_until=NOW + DAY), NOW) is None
    used = check_change(stored(used=True), NOW)
    over = check_change(stored(used=True, valid_until=NOW), NOW)
    assert used is not None
    assert over is not None
    assert (used.status, used.code, over.status, over.code) == (409, Code.RULE_IN_USE, 409, Code.CONFLICT)


def test_what_it_says_next_is_another_version():
    rule = stored(rate_bp=1)
    after = changed(rule, CommissionContent(title="Another", rate_bp=2))
    assert (after.id, after.version, after.used, after.content.rate_bp) == (rule.id, 2, False, 2)


@pytest.mark.parametrize("until", [None, NOW + DAY])
def test_ended_it_is_over_now_whatever_the_clock_of_a_worker_says(until):
    after = ended(stored(used=True, rate_bp=7, valid_until=until), NOW)
    assert has_ended(after.content, NOW)
    assert (after.version, after.used, after.content.rate_bp) == (2, True, 7)
    assert CommissionRules([after.content.rule(after.id)]).choose(LINES[0], "USD", NOW - DAY) is None


def test_there_is_room_for_so_many_rules():
    assert check_room(RULES_MAX - 1) is None
    refusal = check_room(RULES_MAX)
    assert refusal is not None
    assert refusal.code is Code.LIMIT_REACHED
