"""Over 10,000 codes, uses, redemptions and snapshots for the tests of plans, and parameters for the statements."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from domain.orders import commission_sql as order_commission
from domain.orders import price_sql, repricing_sql
from domain.pricing import (
    book_reads,
    code_sql,
    commission_reads,
    commission_sql,
    promotion_reads,
    promotion_sql,
    rate_sql,
    use_sql,
    version_sql,
)
from domain.pricing.commission import ENDED_KEPT
from tests.sql.taxonomy_rows import nth

# A promotion for each number, most of them over; each used by one order.
FILL = """
INSERT INTO promotions (id, seller_id, state, content, created_at, updated_at)
    SELECT variant, seller, CASE WHEN n % 100 = 0 THEN 'active' ELSE 'ended' END, '{}', now(), now() FROM numbers;
INSERT INTO promotion_versions (promotion_id, version, content, actor) SELECT variant, 1, '{}', buyer FROM numbers;
INSERT INTO code_batches (command_id, promotion_id, made, at) SELECT id, variant, 1, now() FROM numbers;
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
    r = rate_sql.__name__
    u, b, v = use_sql.__name__, book_reads.__name__, version_sql.__name__
    o, p = order_commission.__name__, price_sql.__name__
    again = repricing_sql.__name__
    return {
        (u, "LOAD_USES"): (promotions, buyers),
        (u, "OPEN_USES"): (promotions, buyers, ones),
        (u, "LOCK_USES"): (promotions, buyers),
        (u, "APPLY_USES"): (promotions, buyers, ones),
        (u, "SET_REDEEMED"): (ids, promotions, ones),
        (u, "RETURN_REDEMPTIONS"): (ids, promotions, now),
        (u, "RETURN_ALL_REDEMPTIONS"): (ids, now),
        (u, "LOAD_FIRST_ORDER"): (promotions,),
        (u, "LOAD_ORDER_USES"): (ids,),
        (u, "TAKE_USES_AGAIN"): (ids, promotions),
        (b, "LOAD_VERSIONS"): (),
        (b, "LOAD_PRICED_OFFERS"): (sample["variants"], sample["sellers"]),
        (b, "LOAD_PROMOTIONS"): (),
        (b, "LOAD_COMMISSION_RULES"): (7, ENDED_KEPT),
        (b, "LOAD_RATE_CARDS"): (),
        (b, "LOAD_CODES"): (["CODE7", "CODE8"],),
        (r, "LOAD_CARDS"): (promotions[0], ["shipping_zones", "shipping_rates"]),
        (r, "WRITE_CARD"): ("tax_rates", promotions[0], 1, "[]", now),
        (r, "LOAD_KNOWN_CATEGORIES"): ([nth(4, 77)],),
        (r, "LOAD_KNOWN_OFFERS"): (sample["variants"], sample["sellers"]),
        **_of_commission(sample),
        **_of_promotions(promotions, now),
        (v, "RAISE_VERSION"): ("rates",),
        (v, "HOLD_VERSION"): ("rates",),
        (o, "LOAD_FROZEN_LINES"): (ids,),
        (o, "LOAD_SNAPSHOTS"): (ids,),
        (o, "LOAD_SNAPSHOT_KEYS"): (ids,),
        (o, "LOAD_RULES_AT"): ([1, 2], [now, now], ENDED_KEPT),
        (p, "LOAD_HAVE_ORDERED"): (buyers, []),
        (again, "LOAD_QUOTE_LINES"): (ids,),
        (again, "LOAD_OWN_USES"): (ids,),
        (again, "LOAD_LATER"): (ids,),
        (again, "WRITE_OWN_USES"): (ids, promotions, ones, [None] * len(ids), buyers, ["USD"] * len(ids), ones),
    }


def _of_commission(sample: Any) -> dict[tuple[str, str], tuple[Any, ...]]:
    ids: list[UUID] = sample["ids"]
    rules, sellers, now = sample["variants"], sample["sellers"], datetime.now(UTC)
    ones = [1] * len(rules)
    c, r = commission_sql.__name__, commission_reads.__name__
    place = (now, ids[0], 0, 50)
    return {
        (c, "MARK_USED"): (rules, 7),
        (c, "LOAD_USED"): (rules,),
        (c, "LOAD_RULES"): (rules,),
        (c, "LOCK_RULES"): (rules,),
        (c, "CLOSE_REVISIONS"): (rules, ones),
        (c, "INSERT_REVISIONS"): (rules, ones, ["{}"] * len(rules), [False] * len(rules), ones, now, rules[0]),
        (c, "COUNT_OPEN"): (now,),
        (c, "LOAD_OPEN_OF_PRIORITY"): (now, 0, rules[0]),
        (c, "LOAD_UNKNOWN"): (rules, sellers, rules),
        (r, "LOAD_RULE"): (now, rules[0]),
        (r, "LIST_RULES"): (now, rules[0], None, 50),
        (r, "LIST_CALCULATIONS"): place,
        (r, "LIST_CALCULATIONS_OF_SELLER"): (*place, sellers[0]),
        (r, "LIST_CALCULATIONS_BY_RULE"): (*place, rules[0]),
        (r, "LIST_CALCULATIONS_BETWEEN"): (*place, sellers[0], now),
        (r, "LIST_CALCULATIONS_OF_ORDER"): (*place, ids[0]),
        (r, "LOAD_TOTALS"): (sellers[0], now, now),
    }


def _of_promotions(promotions: list[UUID], now: datetime) -> dict[tuple[str, str], tuple[Any, ...]]:
    w, r, c = promotion_sql.__name__, promotion_reads.__name__, code_sql.__name__
    one, count, last = promotions[0], len(promotions), UUID(int=2**128 - 1)
    codes = (["CODE7", "NEW1"], ["Code7", "New1"], one)
    return {
        (w, "LOCK_PROMOTIONS"): (promotions,),
        (w, "LOCK_OVER"): (now, 200),
        (w, "UPDATE_PROMOTIONS"): (
            promotions,
            [2] * count,
            ["active"] * count,
            ["{}"] * count,
            [now] * count,
            [None] * count,
            now,
        ),
        (w, "SET_MOST"): (one, 5),
        (w, "NEXT_LIMITED"): (one, 50),
        (w, "COMPARE_USES"): (promotions,),
        (r, "LOAD_PROMOTION_VIEWS"): (promotions,),
        (r, "LIST_PROMOTIONS"): (last, "draft", 50),
        (r, "LIST_OF_SELLER"): (last, None, 50, one),
        (r, "LOAD_USAGE"): (one,),
        (r, "LOAD_USED_CODES"): (one, 20),
        (r, "LIST_REDEMPTIONS"): (one, last, 50),
        (r, "LIST_CODES"): (one, "", 50),
        (c, "INSERT_CODES"): codes,
        (c, "INSERT_CODES_RETURNING"): codes,
        (c, "LOAD_OWNERS"): (["CODE7"],),
        (c, "DELETE_CODES"): (["CODE7"],),
        (c, "LOAD_CODE_BATCHES"): (promotions,),
        (c, "INSERT_CODE_BATCH"): (one, one, 1, now),
    }
