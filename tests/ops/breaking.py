"""Ways to break an invariant, listed beside the name of the check that must notice."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from domain.catalog.listing_sql import refresh_listings
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


async def list_anew(conn: Any, trade: Trade) -> None:
    """Have the lists of products follow what was broken: that they didn't would be noticed, too."""
    await refresh_listings(conn, [offer.product_id for offer in trade.offers])
