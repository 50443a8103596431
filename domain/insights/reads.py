"""Read models as people look at them: days, the newest first."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from domain.connection import Connection
from domain.money import Money

LIST_SALES = """
SELECT day, currency, orders, units, goods_minor, discount_minor, shipping_minor, added_tax_minor, total_minor,
    units_back, back_minor
FROM seller_sales WHERE seller_id = $1 AND (day, currency) < ($2, $3) ORDER BY day DESC, currency DESC LIMIT $4
"""

# What was there at a day's end is the sum of all days until then.
LIST_STOCK_DAYS = """
SELECT * FROM (
    SELECT day, (sum(on_hand) OVER days)::bigint AS on_hand, (sum(reserved) OVER days)::bigint AS reserved,
        received, adjusted, sold, returned
    FROM stock_history WHERE variant_id = $1 AND seller_id = $2 AND location = 0
    WINDOW days AS (ORDER BY day)
) AS all_days
WHERE day < $3 ORDER BY day DESC LIMIT $4
"""

LAST_DAY = date(9999, 12, 31)


class SalesPlace(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where a day's sales stand among a seller's."""

    day: date = LAST_DAY
    currency: Annotated[str, Meta(max_length=3)] = ""


class DayPlace(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where a day stands among an offer's."""

    day: date = LAST_DAY


class SalesView(Struct, frozen=True):
    """What a seller sold in a day, in one currency; ``goods`` and ``shipping`` are before discounts."""

    day: date
    orders: int
    units: int
    goods: Money
    discount: Money
    shipping: Money
    added_tax: Money
    total: Money
    units_taken_back: int
    taken_back: Money


class StockDayView(Struct, frozen=True):
    """How an offer's stock moved in a day; ``on_hand`` and ``reserved`` are those at its end."""

    day: date
    on_hand: int
    reserved: int
    received: int
    adjusted: int
    sold: int
    returned: int


def place_of_sales(view: SalesView) -> SalesPlace:
    """Where to go on after this."""
    return SalesPlace(view.day, view.total.currency)


def place_of_day(view: StockDayView) -> DayPlace:
    """Where to go on after this."""
    return DayPlace(view.day)


async def list_sales(conn: Connection, seller_id: UUID, below: SalesPlace, limit: int) -> Sequence[SalesView]:
    """Read the days of a seller's sales below a place."""
    rows = await conn.fetch(LIST_SALES, seller_id, below.day, below.currency, limit)
    return [
        SalesView(
            day=row["day"],
            orders=row["orders"],
            units=row["units"],
            goods=Money(row["goods_minor"], row["currency"]),
            discount=Money(row["discount_minor"], row["currency"]),
            shipping=Money(row["shipping_minor"], row["currency"]),
            added_tax=Money(row["added_tax_minor"], row["currency"]),
            total=Money(row["total_minor"], row["currency"]),
            units_taken_back=row["units_back"],
            taken_back=Money(row["back_minor"], row["currency"]),
        )
        for row in rows
    ]


async def list_stock_days(
    conn: Connection, variant_id: UUID, seller_id: UUID, below: DayPlace, limit: int
) -> Sequence[StockDayView]:
    """Read the days of an offer's stock below a place."""
    rows = await conn.fetch(LIST_STOCK_DAYS, variant_id, seller_id, below.day, limit)
    return [StockDayView(**row) for row in rows]
