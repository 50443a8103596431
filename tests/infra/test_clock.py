"""The source of ids."""

import time

from infra import clock


def test_ids_of_one_process_rise_within_a_millisecond():
    made = [clock.new_id() for _ in range(20_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_ids_rise_even_when_the_clock_is_set_back(monkeypatch):
    before = clock.new_id()
    earlier = time.time_ns() - 3_600_000_000_000
    monkeypatch.setattr(clock.time, "time_ns", lambda: earlier)
    assert clock.new_id() > before
