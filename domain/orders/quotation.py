"""What placing an order would charge now, line by line, and why.

Invariant: decided by the functions that place orders (``demand``), on the same rules. A quote without a refusal is what
placing charges. Where stock, a limit or codes stand against placing, the quote says so with the refusal that placing
would give, and what would be charged but for that. For anything else a quote is refused as placing is.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

from msgspec import Struct

from domain.catalog.model import OfferKey
from domain.inventory.buyer_limits import Asking, moment
from domain.money import Money
from domain.orders.demand import (
    Market,
    PricedOrder,
    add_up,
    price_order,
    refuse_for_codes,
    refuse_for_limits,
    refuse_for_stock,
)
from domain.orders.demand import unit_prices as prices_of
from domain.orders.model import PlaceOrder
from domain.orders.taking_over import freed_by, holds_for, with_freed
from domain.pricing.promotion_model import Funding
from domain.pricing.promotions import Reason
from domain.pricing.quote import Explained, PricedShipping, shipping_options
from domain.rejections import Rejection


class QuotedDiscount(Struct, frozen=True):
    """What a promotion takes off; ``code`` is null for one that comes by itself."""

    promotion_id: UUID
    title: str
    code: str | None
    funding: Funding
    amount: Money


class QuotedLine(Struct, frozen=True):
    """Units of one offer, numbered as the order's line would be. ``net`` is ``gross`` less ``discounts``.

    ``tax`` is all tax; ``tax_added`` is what of it isn't in the price already. ``total`` is what is charged.
    ``available`` says whether there is enough now; holds that are due count as held until they are taken back.
    """

    line_no: int
    variant_id: UUID
    seller_id: UUID
    sku: str
    title: str
    quantity: int
    unit_price: Money
    gross: Money
    discounts: list[QuotedDiscount]
    net: Money
    tax: Money
    tax_added: Money
    total: Money
    available: bool


class ShippingOption(Struct, frozen=True):
    """A way to ship, and what it costs before promotions and added tax."""

    method_id: UUID
    name: str
    cost: Money


class QuotedShipping(Struct, frozen=True):
    """The way that would be taken: the one asked for, or the cheapest."""

    method_id: UUID
    name: str
    cost: Money
    discounts: list[QuotedDiscount]
    net: Money
    tax: Money
    tax_added: Money
    total: Money


class QuotedSellerOrder(Struct, frozen=True):
    """One seller's part. ``shipping`` is null where nothing is charged for it: no address, or nobody has rates."""

    seller_id: UUID
    lines: list[int]
    options: list[ShippingOption]
    shipping: QuotedShipping | None


class QuotedOnLine(Struct, frozen=True):
    """What a promotion takes off a line."""

    line_no: int
    amount: Money


class QuotedOnShipping(Struct, frozen=True):
    """What a promotion takes off a seller's shipping."""

    seller_id: UUID
    amount: Money


class ConsideredPromotion(Struct, frozen=True):
    """A promotion, or a code, that was looked at: what it takes off, or the ``reason`` why it doesn't apply.

    ``promotion_id`` is null for a code that is unknown.
    """

    promotion_id: UUID | None
    version: int
    title: str
    code: str | None
    applied: bool
    reason: Reason | None
    amount: Money
    lines: list[QuotedOnLine]
    shipping: list[QuotedOnShipping]


class QuotedTotals(Struct, frozen=True):
    """Sums. ``total`` is ``gross`` and ``shipping`` less ``discount``, and ``tax_added``."""

    gross: Money
    shipping: Money
    discount: Money
    tax: Money
    tax_added: Money
    total: Money


class Quotation(Struct, frozen=True):
    """What placing would charge now. ``refusal`` is null if it would be placed so."""

    currency: str
    lines: list[QuotedLine]
    seller_orders: list[QuotedSellerOrder]
    promotions: list[ConsideredPromotion]
    totals: QuotedTotals
    refusal: Rejection | None


def decide(command: PlaceOrder, buyer: UUID, market: Market) -> Quotation | Rejection:
    """Quote an order, or refuse it as placing would."""
    demands = add_up(command)
    prices = prices_of(command, buyer, demands, market)
    if isinstance(prices, Rejection):
        return prices
    priced = price_order(command, buyer, demands, prices, market)
    if isinstance(priced, Rejection):
        return priced
    named = holds_for(command.reservation_ids, buyer, demands, market.holds, market.now)
    if isinstance(named, Rejection):
        return named
    left = with_freed({key: offer.available for key, offer in market.offers.items()}, freed_by(named))
    asking = Asking(buyer, moment(market.now), command.reservation_ids)
    over, _ = refuse_for_limits(demands, asking, market) or (None, None)
    refusal = over or refuse_for_stock(demands, left) or refuse_for_codes(command, priced.version)
    version = priced.version
    discount = sum(each.amount_minor for each in version.applied)
    parts = [(line.net_minor, line.tax) for line in version.lines]
    parts += [(each.net_minor, each.tax) for each in version.shipping]
    money = _Money(command.currency)
    totals = QuotedTotals(
        gross=money(sum(line.gross_minor for line in version.lines)),
        shipping=money(sum(each.shipping.cost_minor for each in version.shipping)),
        discount=money(discount),
        tax=money(sum(tax.amount_minor for _, tax in parts)),
        tax_added=money(sum(tax.added_minor for _, tax in parts)),
        total=money(version.total_minor),
    )
    return Quotation(
        currency=command.currency,
        lines=[_line(n, priced, market, money, left) for n in range(len(demands))],
        seller_orders=_seller_orders(priced, market, money),
        promotions=[_considered(each, money) for each in version.promotions],
        totals=totals,
        refusal=refusal,
    )


class _Money:
    """Amounts of one currency."""

    def __init__(self, currency: str) -> None:
        self.currency = currency

    def __call__(self, minor: int) -> Money:
        return Money(minor, self.currency)


def _line(n: int, priced: PricedOrder, market: Market, money: _Money, left: Mapping[OfferKey, int]) -> QuotedLine:
    demand = priced.demands[n]
    line, offer, applied = priced.version.lines[n], market.offers[demand.key], priced.version.applied
    amounts = {each.promotion_id: dict(each.lines).get(n, 0) for each in applied}
    return QuotedLine(
        line_no=n,
        variant_id=offer.variant_id,
        seller_id=offer.seller_id,
        sku=offer.sku,
        title=offer.title,
        quantity=demand.quantity,
        unit_price=money(priced.prices[n]),
        gross=money(line.gross_minor),
        discounts=_discounts(applied, amounts, money),
        net=money(line.net_minor),
        tax=money(line.tax.amount_minor),
        tax_added=money(line.tax.added_minor),
        total=money(line.net_minor + line.tax.added_minor),
        available=demand.quantity <= left[demand.key],
    )


def _discounts(applied: Sequence[Explained], amounts: Mapping[UUID | None, int], money: _Money) -> list[QuotedDiscount]:
    return [
        QuotedDiscount(each.promotion_id, each.title, each.code, each.funding, money(amounts[each.promotion_id]))
        for each in applied
        if each.promotion_id is not None and amounts[each.promotion_id]
    ]


def _seller_orders(priced: PricedOrder, market: Market, money: _Money) -> list[QuotedSellerOrder]:
    options = shipping_options(priced.basket, market.pricing.book, priced.version)
    return [
        QuotedSellerOrder(
            seller_id=each.seller_id,
            lines=[n for n, demand in enumerate(priced.demands) if demand.key[1] == each.seller_id],
            options=[ShippingOption(o.method_id, o.name, money(o.cost_minor)) for o in options[each.seller_id]],
            shipping=_shipping(each, priced.version.applied, money),
        )
        for each in priced.version.shipping
    ]


def _shipping(each: PricedShipping, applied: Sequence[Explained], money: _Money) -> QuotedShipping | None:
    frozen = each.shipping
    if frozen.method_id is None:
        return None
    amounts = {one.promotion_id: dict(one.shipping).get(each.seller_id, 0) for one in applied}
    return QuotedShipping(
        method_id=frozen.method_id,
        name=frozen.name,
        cost=money(frozen.cost_minor),
        discounts=_discounts(applied, amounts, money),
        net=money(each.net_minor),
        tax=money(each.tax.amount_minor),
        tax_added=money(each.tax.added_minor),
        total=money(each.net_minor + each.tax.added_minor),
    )


def _considered(each: Explained, money: _Money) -> ConsideredPromotion:
    return ConsideredPromotion(
        promotion_id=each.promotion_id,
        version=each.version,
        title=each.title,
        code=each.code,
        applied=each.reason is None,
        reason=each.reason,
        amount=money(each.amount_minor),
        lines=[QuotedOnLine(n, money(amount)) for n, amount in each.lines],
        shipping=[QuotedOnShipping(seller, money(amount)) for seller, amount in each.shipping],
    )
