"""Ways to break an invariant, listed beside the name of the check that must notice."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

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


_BOOK = """
WITH made AS (
    INSERT INTO ledger_entries (cause_id, kind, entry_no, account, owner, currency, amount_minor, order_id, at)
    SELECT $1, $3, t.n, t.account, t.owner, 'USD', t.amount, $2, now()
    FROM (VALUES (0, $4::text, $5::text, $6::bigint), (1, 'bank', '', -$6::bigint)) AS t (n, account, owner, amount)
    RETURNING account, owner, amount_minor
)
INSERT INTO ledger_accounts AS a SELECT account, owner, 'USD', amount_minor FROM made
ON CONFLICT (account, owner, currency) DO UPDATE SET balance_minor = a.balance_minor + excluded.balance_minor
"""


async def book(conn: Any, order: UUID, kind: str, account: str, amount_minor: int, *, owner: str = "") -> None:
    """Have the ledger say what it would if something had come about otherwise; the bank is the other side."""
    owner = "sandbox" if account == "gateway_clearing" else owner
    await conn.execute(_BOOK, uuid4(), order, kind, account, owner, amount_minor)
