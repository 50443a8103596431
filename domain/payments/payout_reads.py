"""Payouts as admins see them, and what a bank needs to know of one."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct

from domain.connection import Connection
from domain.money import Currency, Money
from domain.payments.payouts import ItemState, PayoutState

_PAYOUTS = """
       id, currency, state, version, until, minimum_minor, sellers, orders, total_minor, created_by, created_at,
       approved_by, approved_at, ended_at, reason
FROM payouts
"""
LOAD_PAYOUT = f"SELECT {_PAYOUTS} WHERE id = $1"

# There are a few a day.
LIST_PAYOUTS = f"SELECT {_PAYOUTS} WHERE id < $1 AND ($3::text IS NULL OR state = $3) ORDER BY id DESC LIMIT $2"

LOAD_SUMS = """
SELECT state, count(*) AS sellers, sum(orders)::bigint AS orders, sum(amount_minor)::bigint AS amount_minor
FROM payout_items WHERE payout_id = $1 GROUP BY state ORDER BY state
"""

LIST_ITEMS = """
SELECT i.seller_id, s.name, i.amount_minor, i.orders, i.state, i.reason, s.payout_shown
FROM payout_items i JOIN sellers s ON s.id = i.seller_id
WHERE i.payout_id = $1 AND i.seller_id > $2 ORDER BY i.seller_id LIMIT $3
"""

LIST_TRANSFERS = """
SELECT i.seller_id, s.name, s.payout, i.amount_minor
FROM payout_items i JOIN sellers s ON s.id = i.seller_id
WHERE i.payout_id = $1 AND i.state = 'included' AND i.seller_id > $2 ORDER BY i.seller_id LIMIT $3
"""


class PayoutView(Struct, frozen=True):
    """A payout of what had settled by ``until``; ``sellers``, ``orders`` and ``total`` are what was collected."""

    id: UUID
    currency: Currency
    state: PayoutState
    version: int
    until: datetime
    minimum: Money
    sellers: int
    orders: int
    total: Money
    created_by: UUID
    created_at: datetime
    approved_by: UUID | None
    approved_at: datetime | None
    ended_at: datetime | None
    reason: str


class ItemsView(Struct, frozen=True):
    """What the parts of a payout that are in one state come to."""

    state: ItemState
    sellers: int
    orders: int
    amount: Money


class ItemView(Struct, frozen=True):
    """A seller's part of a payout; ``reason`` says why it isn't paid, ``payout_shown`` masks where it goes."""

    seller_id: UUID
    seller: str
    amount: Money
    orders: int
    state: ItemState
    reason: str
    payout_shown: str


class TransferRow(Struct, frozen=True):
    """A transfer to be made: payout details as they are sealed."""

    seller_id: UUID
    seller: str
    sealed: bytes | None
    amount_minor: int


async def load_payout(conn: Connection, payout_id: UUID) -> PayoutView | None:
    """Read a payout; None where there is none."""
    row = await conn.fetchrow(LOAD_PAYOUT, payout_id)
    return None if row is None else _payout(row)


async def list_payouts(
    conn: Connection, *, below: UUID, limit: int, state: PayoutState | None = None
) -> list[PayoutView]:
    """Read payouts with ids below ``below``, the newest first."""
    rows: Sequence[Any] = await conn.fetch(LIST_PAYOUTS, below, limit, None if state is None else state.value)
    return [_payout(row) for row in rows]


async def load_sums(conn: Connection, payout: PayoutView) -> list[ItemsView]:
    """What the parts of a payout come to, by state."""
    rows: Sequence[Any] = await conn.fetch(LOAD_SUMS, payout.id)
    return [
        ItemsView(ItemState(r["state"]), r["sellers"], r["orders"], Money(r["amount_minor"], payout.currency))
        for r in rows
    ]


async def list_items(conn: Connection, payout: PayoutView, *, after: UUID, limit: int) -> list[ItemView]:
    """Read the parts of a payout, by seller."""
    rows: Sequence[Any] = await conn.fetch(LIST_ITEMS, payout.id, after, limit)
    return [
        ItemView(
            r["seller_id"],
            r["name"],
            Money(r["amount_minor"], payout.currency),
            r["orders"],
            ItemState(r["state"]),
            r["reason"],
            r["payout_shown"],
        )
        for r in rows
    ]


async def list_transfers(conn: Connection, payout_id: UUID, *, after: UUID, limit: int) -> list[TransferRow]:
    """Read what a bank is to transfer, by seller: what is still in the payout."""
    rows: Sequence[Any] = await conn.fetch(LIST_TRANSFERS, payout_id, after, limit)
    return [TransferRow(*row) for row in rows]


def _payout(row: Any) -> PayoutView:
    currency = row["currency"]
    return PayoutView(
        id=row["id"],
        currency=currency,
        state=PayoutState(row["state"]),
        version=row["version"],
        until=row["until"],
        minimum=Money(row["minimum_minor"], currency),
        sellers=row["sellers"],
        orders=row["orders"],
        total=Money(row["total_minor"], currency),
        created_by=row["created_by"],
        created_at=row["created_at"],
        approved_by=row["approved_by"],
        approved_at=row["approved_at"],
        ended_at=row["ended_at"],
        reason=row["reason"],
    )
