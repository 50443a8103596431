"""Rows of payouts, and arguments for the statements of payouts."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from domain.payments import ledger_reads, payout_reads, payout_sql, statement_reads
from tests.sql.taxonomy_rows import nth

KIND = 95

FILL = f"""
UPDATE settlements SET disputes = 1 WHERE abs(hashtext(order_id::text)) % 100 = 0;
INSERT INTO payouts (id, currency, state, until, minimum_minor, created_by, created_at)
SELECT pg_temp.nth({KIND}, n), 'USD', 'paid', now(), 1, buyer, now() FROM numbers;
INSERT INTO payout_items (payout_id, seller_id, amount_minor, orders, state)
SELECT pg_temp.nth({KIND}, n / 10), seller, 100, 1, 'included' FROM numbers WHERE n >= 10;
INSERT INTO payout_orders (payout_id, seller_id, order_id, seller_no, amount_minor)
SELECT pg_temp.nth({KIND}, n / 10), seller, id, 0, 100 FROM numbers WHERE n >= 10;
"""


def statements(sample: Any) -> dict[tuple[str, str], tuple[Any, ...]]:
    """Arguments for each statement, by module and name."""
    ids: list[UUID] = sample["ids"]
    sellers: list[UUID] = sample["sellers"]
    now, payout, nobody = datetime.now(UTC), nth(KIND, 700), UUID(int=0)
    p, zeros = payout_sql.__name__, [0] * len(ids)
    e, r, s = ledger_reads.__name__, payout_reads.__name__, statement_reads.__name__
    owner, accounts = str(sellers[0]), ["seller_payable", "refunds"]
    account, entry = ("", "", "", 50), (now, 10**9, 50, None, None, None)
    earlier = now - timedelta(days=30)
    return {
        (p, "BEGIN_PAYOUT"): (payout, "USD", now, 1, payout),
        (p, "LOCK_PAYOUT"): (payout,),
        (p, "SAVE_PAYOUT"): (payout, "paid", 1, nobody, 1, 1, 1, payout, now, now, ""),
        (p, "LOCK_DUE"): ("USD", nobody, now, 10_000),
        (p, "LOAD_PAYABLE"): (sellers,),
        (p, "EMPTY_SETTLEMENTS"): (ids, zeros),
        (p, "LOAD_INCLUDED"): (payout, 100),
        (p, "LOAD_ITEMS"): (payout, sellers),
        (p, "FIND_DISPUTED"): (payout,),
        (p, "FIND_UNPAYABLE"): (payout,),
        (p, "SAVE_ITEMS"): (payout, "paid", sellers, ["r"] * len(sellers)),
        (p, "SUM_ITEMS"): (payout, "included"),
        (p, "LOCK_TAKEN"): (payout, sellers),
        (p, "GIVE_BACK"): (payout, sellers),
        (e, "LIST_ACCOUNTS"): account,
        (e, "LIST_ACCOUNTS_OF"): (*account, "seller_payable"),
        (e, "LIST_ACCOUNTS_OF_OWNER"): (*account, accounts, owner),
        (e, "LIST_ENTRIES"): entry,
        (e, "LIST_ENTRIES_OF_RARE_KIND"): (*entry[:-1], "payout", "payout"),
        (e, "LIST_ENTRIES_OF_ORDER"): (*entry, ids[0]),
        (e, "LIST_ENTRIES_OF_CAUSE"): (*entry, ids[0], None),
        (e, "LIST_ENTRIES_OF_OWNER"): (*entry, accounts, owner),
        (r, "LOAD_PAYOUT"): (payout,),
        (r, "LIST_PAYOUTS"): (UUID(int=2**128 - 1), 50, None),
        (r, "LOAD_SUMS"): (payout,),
        (r, "LIST_ITEMS"): (payout, nobody, 50),
        (r, "LIST_TRANSFERS"): (payout, nobody, 500),
        (s, "LOAD_BALANCES"): (sellers[0], owner, now),
        (s, "LOAD_BOUNDS"): (owner, "USD", earlier, now),
        (s, "LIST_LINES"): (owner, "USD", earlier, 0, now, 50),
    }
