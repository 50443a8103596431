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
from domain.catalog.model import Offer, OfferKey
from domain.inventory.buyer_limits import Asking, Taken, key_of_buyer, take
from domain.inventory.hold_model import Hold
from domain.inventory.model import Movement, MovementKind, Reservation, ReservationStatus, StockKey
from domain.journal.declare import decide_each
from domain.journal.model import BatchOutcome, Claimed, Event, Rejected, Succeeded
from domain.money import Money
from domain.orders.basket import Pricing
from domain.orders.demand import (
    Market,
    PricedOrder,
    add_up,
    price_order,
    refuse_for_codes,
    refuse_for_limits,
    refuse_for_stock,
    unit_prices,
)
from domain.orders.model import (
    LineRow,
    OrderPlaced,
    OrderRow,
    PlacedLine,
    PlacedOrder,
    PlacementPlan,
    PlaceOrder,
    TakenOver,
)
from domain.orders.price import Price, price_of
from domain.orders.taking_over import freed_by, holds_for, with_freed
from domain.pricing.use_sql import Redemption
from domain.pricing.uses import counters_of
from domain.rejections import Rejection

_encode = msgspec.json.Encoder().encode


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
        taken_over={},
        limited=[],
        over=set(),
    )


def decide(
    commands: Sequence[Claimed[PlaceOrder]],
    offers: Mapping[OfferKey, Offer],
    pricing: Pricing,
    *,
    now: datetime,
    hold: timedelta,
    line_quantity_max: int,
    holds: Mapping[UUID, Hold] | None = None,
    taken: Taken | None = None,
) -> PlacementPlan:
    """Decide a batch of orders against offers, rules, named holds and what buyers have as read.

    See :class:`PlacementPlan`.
    """
    standing = dict(holds or {})
    counted = {key: dict(had) for key, had in (taken or {}).items()}
    left = {key: offer.available for key, offer in offers.items()}
    pricing = msgspec.structs.replace(pricing, usage=pricing.usage.copy())
    market = Market(offers, pricing, now, line_quantity_max, standing, counted)
    plan = new_plan()

    def place(claimed: Claimed[PlaceOrder]) -> BatchOutcome:
        command, buyer = claimed.command, claimed.principal
        demands = add_up(command)
        prices = unit_prices(command, buyer, demands, market)
        if isinstance(prices, Rejection):
            return Rejected(prices)
        named = holds_for(command.reservation_ids, buyer, demands, standing, claimed.created_at)
        if isinstance(named, Rejection):
            return Rejected(named)
        asking = Asking(buyer, ids.unix_ms(claimed.id), command.reservation_ids)
        over = refuse_for_limits(demands, asking, market)
        if over is not None:
            plan.over.update(key_of_buyer(offers[over[1].key], buyer))
            return Rejected(over[0])
        there = with_freed(left, freed := freed_by(named))
        for demand in demands:
            anew = max(demand.quantity - freed.get(demand.key, 0), 0)
            plan.wanted[demand.key] = plan.wanted.get(demand.key, 0) + anew
        plan.short.update(demand.key for demand in demands if demand.quantity > there[demand.key])
        priced = refuse_for_stock(demands, there) or price_order(command, buyer, demands, prices, market)
        if isinstance(priced, Rejection):
            return Rejected(priced)
        refusal = refuse_for_codes(command, priced.version)
        if refusal is not None:
            return Rejected(refusal)
        order = _freeze(claimed, priced, market, now + hold)
        placed = PlacedOrder(
            order_id=order.id,
            number=ids.format_order_number(order.number),
            total=Money(order.price.total_minor, order.currency),
            expires_at=order.expires_at,
        )
        event = _event(order, placed.number, claimed.correlation)
        _take_over(claimed, named, standing, plan)
        left.update({key: there[key] for key in freed})
        _take(order, left, plan)
        for line in order.lines:
            offer = offers[line.variant_id, line.seller_id]
            if offer.quantity_window_seconds is not None:
                held = ids.child(order.id, ids.Kind.RESERVATION, line.line_no)
                plan.limited.extend(take(offer, held, line.quantity, asking, counted))
        _use(order, pricing, plan)
        plan.orders.append(order)
        plan.events.append(event)
        return Succeeded(placed)

    plan.outcomes.extend(decide_each(commands, place))
    return plan


def _freeze(claimed: Claimed[PlaceOrder], priced: PricedOrder, market: Market, expires_at: datetime) -> OrderRow:
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
        expires_at=expires_at,
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


def _take_over(
    claimed: Claimed[PlaceOrder], named: Sequence[Hold], standing: dict[UUID, Hold], plan: PlacementPlan
) -> None:
    """Release the holds that an order takes over; what it needs of their units it reserves as its own."""
    for hold in named:
        standing[hold.id] = msgspec.structs.replace(hold, status=ReservationStatus.RELEASED)
        plan.taken_over[hold.id] = TakenOver(claimed.principal, claimed.id, claimed.correlation)
        on_hand, reserved = plan.stock.get(hold.key, (0, 0))
        plan.stock[hold.key] = (on_hand, reserved - hold.quantity)


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
