"""Ways to break an invariant, listed beside the name of the check that must notice."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.ops.trade import Trade

Corrupt = Callable[[Any, Trade], Awaitable[None]]


class Ways:
    """The ways of one file."""

    def __init__(self) -> None:
        self.cases: list[Any] = []

    def breaks(self, check: str) -> Callable[[Corrupt], Corrupt]:
        """Register a way to break one invariant."""

        def register(corrupt: Corrupt) -> Corrupt:
            self.cases.append(pytest.param(check, corrupt, id=f"{check}-{corrupt.__name__}"))
            return corrupt

        return register
