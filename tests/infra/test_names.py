"""Names: the same thing has the same one in all processes, and nobody can guess what it names."""

from infra.names import Names
from tests.builders import SECRET_KEY


def test_a_thing_has_one_name_in_all_processes():
    assert Names(SECRET_KEY).of("pair", "a@example.com", "192.0.2.1") == Names(SECRET_KEY).of(
        "pair", "a@example.com", "192.0.2.1"
    )


def test_another_secret_gives_other_names():
    assert Names(SECRET_KEY).of("a") != Names(SECRET_KEY + "x").of("a")


def test_things_are_told_apart_by_where_they_are_cut():
    names = Names(SECRET_KEY)
    texts = [("ab", "c"), ("a", "bc"), ("abc",), ("1:a", "b"), ("a", "1:b")]
    assert len({names.of(*text) for text in texts}) == len(texts)
