"""Statements of pricing orders again: what was frozen of their lines, what they use, and what they use from then on.

Invariant: an order's uses change under its lock, together with their counters.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import structs

from domain.connection import Connection
from domain.orders.price_sql import CAME_TO_SOMETHING
from domain.orders.repricing import OwnUses
from domain.pricing import use_sql
from domain.pricing.commission import CommissionTerms
from domain.pricing.quote import Commission, FrozenTerms, QuoteLine
from domain.pricing.scope import Facts
from domain.pricing.tax import TaxTerms
from domain.pricing.use_sql import Redemption

LOAD_QUOTE_LINES = """
SELECT order_id, line_no, seller_id, variant_id, product_id, categories, quantity, unit_price_minor, weight_grams,
       commission_rule_id, commission_rate_bp, commission_fixed_minor, commission_minimum_minor,
       commission_maximum_minor, tax_rate_ppm, tax_inclusive
FROM order_lines WHERE order_id = ANY ($1::uuid[])
"""

LOAD_OWN_USES = """
SELECT r.order_id, r.promotion_id, coalesce((p.content ->> 'first_order')::boolean, false) AS first_order
FROM redemptions r LEFT JOIN promotions p ON p.id = r.promotion_id
WHERE r.order_id = ANY ($1::uuid[]) AND r.returned_at IS NULL
"""

# Of two at the same moment the lower id was placed first.
LOAD_LATER = f"""
SELECT me.id FROM orders me
WHERE me.id = ANY ($1::uuid[]) AND EXISTS (
    SELECT FROM orders o
    WHERE o.buyer = me.buyer AND (o.placed_at, o.id) < (me.placed_at, me.id) AND {CAME_TO_SOMETHING}
)
"""

WRITE_OWN_USES = """
INSERT INTO redemptions AS r (order_id, promotion_id, version, code, buyer, currency, amount_minor)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::text[], $5::uuid[], $6::text[], $7::bigint[])
ON CONFLICT (order_id, promotion_id) DO UPDATE
SET version = excluded.version, code = excluded.code, amount_minor = excluded.amount_minor,
    redeemed_at = CASE WHEN r.returned_at IS NULL THEN r.redeemed_at ELSE excluded.redeemed_at END,
    returned_at = NULL
"""


async def load_quote_lines(conn: Connection, orders: Sequence[UUID]) -> dict[UUID, dict[int, QuoteLine]]:
    """Read the lines of orders by their numbers, cancelled ones too, as they are priced again."""
    lines: dict[UUID, dict[int, QuoteLine]] = {order: {} for order in orders}
    for row in await conn.fetch(LOAD_QUOTE_LINES, list(orders)):
        lines[row["order_id"]][row["line_no"]] = _line(row)
    return lines


def _line(row: Any) -> QuoteLine:
    terms = CommissionTerms(
        row["commission_rate_bp"],
        row["commission_fixed_minor"],
        row["commission_minimum_minor"],
        row["commission_maximum_minor"],
    )
    tax = None if row["tax_rate_ppm"] is None else TaxTerms(row["tax_rate_ppm"], row["tax_inclusive"])
    # Lines that were placed before rules looked at products have none: nothing that names one covers them.
    product = row["product_id"] or row["variant_id"]
    return QuoteLine(
        facts=Facts(product, row["variant_id"], row["seller_id"], tuple(row["categories"])),
        quantity=row["quantity"],
        unit_price_minor=row["unit_price_minor"],
        weight_grams=row["weight_grams"],
        frozen=FrozenTerms(tax, Commission(row["commission_rule_id"], terms)),
    )


async def load_own_uses(conn: Connection, orders: Sequence[UUID]) -> dict[UUID, OwnUses]:
    """Read what orders use now."""
    own: dict[UUID, OwnUses] = {}
    for row in await conn.fetch(LOAD_OWN_USES, list(orders)):
        own.setdefault(row["order_id"], {})[row["promotion_id"]] = row["first_order"]
    return own


async def load_later(conn: Connection, orders: Sequence[UUID]) -> set[UUID]:
    """Which of some orders aren't the first of their buyers."""
    return {row["id"] for row in await conn.fetch(LOAD_LATER, list(orders))}


async def write_own_uses(conn: Connection, uses: Mapping[tuple[UUID, UUID], Redemption | None], now: datetime) -> None:
    """Write what locked orders use from now on, and what they no longer do."""
    gone = [key for key, use in uses.items() if use is None]
    if gone:
        orders, promotions = zip(*gone, strict=True)
        await conn.execute(use_sql.RETURN_REDEMPTIONS, orders, promotions, now)
    kept = [use for use in uses.values() if use is not None]
    if kept:
        columns = zip(*(structs.astuple(use) for use in kept), strict=True)
        await conn.execute(WRITE_OWN_USES, *(list(column) for column in columns))
