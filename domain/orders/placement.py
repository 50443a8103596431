"""The decision to place orders: all lines of an order or none, at the offers' prices, frozen.

Invariant: pure, and one order at a time in the order given; what an order takes is gone for the next one of the
batch, units and uses of promotions alike. Nothing is taken until everything about the order has been worked out, so a
decision that raises changes nothing for its neighbours.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from domain import ids
from domain.accounts.address_model import PostalAddress
from domain.catalog.model import Offer, OfferKey
from domain.inventory.model import Movement, MovementKind, Reservation, StockKey
from domain.journal.declare import decide_each
from domain.journal.model import BatchOutcome, Claimed, Event, Rejected, Succeeded
from domain.money import Money
from domain.orders.basket import Pricing, address_of, basket_of, refuse_codes, unit_price
from domain.orders.model import (
    CodesMode,
    LineRow,
    OrderPlaced,
    OrderRow,
    PlacedLine,
    PlacedOrder,
    PlacementPlan,
    PlaceOrder,
)
from domain.orders.price import Price, price_of
from domain.pricing.quote import PriceVersion, quote
from domain.pricing.use_sql import Redemption
from domain.pricing.uses import counters_of
from domain.rejections import Code, Rejection

_encode = msgspec.json.Encoder().encode


class _Demand(msgspec.Struct):
    """What one order asks of one offer: units added up, and the index of the first line that names it."""

    key: OfferKey
    quantity: int
    index: int


class _Priced(msgspec.Struct, frozen=True):
    """An order with all it comes to, before anything is taken for it."""

    demands: Sequence[_Demand]
    prices: Sequence[int]
    address: PostalAddress | None
    version: PriceVersion


class _Market(msgspec.Struct, frozen=True):
    """What a batch is decided against."""

    offers: Mapping[OfferKey, Offer]
    pricing: Pricing
    now: datetime
    expires_at: datetime
    line_quantity_max: int


def offers_of(commands: Sequence[Claimed[PlaceOrder]]) -> list[OfferKey]:
    """The offers that a batch needs, each once."""
    return list({(line.variant_id, line.seller_id): None for c in commands for line in c.command.lines})


def new_plan() -> PlacementPlan:
    """A plan that nothing has been added to."""
    return PlacementPlan(
        outcomes=[],
        orders=[],
        reservations=[],
        movements=[],
        events=[],
        stock={},
        wanted={},
        short=set(),
        redemptions=[],
        uses={},
        limits={},
        used_rules=set(),
    )


def decide(
    commands: Sequence[Claimed[PlaceOrder]],
    offers: Mapping[OfferKey, Offer],
    pricing: Pricing,
    *,
    now: datetime,
    hold: timedelta,
    line_quantity_max: int,
) -> PlacementPlan:
    """Decide a batch of orders against offers and rules as read; see :class:`PlacementPlan`."""
    left = {key: offer.available for key, offer in offers.items()}
    pricing = msgspec.structs.replace(pricing, usage=pricing.usage.copy())
    market = _Market(offers, pricing, now, now + hold, line_quantity_max)
    plan = new_plan()

    def place(claimed: Claimed[PlaceOrder]) -> BatchOutcome:
        demands = _add_up(claimed.command)
        prices = _unit_prices(claimed, demands, market)
        if isinstance(prices, Rejection):
            return Rejected(prices)
        for demand in demands:
            plan.wanted[demand.key] = plan.wanted.get(demand.key, 0) + demand.quantity
        priced = _refuse_for_stock(demands, left, plan.short) or _price(claimed, demands, prices, market)
        if isinstance(priced, Rejection):
            return Rejected(priced)
        order = _freeze(claimed, priced, market)
        placed = PlacedOrder(
            order_id=order.id,
            number=ids.format_order_number(order.number),
            total=Money(order.price.total_minor, order.currency),
            expires_at=order.expires_at,
        )
        event = _event(order, placed.number, claimed.correlation)
        _take(order, left, plan)
        _use(order, pricing, plan)
        plan.orders.append(order)
        plan.events.append(event)
        return Succeeded(placed)

    plan.outcomes.extend(decide_each(commands, place))
    return plan


def _add_up(command: PlaceOrder) -> list[_Demand]:
    """Lines with the same offer are one line."""
    demands: dict[OfferKey, _Demand] = {}
    for index, line in enumerate(command.lines):
        key = (line.variant_id, line.seller_id)
        known = demands.get(key)
        if known is None:
            demands[key] = _Demand(key, line.quantity, index)
        else:
            known.quantity += line.quantity
    return list(demands.values())


def _unit_prices(claimed: Claimed[PlaceOrder], demands: Sequence[_Demand], market: _Market) -> list[int] | Rejection:
    """What a unit of each demand costs, or why it can't be had."""
    command = claimed.command
    prices: dict[OfferKey, int] = {}
    for demand in demands:
        path = f"lines[{demand.index}]"
        offer = market.offers.get(demand.key)
        if offer is None:
            return Rejection(422, Code.UNKNOWN_OFFER, "there is no such offer of this seller", path)
        if not offer.sellable:
            return Rejection(409, Code.OFFER_UNAVAILABLE, f"{offer.sku} is not for sale now", path)
        price = unit_price(offer, command, claimed.principal, market.pricing, market.now)
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


def _refuse_for_stock(
    demands: Sequence[_Demand], left: Mapping[OfferKey, int], short: set[OfferKey]
) -> Rejection | None:
    lacking = [demand for demand in demands if demand.quantity > left[demand.key]]
    if not lacking:
        return None
    short.update(demand.key for demand in lacking)
    first = lacking[0]
    available = max(left[first.key], 0)
    return Rejection(
        409,
        Code.OUT_OF_STOCK,
        f"{first.quantity} wanted, {available} available",
        f"lines[{first.index}]",
    )


def _price(
    claimed: Claimed[PlaceOrder], demands: Sequence[_Demand], prices: Sequence[int], market: _Market
) -> _Priced | Rejection:
    command = claimed.command
    address = address_of(command, claimed.principal, market.pricing)
    if isinstance(address, Rejection):
        return address
    lines = [(market.offers[demand.key], demand.quantity, price) for demand, price in zip(demands, prices, strict=True)]
    basket = basket_of(command, claimed.principal, lines, address, market.pricing.codes)
    version = quote(basket, market.pricing.book, market.pricing.usage, market.now)
    if isinstance(version, Rejection):
        return version
    if command.promotions is CodesMode.STRICT:
        refusal = refuse_codes(command.codes, version.refused_codes)
        if refusal is not None:
            return refusal
    return _Priced(demands, prices, address, version)


def _freeze(claimed: Claimed[PlaceOrder], priced: _Priced, market: _Market) -> OrderRow:
    lines: list[LineRow] = []
    sellers: dict[UUID, int] = {}
    for line_no, (demand, price) in enumerate(zip(priced.demands, priced.prices, strict=True)):
        offer, line = market.offers[demand.key], priced.version.lines[line_no]
        sellers.setdefault(offer.seller_id, len(sellers))
        lines.append(
            LineRow(
                line_no,
                offer.seller_id,
                offer.variant_id,
                offer.sku,
                offer.title,
                offer.category,
                offer.attributes,
                demand.quantity,
                price,
                line.gross_minor,
                offer.product_id,
                offer.categories,
                offer.weight_grams,
                line.terms,
            )
        )
    return OrderRow(
        id=claimed.id,
        number=ids.order_number(claimed.id),
        buyer=claimed.principal,
        email=claimed.command.email,
        currency=claimed.command.currency,
        placed_at=market.now,
        expires_at=market.expires_at,
        sellers=tuple(sellers),
        lines=tuple(lines),
        price=price_of(priced.version, range(len(lines)), sellers),
        ship_to=priced.address,
        commission_version=market.pricing.book.versions.commission,
    )


def _event(order: OrderRow, number: str, correlation: str) -> Event:
    lines = tuple(
        PlacedLine(
            line.line_no,
            line.variant_id,
            line.seller_id,
            line.sku,
            line.quantity,
            line.unit_price_minor,
            line.total_minor,
        )
        for line in order.lines
    )
    price = order.price
    data = OrderPlaced(
        number,
        order.buyer,
        order.currency,
        price.total_minor,
        price.discount_minor,
        price.shipping_minor,
        price.tax_minor,
        order.expires_at,
        lines,
    )
    return Event(order.id, 1, "order.placed", _encode(data).decode(), order.buyer, correlation)


def _take(order: OrderRow, left: dict[OfferKey, int], plan: PlacementPlan) -> None:
    for line in order.lines:
        offer_key = (line.variant_id, line.seller_id)
        left[offer_key] -= line.quantity
        key = StockKey(line.variant_id, line.seller_id)
        held = ids.child(order.id, ids.Kind.RESERVATION, line.line_no)
        plan.stock[key] = (0, plan.stock.get(key, (0, 0))[1] + line.quantity)
        plan.reservations.append(Reservation(held, key, line.quantity, order.buyer, order.id, order.expires_at))
        plan.movements.append(Movement(held, MovementKind.RESERVED, key, 0, line.quantity, order.buyer))


def _use(order: OrderRow, pricing: Pricing, plan: PlacementPlan) -> None:
    """Draw the uses of the promotions that apply, and note who has ordered now."""
    usage = pricing.usage
    usage.has_ordered.add(order.buyer)
    plan.used_rules.update(rule for line in order.lines if (rule := line.terms.commission.rule_id) is not None)
    plan.redemptions.extend(redemptions_of(order.id, order.buyer, order.currency, order.price))
    for part in order.price.applied:
        live = pricing.book.promotions.by_id[part.promotion_id] if part.promotion_id is not None else None
        if live is None or not live.promotion.limited:
            continue
        counters = counters_of(live.promotion, order.buyer)
        usage.draw(live.promotion.id, order.buyer)
        for key in counters:
            plan.uses[key] = plan.uses.get(key, 0) + 1
        plan.limits.update(counters)


def redemptions_of(order_id: UUID, buyer: UUID, currency: str, price: Price) -> list[Redemption]:
    """The uses of promotions that a price version has."""
    return [
        Redemption(order_id, part.promotion_id, part.version, part.code, buyer, currency, part.amount_minor)
        for part in price.applied
        if part.promotion_id is not None
    ]
