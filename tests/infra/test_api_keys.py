"""API keys as text: made at random, written in one way, stored as a hash."""

import hashlib

import pytest

from infra.api_keys import Presented, hash_of, make, read
from infra.clock import new_id

ID = new_id()
GOOD = make(ID)
FOREIGN = {
    "nothing": "",
    "the prefix alone": "omk_",
    "a short one": GOOD[:-1],
    "a long one": GOOD + "A",
    "padding": GOOD + "=",
    "a line's end after it": GOOD + "\n",
    "space before it": f" {GOOD}",
    "an id in capitals": GOOD[:4] + GOOD[4:36].upper() + GOOD[36:],
    "an id with dashes": f"omk_{ID}_{GOOD[37:]}",
    "another alphabet": GOOD[:37] + "+" + GOOD[38:],
    "digits of another script": GOOD[:37] + "٣" * 43,
    "another prefix": "sk_" + GOOD[4:],
    "megabytes": "omk_" + "a" * 4_000_000,
}


def test_a_key_leads_back_to_its_id_and_its_hash():
    assert read(GOOD) == Presented(ID, hashlib.sha256(GOOD.encode()).digest())
    assert hash_of(GOOD) == read(GOOD).hash


def test_a_key_is_another_one_each_time():
    made = {make(ID) for _ in range(1_000)}
    assert len(made) == 1_000
    assert len({key[37:] for key in made}) == 1_000


def test_every_character_of_a_key_counts():
    for place, character in enumerate(GOOD):
        other = read(GOOD[:place] + ("a" if character != "a" else "b") + GOOD[place + 1 :])
        assert other is None or other.hash != hash_of(GOOD)


@pytest.mark.parametrize("text", FOREIGN.values(), ids=FOREIGN.keys())
def test_what_is_not_written_like_a_key_is_none(text: str):
    assert read(text) is None
