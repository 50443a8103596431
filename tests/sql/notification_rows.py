"""Rows of notifications, and arguments for the statements on them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from domain.notifications import preference_sql, reads, sql
from infra.clock import new_id

FILL = """
INSERT INTO notifications (id, stream, version, audience, recipient, kind, seller_id, state, told_in)
SELECT id, id, 1, CASE WHEN n % 2 = 0 THEN 'buyer' ELSE 'seller' END, CASE WHEN n % 2 = 0 THEN buyer ELSE seller END,
       CASE WHEN n % 2 = 0 THEN 'order_placed' ELSE 'low_stock' END, seller,
       CASE WHEN n % 4 = 1 THEN 'gathered' ELSE 'queued' END, CASE WHEN n % 4 = 1 THEN id END
FROM numbers;
INSERT INTO mail_preferences (recipient, switched_off) SELECT variant, '{order_shipped}' FROM numbers;
"""


def statements(sample: Any) -> dict[tuple[str, str], tuple[Any, ...]]:
    """Arguments for each statement, by module and name."""
    ids: list[UUID] = sample["ids"]
    sellers, buyers, variants, count = sample["sellers"], sample["buyers"], sample["variants"], len(ids)
    now = datetime.now(UTC)
    r, s, p = reads.__name__, sql.__name__, preference_sql.__name__
    new, nobody = [new_id() for _ in ids], [None] * count
    return {
        (r, "LOAD_BUYERS"): (ids,),
        (r, "LOAD_LINE_SELLERS"): (ids,),
        (r, "LOAD_PASTS"): (ids,),
        (r, "LOAD_MEMBERS"): (sellers,),
        (r, "LOAD_ADMINS"): (),
        (r, "LOAD_SWITCHED_OFF"): (variants,),
        (r, "LOAD_NOTIFICATIONS"): (ids,),
        (r, "LOAD_STORIES"): (ids, ["order.placed"]),
        (r, "LOAD_LINES"): (ids,),
        (r, "LOAD_SELLER_NUMBERS"): (ids,),
        (r, "LOAD_NAMES"): (sellers,),
        (r, "LOAD_TITLES"): (variants,),
        (r, "LOAD_GATHERED"): (ids,),
        (r, "LOAD_OFFER_TITLES"): (variants, sellers),
        (r, "LOAD_PAYOUT_SHARES"): (ids, sellers),
        (r, "LOAD_PAID_SELLERS"): (ids[0], UUID(int=0), 1_000),
        (s, "LOAD_TOLD"): (ids, [1] * count, buyers, ["buyer"] * count),
        (s, "LOCK_GATHERING"): (sellers, now - timedelta(minutes=15)),
        (s, "INSERT_NOTIFICATIONS"): (
            new, new, [1] * count, ["buyer"] * count, buyers, ["order_placed"] * count, nobody, ["queued"] * count,
            nobody, [now] * count,
        ),
        (p, "LOCK_PREFERENCE"): (buyers[0],),
        (p, "LOAD_PREFERENCE"): (variants[0],),
        (p, "SAVE_PREFERENCE"): (variants[0], ["order_shipped"]),
        (p, "FIND_TOLD"): (ids[0],),
        (s, "LOCK_NOTIFICATIONS"): (ids,),
        (s, "BEGIN_TRIES"): (ids, ["<m@shop.example>"] * count),
        (s, "END_NOTIFICATIONS"): (ids, ["skipped"] * count, ["r"] * count),
    }  # fmt: skip
