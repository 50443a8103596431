"""Rows of webhooks, and arguments for the statements of webhooks."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from domain.notifications import hearing_sql, webhook_reads, webhook_sql
from tests.sql.taxonomy_rows import nth

ENDPOINT, DELIVERY = 97, 98

FILL = f"""
INSERT INTO webhook_endpoints (id, seller_id, url, events, secret, created_by, failing_since)
SELECT pg_temp.nth({ENDPOINT}, n), seller, 'https://x.example', ARRAY['order.*'], '\\x00', buyer,
    CASE WHEN n % 50 = 0 THEN now() END FROM numbers WHERE n <= 2000;
INSERT INTO webhook_deliveries (id, endpoint_id, seller_id, stream, version, event_type, body, state, ended_at)
SELECT pg_temp.nth({DELIVERY}, n), pg_temp.nth({ENDPOINT}, 1 + n % 2000), seller, variant, 1, 'order.placed', '{{}}',
    CASE n % 100 WHEN 0 THEN 'failed' WHEN 1 THEN 'pending' ELSE 'succeeded' END,
    CASE WHEN n % 100 <> 1 THEN now() END FROM numbers;
INSERT INTO webhook_attempts (delivery_id, attempt_no, at, url, status, latency_ms, error, response)
SELECT pg_temp.nth({DELIVERY}, n), 1, now(), 'https://x.example', 200, 5, '', '' FROM numbers;
"""


def statements(sample: Any) -> dict[tuple[str, str], tuple[Any, ...]]:
    """Arguments for each statement, by module and name."""
    ids: list[UUID] = sample["ids"]
    now, last, count = datetime.now(UTC), UUID(int=2**128 - 1), len(sample["ids"])
    endpoint, delivery, seller = nth(ENDPOINT, 7), nth(DELIVERY, 500), sample["sellers"][0]
    endpoints, deliveries = [nth(ENDPOINT, n) for n in range(1, 5)], [nth(DELIVERY, n) for n in range(1, count + 1)]
    w, r, h = webhook_sql.__name__, webhook_reads.__name__, hearing_sql.__name__
    texts = ["t"] * count
    return {
        (w, "LOAD_LISTENERS"): (),
        (h, "LOAD_LINES"): (ids,),
        (h, "LOAD_PRODUCT_SELLERS"): (sample["variants"],),
        (w, "INSERT_DELIVERIES"): (ids, [endpoint] * count, [seller] * count, ids, [1] * count, texts, texts, now),
        (w, "LOAD_DUE"): (deliveries, now),
        (w, "LOCK_DELIVERIES"): (deliveries,),
        (w, "SAVE_DELIVERIES"): (
            *(deliveries, ["pending"] * count, [1] * count, [200] * count),
            *(texts, [1] * count, [1.0] * count, now),
        ),
        (w, "CLOSE_DELIVERIES"): (deliveries, "why", now),
        (w, "NOTE_TAKEN"): (endpoints,),
        (w, "NOTE_FAILING"): (endpoints, now),
        (w, "LOCK_ENDPOINTS"): (endpoints,),
        (w, "LOAD_ENDPOINT"): (endpoint,),
        (w, "LIST_ENDPOINTS"): (last, 50),
        (w, "LIST_ENDPOINTS_OF"): (last, 50, seller),
        (w, "LOCK_OWNER"): (seller,),
        (w, "LOCK_PLATFORM"): (),
        (w, "COUNT_ENDPOINTS"): (seller,),
        (w, "INSERT_ENDPOINT"): (ids[0], seller, "https://x.example", ["*"], "", b"x", seller, now),
        (w, "SAVE_ENDPOINT"): (endpoint, "https://x.example", ["*"], "", True, "", None, 2),
        (w, "SAVE_ROTATED"): (endpoint, b"x", now, 2),
        (w, "DELETE_ENDPOINT"): (endpoint,),
        (w, "REOPEN_DELIVERY"): (delivery, now),
        (w, "PRUNE_DELIVERIES"): (nth(DELIVERY, 100), 2_000),
        (r, "LIST_DELIVERIES"): (last, 50, "succeeded"),
        (r, "LIST_FAILED"): (last, 50),
        (r, "LIST_DELIVERIES_OF_ENDPOINT"): (last, 50, None, endpoint, None),
        (r, "LIST_DELIVERIES_OF_SELLER"): (last, 50, None, seller),
        (r, "LOAD_DELIVERY"): (delivery,),
        (r, "LOAD_ATTEMPTS"): (delivery, 100),
    }
