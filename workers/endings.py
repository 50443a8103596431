"""How a command's end is written down, and by what it is found in the log: the same for batches and effects."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import msgspec

from domain.journal.model import Claimed, Rejected, Succeeded
from infra import trace_context

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


def found_by(commands: Iterable[Claimed[Any]]) -> dict[str, list[str]]:
    """What a line about commands is found by: their correlation ids, and the ids of their traces, if they have any."""
    correlations, traces = [], []
    for claimed in commands:
        correlations.append(claimed.correlation)
        if claimed.trace is not None:
            traces.append(trace_context.id_of(claimed.trace))
    return {"correlations": correlations, **({"traces": traces} if traces else {})}
