"""Statements of the ledger: write postings, with the accounts and the settlements they move.

Invariant: entries are only ever inserted, and accounts and settlements move in the same transaction. Accounts are hot:
they are locked in the order of their keys, after everything else.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from domain.connection import Connection
from domain.payments.ledger import LedgerAccount, Posting
from domain.writing import Rows, write

ENTRY_COLUMNS = (
    ("cause_id", "uuid"),
    ("kind", "text"),
    ("entry_no", "smallint"),
    ("account", "text"),
    ("owner", "text"),
    ("currency", "text"),
    ("amount_minor", "bigint"),
    ("order_id", "uuid"),
    ("at", "timestamptz"),
)

# The rows of one order are written under its lock; payouts take theirs in the same order of keys.
LOCK_SETTLEMENTS = """
SELECT order_id FROM settlements WHERE order_id = ANY ($1::uuid[]) ORDER BY order_id, seller_no FOR NO KEY UPDATE
"""

# What a seller owes of a seller order that isn't delivered yet (a bank took more back than it brought) is due at once,
# which -infinity says. Should it owe nothing any more, it is due when it is delivered, as ever.
MOVE_SETTLEMENTS = """
INSERT INTO settlements AS s (order_id, seller_no, seller_id, currency, balance_minor, settles_at)
SELECT t.order_id, t.seller_no, t.seller_id, t.currency, t.amount,
    CASE WHEN t.amount < 0 THEN '-infinity'::timestamptz END
FROM unnest($1::uuid[], $2::smallint[], $3::uuid[], $4::text[], $5::bigint[])
    AS t (order_id, seller_no, seller_id, currency, amount)
ORDER BY t.order_id, t.seller_no
ON CONFLICT (order_id, seller_no) DO UPDATE SET balance_minor = s.balance_minor + excluded.balance_minor,
    settles_at = CASE WHEN s.settles_at > '-infinity' THEN s.settles_at
        WHEN s.balance_minor + excluded.balance_minor < 0 THEN '-infinity'::timestamptz END
"""

SETTLE_FROM = """
INSERT INTO settlements AS s (order_id, seller_no, seller_id, currency, balance_minor, settles_at)
SELECT r.order_id, r.seller_no, r.seller_id, o.currency, 0, $3
FROM unnest($1::uuid[], $2::smallint[]) AS t (order_id, seller_no)
JOIN seller_orders r ON r.order_id = t.order_id AND r.seller_no = t.seller_no
JOIN orders o ON o.id = t.order_id
ORDER BY r.order_id, r.seller_no
ON CONFLICT (order_id, seller_no) DO UPDATE
SET settles_at = least(nullif(s.settles_at, '-infinity'), excluded.settles_at)
"""

MOVE_ACCOUNTS = """
INSERT INTO ledger_accounts AS a (account, owner, currency, balance_minor)
SELECT t.account, t.owner, t.currency, t.amount
FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) AS t (account, owner, currency, amount)
ORDER BY t.account COLLATE "C", t.owner COLLATE "C", t.currency COLLATE "C"
ON CONFLICT (account, owner, currency) DO UPDATE SET balance_minor = a.balance_minor + excluded.balance_minor
"""


async def write_postings(conn: Connection, postings: Sequence[Posting], now: datetime) -> None:
    """Write postings and move all that they move. Accounts are locked: call it at the end."""
    await move_accounts(conn, await insert_postings(conn, postings, now))


async def insert_postings(
    conn: Connection, postings: Sequence[Posting], now: datetime
) -> dict[tuple[str, str, str], int]:
    """Write postings, and move what sellers have of their seller orders; return what is left to move of accounts."""
    if not postings:
        return {}
    entries: list[tuple[object, ...]] = []
    accounts: dict[tuple[str, str, str], int] = {}
    settlements: dict[tuple[UUID, int], tuple[UUID, str, int]] = {}
    for posting in postings:
        for number, (side, amount) in enumerate(posting.entries()):
            key = (side.account.value, side.owner, posting.currency)
            entries.append((posting.cause_id, posting.kind.value, number, *key, amount, posting.order_id, now))
            accounts[key] = accounts.get(key, 0) + amount
            if side.account is LedgerAccount.SELLER_PAYABLE and side.seller_no is not None:
                if posting.order_id is None:
                    raise ValueError("a seller order belongs to an order")
                of = (posting.order_id, side.seller_no)
                owed = settlements[of][2] if of in settlements else 0
                settlements[of] = (UUID(side.owner), posting.currency, owed - amount)
    await write(conn, Rows("ledger_entries", ENTRY_COLUMNS, entries))
    if settlements:
        await conn.execute(
            MOVE_SETTLEMENTS,
            [order_id for order_id, _ in settlements],
            [seller_no for _, seller_no in settlements],
            [seller_id for seller_id, _, _ in settlements.values()],
            [currency for _, currency, _ in settlements.values()],
            [amount for _, _, amount in settlements.values()],
        )
    return accounts


async def move_accounts(conn: Connection, deltas: dict[tuple[str, str, str], int]) -> None:
    """Add to the balances of accounts, by (account, owner, currency)."""
    moved = {key: delta for key, delta in deltas.items() if delta}
    if moved:
        columns = [[key[n] for key in moved] for n in range(3)]
        await conn.execute(MOVE_ACCOUNTS, *columns, list(moved.values()))


async def lock_settlements(conn: Connection, orders: Collection[UUID]) -> None:
    """Lock the settlements of locked orders in the order of their keys, for who moves them in several statements."""
    if orders:
        await conn.execute(LOCK_SETTLEMENTS, sorted(orders))


async def settle_from(conn: Connection, seller_orders: Collection[tuple[UUID, int]], at: datetime) -> None:
    """Let payouts take seller orders of locked orders from a time on; (order id, number of the seller order) each.

    The earliest time counts.
    """
    if seller_orders:
        found = sorted(seller_orders)
        await conn.execute(SETTLE_FROM, [order for order, _ in found], [number for _, number in found], at)
