"""What an order asks for and what it comes to, before anything is taken for it.

Invariant: pure; placing and quoting go through the same functions in the same order, so they refuse the same for the
same reason, and come to the same price.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from msgspec import Struct, field

from domain.accounts.address_model import PostalAddress
from domain.catalog.model import Offer, OfferKey
from domain.inventory.buyer_limits import Asking, Taken, refuse_units
from domain.inventory.hold_model import Hold
from domain.orders.basket import Pricing, address_of, basket_of, refuse_codes, unit_price
from domain.orders.model import CodesMode, PlaceOrder
from domain.pricing.quote import PriceVersion, QuoteOrder, quote
from domain.rejections import Code, Rejection


class Demand(Struct):
    """What one order asks of one offer: units added up, and the index of the first line that names it."""

    key: OfferKey
    quantity: int
    index: int


class PricedOrder(Struct, frozen=True):
    """An order with all it comes to, before anything is taken for it."""

    demands: Sequence[Demand]
    prices: Sequence[int]
    address: PostalAddress | None
    basket: QuoteOrder
    version: PriceVersion


class Market(Struct, frozen=True):
    """What orders are decided against: ``holds`` are those they name, ``taken`` what buyers have of limited offers."""

    offers: Mapping[OfferKey, Offer]
    pricing: Pricing
    now: datetime
    line_quantity_max: int
    holds: Mapping[UUID, Hold] = field(default_factory=dict)
    taken: Taken = field(default_factory=dict)


def offers_of(commands: Iterable[PlaceOrder]) -> list[OfferKey]:
    """The offers that some orders need, each once."""
    return list({(line.variant_id, line.seller_id): None for command in commands for line in command.lines})


def add_up(command: PlaceOrder) -> list[Demand]:
    """Lines with the same offer are one line."""
    demands: dict[OfferKey, Demand] = {}
    for index, line in enumerate(command.lines):
        key = (line.variant_id, line.seller_id)
        known = demands.get(key)
        if known is None:
            demands[key] = Demand(key, line.quantity, index)
        else:
            known.quantity += line.quantity
    return list(demands.values())


def unit_prices(command: PlaceOrder, buyer: UUID, demands: Sequence[Demand], market: Market) -> list[int] | Rejection:
    """What a unit of each demand costs, or why it can't be had."""
    prices: dict[OfferKey, int] = {}
    for demand in demands:
        path = f"lines[{demand.index}]"
        offer = market.offers.get(demand.key)
        if offer is None:
            return Rejection(422, Code.UNKNOWN_OFFER, "there is no such offer of this seller", path)
        if not offer.sellable:
            return Rejection(409, Code.OFFER_UNAVAILABLE, f"{offer.sku} is not for sale now", path)
        price = unit_price(offer, command, buyer, market.pricing, market.now)
        if price is None:
            return Rejection(
                422,
                Code.CURRENCY_MISMATCH,
                f"the order is in {command.currency}, the offer in {offer.currency}; one order has one currency",
                path,
            )
        if demand.quantity > market.line_quantity_max:
            return Rejection(
                422,
                Code.QUANTITY_TOO_LARGE,
                f"at most {market.line_quantity_max} units of one offer",
                f"{path}.quantity",
            )
        prices[demand.key] = price
    return _refuse_for_price(command, prices) or list(prices.values())


def _refuse_for_price(command: PlaceOrder, prices: Mapping[OfferKey, int]) -> Rejection | None:
    for index, line in enumerate(command.lines):
        expected = line.expected_unit_price
        if expected is None:
            continue
        price = prices[line.variant_id, line.seller_id]
        if expected.amount != price or expected.currency != command.currency:
            return Rejection(
                409,
                Code.PRICE_CHANGED,
                f"the price is {price} {command.currency} (minor units) now",
                f"lines[{index}].expected_unit_price",
            )
    return None


def refuse_for_stock(demands: Sequence[Demand], left: Mapping[OfferKey, int]) -> Rejection | None:
    """Refuse an order of which an offer has too few units left."""
    first = next((demand for demand in demands if demand.quantity > left[demand.key]), None)
    if first is None:
        return None
    available = max(left[first.key], 0)
    return Rejection(409, Code.OUT_OF_STOCK, f"{first.quantity} wanted, {available} available", f"lines[{first.index}]")


def refuse_for_limits(demands: Sequence[Demand], asking: Asking, market: Market) -> tuple[Rejection, Demand] | None:
    """Refuse an order of which the buyer may not have so many units, and say of which demand."""
    for demand in demands:
        why = refuse_units(market.offers[demand.key], demand.quantity, asking, market.taken)
        if why is not None:
            return Rejection(409, Code.QUANTITY_LIMIT, why, f"lines[{demand.index}]"), demand
    return None


def price_order(
    command: PlaceOrder, buyer: UUID, demands: Sequence[Demand], prices: Sequence[int], market: Market
) -> PricedOrder | Rejection:
    """What an order comes to at these unit prices, or why it can't go where it should."""
    address = address_of(command, buyer, market.pricing)
    if isinstance(address, Rejection):
        return address
    lines = [(market.offers[demand.key], demand.quantity, price) for demand, price in zip(demands, prices, strict=True)]
    basket = basket_of(command, buyer, lines, address, market.pricing.codes)
    version = quote(basket, market.pricing.book, market.pricing.usage, market.now)
    if isinstance(version, Rejection):
        return version
    return PricedOrder(demands, prices, address, basket, version)


def refuse_for_codes(command: PlaceOrder, version: PriceVersion) -> Rejection | None:
    """Refuse an order for codes that were given in vain, unless it says that this is no matter."""
    return refuse_codes(command.codes, version.refused_codes) if command.promotions is CodesMode.STRICT else None
