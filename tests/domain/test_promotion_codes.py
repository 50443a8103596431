"""Who takes part: codes, windows, users, limits; and what is said of those that don't."""

from datetime import timedelta

import pytest

from domain.pricing.contest import Usage
from domain.pricing.promotion_model import PromotionState, Stacking
from domain.pricing.promotions import Reason
from domain.pricing.scope import Scope
from tests.domain.pricing_builders import (
    BUYER,
    MOMENT,
    NOW,
    book,
    code,
    line,
    off_order,
    order,
    percent,
    priced,
    product,
    promotion,
    reasons,
    thing,
    told,
    usd,
)


def by_code(number=1, **content):
    return promotion(percent(1_000), number, automatic=False, **content)


def bought(*promotions, codes=(), usage=None, now=NOW):
    return priced(book(*promotions), order(line(1_000), codes=codes), usage, now)


def used(number=1, *, uses=0, by_buyer=0, by_others=0):
    id_ = thing("promotion", number)
    return Usage({id_: uses}, {(id_, BUYER): by_buyer, (id_, thing("user", 2)): by_others}, set())


def test_a_promotion_by_code_applies_with_its_code_and_not_without():
    assert bought(by_code()).total_minor == 1_000
    version = bought(by_code(), codes=[code("SAVE", 1)])
    assert (version.total_minor, told(version, 1).code) == (900, "SAVE")


def test_an_automatic_promotion_needs_no_code():
    version = bought(promotion(percent(1_000)))
    assert (version.total_minor, told(version, 1).code) == (900, None)


def test_a_code_nobody_knows_is_reported_and_refuses_the_order():
    version = bought(codes=[code("NOPE")])
    (refused,) = version.refused_codes
    assert (refused.code, refused.promotion_id, refused.reason) == ("NOPE", None, Reason.UNKNOWN)


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (PromotionState.DRAFT, Reason.NOT_ACTIVE),
        (PromotionState.PAUSED, Reason.NOT_ACTIVE),
        (PromotionState.ENDED, Reason.EXPIRED),
    ],
)
def test_a_code_of_a_promotion_that_is_not_active_is_refused(state, reason):
    (refused,) = bought(codes=[code("SAVE", 1, state)]).refused_codes
    assert refused.reason == reason


def test_codes_of_a_promotion_that_another_code_brought_are_reported_and_refuse_nothing():
    version = bought(by_code(), codes=[code("B", 1), code("A", 1), code("C", 1)])
    assert version.total_minor == 900
    assert {each.code: each.reason for each in version.promotions} == {
        "A": None,
        "B": Reason.ALREADY_GIVEN,
        "C": Reason.ALREADY_GIVEN,
    }
    assert version.refused_codes == ()


def test_a_code_of_an_automatic_promotion_adds_nothing_and_refuses_nothing():
    version = bought(promotion(percent(1_000)), codes=[code("SAVE", 1)])
    assert version.total_minor == 900
    assert [(each.code, each.reason) for each in version.promotions] == [(None, None), ("SAVE", Reason.ALREADY_GIVEN)]
    assert version.refused_codes == ()


def test_one_code_in_two_cases_is_one_code():
    version = bought(by_code(), codes=[code("Save", 1), code("SAVE", 1)])
    assert [(each.code, each.reason) for each in version.promotions] == [("SAVE", None)]


def test_codes_in_another_order_say_the_same():
    codes = [code("save", 1), code("SAVE", 1), code("more", 2), code("none")]
    promotions = by_code(1), by_code(2, stacking=Stacking.GROUP)
    assert bought(*promotions, codes=codes) == bought(*promotions, codes=codes[::-1])


def test_a_code_that_lost_to_a_better_one_is_reported_and_refuses_nothing():
    better = promotion(off_order(500), 2, stacking=Stacking.EXCLUSIVE)
    version = bought(by_code(), better, codes=[code("SAVE", 1)])
    assert reasons(version) == {1: Reason.OUTDONE, 2: None}
    assert version.refused_codes == ()


@pytest.mark.parametrize("reason", sorted(set(Reason) - {Reason.OUTDONE, Reason.ALREADY_GIVEN}))
def test_every_other_reason_refuses(reason):
    assert reason.refuses
    assert not Reason.OUTDONE.refuses
    assert not Reason.ALREADY_GIVEN.refuses


def test_a_code_for_other_goods_is_refused():
    version = bought(by_code(scope=Scope(products=(product(9),))), codes=[code("SAVE", 1)])
    (refused,) = version.refused_codes
    assert refused.reason == Reason.NO_MATCHING_LINES


def test_a_code_whose_minimum_is_not_met_is_refused():
    (refused,) = bought(by_code(minimum_subtotal=usd(1_001)), codes=[code("SAVE", 1)]).refused_codes
    assert refused.reason == Reason.MINIMUM_SUBTOTAL_NOT_MET


def test_an_automatic_promotion_that_does_not_apply_refuses_nothing():
    version = bought(promotion(percent(1_000), ends_at=NOW))
    assert (reasons(version), version.refused_codes) == ({1: Reason.EXPIRED}, ())


def test_a_window_begins_with_its_start_and_is_over_at_its_end():
    ends = NOW + timedelta(days=1)
    windowed = promotion(percent(1_000), starts_at=NOW, ends_at=ends)
    assert reasons(bought(windowed, now=NOW - MOMENT)) == {1: Reason.NOT_STARTED}
    assert reasons(bought(windowed, now=NOW)) == {1: None}
    assert reasons(bought(windowed, now=ends - MOMENT)) == {1: None}
    assert reasons(bought(windowed, now=ends)) == {1: Reason.EXPIRED}


def test_a_promotion_for_certain_users_is_for_them_alone():
    assert reasons(bought(promotion(percent(1_000), users=(thing("user", 2),)))) == {1: Reason.NOT_FOR_YOU}
    assert reasons(bought(promotion(percent(1_000), users=(thing("user", 2), BUYER)))) == {1: None}


def test_a_first_order_is_one_of_who_has_ordered_nothing_else():
    first = promotion(percent(1_000), first_order=True)
    assert reasons(bought(first, usage=Usage({}, {}, {thing("user", 2)}))) == {1: None}
    assert reasons(bought(first, usage=Usage({}, {}, {BUYER}))) == {1: Reason.NOT_FIRST_ORDER}


def test_a_promotion_is_used_as_often_as_its_limit_says():
    limited = promotion(percent(1_000), uses_max=2)
    assert reasons(bought(limited, usage=used(uses=1))) == {1: None}
    assert reasons(bought(limited, usage=used(uses=2))) == {1: Reason.LIMIT_REACHED}


def test_each_user_uses_it_as_often_as_the_limit_of_each_says():
    limited = promotion(percent(1_000), uses_per_user_max=1)
    assert reasons(bought(limited, usage=used(by_others=1))) == {1: None}
    assert reasons(bought(limited, usage=used(by_buyer=1))) == {1: Reason.USER_LIMIT_REACHED}


def test_codes_of_one_promotion_share_its_limit():
    version = bought(by_code(uses_max=1), codes=[code("A", 1), code("B", 1)], usage=used(uses=1))
    assert version.total_minor == 1_000
    assert told_codes(version) == {"A": Reason.LIMIT_REACHED, "B": Reason.ALREADY_GIVEN}


def told_codes(version):
    return {each.code: each.reason for each in version.promotions}


@pytest.mark.parametrize(
    ("content", "limited"),
    [({}, False), ({"uses_max": 1}, True), ({"uses_per_user_max": 1}, True), ({"first_order": True}, True)],
)
def test_only_what_has_a_limit_is_counted(content, limited):
    assert promotion(percent(1_000), **content).limited is limited


def test_several_codes_apply_together_where_they_stack():
    version = bought(by_code(1), by_code(2), codes=[code("A", 1), code("B", 2)])
    assert (version.total_minor, reasons(version)) == (810, {1: None, 2: None})


def test_a_code_of_an_automatic_promotion_that_is_over_is_refused_for_the_same_reason():
    version = bought(promotion(percent(1_000), ends_at=NOW), codes=[code("SAVE", 1)])
    assert told_codes(version) == {None: Reason.EXPIRED, "SAVE": Reason.EXPIRED}
    assert [each.code for each in version.refused_codes] == ["SAVE"]
