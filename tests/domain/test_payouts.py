"""What a payout takes, who is left out, and what may happen to it."""

from itertools import count
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import ids
from domain.payments.ledger import PostingKind
from domain.payments.payouts import (
    DISPUTED,
    PAYOUT,
    Due,
    Item,
    ItemState,
    PayoutState,
    PayoutStep,
    collect,
    first_of,
    next_state,
    postings_of,
    refuse_failing,
    withdrawals,
)
from domain.rejections import Rejection
from tests.domain.strategies import laws

ANN, BERT, CLEO = (UUID(int=n) for n in (1, 2, 3))
PAYOUT_ID = ids.compose(1, bytes(8))
_orders = count(1)


def due(seller: UUID, *balances: int) -> list[Due]:
    return [Due(UUID(int=next(_orders)), 0, seller, balance) for balance in balances]


def taken(*found: list[Due], payable: set[UUID], minimum: int = 1, limit: int = 100) -> dict[UUID, int]:
    step = collect([each for part in found for each in part], payable, minimum, limit=limit)
    return {item.seller_id: item.amount_minor for item in step.items}


def test_a_seller_is_taken_with_all_that_is_due():
    assert taken(due(ANN, 100, 250), due(BERT, 7), payable={ANN, BERT}) == {ANN: 350, BERT: 7}


def test_a_refund_after_a_payout_is_a_negative_entry_in_the_next_one():
    assert taken(due(ANN, 100, -30), payable={ANN}) == {ANN: 70}


@pytest.mark.parametrize("balances", [(99,), (150, -51), (-10,), (-100, 100)])
def test_less_than_the_minimum_is_carried_over_with_its_orders(balances: tuple[int, ...]):
    step = collect(due(ANN, *balances), {ANN}, 100, limit=100)
    assert (step.items, step.taken) == ([], [])


def test_who_can_not_be_paid_is_carried_over():
    assert taken(due(ANN, 100), due(BERT, 100), payable={BERT}) == {BERT: 100}


def test_a_seller_whose_orders_are_cut_off_waits_for_the_next_step():
    step = collect([*due(ANN, 1, 1), *due(BERT, 1)], {ANN, BERT}, 1, limit=3)
    assert [item.seller_id for item in step.items] == [ANN]
    assert (step.after_seller, step.more) == (ANN, True)


def test_a_seller_of_whom_there_is_more_than_a_step_takes_is_taken_in_part():
    step = collect(due(ANN, 1, 2, 3), {ANN}, 1, limit=3)
    assert [(item.amount_minor, item.orders) for item in step.items] == [(6, 3)]
    assert (step.after_seller, step.more) == (ANN, True)


def test_nothing_due_is_nothing_more():
    step = collect([], set(), 1, limit=3)
    assert (step.items, step.taken, step.more) == ([], [], False)


@laws()
@given(st.lists(st.lists(st.integers(-50, 100).filter(bool), max_size=6), max_size=8), st.integers(1, 120))
def test_what_is_taken_is_what_items_say_and_each_seller_is_whole(sellers: list[list[int]], minimum: int):
    found = [each for n, balances in enumerate(sellers) for each in due(UUID(int=n + 1), *balances)]
    payable = {UUID(int=n + 1) for n in range(0, len(sellers), 2)}
    step = collect(found, payable, minimum, limit=1_000)
    assert sum(item.amount_minor for item in step.items) == sum(each.balance_minor for each in step.taken)
    in_it = {item.seller_id for item in step.items}
    assert step.taken == [each for each in found if each.seller_id in in_it]
    assert all(item.amount_minor >= minimum and item.seller_id in payable for item in step.items)


def test_an_approval_leaves_out_who_is_disputed_or_can_not_be_paid_any_more():
    items = [Item(ANN, 1, 1), Item(BERT, 1, 1), Item(CLEO, 1, 1)]
    left_out = withdrawals(items, {ANN}, {ANN, CLEO})
    assert set(left_out) == {ANN, CLEO}
    assert left_out[ANN] == DISPUTED


def test_a_step_books_what_fits_and_at_least_one_part():
    items = [Item(ANN, 1, 9), Item(BERT, 1, 1), Item(CLEO, 1, 1)]
    assert first_of(items, orders=10) == items[:2]
    assert first_of(items, orders=5) == items[:1]
    assert first_of(items, sellers=2) == items[:2]


def test_a_part_has_one_cause_whatever_happens_to_it():
    of = {
        kind: postings_of(PAYOUT_ID, "USD", [Item(ANN, 5, 1)], kind)[0]
        for kind in (PostingKind.PAYOUT, PostingKind.PAYOUT_PAID, PostingKind.PAYOUT_FAILED)
    }
    assert len({each.cause_id for each in of.values()}) == 1
    assert {kind: [(side.account.value, amount) for side, amount in each.entries()] for kind, each in of.items()} == {
        PostingKind.PAYOUT: [("seller_payable", 5), ("payouts", -5)],
        PostingKind.PAYOUT_PAID: [("payouts", 5), ("bank", -5)],
        PostingKind.PAYOUT_FAILED: [("payouts", 5), ("seller_payable", -5)],
    }


def test_what_bounces_after_it_was_paid_is_back_in_the_bank():
    (posting,) = postings_of(PAYOUT_ID, "USD", [Item(ANN, 5, 1, ItemState.PAID)], PostingKind.PAYOUT_FAILED)
    assert [(side.account.value, amount) for side, amount in posting.entries()] == [("bank", 5), ("seller_payable", -5)]


def test_a_step_that_may_not_be_is_a_409_that_names_the_state_and_what_may():
    refused = next_state(PayoutState.PENDING_APPROVAL, PayoutStep.PAY)
    assert isinstance(refused, Rejection)
    assert refused.status == 409
    assert "is pending approval and can't be marked paid; from there it may be approved" in refused.detail


def test_every_state_says_what_follows():
    assert set(PAYOUT) == set(PayoutState)
    assert PAYOUT[PayoutState.FAILED] == PAYOUT[PayoutState.EMPTY] == {}


def test_only_what_is_still_to_be_paid_or_was_paid_can_be_marked_failed():
    items = [Item(ANN, 1, 1), Item(BERT, 1, 1, ItemState.WITHDRAWN)]
    assert refuse_failing(items[:1], [ANN], PayoutState.APPROVED) is None
    refused = refuse_failing(items, [ANN, BERT], PayoutState.APPROVED)
    assert refused is not None
    assert "withdrawn" in refused.detail
    unknown = refuse_failing(items, [CLEO], PayoutState.APPROVED)
    assert unknown is not None
    assert "not in the payout" in unknown.detail
    assert refuse_failing([Item(ANN, 1, 1, ItemState.PAID)], [ANN], PayoutState.PAID) is None
