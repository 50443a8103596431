"""The one source of new ids and of the time for code that isn't pure.

Invariant: ids made by one process rise, also within a millisecond: commands of one thing are carried out in the
order of their ids, so two that a client sent one after the other must not change places.
"""

import os
import time
from uuid import UUID

from domain import ids

_TICK_NS = 250
"""The 12 bits after the milliseconds tell a quarter of a microsecond (RFC 9562, section 6.2, method 3)."""


class _Clock:
    def __init__(self) -> None:
        self._last_ns = 0

    def now_ns(self) -> int:
        """Nanoseconds since 1970, later than any returned before, whatever the system's clock does."""
        self._last_ns = max(time.time_ns(), self._last_ns + _TICK_NS)
        return self._last_ns


_clock = _Clock()


def new_id() -> UUID:
    """Make a UUIDv7 that is greater than this process's earlier ones, with its low 12 bits free for children."""
    milliseconds, rest = divmod(_clock.now_ns(), 1_000_000)
    random = int.from_bytes(os.urandom(ids.ENTROPY_BYTES), "big")
    fraction = (rest << 12) // 1_000_000
    return ids.compose(milliseconds, (random & ~0xFFF | fraction).to_bytes(ids.ENTROPY_BYTES, "big"))
