"""How a command's end is written down: the same for batches and effects."""

from typing import Any
from uuid import UUID

import msgspec

from domain.journal.model import Claimed, Rejected, Succeeded

_encode = msgspec.json.Encoder().encode

Ending = tuple[UUID, str, int, str | None, str | None]
"""(id, status, attempts, result as JSON, problem as JSON): a row of ``outcomes``."""


def ending_of(claimed: Claimed[Any], outcome: Succeeded | Rejected) -> Ending:
    """The row of a command that succeeded or was refused."""
    match outcome:
        case Succeeded(result):
            encoded = None if result is None else _encode(result).decode()
            return claimed.id, "succeeded", claimed.attempts, encoded, None
        case Rejected(problem):
            return claimed.id, "rejected", claimed.attempts, None, _encode(problem).decode()
