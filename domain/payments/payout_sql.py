"""Statements of payouts: take what has settled, give it back, and keep how far each payout is.

Invariant: the payout's row is locked first, settlements after it, accounts at the very end. Who collects waits for no
settlement: what somebody else changes at this moment is left for the next payout.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.connection import Connection
from domain.journal.model import Event
from domain.journal.sql import insert_events
from domain.payments.payouts import Collected, Due, Item, ItemState, Payout, PayoutState
from domain.writing import Rows, write

ITEM_COLUMNS = (("payout_id", "uuid"), ("seller_id", "uuid"), ("amount_minor", "bigint"), ("orders", "integer"))
ORDER_COLUMNS = (
    ("payout_id", "uuid"),
    ("seller_id", "uuid"),
    ("order_id", "uuid"),
    ("seller_no", "smallint"),
    ("amount_minor", "bigint"),
)

# Refused where the payout is there already, and where another one of the currency is being collected.
BEGIN_PAYOUT = """
INSERT INTO payouts (id, currency, state, until, minimum_minor, created_by, created_at)
VALUES ($1, $2, 'collecting', $3, $4, $5, $3) ON CONFLICT DO NOTHING
"""

LOCK_PAYOUT = """
SELECT id, currency, state, version, until, minimum_minor, after_seller, sellers, orders, total_minor, approved_by,
       approved_at, ended_at, reason
FROM payouts WHERE id = $1 FOR UPDATE
"""

SAVE_PAYOUT = """
UPDATE payouts SET state = $2, version = $3, after_seller = $4, sellers = $5, orders = $6, total_minor = $7,
    approved_by = $8, approved_at = $9, ended_at = $10, reason = $11
WHERE id = $1
"""

# A seller's oldest first: of a seller with more than a step takes, debts are among them.
LOCK_DUE = """
SELECT order_id, seller_no, seller_id, balance_minor FROM settlements
WHERE currency = $1 AND seller_id > $2 AND settles_at <= $3
  AND settles_at IS NOT NULL AND balance_minor <> 0 AND disputes = 0
ORDER BY currency, seller_id, settles_at LIMIT $4 FOR UPDATE SKIP LOCKED
"""

LOAD_PAYABLE = "SELECT id FROM sellers WHERE id = ANY ($1::uuid[]) AND status = 'approved' AND payout IS NOT NULL"

EMPTY_SETTLEMENTS = """
UPDATE settlements s SET balance_minor = 0
FROM unnest($1::uuid[], $2::smallint[]) AS t (order_id, seller_no)
WHERE s.order_id = t.order_id AND s.seller_no = t.seller_no
"""

LOAD_INCLUDED = """
SELECT seller_id, amount_minor, orders, state FROM payout_items
WHERE payout_id = $1 AND state = 'included' ORDER BY seller_id LIMIT $2
"""

LOAD_ITEMS = """
SELECT seller_id, amount_minor, orders, state FROM payout_items
WHERE payout_id = $1 AND seller_id = ANY ($2::uuid[]) ORDER BY seller_id
"""

FIND_DISPUTED = """
SELECT DISTINCT s.seller_id
FROM settlements s
JOIN payout_orders o ON o.payout_id = $1 AND o.seller_id = s.seller_id AND o.order_id = s.order_id
WHERE s.disputes > 0
"""

FIND_UNPAYABLE = """
SELECT i.seller_id FROM payout_items i JOIN sellers s ON s.id = i.seller_id
WHERE i.payout_id = $1 AND i.state = 'included' AND (s.status <> 'approved' OR s.payout IS NULL)
"""

SAVE_ITEMS = """
UPDATE payout_items i SET state = $2, reason = t.reason
FROM unnest($3::uuid[], $4::text[]) AS t (seller_id, reason)
WHERE i.payout_id = $1 AND i.seller_id = t.seller_id
"""

SUM_ITEMS = """
SELECT count(*) AS sellers, coalesce(sum(amount_minor), 0)::bigint AS amount_minor FROM payout_items
WHERE payout_id = $1 AND state = $2
"""

# In the order of their keys, as whoever holds their orders does.
LOCK_TAKEN = """
SELECT count(*) FROM (
    SELECT s.order_id FROM settlements s
    JOIN payout_orders o ON o.order_id = s.order_id AND o.seller_no = s.seller_no
    WHERE o.payout_id = $1 AND o.seller_id = ANY ($2::uuid[])
    ORDER BY s.order_id, s.seller_no FOR UPDATE OF s
) locked
"""

GIVE_BACK = """
UPDATE settlements s SET balance_minor = s.balance_minor + o.amount_minor
FROM payout_orders o
WHERE o.payout_id = $1 AND o.seller_id = ANY ($2::uuid[]) AND s.order_id = o.order_id AND s.seller_no = o.seller_no
"""


class Sum(Struct, frozen=True):
    """How many sellers have a part in some state, and what those come to."""

    sellers: int
    amount_minor: int


async def begin_payout(conn: Connection, payout: Payout, actor: UUID) -> None:
    """Write a payout that is being collected, unless it is there or another one of its currency is."""
    await conn.execute(BEGIN_PAYOUT, payout.id, payout.currency, payout.until, payout.minimum_minor, actor)


async def lock_payout(conn: Connection, payout_id: UUID) -> Payout | None:
    """Lock a payout; None where there is none."""
    row = await conn.fetchrow(LOCK_PAYOUT, payout_id)
    return None if row is None else msgspec.structs.replace(Payout(*row), state=PayoutState(row["state"]))


async def save_payout(conn: Connection, payout: Payout, events: Sequence[Event] = ()) -> None:
    """Write how far a locked payout is, and what happened to it."""
    await conn.execute(
        SAVE_PAYOUT,
        payout.id,
        payout.state.value,
        payout.version,
        payout.after_seller,
        payout.sellers,
        payout.orders,
        payout.total_minor,
        payout.approved_by,
        payout.approved_at,
        payout.ended_at,
        payout.reason,
    )
    await insert_events(conn, events)


async def lock_due(conn: Connection, payout: Payout, limit: int) -> list[Due]:
    """Lock what a payout may take next, by seller; what somebody else has locked is left out."""
    rows = await conn.fetch(LOCK_DUE, payout.currency, payout.after_seller, payout.until, limit)
    return [Due(*row) for row in rows]


async def load_payable(conn: Connection, sellers: Collection[UUID]) -> set[UUID]:
    """Which of some sellers can be paid: they are approved, and have said where their money goes."""
    return {row["id"] for row in await conn.fetch(LOAD_PAYABLE, list(sellers))}


async def take(conn: Connection, payout_id: UUID, step: Collected) -> None:
    """Move locked balances into a payout. The entries are the caller's to write, last."""
    if step.taken:
        orders, numbers = [due.order_id for due in step.taken], [due.seller_no for due in step.taken]
        await conn.execute(EMPTY_SETTLEMENTS, orders, numbers)
        items = [(payout_id, item.seller_id, item.amount_minor, item.orders) for item in step.items]
        taken = [(payout_id, d.seller_id, d.order_id, d.seller_no, d.balance_minor) for d in step.taken]
        await write(conn, Rows("payout_items", ITEM_COLUMNS, items), Rows("payout_orders", ORDER_COLUMNS, taken))


async def load_included(conn: Connection, payout_id: UUID, limit: int) -> list[Item]:
    """The parts of a locked payout that are still to be paid, by seller."""
    return [_item(row) for row in await conn.fetch(LOAD_INCLUDED, payout_id, limit)]


async def load_items(conn: Connection, payout_id: UUID, sellers: Collection[UUID]) -> list[Item]:
    """The parts that some sellers have of a locked payout."""
    return [_item(row) for row in await conn.fetch(LOAD_ITEMS, payout_id, list(sellers))]


async def find_disputed(conn: Connection, payout_id: UUID) -> set[UUID]:
    """Sellers of whom a seller order in the payout is under an open chargeback."""
    return {row["seller_id"] for row in await conn.fetch(FIND_DISPUTED, payout_id)}


async def find_unpayable(conn: Connection, payout_id: UUID) -> set[UUID]:
    """Sellers in the payout who can't be paid any more."""
    return {row["seller_id"] for row in await conn.fetch(FIND_UNPAYABLE, payout_id)}


async def save_items(conn: Connection, payout_id: UUID, state: ItemState, reasons: Mapping[UUID, str]) -> None:
    """Write what became of sellers' parts, and why."""
    await conn.execute(SAVE_ITEMS, payout_id, state.value, list(reasons), list(reasons.values()))


async def give_back(conn: Connection, payout_id: UUID, sellers: Collection[UUID]) -> None:
    """Add what a payout has of sellers to what they have of those seller orders by now."""
    await conn.fetchval(LOCK_TAKEN, payout_id, list(sellers))
    await conn.execute(GIVE_BACK, payout_id, list(sellers))


async def sum_items(conn: Connection, payout_id: UUID, state: ItemState) -> Sum:
    """What the parts in a state come to."""
    row = await conn.fetchrow(SUM_ITEMS, payout_id, state.value)
    if row is None:
        raise AssertionError("an aggregate without groups has one row")
    return Sum(row["sellers"], row["amount_minor"])


def _item(row: Any) -> Item:
    return Item(row["seller_id"], row["amount_minor"], row["orders"], ItemState(row["state"]))
