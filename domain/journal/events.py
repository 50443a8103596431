"""Where a reader of all streams stands, and what it reads.

Invariant: transactions commit out of the order of positions, so a reader goes by the transaction first and then by the
position, below the oldest transaction still open. What it has passed, nobody can commit any more.
"""

import re
from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

NUMBER_MAX = 2**63 - 1
Number = Annotated[int, Meta(ge=0, le=NUMBER_MAX)]
_TEXT = re.compile(r"(0|[1-9][0-9]{0,18})-(0|[1-9][0-9]{0,18})", re.ASCII)


class EventCursor(Struct, frozen=True, order=True):
    """A place in the order of all events: everything up to it has been read."""

    xid: Number
    position: Number

    def __str__(self) -> str:
        """The cursor as clients hold it."""
        return f"{self.xid}-{self.position}"


BEGINNING = EventCursor(0, 0)


def parse_cursor(text: str) -> EventCursor | None:
    """Read a cursor as clients send it back; None when it is none."""
    match = _TEXT.fullmatch(text)
    if match is None or max(int(match[1]), int(match[2])) > NUMBER_MAX:
        return None
    return EventCursor(int(match[1]), int(match[2]))


class StoredEvent(Struct, frozen=True):
    """An event as it stands in the store. ``data`` is JSON."""

    stream: UUID
    version: int
    type: str
    data: str
    actor: UUID
    correlation: str
    at: datetime
    cursor: EventCursor


class Portion(Struct, frozen=True):
    """The next events for a reader: those it wants, and the cursor behind all that was looked at.

    ``full`` says that there is probably more.
    """

    events: list[StoredEvent]
    cursor: EventCursor
    full: bool
