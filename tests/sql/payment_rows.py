"""Rows of payments, and arguments for their statements."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from domain.accounts import seller_reads
from domain.inventory import sale_sql
from domain.orders import sql as orders
from domain.payments import reads, reconciliation_sql, sql
from tests.sql.taxonomy_rows import nth

KIND = 90
LAST = UUID(int=2**128 - 1)

FILL = f"""
INSERT INTO payments (id, order_id, attempt_no, gateway, capture, amount_minor, currency, state, reference,
    captured_minor, refunded_minor, asked_minor, created_at, updated_at)
SELECT pg_temp.nth({KIND}, n), id, 1, 'sandbox', 'now', 100, 'USD',
    CASE WHEN n % 10 = 0 THEN 'pending' ELSE 'captured' END, 'ref_' || n,
    CASE WHEN n % 10 = 0 THEN 0 ELSE 100 END, CASE WHEN n % 10 = 0 THEN 0 ELSE 10 END,
    CASE WHEN n % 10 = 0 THEN 0 ELSE 10 END, now(), now() - make_interval(secs => n)
FROM numbers;
INSERT INTO refunds (payment_id, refund_no, order_id, amount_minor, currency, reason, state, cause_id, created_at,
    ended_at)
SELECT pg_temp.nth({KIND}, n), 1, id, 10, 'USD', 'r', CASE WHEN n % 100 = 1 THEN 'pending' ELSE 'succeeded' END, id,
    now() - make_interval(secs => n), CASE WHEN n % 100 = 1 THEN NULL ELSE now() END
FROM numbers WHERE n % 10 > 0;
INSERT INTO chargebacks (gateway, reference, payment_id, order_id, amount_minor, fee_minor, currency, liable, state,
    opened_at)
SELECT 'sandbox', 'd_' || n, pg_temp.nth({KIND}, n), id, 10, 1, 'USD', 'seller', 'opened', now() FROM numbers;
INSERT INTO orphaned_charges (gateway, reference, amount_minor, currency, found_at)
SELECT 'sandbox', 'o_' || n, 100, 'USD', now() FROM numbers;
INSERT INTO commission_reversals (order_id, line_no, cause_id, amount_minor) SELECT id, 0, variant, 1 FROM numbers;
"""


def statements(sample: Any) -> dict[tuple[str, str], tuple[Any, ...]]:
    """Arguments for each statement, by module and name."""
    ids: list[UUID] = sample["ids"]
    count, now = len(ids), datetime.now(UTC)
    payments = [nth(KIND, 240 * n + 7) for n in range(count)]
    references, sandbox = [f"ref_{240 * n + 7}" for n in range(count)], ["sandbox"] * count
    tens, nothing, texts = [10] * count, [None] * count, ["t"] * count
    earlier = now - timedelta(minutes=5)
    p, r, v, o = sql.__name__, reconciliation_sql.__name__, reads.__name__, orders.__name__
    s, a = sale_sql.__name__, seller_reads.__name__
    disputes = (sandbox, references, payments, ids, tens, tens, ["USD"] * count, ["seller"] * count)
    return {
        (p, "LOAD_PAYMENTS"): (ids,),
        (p, "LOAD_REFUNDS"): (ids,),
        (p, "FIND_PAYMENTS"): (payments,),
        (p, "FIND_REFERENCES"): (sandbox, references),
        (p, "SAVE_PAYMENTS"): (payments, ["captured"] * count, references, tens, tens, tens, nothing, nothing, now),
        (p, "SAVE_REFUNDS"): (payments, [1] * count, ["succeeded"] * count, nothing, nothing, now),
        (p, "LOAD_CHARGEBACKS"): (sandbox, references),
        (p, "SAVE_CHARGEBACKS"): (*disputes, ["opened"] * count, texts, now),
        (v, "LOAD_PAYMENT_VIEWS"): (ids[0],),
        (v, "LOAD_REFUND_VIEWS"): (ids[0],),
        (r, "TAKE_STALE"): (earlier, now, 200),
        (r, "LOAD_RECONCILED"): (["sandbox"], [uuid4()]),
        (r, "SAVE_RECONCILED"): ("sandbox", now),
        (r, "LOAD_KNOWN"): (payments,),
        (r, "INSERT_ORPHANS"): ("sandbox", references, payments, tens, ["USD"] * count, now),
        (r, "END_ORPHANS"): (sandbox, references, now),
        (o, "LOAD_STOCK_LINES"): (ids,),
        (s, "LOAD_SOLD"): (ids,),
        (s, "LOAD_AVAILABLE"): (sample["variants"], sample["sellers"], [0] * count),
        (s, "EXTEND_RESERVATIONS"): (ids, [now] * count),
        (a, "LIST_SELLERS"): (LAST, 50),
        (a, "LIST_SELLERS_IN"): (LAST, 50, "approved"),
        (a, "LOAD_APPROVED"): (sample["sellers"],),
        (o, "SAVE_ORDERS"): (
            ids,
            ["paid"] * count,
            payments,
            nothing,
            [2] * count,
            [now] * count,
            [False] * count,
            [True] * count,
            now,
        ),
    }
