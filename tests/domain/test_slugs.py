"""Slugs: readable, plain ASCII, never empty."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.catalog.slugs import LENGTH_MAX, PATTERN, UNTITLED, slug_of, slugs_of
from infra.clock import new_id
from tests.domain.strategies import laws, make_id


@laws(1000)
@given(st.text(max_size=300))
def test_a_slug_is_words_of_ascii_letters_and_digits_whatever_the_title(title):
    slug = slug_of(title)
    assert re.search(PATTERN, slug)
    assert 1 <= len(slug) <= LENGTH_MAX
    assert slug_of(slug) == slug


@laws()
@given(st.text(max_size=200))
def test_the_slugs_to_try_are_different_ones(title):
    tried = slugs_of(title, make_id(7))
    assert tried[0] == slug_of(title)
    assert len(set(tried)) == len(tried)
    assert all(re.search(PATTERN, slug) and len(slug) <= LENGTH_MAX for slug in tried)


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("Enamel mug", "enamel-mug"),
        ("  Kupfer-Kessel, groß!  ", "kupfer-kessel-gross"),
        ("Women's shoes", "womens-shoes"),
        ("Жёлтый чай", "zheltyy-chay"),
        ("🎧 Kopfhörer", "headphones-kopfhorer"),
        ("\uff23\uff41\uff46e\u0301", "cafe"),
        ("¿?!", UNTITLED),
        ("", UNTITLED),
    ],
)
def test_other_scripts_are_transliterated(title, slug):
    assert slug_of(title) == slug


def test_the_last_slug_to_try_holds_the_random_part_of_the_things_id():
    one, other = (slugs_of("Mug", new_id())[-1] for _ in range(2))
    assert one != other
    assert re.fullmatch("mug-[0-9a-f]{12}", one)


@pytest.mark.parametrize("slug", ["", "-a", "a-", "a--b", "A", "a_b", "a\n", "ä"])
def test_what_a_client_sends_as_a_slug_has_the_same_form(slug):
    assert re.search(PATTERN, slug) is None
