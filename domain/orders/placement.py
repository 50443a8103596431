"""The decision to place orders: all lines of an order or none, at the offers' prices, frozen.

Invariant: pure, and one order at a time in the order given; what an order takes is gone for the next one of the
batch. Nothing is taken until everything about the order has been worked out, so a decision that raises changes
nothing for its neighbours.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from domain import ids
from domain.catalog.model import Offer, OfferKey
from domain.inventory.model import Movement, MovementKind, Reservation, StockKey
from domain.journal.declare import decide_each
from domain.journal.model import BatchOutcome, Claimed, Event, Rejected, Succeeded
from domain.money import MINOR_MAX, Money
from domain.orders.model import (
    LineRow,
    OrderPlaced,
    OrderRow,
    PlacedLine,
    PlacedOrder,
    PlacementPlan,
    PlaceOrder,
)
from domain.rejections import Code, Rejection

_encode = msgspec.json.Encoder().encode


class _Demand(msgspec.Struct):
    """What one order asks of one offer: units added up, and the index of the first line that names it."""

    key: OfferKey
    quantity: int
    index: int


def offers_of(commands: Sequence[Claimed[PlaceOrder]]) -> list[OfferKey]:
    """The offers that a batch needs, each once."""
    return list({(line.variant_id, line.seller_id): None for c in commands for line in c.command.lines})


def decide(
    commands: Sequence[Claimed[PlaceOrder]],
    offers: Mapping[OfferKey, Offer],
    *,
    now: datetime,
    hold: timedelta,
    line_quantity_max: int,
) -> PlacementPlan:
    """Decide a batch of orders against the offers as read; see :class:`PlacementPlan`."""
    left = {key: offer.available for key, offer in offers.items()}
    plan = PlacementPlan(
        outcomes=[], orders=[], reservations=[], movements=[], events=[], stock={}, wanted={}, short=set()
    )

    def place(claimed: Claimed[PlaceOrder]) -> BatchOutcome:
        demands = _add_up(claimed.command)
        refusal = _refuse(claimed.command, demands, offers, line_quantity_max)
        if refusal is None:
            for demand in demands:
                plan.wanted[demand.key] = plan.wanted.get(demand.key, 0) + demand.quantity
            refusal = _refuse_for_stock(demands, left, plan.short)
        if refusal is not None:
            return Rejected(refusal)
        order = _freeze(claimed, demands, offers, now, now + hold)
        if order.total_minor > MINOR_MAX:
            return Rejected(
                Rejection(422, Code.AMOUNT_TOO_LARGE, f"the order's total passes {MINOR_MAX} minor units", "lines")
            )
        placed = PlacedOrder(
            order_id=order.id,
            number=ids.format_order_number(order.number),
            total=Money(order.total_minor, order.currency),
            expires_at=order.expires_at,
        )
        event = _event(order, placed.number, claimed.correlation)
        _take(order, left, plan)
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


def _refuse(
    command: PlaceOrder, demands: Sequence[_Demand], offers: Mapping[OfferKey, Offer], line_quantity_max: int
) -> Rejection | None:
    for demand in demands:
        path = f"lines[{demand.index}]"
        offer = offers.get(demand.key)
        if offer is None:
            return Rejection(422, Code.UNKNOWN_OFFER, "there is no such offer of this seller", path)
        if not offer.sellable:
            return Rejection(409, Code.OFFER_UNAVAILABLE, f"{offer.sku} is not for sale now", path)
        if offer.currency != command.currency:
            return Rejection(
                422,
                Code.CURRENCY_MISMATCH,
                f"the order is in {command.currency}, the offer in {offer.currency}; one order has one currency",
                path,
            )
        if demand.quantity > line_quantity_max:
            return Rejection(
                422, Code.QUANTITY_TOO_LARGE, f"at most {line_quantity_max} units of one offer", f"{path}.quantity"
            )
    return _refuse_for_price(command, offers)


def _refuse_for_price(command: PlaceOrder, offers: Mapping[OfferKey, Offer]) -> Rejection | None:
    for index, line in enumerate(command.lines):
        expected = line.expected_unit_price
        if expected is None:
            continue
        offer = offers[line.variant_id, line.seller_id]
        if expected.amount != offer.price_minor or expected.currency != offer.currency:
            return Rejection(
                409,
                Code.PRICE_CHANGED,
                f"the price is {offer.price_minor} {offer.currency} (minor units) now",
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


def _freeze(
    claimed: Claimed[PlaceOrder],
    demands: Sequence[_Demand],
    offers: Mapping[OfferKey, Offer],
    now: datetime,
    expires_at: datetime,
) -> OrderRow:
    lines: list[LineRow] = []
    sellers: dict[UUID, None] = {}
    total = 0
    for line_no, demand in enumerate(demands):
        offer = offers[demand.key]
        amount = offer.price_minor * demand.quantity
        total += amount
        sellers[offer.seller_id] = None
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
                offer.price_minor,
                amount,
            )
        )
    return OrderRow(
        id=claimed.id,
        number=ids.order_number(claimed.id),
        buyer=claimed.principal,
        email=claimed.command.email,
        currency=claimed.command.currency,
        placed_at=now,
        expires_at=expires_at,
        sellers=tuple(sellers),
        lines=tuple(lines),
        total_minor=total,
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
    data = OrderPlaced(number, order.buyer, order.currency, order.total_minor, order.expires_at, lines)
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
