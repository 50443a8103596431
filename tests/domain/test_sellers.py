"""Sellers: their way, their members, and the events that tell it."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.accounts.model import Account, AccountStatus, Membership, Position, Role, SellerStatus
from domain.accounts.seller_edit import NO_PAYOUT, Actor, Edit, SealedPayout, change, is_seen_by_buyers, review
from domain.accounts.seller_lifecycle import TRANSITIONS, Review, next_state
from domain.accounts.seller_membership import (
    can_join,
    refuse_another,
    refuse_application,
    refuse_removal,
    refuse_staff,
    refuse_to_act,
)
from domain.accounts.seller_model import MEMBERS_MAX, Member, NewMember, ReviewReason, Seller, SellerChange
from domain.rejections import Code, Rejection

NOW = datetime(2026, 11, 23, tzinfo=UTC)
ADMIN = Actor(UUID(int=99), "test")
STATES, WAYS = list(SellerStatus), list(Review)


def seller(status: SellerStatus = SellerStatus.APPROVED, **changes: Any) -> Seller:
    made = Seller(UUID(int=1), "Ada's", "Engines", status, "", b"sealed", "•••• 1234", 3, NOW)
    return msgspec.structs.replace(made, **changes)


def member(number: int, position: Position = Position.STAFF) -> Member:
    return Member(UUID(int=number), f"{number}@example.com", "", position, NOW)


OWNER, STAFF = member(1, Position.OWNER), member(2)


@pytest.mark.parametrize("status", STATES)
@pytest.mark.parametrize("way", WAYS)
def test_every_decision_in_every_state_leads_somewhere_or_is_refused(status: SellerStatus, way: Review):
    ways = {
        (SellerStatus.APPLIED, Review.APPROVE): SellerStatus.APPROVED,
        (SellerStatus.APPLIED, Review.REJECT): SellerStatus.REJECTED,
        (SellerStatus.APPROVED, Review.SUSPEND): SellerStatus.SUSPENDED,
        (SellerStatus.SUSPENDED, Review.REINSTATE): SellerStatus.APPROVED,
    }
    assert set(TRANSITIONS) == set(SellerStatus)
    after = next_state(status, way)
    if (status, way) in ways:
        assert after == ways[status, way]
    else:
        assert isinstance(after, Rejection)
        assert (after.status, after.code) == (409, Code.SELLER_STATE)
        assert status.value in after.detail.split(":")[0]
        allowed = after.detail.split("is ")[-1]
        assert allowed == (" or ".join(way.value for way in TRANSITIONS[status]) or "nothing")


@given(st.lists(st.sampled_from(WAYS), max_size=12))
def test_only_what_was_approved_sells_and_rejected_is_an_end(ways: list[Review]):
    now, versions = seller(SellerStatus.APPLIED, version=1), [1]
    for way in ways:
        edit = review(now, way, "why", ADMIN)
        if isinstance(edit, Edit):
            assert now.status is not SellerStatus.REJECTED
            assert edit.event.version == edit.seller.version == now.version + 1
            assert edit.event.stream == now.id
            assert edit.revokes is (edit.seller.status is SellerStatus.SUSPENDED)
            assert (edit.mail is not None) is (way in {Review.APPROVE, Review.REJECT})
            now = edit.seller
            versions.append(now.version)
    assert versions == list(range(1, len(versions) + 1))


def test_a_reason_is_told_and_goes_with_what_it_was_the_reason_of():
    suspended = review(seller(), Review.SUSPEND, "late parcels", ADMIN)
    assert isinstance(suspended, Edit)
    assert suspended.seller.reason == "late parcels"
    assert msgspec.json.decode(suspended.event.data) == {"reason": "late parcels"}
    back = review(suspended.seller, Review.REINSTATE, "", ADMIN)
    assert isinstance(back, Edit)
    assert back.seller.reason == ""


@pytest.mark.parametrize("reason", ["", " ", "\n\t", "a" * 2_001])
def test_a_reason_says_something(reason: str):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"reason": reason}, ReviewReason)


def test_a_change_leaves_what_it_does_not_name():
    edit = change(seller(), SellerChange(name="Ada & Co."), None, ADMIN)
    assert edit is not None
    assert edit.seller == seller(name="Ada & Co.", version=4)
    assert msgspec.json.decode(edit.event.data) == {
        "name": "Ada & Co.",
        "description": "Engines",
        "payout_changed": False,
    }


def test_a_change_of_nothing_is_none():
    assert change(seller(), SellerChange(), None, ADMIN) is None
    assert change(seller(), SellerChange(name="Ada's", description="Engines"), None, ADMIN) is None


def test_payout_details_are_replaced_and_forgotten_and_no_event_holds_anything_of_them():
    other = change(seller(), SellerChange(), SealedPayout(b"other", "•••• 9876"), ADMIN)
    assert other is not None
    assert (other.seller.payout, other.seller.payout_shown) == (b"other", "•••• 9876")
    gone = change(seller(), SellerChange(payout=None), NO_PAYOUT, ADMIN)
    assert gone is not None
    assert (gone.seller.payout, gone.seller.payout_shown) == (None, "")
    for edit in (other, gone):
        assert msgspec.json.decode(edit.event.data)["payout_changed"] is True
        assert "9876" not in edit.event.data
        assert "other" not in edit.event.data


@pytest.mark.parametrize(
    ("after", "seen"),
    [
        (seller(name="Other"), True),
        (seller(SellerStatus.SUSPENDED), True),
        (seller(description="Other"), False),
        (seller(version=4), False),
    ],
)
def test_buyers_see_a_sellers_name_and_whether_it_sells(after: Seller, seen: bool):
    assert is_seen_by_buyers(seller(), after) is seen


@pytest.mark.parametrize("status", STATES)
def test_a_member_applies_anew_only_when_its_seller_was_rejected(status: SellerStatus):
    refused = refuse_application(Membership(UUID(int=1), status, Position.OWNER))
    assert (refused is None) is (status is SellerStatus.REJECTED)
    assert refuse_application(None) is None


@pytest.mark.parametrize("status", STATES)
def test_members_act_for_an_approved_seller_only(status: SellerStatus):
    refused = refuse_to_act(status, [OWNER, STAFF], STAFF.account_id)
    assert (refused is None) is (status is SellerStatus.APPROVED)
    assert refused is None or (refused.status == 403 and status.value in refused.detail)
    stranger = refuse_to_act(status, [OWNER], STAFF.account_id)
    assert stranger is not None
    assert stranger.status == 403


def test_staff_is_no_owner():
    assert refuse_staff([OWNER, STAFF], OWNER.account_id) is None
    for other in (STAFF.account_id, UUID(int=7)):
        refused = refuse_staff([OWNER, STAFF], other)
        assert refused is not None
        assert refused.status == 403


@given(
    positions=st.dictionaries(st.integers(1, 6), st.sampled_from(Position), min_size=1),
    actor=st.integers(1, 7),
    leaves=st.integers(1, 7),
)
def test_a_seller_with_an_owner_keeps_one_whoever_removes_whom(positions: dict[int, Position], actor: int, leaves: int):
    members = [member(number, position) for number, position in positions.items()]
    refused = refuse_removal(members, UUID(int=actor), UUID(int=leaves))
    owners = {number for number, position in positions.items() if position is Position.OWNER}
    if actor != leaves and actor not in owners:
        assert refused is not None
        assert refused.status == 403
    elif leaves not in positions:
        assert refused is not None
        assert refused.status == 404
    elif not owners - {leaves}:
        assert refused is not None
        assert refused.status == 409
    else:
        assert refused is None


def account(**changes: Any) -> Account:
    made = Account(UUID(int=5), "a@example.com", "", "hash", frozenset({Role.BUYER}), AccountStatus.ACTIVE, NOW, 1, 1)
    return msgspec.structs.replace(made, **changes)


def test_who_joins_is_active_has_a_verified_address_and_acts_for_nobody_else():
    assert can_join(account(), None)
    assert can_join(account(), Membership(UUID(int=1), SellerStatus.REJECTED, Position.OWNER))
    assert not can_join(None, None)
    assert not can_join(account(status=AccountStatus.SUSPENDED), None)
    assert not can_join(account(verified_at=None), None)
    for status in set(SellerStatus) - {SellerStatus.REJECTED}:
        assert not can_join(account(), Membership(UUID(int=1), status, Position.STAFF))


def test_a_seller_has_a_most_members():
    assert refuse_another([OWNER] * (MEMBERS_MAX - 1)) is None
    refused = refuse_another([OWNER] * MEMBERS_MAX)
    assert refused is not None
    assert refused.code is Code.LIMIT_REACHED


def test_a_new_member_is_staff_unless_said_otherwise():
    assert msgspec.convert({"email": "a@example.com"}, NewMember).position is Position.STAFF
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"email": "a@example.com", "position": "admin"}, NewMember)
