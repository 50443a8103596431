"""Price versions as rows: parallel arrays, one row for a version.

An array is empty where there is nothing of its kind; most orders have no discount and no tax, and then the row is as
small as it can be.
"""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import msgspec

from domain.connection import Connection
from domain.orders.price import LineAmounts, Price, PromotionPart, ShippingAmounts, ShippingTerms
from domain.writing import Rows

_LINE_ARRAYS = (
    "amounts_minor",
    "seller_discounts_minor",
    "platform_discounts_minor",
    "taxes_minor",
    "added_taxes_minor",
)
_SHIPPING_ARRAYS = (
    "shipping_minor",
    "shipping_seller_discounts_minor",
    "shipping_platform_discounts_minor",
    "shipping_taxes_minor",
    "shipping_added_taxes_minor",
)
PRICE_COLUMNS = (
    ("order_id", "uuid"),
    ("version", "smallint"),
    ("total_minor", "bigint"),
    ("lines", "smallint[]"),
    *((name, "bigint[]") for name in _LINE_ARRAYS),
    ("sellers", "smallint[]"),
    *((name, "bigint[]") for name in _SHIPPING_ARRAYS),
    ("shipping_terms", "jsonb"),
    ("promotions", "jsonb"),
)
# What every version has; what a version without discounts, taxes and shipping is written with, as most are.
PLAIN_COLUMNS = PRICE_COLUMNS[:5]
PRICE_NAMES = ", ".join(name for name, _ in PRICE_COLUMNS if name not in {"order_id", "version", "total_minor"})

# An order ``o`` counts unless it came to nothing.
CAME_TO_SOMETHING = """
o.expired_at IS NULL AND o.payment <> 'voided'
AND EXISTS (SELECT FROM seller_orders s WHERE s.order_id = o.id AND s.fulfilment <> 'cancelled')
"""

LOAD_HAVE_ORDERED = f"""
SELECT t.buyer FROM unnest($1::uuid[]) AS t (buyer)
WHERE EXISTS (
    SELECT FROM orders o
    WHERE o.buyer = t.buyer AND o.id <> ALL ($2::uuid[]) AND {CAME_TO_SOMETHING}
)
"""

_encode = msgspec.json.Encoder().encode
_terms = msgspec.json.Decoder(list[ShippingTerms])
_parts = msgspec.json.Decoder(list[PromotionPart])


def price_rows(versions: Iterable[tuple[UUID, int, Price]]) -> list[Rows]:
    """Versions as rows to write: (order id, version, price)."""
    plain: list[tuple[object, ...]] = []
    rich: list[tuple[object, ...]] = []
    for order_id, version, price in versions:
        always = (
            order_id,
            version,
            price.total_minor,
            list(price.lines),
            [amounts.net_minor for amounts in price.lines.values()],
        )
        if price.is_plain:
            plain.append(always)
        else:
            rich.append(always + _rest(price))
    return [Rows("price_versions", PLAIN_COLUMNS, plain), Rows("price_versions", PRICE_COLUMNS, rich)]


def _rest(price: Price) -> tuple[object, ...]:
    lines, shipping = price.lines.values(), price.shipping.values()
    return (
        _unless_nothing([amounts.seller_discount_minor for amounts in lines]),
        _unless_nothing([amounts.platform_discount_minor for amounts in lines]),
        _unless_nothing([amounts.tax_minor for amounts in lines]),
        _unless_nothing([amounts.added_tax_minor for amounts in lines]),
        list(price.shipping),
        [amounts.cost_minor for amounts in shipping],
        _unless_nothing([amounts.seller_discount_minor for amounts in shipping]),
        _unless_nothing([amounts.platform_discount_minor for amounts in shipping]),
        _unless_nothing([amounts.tax_minor for amounts in shipping]),
        _unless_nothing([amounts.added_tax_minor for amounts in shipping]),
        _encode([amounts.terms for amounts in shipping]).decode() if price.shipping else None,
        _encode(price.promotions).decode() if price.promotions else None,
    )


def _unless_nothing(amounts: list[int]) -> list[int]:
    return amounts if any(amounts) else []


def price_from(row: Any) -> Price:
    """A version from its row."""
    numbers, sellers = row["lines"], row["sellers"]
    lines = (_padded(row[name], len(numbers)) for name in _LINE_ARRAYS)
    shipping = [_padded(row[name], len(sellers)) for name in _SHIPPING_ARRAYS]
    terms = _terms.decode(row["shipping_terms"]) if row["shipping_terms"] is not None else []
    return Price(
        lines={number: LineAmounts(*amounts) for number, *amounts in zip(numbers, *lines, strict=True)},
        shipping={
            number: ShippingAmounts(cost, how, *others)
            for number, how, cost, *others in zip(sellers, terms, *shipping, strict=True)
        },
        promotions=_parts.decode(row["promotions"]) if row["promotions"] is not None else [],
    )


def _padded(amounts: Sequence[int], length: int) -> Sequence[int]:
    return amounts or [0] * length


async def load_have_ordered(conn: Connection, buyers: Sequence[UUID], *, but: Sequence[UUID] = ()) -> set[UUID]:
    """Who of some buyers has an order, other than the orders ``but``."""
    return {row["buyer"] for row in await conn.fetch(LOAD_HAVE_ORDERED, buyers, list(but))}
