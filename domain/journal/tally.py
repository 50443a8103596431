"""What batches count besides their outcomes: figures of the business, each by one label.

Invariant: what is tallied counts once its batch has committed. What was undone or decided again counts for nothing.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol
from uuid import UUID


class Tally(StrEnum):
    """What is counted, and by what."""

    ORDERS_PLACED = "orders_placed"
    """by currency"""
    CAPTURED_MINOR = "captured_minor"
    """by currency, in minor units"""
    REFUNDED_MINOR = "refunded_minor"
    """by currency, in minor units"""
    ALARMS = "alarms"
    """what a person has to look at, by what it is"""


Tallies = dict[tuple[Tally, str], int]
"""How much of what, by label."""


class Ran(Protocol):
    """A run of a job's function over some commands, and what it tallied."""

    @property
    def ids(self) -> Sequence[UUID]:
        """The commands it ran."""

    @property
    def tallies(self) -> Tallies:
        """What it counted."""


def sum_of(runs: Sequence[Ran]) -> Tallies:
    """Add up what counts of a batch's runs, given in their order: of each command its last run alone.

    A run that was undone was followed by others of the same commands: by all of them at once, or by halves.
    """
    found: Tallies = {}
    seen: set[UUID] = set()
    for run in reversed(runs):
        ids = run.ids
        if not ids or ids[0] in seen:
            continue
        seen.update(ids)
        for key, amount in run.tallies.items():
            found[key] = found.get(key, 0) + amount
    return found
