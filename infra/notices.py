"""Notices of outcomes: one Redis message of ids per batch, after its commit.

Invariant: a notice is only a hint. Whoever waits also looks into the journal four times a second, so a lost
one costs a quarter of a second.
"""

from collections.abc import Iterable, Iterator
from uuid import UUID

CHANNEL = "ordermill:done"
_ID_BYTES = 16


def pack(ids: Iterable[UUID]) -> bytes:
    """Put ids into one message: 16 bytes each."""
    return b"".join(identifier.bytes for identifier in ids)


def unpack(message: bytes) -> Iterator[bytes]:
    """Return the ids of a message, as bytes: a listener compares most of them with nothing."""
    for start in range(0, len(message) - _ID_BYTES + 1, _ID_BYTES):
        yield message[start : start + _ID_BYTES]
