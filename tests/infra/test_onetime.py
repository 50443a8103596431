"""One-time tokens: only ours, only for their purpose, written in one way."""

import base64
import hmac
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.accounts.model import Purpose
from infra.clock import new_id
from infra.onetime import TOKEN_LENGTH, read, token_of
from tests.builders import SECRET_KEY

PURPOSES = list(Purpose)


@given(st.uuids(), st.sampled_from(PURPOSES))
def test_a_token_leads_back_to_its_id(token_id: UUID, purpose: Purpose):
    token = token_of(SECRET_KEY, purpose, token_id)
    assert read(SECRET_KEY, purpose, token) == token_id
    assert token == token_of(SECRET_KEY, purpose, token_id), "so a mail that is written again carries the same link"


@given(st.uuids())
def test_a_token_needs_no_escaping_in_a_link(token_id: UUID):
    token = token_of(SECRET_KEY, Purpose.VERIFY_EMAIL, token_id)
    assert len(token) == TOKEN_LENGTH
    assert token.replace("-", "").replace("_", "").isalnum()
    assert token.isascii()


def test_a_token_serves_one_purpose_only():
    token_id = new_id()
    for made_for in PURPOSES:
        token = token_of(SECRET_KEY, made_for, token_id)
        believed = [purpose for purpose in PURPOSES if read(SECRET_KEY, purpose, token)]
        assert believed == [made_for]


def test_a_token_under_another_secret_is_not_ours():
    token = token_of("x" * 40, Purpose.RESET_PASSWORD, new_id())
    assert read(SECRET_KEY, Purpose.RESET_PASSWORD, token) is None


def test_every_character_of_a_token_counts():
    token = token_of(SECRET_KEY, Purpose.RESET_PASSWORD, new_id())
    for place, character in enumerate(token):
        for other in "A" if character != "A" else "B", chr(ord(character) ^ 1):
            changed = token[:place] + other + token[place + 1 :]
            assert read(SECRET_KEY, Purpose.RESET_PASSWORD, changed) is None


def test_the_mac_is_whole_and_under_a_key_of_its_own():
    token_id = new_id()
    raw = base64.urlsafe_b64decode(token_of(SECRET_KEY, Purpose.VERIFY_EMAIL, token_id))
    assert raw[:16] == token_id.bytes
    assert len(raw[16:]) == 32
    assert raw[16:] != hmac.digest(SECRET_KEY.encode(), b"verify_email\0" + token_id.bytes, "sha256")


def _with_plus_and_slash() -> str:
    """A token in the other alphabet of base64, which many decoders take as well."""
    tokens = (token_of(SECRET_KEY, Purpose.VERIFY_EMAIL, uuid4()) for _ in range(1_000))
    return next(t for t in tokens if "-" in t and "_" in t).replace("-", "+").replace("_", "/")


GOOD = token_of(SECRET_KEY, Purpose.VERIFY_EMAIL, UUID(int=7))
FOREIGN = {
    "nothing": "",
    "a short one": GOOD[:-1],
    "a long one": GOOD + "A",
    "padding": GOOD + "====",
    "space around it": f" {GOOD}",
    "a line's end after it": GOOD + "\n",
    "another alphabet": _with_plus_and_slash(),
    "characters that decoders skip": GOOD[:32] + "!" + GOOD[33:],
    "digits of another script": "٣" * TOKEN_LENGTH,
    "half a surrogate": "\ud800" * TOKEN_LENGTH,
    "an id alone": base64.urlsafe_b64encode(UUID(int=7).bytes).decode(),
    "megabytes": "A" * 4_000_000,
}


@pytest.mark.parametrize("token", FOREIGN.values(), ids=FOREIGN.keys())
def test_what_is_not_a_token_of_ours_is_nobodys(token: str):
    assert read(SECRET_KEY, Purpose.VERIFY_EMAIL, token) is None
