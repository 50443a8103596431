"""What may happen to a product in each state: every pair of state and step."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.catalog.product_lifecycle import NEXT, ProductStatus, Step, next_state
from domain.rejections import Code, Rejection

# What each step leads to; a dash is a refusal.
TABLE = """
                  edited    submitted         approved  rejected  activated  deactivated  archived
draft             draft     pending_approval  -         -         -          -            -
pending_approval  -         -                 approved  rejected  -          -            -
rejected          draft     -                 -         -         -          -            -
approved          approved  -                 -         -         active     -            -
active            active    -                 -         -         -          inactive     -
inactive          inactive  -                 -         -         active     -            archived
archived          -         -                 -         -         -          -            -
"""
steps = st.lists(st.sampled_from(Step), max_size=30)


def test_each_step_from_each_state_leads_where_the_table_says():
    head, *rows = [line.split() for line in TABLE.strip().splitlines()]
    for status, *leads_to in rows:
        for step, expected in zip(head, leads_to, strict=True):
            found = next_state(ProductStatus(status), Step(step))
            assert ("-" if isinstance(found, Rejection) else found.value) == expected, (status, step)
    assert len(rows) == len(ProductStatus)
    assert len(head) == len(Step)


def test_every_state_has_its_row():
    assert set(NEXT) == set(ProductStatus)


@pytest.mark.parametrize("status", ProductStatus)
def test_an_illegal_step_is_a_409_that_names_the_state_and_what_is_allowed(status: ProductStatus):
    for step in Step:
        found = next_state(status, step)
        if isinstance(found, Rejection):
            assert (found.status, found.code) == (409, Code.PRODUCT_STATE)
            assert f"is {status.value} " in found.detail
            allowed = found.detail.partition("from there ")[2]
            assert [s for s in Step if s.value in allowed.split()] == [s for s in Step if s in NEXT[status]]


def _walk(path: list[Step]) -> list[ProductStatus]:
    seen = [ProductStatus.DRAFT]
    for step in path:
        found = next_state(seen[-1], step)
        seen.append(seen[-1] if isinstance(found, Rejection) else found)
    return seen


@given(steps)
def test_nothing_is_active_before_it_was_approved(path: list[Step]):
    seen = _walk(path)
    if ProductStatus.ACTIVE in seen:
        first = seen.index(ProductStatus.ACTIVE)
        assert {ProductStatus.PENDING_APPROVAL, ProductStatus.APPROVED} <= set(seen[:first])


@given(steps)
def test_what_is_archived_stays_so(path: list[Step]):
    seen = _walk(path)
    if ProductStatus.ARCHIVED in seen:
        assert set(seen[seen.index(ProductStatus.ARCHIVED) :]) == {ProductStatus.ARCHIVED}
