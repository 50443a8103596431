"""What is remembered of what was lately seen."""

from infra.recent import Recent


def test_the_last_ones_are_remembered_and_never_more_than_twice_as_many():
    recent: Recent[int, str] = Recent(10)
    for n in range(100):
        recent.note(n, f"value {n}")
        assert all(recent.get(k) == f"value {k}" for k in range(max(0, n - 9), n + 1))
        assert sum(recent.get(k) is not None for k in range(n + 1)) <= 20


def test_what_was_never_noted_is_not_known_and_the_last_value_counts():
    recent: Recent[str, int] = Recent(2)
    assert recent.get("a") is None
    for value in range(5):
        recent.note("a", value)
        recent.note("b", -value)
        assert recent.get("a") == value
