"""Commission: which rule a line pays by, against an oracle that filters and sorts, and what it comes to."""

from datetime import timedelta
from fractions import Fraction
from itertools import product as every

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.money import MINOR_MAX, round_half_up
from domain.pricing.commission import (
    CommissionRules,
    CommissionTerms,
    ConsideredRule,
    Loss,
    commission_on,
    reversed_on,
)
from domain.pricing.quote import NO_COMMISSION
from domain.pricing.scope import Index, Scope, bits_of, covers
from tests.domain.pricing_builders import (
    MOMENT,
    NOW,
    book,
    category,
    facts,
    line,
    order,
    priced,
    product,
    rule,
    seller,
    thing,
)
from tests.domain.strategies import laws

LINE = facts(1, of=1, path=(1, 2, 3))
BY_PRODUCT, BY_SELLER = Scope(products=(product(1),)), Scope(sellers=(seller(1),))


def in_category(*numbers):
    return Scope(categories=tuple(category(n) for n in numbers))


def chosen(*rules, line_facts=LINE, currency="USD", now=NOW):
    found = CommissionRules(rules).choose(line_facts, currency, now)
    return None if found is None else found.id.int & 0xFFFF


def test_the_highest_priority_counts_before_everything():
    assert chosen(rule(1, scope=BY_PRODUCT), rule(2, priority=1)) == 2


def test_a_rule_that_names_the_product_counts_before_one_that_names_seller_and_category():
    both = Scope(sellers=(seller(1),), categories=(category(3),))
    assert chosen(rule(1, scope=both), rule(2, scope=BY_PRODUCT)) == 2


def test_a_rule_that_names_the_seller_counts_before_one_that_names_the_category():
    assert chosen(rule(1, scope=in_category(3)), rule(2, scope=BY_SELLER)) == 2


def test_a_rule_that_names_the_category_counts_before_one_that_names_nothing():
    assert chosen(rule(1), rule(2, scope=in_category(1))) == 2


def test_of_two_that_name_the_product_the_one_that_names_the_seller_too_counts():
    assert chosen(rule(1, scope=BY_PRODUCT), rule(2, scope=Scope(products=(product(1),), sellers=(seller(1),)))) == 2


def test_a_deeper_category_counts_before_a_shallower_one():
    assert chosen(rule(1, scope=in_category(1)), rule(2, scope=in_category(3)), rule(3, scope=in_category(2))) == 2


def test_a_rule_that_names_several_categories_counts_by_the_deepest_the_line_is_in():
    assert chosen(rule(1, scope=in_category(2)), rule(2, scope=in_category(1, 3, 9))) == 2


def test_of_equals_the_lowest_id_counts():
    assert chosen(rule(3), rule(1), rule(2)) == 1


def test_within_a_dimension_any_value_matches_and_across_dimensions_all_must():
    assert chosen(rule(scope=Scope(sellers=(seller(2), seller(1))))) == 1
    assert chosen(rule(scope=Scope(products=(product(1),), sellers=(seller(2),)))) is None


def test_a_category_covers_its_descendants_and_not_what_is_above_it():
    assert chosen(rule(scope=in_category(1))) == 1
    assert chosen(rule(scope=in_category(3)), line_facts=facts(1, path=(1, 2))) is None


def test_a_rule_holds_from_its_start_until_just_before_its_end():
    until = NOW + timedelta(days=1)
    windowed = rule(valid_from=NOW, valid_until=until)
    assert chosen(windowed, now=NOW - MOMENT) is None
    assert chosen(windowed, now=NOW) == chosen(windowed, now=until - MOMENT) == 1
    assert chosen(windowed, now=until) is None


def test_where_one_window_ends_and_the_next_begins_exactly_one_rule_holds():
    rules = rule(1, valid_until=NOW), rule(2, valid_from=NOW)
    assert [chosen(*rules, now=NOW - MOMENT), chosen(*rules)] == [1, 2]


def test_a_rule_that_is_not_active_or_has_amounts_of_another_currency_does_not_hold():
    assert chosen(rule(1, active=False, priority=9), rule(2, currency="JPY", priority=8), rule(3)) == 3
    assert chosen(rule(2, currency="JPY"), currency="JPY") == 2


def test_a_line_without_a_rule_pays_no_commission():
    version = priced(book(rules=(rule(scope=BY_PRODUCT),)), order(line(1_000)))
    assert version.lines[0].terms.commission == NO_COMMISSION
    assert (NO_COMMISSION.rule_id, commission_on(1_000, 1, NO_COMMISSION.terms)) == (None, 0)


def test_each_line_freezes_its_rule_and_terms():
    version = priced(book(rules=(rule(1), rule(2, scope=BY_PRODUCT))), order(line(1_000), line(1_000, number=1)))
    frozen = [each.terms.commission for each in version.lines]
    assert [each.rule_id for each in frozen] == [thing("rule", 1), thing("rule", 2)]
    assert frozen[0].terms == CommissionTerms(rate_bp=1_000)


def test_every_rule_considered_is_told_with_the_reason_it_lost():
    rules = [
        rule(1, scope=in_category(3)),
        rule(2, scope=in_category(1)),
        rule(3, scope=in_category(3)),
        rule(4),
        rule(5, priority=-1, scope=BY_PRODUCT),
        rule(6, active=False),
        rule(7, valid_from=NOW + MOMENT),
        rule(8, valid_until=NOW),
        rule(9, currency="JPY"),
        rule(10, scope=Scope(sellers=(seller(9),))),
    ]
    considered = CommissionRules(rules).consider(LINE, "USD", NOW)
    assert considered[0] == ConsideredRule(thing("rule", 1), None)
    assert {each.rule_id.int & 0xFFFF: each.lost for each in considered[1:]} == {
        2: Loss.SHALLOWER_CATEGORY,
        3: Loss.HIGHER_ID,
        4: Loss.LESS_SPECIFIC,
        5: Loss.LOWER_PRIORITY,
        6: Loss.INACTIVE,
        7: Loss.NOT_STARTED,
        8: Loss.ENDED,
        9: Loss.OTHER_CURRENCY,
    }


@pytest.mark.parametrize(
    ("base", "quantity", "terms", "expected"),
    [
        (1_000, 1, CommissionTerms(rate_bp=1_250), 125),
        (1_004, 1, CommissionTerms(rate_bp=1_250), 126),
        (1_003, 1, CommissionTerms(rate_bp=1_250), 125),
        (1_000, 3, CommissionTerms(rate_bp=1_000, fixed_minor=25), 175),
        (1_000, 3, CommissionTerms(fixed_minor=25), 75),
        (1_000, 1, CommissionTerms(rate_bp=1_000, minimum_minor=150), 150),
        (1_000, 1, CommissionTerms(rate_bp=1_000, maximum_minor=50), 50),
        (1_000, 4, CommissionTerms(fixed_minor=100, minimum_minor=10, maximum_minor=300), 300),
        (1_000, 1, CommissionTerms(rate_bp=1_000, maximum_minor=0), 0),
        (100, 1, CommissionTerms(minimum_minor=150), 100),
        (100, 9, CommissionTerms(fixed_minor=25), 100),
        (0, 5, CommissionTerms(rate_bp=10_000, fixed_minor=25, minimum_minor=10), 0),
        (1_000, 1, CommissionTerms(rate_bp=1_000, minimum_minor=90, maximum_minor=80), 80),
        (1_000, 1, CommissionTerms(), 0),
    ],
    ids=[
        "rate", "a half is rounded up", "less than a half down", "rate and fee for each unit", "fee alone", "least",
        "most", "most of a fee", "most is nothing", "least over the base", "fee over the base", "base 0",
        "most under least", "nothing",
    ],
)  # fmt: skip
def test_commission_is_rate_and_fee_between_least_and_most_and_never_above_its_base(base, quantity, terms, expected):
    assert commission_on(base, quantity, terms) == expected


@pytest.mark.parametrize(("base", "expected"), [(105, 11), (1_15, 12), (1_005, 101)], ids=["JPY", "USD", "KWD"])
def test_commission_is_rounded_to_the_currencys_own_minor_unit(base, expected):
    assert commission_on(base, 1, CommissionTerms(rate_bp=1_000)) == expected


def test_a_refund_takes_back_commission_in_proportion_cumulatively():
    # A third of 10 is 3.33, two thirds 6.67: taken back are 3, then 4, then 3.
    assert [reversed_on(10, 90, refunded) for refunded in (0, 30, 60, 90)] == [0, 3, 7, 10]
    assert reversed_on(0, 0, 0) == 0


_amounts = st.integers(0, MINOR_MAX)
_terms = st.builds(
    CommissionTerms,
    st.integers(0, 10_000),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.none() | st.integers(0, 10**7),
)


@laws(400)
@given(_amounts, st.integers(1, 1_000_000), _terms)
def test_commission_and_the_sellers_share_are_the_base(base, quantity, terms):
    amount = commission_on(base, quantity, terms)
    sellers = base - amount
    assert 0 <= amount <= base
    assert 0 <= sellers <= base
    exact = Fraction(base * terms.rate_bp, 10_000) + terms.fixed_minor * quantity
    least, most = terms.minimum_minor, terms.maximum_minor
    if least <= exact <= (exact if most is None else most) and exact <= base:
        assert abs(amount - exact) <= Fraction(1, 2)


@laws(400)
@given(_amounts, st.integers(0, 10_000), st.lists(st.integers(0, 10**12), min_size=1, max_size=12), st.randoms())
def test_refunds_in_any_split_and_order_take_back_exactly_all(amount, share_bp, parts, shuffle):
    base = max(amount, 1) + sum(parts)
    commission = round_half_up(amount * share_bp, 10_000)
    refunds = [*parts, base - sum(parts)]
    shuffle.shuffle(refunds)
    reversed_so_far, refunded = 0, 0
    for refund in refunds:
        refunded += refund
        more = reversed_on(commission, base, refunded) - reversed_so_far
        assert more >= 0
        reversed_so_far += more
        assert abs(Fraction(commission * refunded, base) - reversed_so_far) <= Fraction(1, 2)
    assert reversed_so_far == commission


_FEW = [(), (0,), (1,), (0, 1)]
_SCOPES = [
    Scope(
        products=tuple(map(product, products)),
        sellers=tuple(map(seller, sellers)),
        categories=tuple(map(category, categories)),
    )
    for products, sellers, categories in every(_FEW, _FEW, [*_FEW, (2,), (3,), (1, 3)])
]
_scopes = st.sampled_from(_SCOPES)
_WINDOWS = [(None, None)] * 3 + [(NOW, None), (None, NOW), (NOW + MOMENT, None), (NOW - MOMENT, NOW + MOMENT)]
_settings = st.tuples(_scopes, st.sampled_from(list(every((0, 1, -1), _WINDOWS, [None, None, None, "USD", "JPY"]))))
_lines = st.sampled_from(
    [
        facts(n, of=of, path=path)
        for n, of, path in every(range(2), range(2), [(), (0,), (1, 0), (0, 1, 2, 3), (3, 1, 2)])
    ]
)


def _rules(settings):
    return [
        rule(n, scope=scope, priority=priority, valid_from=start, valid_until=end, currency=currency, active=n != 4)
        for n, (scope, (priority, (start, end), currency)) in enumerate(settings)
    ]


def _naively(rules, line_facts, currency):
    """Keep what holds and covers the line; sort by the rules of the business, one key after the other."""
    path = list(line_facts.categories)
    holding = [
        each
        for each in rules
        if each.active
        and (each.valid_from is None or each.valid_from <= NOW)
        and (each.valid_until is None or each.valid_until > NOW)
        and each.currency in (None, currency)
        and (line_facts.product_id in each.scope.products or each.scope.products == ())
        and (line_facts.seller_id in each.scope.sellers or each.scope.sellers == ())
        and (set(path) & set(each.scope.categories) or each.scope.categories == ())
    ]
    holding.sort(key=lambda each: each.id)
    holding.sort(key=lambda each: max((path.index(c) for c in each.scope.categories if c in path), default=-1) * -1)
    holding.sort(key=lambda each: each.scope.categories == ())
    holding.sort(key=lambda each: each.scope.sellers == ())
    holding.sort(key=lambda each: each.scope.products == ())
    holding.sort(key=lambda each: -each.priority)
    return holding


@laws(500)
@given(st.lists(_settings, max_size=8), _lines, st.sampled_from(["USD", "JPY"]), st.randoms())
def test_the_rule_chosen_is_the_oracles_in_whatever_order_rules_are_given(settings, line_facts, currency, shuffle):
    rules = _rules(settings)
    holding = _naively(rules, line_facts, currency)
    shuffle.shuffle(rules)
    assert CommissionRules(rules).choose(line_facts, currency, NOW) == (holding[0] if holding else None)


@laws(300)
@given(st.lists(_settings, max_size=8), _lines)
def test_each_rule_that_covers_a_line_is_considered_once_and_at_most_one_won(settings, line_facts):
    rules = _rules(settings)
    known = CommissionRules(rules)
    considered = known.consider(line_facts, "USD", NOW)
    best = known.choose(line_facts, "USD", NOW)
    assert sorted(c.rule_id for c in considered) == sorted(r.id for r in rules if covers(r.scope, line_facts))
    assert [c.rule_id for c in considered if c.lost is None] == ([] if best is None else [best.id])
    held = [each.id for each in _naively(rules, line_facts, "USD")]
    out = {Loss.INACTIVE, Loss.NOT_STARTED, Loss.ENDED, Loss.OTHER_CURRENCY}
    assert sorted(c.rule_id for c in considered if c.lost not in out) == sorted(held)


@laws(300)
@given(st.lists(_scopes, max_size=8), _lines)
def test_the_index_finds_the_scopes_that_cover_a_line(scopes, line_facts):
    found = set(bits_of(Index(scopes).matching(line_facts)))
    assert found == {n for n, scope in enumerate(scopes) if covers(scope, line_facts)}
