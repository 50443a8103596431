"""Where a reader of events stands, as clients hold it."""

import pytest

from domain.journal.events import EventCursor, parse_cursor


@pytest.mark.parametrize("text", ["", "1", "-1-2", "1-2-3", "01-2", "1-x", " 1-2", "9223372036854775808-0", "\u0661-1"])
def test_what_is_no_cursor_is_told_apart(text):
    assert parse_cursor(text) is None


def test_a_cursor_is_read_as_it_was_written():
    cursor = EventCursor(2**63 - 1, 12)
    assert parse_cursor(str(cursor)) == cursor
