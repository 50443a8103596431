"""Which promotions go together: phases, priorities, groups and exclusives, in exact amounts."""

import pytest

from domain.pricing.promotion_model import FreeShipping, Stacking
from domain.pricing.promotions import Reason
from domain.pricing.scope import Scope
from tests.domain.pricing_builders import (
    BERLIN,
    book,
    bundle,
    flat,
    line,
    off_each,
    off_order,
    order,
    percent,
    percent_of_order,
    priced,
    product,
    promotion,
    reasons,
    told,
    usd,
)

GROUP, EXCLUSIVE = Stacking.GROUP, Stacking.EXCLUSIVE
OUTDONE = Reason.OUTDONE


def outcome(*promotions, lines=(), **said):
    """What the order comes to, and why promotions didn't apply."""
    version = priced(book(*promotions, **said), order(*(lines or (line(1_000),)), destination=BERLIN))
    return version.total_minor, reasons(version)


def test_lines_come_before_the_order_whatever_the_priority():
    # 1000 - 10 % - 100, where the other order would leave 810.
    assert outcome(promotion(off_order(100), 1, priority=9), promotion(percent(1_000), 2))[0] == 800


def test_shipping_comes_last():
    ships = promotion(FreeShipping(), 1, priority=9, minimum_subtotal=usd(1_000))
    total, why = outcome(ships, promotion(off_order(1), 2), shipping=flat(50))
    assert (total, why) == (999 + 50, {1: Reason.MINIMUM_SUBTOTAL_NOT_MET, 2: None})


def test_in_a_phase_the_higher_priority_comes_first():
    half, hundred = promotion(percent(5_000), 1), promotion(off_each(100), 2, priority=1)
    assert outcome(half, hundred)[0] == 450
    assert outcome(promotion(percent(5_000), 1, priority=2), hundred)[0] == 400


def test_of_equal_priority_the_older_comes_first():
    assert outcome(promotion(percent(5_000), 1), promotion(off_each(100), 2, days_old=1))[0] == 450
    assert outcome(promotion(percent(5_000), 1, days_old=2), promotion(off_each(100), 2, days_old=1))[0] == 400


def test_of_equal_priority_and_age_the_lower_id_comes_first():
    assert outcome(promotion(percent(5_000), 1), promotion(off_each(100), 2))[0] == 400
    assert outcome(promotion(percent(5_000), 2), promotion(off_each(100), 1))[0] == 450


def test_a_bundle_has_its_turn_among_the_lines():
    lines = (line(1_000, 2),)
    assert outcome(promotion(bundle(1, 1), 1), promotion(percent(5_000), 2), lines=lines)[0] == 500
    later = promotion(bundle(1, 1), 1, minimum_subtotal=usd(1_500))
    assert outcome(later, promotion(percent(5_000), 2, priority=1), lines=lines)[0] == 1_000


def test_every_stackable_applies():
    assert outcome(promotion(off_each(10), 1), promotion(off_each(20), 2), promotion(off_order(30), 3))[0] == 940


def test_of_a_group_the_one_that_takes_most_off_applies():
    small, large = promotion(off_each(100), 1, stacking=GROUP), promotion(percent(2_000), 2, stacking=GROUP)
    assert outcome(small, large) == (800, {1: OUTDONE, 2: None})
    assert outcome(small, large, lines=(line(400),)) == (300, {1: None, 2: OUTDONE})


def test_a_larger_discount_wins_its_group_over_a_higher_priority():
    small, large = promotion(off_each(100), 1, stacking=GROUP, priority=5), promotion(off_each(101), 2, stacking=GROUP)
    assert outcome(small, large) == (899, {1: OUTDONE, 2: None})


def test_a_group_has_its_turn_with_the_first_of_it_that_is_eligible():
    # At the group's turn the totals are 1000: 20 % are 200. After the amount off they would be 180.
    first = promotion(off_each(150), 1, stacking=GROUP, priority=3)
    between = promotion(off_each(100), 2, priority=2)
    last = promotion(percent(2_000), 3, stacking=GROUP, priority=1)
    assert outcome(first, between, last) == (700, {1: OUTDONE, 2: None, 3: None})
    missed = promotion(off_each(150), 1, stacking=GROUP, priority=3, minimum_quantity=2)
    assert outcome(missed, between, last) == (720, {1: Reason.MINIMUM_QUANTITY_NOT_MET, 2: None, 3: None})


def test_one_of_a_group_that_is_not_eligible_does_not_compete():
    missed = promotion(percent(9_000), 1, stacking=GROUP, minimum_subtotal=usd(1_001))
    other = promotion(percent(9_000), 2, stacking=GROUP, scope=Scope(products=(product(9),)))
    assert outcome(promotion(off_each(10), 3, stacking=GROUP), missed, other) == (
        990,
        {1: Reason.MINIMUM_SUBTOTAL_NOT_MET, 3: None},
    )


def test_each_group_has_its_own_best():
    of_a = [promotion(off_each(n), n, stacking=GROUP, group="a") for n in (1, 2)]
    of_b = [promotion(off_each(n), n, stacking=GROUP, group="b") for n in (3, 4)]
    assert outcome(*of_a, *of_b) == (994, {1: OUTDONE, 2: None, 3: OUTDONE, 4: None})


def test_what_does_not_stack_and_names_no_group_shares_the_default_one():
    unnamed = promotion(off_each(1), 1, stacking=GROUP)
    assert outcome(unnamed, promotion(off_each(2), 2, stacking=GROUP, group="default"))[1] == {1: OUTDONE, 2: None}


@pytest.mark.parametrize(
    "first",
    [{"priority": 1}, {"days_old": 1}, {"number": 1}],
    ids=["priority", "older", "lower id"],
)
def test_equals_of_a_group_go_by_priority_then_age_then_id(first):
    settings = {key: value for key, value in first.items() if key != "number"}
    ours = promotion(off_each(100), first.get("number", 3), stacking=GROUP, **settings)
    assert outcome(ours, promotion(percent(1_000), 2, stacking=GROUP))[1] == {ours.id.int & 0xFF: None, 2: OUTDONE}


def test_a_group_has_one_winner_in_each_phase():
    on_lines = promotion(off_each(100), 1, stacking=GROUP)
    on_order = promotion(off_order(50), 2, stacking=GROUP)
    assert outcome(on_lines, on_order) == (850, {1: None, 2: None})


def test_an_exclusive_that_takes_more_off_than_all_others_together_applies_alone():
    others = promotion(percent(1_000), 1), promotion(off_order(100), 2), promotion(FreeShipping(), 3)
    # Together 100 + 100 + 50.
    more = promotion(off_order(251), 4, stacking=EXCLUSIVE)
    assert outcome(*others, more, shipping=flat(50)) == (799, {1: OUTDONE, 2: OUTDONE, 3: OUTDONE, 4: None})
    less = promotion(off_order(249), 4, stacking=EXCLUSIVE)
    assert outcome(*others, less, shipping=flat(50)) == (800, {1: None, 2: None, 3: None, 4: OUTDONE})


def test_of_several_exclusives_the_largest_applies():
    small, large = (promotion(off_order(100 * n), n, stacking=EXCLUSIVE) for n in (1, 2))
    assert outcome(small, large, promotion(off_order(150), 3)) == (800, {1: OUTDONE, 2: None, 3: OUTDONE})


def test_an_exclusive_is_tested_on_the_totals_without_the_others():
    alone = promotion(percent_of_order(5_000), 1, stacking=EXCLUSIVE, minimum_subtotal=usd(1_000))
    assert outcome(alone, promotion(percent(4_000), 2)) == (500, {1: None, 2: OUTDONE})


@pytest.mark.parametrize(
    "first",
    [{"priority": 1}, {"days_old": 1}, {"number": 1}],
    ids=["priority", "older", "lower id"],
)
@pytest.mark.parametrize("rival", [EXCLUSIVE, Stacking.STACKABLE, GROUP])
def test_equals_of_exclusives_go_by_priority_then_age_then_id(first, rival):
    settings = {key: value for key, value in first.items() if key != "number"}
    ours = promotion(off_order(100), first.get("number", 3), stacking=EXCLUSIVE, **settings)
    assert outcome(ours, promotion(off_each(100), 2, stacking=rival))[1] == {ours.id.int & 0xFF: None, 2: OUTDONE}
    assert outcome(
        promotion(off_each(100), ours.id.int & 0xFF, stacking=rival, **settings),
        promotion(off_order(100), 2, stacking=EXCLUSIVE),
    )[1] == {ours.id.int & 0xFF: None, 2: OUTDONE}


def test_of_all_others_together_the_first_in_rank_breaks_a_tie_with_an_exclusive():
    exclusive = promotion(off_order(100), 1, stacking=EXCLUSIVE, priority=5)
    low, high = promotion(off_order(50), 2), promotion(off_order(50), 3, priority=6)
    assert outcome(exclusive, low, high)[1] == {1: OUTDONE, 2: None, 3: None}
    assert outcome(exclusive, low, promotion(off_order(50), 3, priority=4))[1] == {1: None, 2: OUTDONE, 3: OUTDONE}


def test_an_exclusive_that_is_not_eligible_says_why_and_leaves_the_others():
    alone = promotion(percent(9_000), 1, stacking=EXCLUSIVE, minimum_quantity=2)
    assert outcome(alone, promotion(off_each(1), 2)) == (999, {1: Reason.MINIMUM_QUANTITY_NOT_MET, 2: None})


def test_who_lost_to_an_exclusive_is_told_with_its_own_reason_where_it_had_one():
    alone = promotion(percent(5_000), 1, stacking=EXCLUSIVE)
    missed = promotion(off_each(1), 2, minimum_quantity=2)
    assert outcome(alone, missed, promotion(off_each(2), 3))[1] == {
        1: None,
        2: Reason.MINIMUM_QUANTITY_NOT_MET,
        3: OUTDONE,
    }


def test_what_each_took_off_is_reckoned_on_what_the_one_before_left():
    halves = promotion(percent(5_000), 1, priority=1), promotion(percent(5_000), 2)
    version = priced(book(*halves, promotion(percent_of_order(5_000), 3)), order(line(1_001)))
    assert [told(version, n).amount_minor for n in (1, 2, 3)] == [501, 250, 125]
    assert version.total_minor == 125
