"""Over 10,000 codes, uses, redemptions and snapshots for the tests of plans, and parameters for the statements."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from domain.orders import commission_sql as order_commission
from domain.orders import price_sql
from domain.pricing import book_reads, commission_sql, rate_sql, use_sql, version_sql
from tests.sql.taxonomy_rows import nth

# A promotion for each number, most of them over; each used by one order.
FILL = """
INSERT INTO promotions (id, seller_id, state, content, created_at, updated_at)
    SELECT variant, seller, CASE WHEN n % 100 = 0 THEN 'active' ELSE 'ended' END, '{}', now(), now() FROM numbers;
INSERT INTO promotion_codes (key, text, promotion_id) SELECT 'CODE' || n, 'Code' || n, variant FROM numbers;
INSERT INTO promotion_uses (promotion_id, user_id, used, most) SELECT variant, buyer, 1, 9 FROM numbers;
INSERT INTO redemptions (order_id, promotion_id, version, buyer, currency, amount_minor)
    SELECT id, variant, 1, buyer, 'USD', 1 FROM numbers;
INSERT INTO commission_snapshots (order_id, line_no, seller_id, base_minor, amount_minor, currency, considered)
    SELECT id, 0, seller, 100, 0, 'USD', '[]' FROM numbers;
"""


def statements(sample: Any) -> dict[tuple[str, str], tuple[Any, ...]]:
    """Arguments for each statement; a promotion of the sample has its variant's id."""
    ids: list[UUID] = sample["ids"]
    promotions, buyers, now = sample["variants"], sample["buyers"], datetime.now(UTC)
    ones = [1] * len(ids)
    u, b, c = use_sql.__name__, book_reads.__name__, commission_sql.__name__
    r = rate_sql.__name__
    o, p = order_commission.__name__, price_sql.__name__
    return {
        (u, "LOAD_USES"): (promotions, buyers),
        (u, "OPEN_USES"): (promotions, buyers, ones),
        (u, "LOCK_USES"): (promotions, buyers),
        (u, "APPLY_USES"): (promotions, buyers, ones),
        (u, "RETURN_REDEMPTIONS"): (ids, promotions, now),
        (u, "RETURN_ALL_REDEMPTIONS"): (ids, now),
        (u, "LOAD_FIRST_ORDER"): (promotions,),
        (b, "LOAD_VERSIONS"): (),
        (b, "LOAD_PRICED_OFFERS"): (sample["variants"], sample["sellers"]),
        (b, "LOAD_PROMOTIONS"): (),
        (b, "LOAD_COMMISSION_RULES"): (),
        (b, "LOAD_RATE_CARDS"): (),
        (b, "LOAD_CODES"): (["CODE7", "CODE8"],),
        (c, "MARK_USED"): (promotions,),
        (r, "LOAD_CARDS"): (promotions[0], ["shipping_zones", "shipping_rates"]),
        (r, "WRITE_CARD"): ("tax_rates", promotions[0], 1, "[]", now),
        (r, "LOAD_KNOWN_CATEGORIES"): ([nth(4, 77)],),
        (r, "LOAD_KNOWN_OFFERS"): (sample["variants"], sample["sellers"]),
        (version_sql.__name__, "RAISE_VERSION"): ("rates",),
        (o, "LOAD_FROZEN_LINES"): (ids,),
        (o, "LOAD_SNAPSHOT_KEYS"): (ids,),
        (o, "LOAD_RULES_AT"): ([1, 2],),
        (p, "LOAD_HAVE_ORDERED"): (buyers, []),
    }
