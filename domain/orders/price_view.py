"""A price version as those who see the order see it: what each line and each seller's shipping come to, and why.

Invariant: the parts shown add up. Of a line ``gross`` less ``discount`` is ``net``, and ``net`` and the tax that is
added to it are ``total``; the totals of lines and shipping are the order's.
"""

from collections.abc import Mapping
from uuid import UUID

from msgspec import Struct

from domain import ids
from domain.money import Money
from domain.orders.price import LineAmounts, Price, PromotionPart, ShippingAmounts
from domain.pricing.promotions import Reason


class LinePrice(Struct, frozen=True):
    """What a line comes to. ``tax`` is all tax on it: ``tax_included`` is part of ``net``, the rest is added to it."""

    line_no: int
    gross: Money
    discount: Money
    net: Money
    tax: Money
    tax_included: Money
    total: Money


class ShippingPrice(Struct, frozen=True):
    """What shipping a seller order comes to, and how it is shipped."""

    seller_order_id: UUID
    seller_id: UUID
    method_id: UUID | None
    method: str
    cost: Money
    discount: Money
    net: Money
    tax: Money
    tax_included: Money
    total: Money


class LineDiscount(Struct, frozen=True):
    """What a promotion takes off a line."""

    line_no: int
    amount: Money


class ShippingDiscount(Struct, frozen=True):
    """What a promotion takes off the shipping of a seller order."""

    seller_id: UUID
    amount: Money


class AppliedPromotion(Struct, frozen=True):
    """A promotion of the order, in the version it had then; ``code`` is null for one that came by itself."""

    promotion_id: UUID
    version: int
    title: str
    code: str | None
    amount: Money
    lines: list[LineDiscount]
    shipping: list[ShippingDiscount]


class UnusedCode(Struct, frozen=True):
    """A code that was given and did nothing, and why."""

    code: str
    reason: Reason


class PriceView(Struct, frozen=True):
    """The price version that counts. ``subtotal`` is of the lines before discounts, ``shipping_cost`` likewise.

    ``tax`` is all tax; ``tax_added`` is what ``total`` has more than the amounts after discounts.
    """

    version: int
    subtotal: Money
    shipping_cost: Money
    discount: Money
    tax: Money
    tax_added: Money
    total: Money
    lines: list[LinePrice]
    shipping: list[ShippingPrice]
    promotions: list[AppliedPromotion]
    unused_codes: list[UnusedCode]


def price_view(
    order_id: UUID,
    version: int,
    price: Price,
    *,
    currency: str,
    gross_minor: Mapping[int, int],
    sellers: Mapping[int, UUID],
) -> PriceView:
    """Show a version; ``gross_minor`` has what lines cost undiscounted, ``sellers`` those of the seller orders."""

    def money(minor: int) -> Money:
        return Money(minor, currency)

    parts: list[LineAmounts | ShippingAmounts] = [*price.lines.values(), *price.shipping.values()]
    return PriceView(
        version=version,
        subtotal=money(sum(gross_minor[number] for number in price.lines)),
        shipping_cost=money(price.shipping_minor),
        discount=money(price.discount_minor),
        tax=money(price.tax_minor),
        tax_added=money(sum(part.added_tax_minor for part in parts)),
        total=money(price.total_minor),
        lines=[_line(number, each, gross_minor[number], currency) for number, each in sorted(price.lines.items())],
        shipping=[
            _shipping(ids.child(order_id, ids.Kind.SELLER_ORDER, number), sellers[number], each, currency)
            for number, each in sorted(price.shipping.items())
        ],
        promotions=[
            _applied(part.promotion_id, part, sellers, currency)
            for part in price.applied
            if part.promotion_id is not None
        ],
        unused_codes=[
            UnusedCode(part.code, part.reason)
            for part in price.promotions
            if part.code is not None and part.reason is not None
        ],
    )


def _line(number: int, amounts: LineAmounts, gross_minor: int, currency: str) -> LinePrice:
    discount = amounts.seller_discount_minor + amounts.platform_discount_minor
    return LinePrice(
        line_no=number,
        gross=Money(gross_minor, currency),
        discount=Money(discount, currency),
        net=Money(amounts.net_minor, currency),
        tax=Money(amounts.tax_minor, currency),
        tax_included=Money(amounts.tax_minor - amounts.added_tax_minor, currency),
        total=Money(amounts.charged_minor, currency),
    )


def _shipping(seller_order: UUID, seller: UUID, amounts: ShippingAmounts, currency: str) -> ShippingPrice:
    discount = amounts.seller_discount_minor + amounts.platform_discount_minor
    return ShippingPrice(
        seller_order_id=seller_order,
        seller_id=seller,
        method_id=amounts.terms.method_id,
        method=amounts.terms.name,
        cost=Money(amounts.cost_minor, currency),
        discount=Money(discount, currency),
        net=Money(amounts.net_minor, currency),
        tax=Money(amounts.tax_minor, currency),
        tax_included=Money(amounts.tax_minor - amounts.added_tax_minor, currency),
        total=Money(amounts.charged_minor, currency),
    )


def _applied(promotion_id: UUID, part: PromotionPart, sellers: Mapping[int, UUID], currency: str) -> AppliedPromotion:
    return AppliedPromotion(
        promotion_id=promotion_id,
        version=part.version,
        title=part.title,
        code=part.code,
        amount=Money(part.amount_minor, currency),
        lines=[LineDiscount(number, Money(amount, currency)) for number, amount in part.lines],
        shipping=[ShippingDiscount(sellers[number], Money(amount, currency)) for number, amount in part.shipping],
    )
