"""Rows of what was sold, sent and given back, with the ledger, and arguments for their statements."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from domain.orders import crediting_sql, expiry_sql
from domain.payments import ledger_sql, sql

FILL = """
INSERT INTO shipments (id, order_id, seller_no, seller_id, lines, quantities, carrier, tracking, shipped_at)
    SELECT id, id, 0, seller, '{0}', '{1}', 'manual', 'T' || n, now() FROM numbers;
INSERT INTO line_credits (order_id, line_no, cause_id, quantity, unshipped, net_minor, platform_discount_minor,
    tax_minor, added_tax_minor, at) SELECT id, 0, variant, 1, 0, 100, 0, 0, 0, now() FROM numbers;
INSERT INTO shipping_credits (order_id, seller_no, cause_id, net_minor, platform_discount_minor, tax_minor,
    added_tax_minor, at) SELECT id, 0, variant, 100, 0, 0, 0, now() FROM numbers;
INSERT INTO ledger_entries (cause_id, kind, entry_no, account, owner, currency, amount_minor, order_id, at)
    SELECT id, 'sale', 0, 'refunds', '', 'USD', 100, id, now() FROM numbers
    UNION ALL SELECT id, 'sale', 1, 'seller_payable', seller::text, 'USD', -100, id, now() FROM numbers;
INSERT INTO ledger_accounts (account, owner, currency, balance_minor)
    SELECT 'seller_payable', seller::text, 'USD', -100 FROM numbers;
INSERT INTO settlements (order_id, seller_no, seller_id, currency, balance_minor, settles_at)
    SELECT id, 0, seller, 'USD', 100, now() FROM numbers;
"""


def statements(sample: Any) -> dict[tuple[str, str], tuple[Any, ...]]:
    """Arguments for each statement, by module and name."""
    ids: list[UUID] = sample["ids"]
    count, now = len(ids), datetime.now(UTC)
    zeros, tens, dollars = [0] * count, [10] * count, ["USD"] * count
    owners = [str(seller) for seller in sample["sellers"]]
    c, e, g, p = crediting_sql.__name__, expiry_sql.__name__, ledger_sql.__name__, sql.__name__
    return {
        (c, "LOAD_CREDITED"): (ids,),
        (c, "LOAD_CREDITED_SHIPPING"): (ids,),
        (c, "LOAD_SHIPPED"): (ids,),
        (c, "LOAD_CAME_BACK"): (ids,),
        (e, "EXPIRE_ORDERS"): (ids, now, sample["buyers"][0], ""),
        (g, "MOVE_SETTLEMENTS"): (ids, zeros, sample["sellers"], dollars, tens),
        (g, "SETTLE_FROM"): (ids, zeros, now),
        (g, "LOCK_SETTLEMENTS"): (ids,),
        (g, "MOVE_ACCOUNTS"): (["seller_payable"] * count, owners, dollars, tens),
        (p, "LOAD_COMMISSION"): (ids, zeros),
        (p, "LOAD_BOOKED"): (ids,),
        (p, "LOAD_LOST"): (ids,),
        (p, "MOVE_DISPUTES"): (ids, [1] * count),
    }
