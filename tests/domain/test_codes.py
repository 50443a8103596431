"""Codes: how they are compared and spelt, and how many of a length there may be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.pricing.codes import ALPHABET, GUESSES_BITS, MADE_MAX, NewCodes, code_key, fault_of_codes, spell
from tests.domain.strategies import laws


@laws(100)
@given(st.binary(max_size=600), st.integers(1, 30), st.sampled_from(["", "X", "sale-"]))
def test_every_byte_is_a_letter_and_every_code_has_its_length(random, length, prefix):
    whole = random[: len(random) // length * length]
    codes = spell(whole, length, prefix)
    assert len(codes) == len(whole) // length
    assert all(code.startswith(prefix) and len(code) == len(prefix) + length for code in codes)
    assert set("".join(code.removeprefix(prefix) for code in codes)) <= set(ALPHABET)


def test_each_letter_comes_from_as_many_bytes_as_any_other():
    letters = "".join(spell(bytes(range(256)), 1, ""))
    assert {letters.count(letter) for letter in ALPHABET} == {256 // len(ALPHABET)}


def test_the_case_of_letters_does_not_count():
    assert code_key("Summer-2026_x") == code_key("sUMMER-2026_X")


@laws(200)
@given(st.integers(1, MADE_MAX), st.integers(1, 30))
def test_a_guess_is_right_once_in_a_billion_times_or_less_often(count, length):
    refused = fault_of_codes(NewCodes(count=count, length=length))
    rare = count * 2**GUESSES_BITS <= len(ALPHABET) ** length
    if rare and refused is not None:
        # Counts are rounded up to a power of two, so up to one letter more may be asked for.
        assert count * 2 * 2**GUESSES_BITS > len(ALPHABET) ** length
    assert rare or (refused is not None and refused.path == "length")


def test_a_hundred_thousand_codes_of_ten_letters_are_enough():
    assert fault_of_codes(NewCodes(count=100_000, length=10)) is None
    refused = fault_of_codes(NewCodes(count=100_000, length=9))
    assert refused is not None
    assert "at least 10 characters" in refused.detail


@pytest.mark.parametrize(
    ("new", "path"),
    [(NewCodes(), "codes"), (NewCodes(("A",), 5), "codes"), (NewCodes(("A",), prefix="X"), "prefix")],
)
def test_codes_are_listed_or_made_up(new, path):
    refused = fault_of_codes(new)
    assert refused is not None
    assert (refused.status, refused.path) == (400, path)
