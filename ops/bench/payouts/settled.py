"""Seller orders that have settled, with the entries of the ledger that made them so, dealt over sellers.

Written in a few statements: what a payout reads and moves is there as the jobs would have left it. The orders these
settlements name aren't, and no payout looks at them.
"""

from typing import Any

CURRENCY = "USD"
_SELLERS = """
INSERT INTO sellers (id, name, status, payout, payout_shown)
SELECT md5('payee ' || n)::uuid, 'Payee ' || n, 'approved', 'sealed', 'XX' FROM generate_series(1, {sellers}) AS n
"""
_ORDERS = """
CREATE TEMP TABLE owed AS
SELECT md5('owed ' || n)::uuid AS id, md5('payee ' || 1 + n % {sellers})::uuid AS seller, 500 + n % 9000 AS amount
FROM generate_series(1, {orders}) AS n
"""
# One sale an order; the trigger that holds each against its sum would only take time here.
_ENTRIES = f"""
ALTER TABLE ledger_entries DISABLE TRIGGER ledger_entries_balance;
INSERT INTO ledger_entries (cause_id, kind, entry_no, account, owner, currency, amount_minor, order_id, at)
    SELECT id, 'promotion_cost', e, CASE e WHEN 0 THEN 'promotion_cost' ELSE 'seller_payable' END,
           CASE e WHEN 0 THEN '' ELSE seller::text END, '{CURRENCY}', CASE e WHEN 0 THEN amount ELSE -amount END, id,
           now() - interval '9 days'
    FROM owed, generate_series(0, 1) AS e;
ALTER TABLE ledger_entries ENABLE TRIGGER ledger_entries_balance;
INSERT INTO ledger_accounts SELECT account, owner, currency, sum(amount_minor) FROM ledger_entries GROUP BY 1, 2, 3;
INSERT INTO settlements (order_id, seller_no, seller_id, currency, balance_minor, settles_at)
    SELECT id, 0, seller, '{CURRENCY}', amount, now() - interval '1 day' FROM owed;
DROP TABLE owed;
"""


async def write_settled(conn: Any, orders: int, sellers: int) -> None:
    """Write so many seller orders of so many sellers."""
    for statement in (_SELLERS, _ORDERS):
        await conn.execute(statement.format(orders=orders, sellers=sellers))
    await conn.execute(_ENTRIES, timeout=600)
    await conn.execute("VACUUM ANALYZE ledger_entries, ledger_accounts, settlements, sellers")
