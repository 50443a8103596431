"""API keys: when they end, and what rotating one comes to."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.accounts.key_model import (
    KEYS_MAX,
    OVERLAP_SECONDS_MAX,
    ApiKey,
    KeyRotation,
    NewApiKey,
    Rotated,
    end_of,
    refuse_another,
    refuse_another_overlap,
    rotate,
)
from domain.accounts.model import Scope
from domain.rejections import Code, Rejection

NOW = datetime(2026, 11, 23, tzinfo=UTC)
DAY = timedelta(days=1)
AGES = st.timedeltas(min_value=timedelta(0), max_value=365 * DAY)


def key(**changes: Any) -> ApiKey:
    made = ApiKey(
        id=UUID(int=1),
        name="shop",
        scopes=[Scope.ORDERS_READ],
        created_at=NOW - 10 * DAY,
        expires_at=NOW + 80 * DAY,
        used_at=None,
        revoked_at=None,
        replaced_by=None,
    )
    return msgspec.structs.replace(made, **changes)


def test_a_key_lives_as_long_as_the_deployment_says_unless_said_otherwise():
    assert end_of(None, NOW, days=90, days_max=366) == NOW + 90 * DAY
    assert end_of(NOW + DAY, NOW, days=90, days_max=366) == NOW + DAY
    assert end_of(NOW + 366 * DAY, NOW, days=90, days_max=366) == NOW + 366 * DAY


@pytest.mark.parametrize("wished", [NOW - DAY, NOW, NOW + 366 * DAY + timedelta(microseconds=1)])
def test_a_key_ends_in_the_future_and_not_too_far_in_it(wished: datetime):
    refused = end_of(wished, NOW, days=90, days_max=366)
    assert isinstance(refused, Rejection)
    assert (refused.status, refused.path) == (400, "expires_at")


@given(age=AGES, left=AGES.filter(bool), overlap=st.integers(0, OVERLAP_SECONDS_MAX))
def test_a_replaced_key_ends_after_the_overlap_and_never_later_than_it_would_have(
    age: timedelta, left: timedelta, overlap: int
):
    old = key(created_at=NOW - age, expires_at=NOW + left)
    rotated = rotate(old, NOW, overlap_seconds=overlap, days_max=366)
    assert isinstance(rotated, Rotated)
    assert NOW <= rotated.old_expires_at <= old.expires_at
    assert rotated.old_expires_at <= NOW + timedelta(seconds=overlap)
    assert rotated.new_expires_at - NOW == min(age + left, 366 * DAY)


@pytest.mark.parametrize(
    "changes",
    [{"replaced_by": UUID(int=2)}, {"revoked_at": NOW}, {"revoked_at": NOW, "replaced_by": UUID(int=2)}],
)
def test_a_key_that_is_over_is_not_rotated(changes: dict[str, Any]):
    refused = rotate(key(**changes), NOW, overlap_seconds=0, days_max=366)
    assert isinstance(refused, Rejection)
    assert refused.status == 409


def test_a_key_that_has_expired_is_not_rotated():
    assert isinstance(rotate(key(expires_at=NOW), NOW, overlap_seconds=0, days_max=366), Rejection)


def test_there_is_a_most_keys_and_a_most_in_their_overlap():
    for refuse in (refuse_another, refuse_another_overlap):
        assert refuse(KEYS_MAX - 1) is None
        refused = refuse(KEYS_MAX)
        assert refused is not None
        assert (refused.status, refused.code) == (409, Code.LIMIT_REACHED)


BAD = {
    "no scope": {"name": "a", "scopes": []},
    "an unknown scope": {"name": "a", "scopes": ["everything"]},
    "no name": {"name": "", "scopes": ["orders:read"]},
    "a name of spaces": {"name": "  ", "scopes": ["orders:read"]},
    "a name that ends in a line feed": {"name": "a\n", "scopes": ["orders:read"]},
    "a name over two lines": {"name": "a\nb", "scopes": ["orders:read"]},
    "a long name": {"name": "a" * 201, "scopes": ["orders:read"]},
    "an end without a zone": {"name": "a", "scopes": ["orders:read"], "expires_at": "2027-01-01T00:00:00"},
    "an unknown field": {"name": "a", "scopes": ["orders:read"], "account_id": str(UUID(int=1))},
}


@pytest.mark.parametrize("body", BAD.values(), ids=BAD.keys())
def test_what_is_no_key_is_refused(body: dict[str, Any]):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(body, NewApiKey)


@pytest.mark.parametrize("seconds", [-1, OVERLAP_SECONDS_MAX + 1, 1.5])
def test_an_overlap_has_bounds(seconds: float):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"overlap_seconds": seconds}, KeyRotation)


@pytest.mark.parametrize("name", ["a", "a b", "Müller & Söhne", "日本", "a" * 200])
def test_a_name_is_one_line(name: str):
    assert msgspec.convert({"name": name, "scopes": ["orders:read"]}, NewApiKey).name == name
