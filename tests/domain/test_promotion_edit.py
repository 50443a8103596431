"""What may happen to a promotion in each state, and what is settled once orders may have used it."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from domain.pricing.promotion_edit import NEXT, Step, edit, next_state, take
from domain.pricing.promotion_model import FreeShipping, PromotionContent, PromotionState, StoredPromotion
from domain.rejections import Code, Rejection
from tests.domain.strategies import make_id

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
# What each step leads to; a dash is a refusal.
TABLE = """
         edited  activated  paused  ended
draft    draft   active     -       -
active   active  -          paused  ended
paused   paused  active     -       ended
ended    -       -          -       -
"""


def promotion(state=PromotionState.DRAFT, **content) -> StoredPromotion:
    said = PromotionContent(title="A promotion", benefit=FreeShipping(), **content)
    return StoredPromotion(make_id(1), 4, None, state, said, NOW)


def edited(before: StoredPromotion, **changes):
    return edit(before, msgspec.structs.replace(before.content, **changes))


def test_each_step_from_each_state_leads_where_the_table_says():
    head, *rows = [line.split() for line in TABLE.strip().splitlines()]
    for state, *leads_to in rows:
        for step, expected in zip(head, leads_to, strict=True):
            found = next_state(PromotionState(state), Step(step))
            assert ("-" if isinstance(found, Rejection) else found.value) == expected, (state, step)
    assert (len(rows), len(head)) == (len(PromotionState), len(Step))


@pytest.mark.parametrize("state", PromotionState)
def test_an_illegal_step_is_a_409_that_names_the_state_and_what_is_allowed(state: PromotionState):
    for step in Step:
        found = next_state(state, step)
        if isinstance(found, Rejection):
            assert (found.status, found.code) == (409, Code.PROMOTION_STATE)
            assert f"is {state.value} " in found.detail
            allowed = found.detail.partition("from there ")[2]
            assert [s for s in Step if s.value in allowed.split()] == [s for s in Step if s in NEXT[state]]


def test_every_step_makes_the_next_version():
    active = take(promotion(), Step.ACTIVATE, NOW)
    assert isinstance(active, StoredPromotion)
    assert (active.state, active.version) == (PromotionState.ACTIVE, 5)
    renamed = edited(active, title="Another one")
    assert isinstance(renamed, StoredPromotion)
    assert (renamed.state, renamed.version, renamed.content.title) == (PromotionState.ACTIVE, 6, "Another one")


def test_the_same_said_again_makes_no_version():
    before = promotion()
    assert edited(before) is before


def test_what_is_over_is_not_activated():
    over = promotion(ends_at=NOW)
    refused = take(over, Step.ACTIVATE, NOW)
    assert isinstance(refused, Rejection)
    assert (refused.status, refused.code, refused.path) == (409, Code.PROMOTION_STATE, "ends_at")
    assert not isinstance(take(over, Step.ACTIVATE, NOW - timedelta(seconds=1)), Rejection)


def test_a_fault_of_the_new_content_is_refused():
    refused = edited(promotion(), uses_max=1, uses_per_user_max=2)
    assert isinstance(refused, Rejection)
    assert (refused.status, refused.path) == (400, "uses_per_user_max")


SETTLED = [
    ({}, {"uses_max": 5}, "uses_max"),
    ({"uses_max": 5}, {"uses_max": None}, "uses_max"),
    ({}, {"uses_per_user_max": 1}, "uses_per_user_max"),
    ({"uses_per_user_max": 1}, {"uses_per_user_max": 2}, "uses_per_user_max"),
    ({"uses_per_user_max": 1}, {"uses_per_user_max": None}, "uses_per_user_max"),
    ({}, {"first_order": True}, "first_order"),
    ({"first_order": True}, {"first_order": False}, "first_order"),
]


@pytest.mark.parametrize(("content", "changes", "path"), SETTLED)
@pytest.mark.parametrize("state", [PromotionState.ACTIVE, PromotionState.PAUSED])
def test_what_is_counted_is_settled_with_the_first_activation(state, content, changes, path):
    refused = edited(promotion(state, **content), **changes)
    assert isinstance(refused, Rejection)
    assert (refused.status, refused.code, refused.path) == (409, Code.PROMOTION_STATE, path)
    assert isinstance(edited(promotion(**content), **changes), StoredPromotion), "a draft may still decide"


def test_how_many_uses_there_are_may_change_while_they_are_counted():
    assert isinstance(edited(promotion(PromotionState.ACTIVE, uses_max=5), uses_max=9), StoredPromotion)
