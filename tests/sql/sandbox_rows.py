"""Rows of the sandbox's books, and arguments for their statements."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from infra.gateways import sandbox_books

FILL = """
INSERT INTO sandbox_intents (reference, payment_id, order_id, amount_minor, currency, token, capture, state,
    captured_minor, created_at)
SELECT 'sbx_' || n, variant, id, 100, 'USD', 'tok_ok', 'now', 'captured', 100, now() - make_interval(secs => n)
FROM numbers;
"""


def statements(sample: Any) -> dict[tuple[str, str], tuple[Any, ...]]:
    b, now = sandbox_books.__name__, datetime.now(UTC)
    new = ("sbx_new", uuid4(), uuid4(), 100, "USD", "tok_ok", "now", "captured", 100, None)
    return {
        (b, "CREATE"): tuple([value] for value in new),
        (b, "LOAD"): ("sbx_7",),
        (b, "LOAD_BY_PAYMENT"): (sample["variants"][0],),
        (b, "CONFIRM"): ("sbx_7",),
        (b, "CAPTURE"): ("sbx_7", 50, "USD"),
        (b, "VOID"): ("sbx_7",),
        (b, "REFUND"): ("sbx_7", "sbr_1", 10, "USD"),
        (b, "PAGE"): (now - timedelta(minutes=10), now, "sbx_100", 101),
    }
