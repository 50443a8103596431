"""What each seller sold in a day: the read model ``seller_sales``, as events add to it.

Invariant: pure, and a sum: in whatever order events come, the same comes of them. A sale counts on the day on which its
order was confirmed, what is taken back of it on the day on which that happened.
"""

from collections.abc import Iterable
from datetime import UTC, date
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.journal.events import StoredEvent

CONFIRMED, CREDITED = "order.confirmed", "order.credited"
CANCELLED = frozenset({"order.cancelled", "order.lines_cancelled"})
SALES_TYPES = frozenset({CONFIRMED, CREDITED, *CANCELLED})


class SalesKey(Struct, frozen=True, order=True):
    """Whose sales, of which day (UTC), in which currency. The order is the order of locks."""

    seller_id: UUID
    day: date
    currency: str


class Sales(Struct):
    """Seller orders and units sold, and amounts in minor units: goods and shipping before discounts, tax that is added,
    what all of it came to; units and amount that were taken back, by cancelling or refunding.
    """

    orders: int = 0
    units: int = 0
    goods_minor: int = 0
    discount_minor: int = 0
    shipping_minor: int = 0
    added_tax_minor: int = 0
    total_minor: int = 0
    units_back: int = 0
    back_minor: int = 0


class _Sold(Struct):
    seller_id: UUID
    units: int
    goods_minor: int
    discount_minor: int
    shipping_minor: int
    added_tax_minor: int
    total_minor: int


class _Confirmed(Struct):
    currency: str
    sellers: list[_Sold]


class _Less(Struct):
    seller_id: UUID
    units: int
    amount_minor: int


class _Back(Struct):
    currency: str
    sellers: list[_Less]
    sold: bool = True


_confirmed = msgspec.json.Decoder(_Confirmed)
_back = msgspec.json.Decoder(_Back)


def sales_of(events: Iterable[StoredEvent]) -> dict[SalesKey, Sales]:
    """What some events add to sales."""
    found: dict[SalesKey, Sales] = {}
    for event in events:
        day = event.at.astimezone(UTC).date()
        if event.type == CONFIRMED:
            told = _confirmed.decode(event.data)
            for sold in told.sellers:
                sales = found.setdefault(SalesKey(sold.seller_id, day, told.currency), Sales())
                sales.orders += 1
                sales.units += sold.units
                sales.goods_minor += sold.goods_minor
                sales.discount_minor += sold.discount_minor
                sales.shipping_minor += sold.shipping_minor
                sales.added_tax_minor += sold.added_tax_minor
                sales.total_minor += sold.total_minor
            continue
        back = _back.decode(event.data)
        for less in back.sellers if back.sold else ():
            sales = found.setdefault(SalesKey(less.seller_id, day, back.currency), Sales())
            sales.units_back += less.units
            sales.back_minor += less.amount_minor
    return found
