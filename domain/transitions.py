"""Following a transition table: the one way a stored state changes.

Invariant: a table is total over states; what a state doesn't list may not be done from it, and the refusal says what
may.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from domain.rejections import Code, Rejection

State = TypeVar("State", bound=StrEnum)
Step = TypeVar("Step", bound=StrEnum)


def follow(
    table: Mapping[State, Mapping[Step, State]], state: State, step: Step, *, thing: str, code: Code
) -> State | Rejection:
    """The state a step leads to, or a 409 that names the state and what may be done from it."""
    allowed = table[state]
    if step in allowed:
        return allowed[step]
    may = f"it may be {' or '.join(_word(step) for step in allowed)}" if allowed else "nothing follows"
    return Rejection(409, code, f"{thing} is {_word(state)} and can't be {_word(step)}; from there {may}")


def _word(member: StrEnum) -> str:
    return member.value.replace("_", " ")
