"""The decision to hold units that no order asks for yet.

Invariant: pure, one request at a time in the order given; what one holds is gone for the next one of the batch. All
lines of a request or none.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from msgspec import Struct

from domain import ids
from domain.catalog.model import Offer, OfferKey
from domain.inventory.buyer_limits import Asking, BuyerKey, LimitedHold, key_of_buyer, refuse_units, take
from domain.inventory.hold_model import HeldUnits, HoldLine, MadeHolds, ReservationMade, ReserveStock
from domain.inventory.model import Movement, MovementKind, Reservation, StockKey
from domain.journal.declare import decide_each
from domain.journal.model import BatchOutcome, Claimed, Event, Rejected, Succeeded
from domain.limits import Limits
from domain.rejections import Code, Rejection

_encode = msgspec.json.Encoder().encode


class HoldPlan(Struct, frozen=True):
    """What holding for a batch comes to; ``wanted`` and ``short`` as in placing orders."""

    outcomes: list[BatchOutcome]
    reservations: list[Reservation]
    movements: list[Movement]
    events: list[Event]
    stock: dict[StockKey, tuple[int, int]]
    wanted: dict[OfferKey, int]
    short: set[OfferKey]
    limited: list[LimitedHold]
    over: set[BuyerKey]
    """buyers who were refused for how much they have already"""


def decide(
    commands: Sequence[Claimed[ReserveStock]],
    offers: Mapping[OfferKey, Offer],
    taken: Mapping[BuyerKey, Mapping[UUID, int]],
    *,
    now: datetime,
    limits: Limits,
) -> HoldPlan:
    """Decide a batch of requests against offers, and what buyers have of those with a limit, as read."""
    counted = {key: dict(had) for key, had in taken.items()}
    left = {key: offer.available for key, offer in offers.items()}
    plan = HoldPlan([], [], [], [], {}, {}, set(), [], set())

    def reserve(claimed: Claimed[ReserveStock]) -> BatchOutcome:
        command = claimed.command
        demands = add_up(command.lines)
        refusal = _refuse(command, demands, offers, limits)
        if refusal is not None:
            return Rejected(refusal)
        asking = Asking(claimed.principal, ids.unix_ms(claimed.id))
        for key, units in demands.items():
            why = refuse_units(offers[key], units, asking, counted)
            if why is not None:
                plan.over.update(key_of_buyer(offers[key], asking.buyer))
                return Rejected(Rejection(409, Code.QUANTITY_LIMIT, why, _path(command, key)))
        for key, units in demands.items():
            plan.wanted[key] = plan.wanted.get(key, 0) + units
        plan.short.update(key for key, units in demands.items() if units > left[key])
        missing = next((key for key, units in demands.items() if units > left[key]), None)
        if missing is not None:
            detail = f"{demands[missing]} wanted, {max(left[missing], 0)} available"
            return Rejected(Rejection(409, Code.OUT_OF_STOCK, detail, _path(command, missing)))
        expires_at = now + timedelta(seconds=command.seconds or limits.reservation_seconds)
        made = _hold(claimed, demands, expires_at, plan)
        for held, (key, units) in zip(made, demands.items(), strict=True):
            left[key] -= units
            plan.limited.extend(take(offers[key], held.id, units, asking, counted))
        return Succeeded(MadeHolds(made, expires_at))

    plan.outcomes.extend(decide_each(commands, reserve))
    return plan


def add_up(lines: Sequence[HoldLine]) -> dict[OfferKey, int]:
    """Lines of the same offer are one hold."""
    demands: dict[OfferKey, int] = {}
    for line in lines:
        key = (line.variant_id, line.seller_id)
        demands[key] = demands.get(key, 0) + line.quantity
    return demands


def _path(command: ReserveStock, key: OfferKey) -> str:
    return f"lines[{next(n for n, line in enumerate(command.lines) if (line.variant_id, line.seller_id) == key)}]"


def _refuse(
    command: ReserveStock, demands: Mapping[OfferKey, int], offers: Mapping[OfferKey, Offer], limits: Limits
) -> Rejection | None:
    for key, units in demands.items():
        offer = offers.get(key)
        if offer is None:
            return Rejection(422, Code.UNKNOWN_OFFER, "there is no such offer of this seller", _path(command, key))
        if not offer.sellable:
            return Rejection(409, Code.OFFER_UNAVAILABLE, f"{offer.sku} is not for sale now", _path(command, key))
        if units > limits.line_quantity_max:
            detail = f"at most {limits.line_quantity_max} units of one offer"
            return Rejection(422, Code.QUANTITY_TOO_LARGE, detail, f"{_path(command, key)}.quantity")
    return None


def _hold(
    claimed: Claimed[ReserveStock], demands: Mapping[OfferKey, int], expires_at: datetime, plan: HoldPlan
) -> tuple[HeldUnits, ...]:
    made: list[HeldUnits] = []
    owner = claimed.principal
    for number, (offer, units) in enumerate(demands.items()):
        key = StockKey(*offer)
        held = ids.child(claimed.id, ids.Kind.RESERVATION, number)
        plan.reservations.append(Reservation(held, key, units, owner, None, expires_at))
        plan.movements.append(Movement(held, MovementKind.RESERVED, key, 0, units, owner, "held"))
        plan.stock[key] = (0, plan.stock.get(key, (0, 0))[1] + units)
        fact = ReservationMade(key.variant_id, key.seller_id, key.location, units, owner, expires_at)
        plan.events.append(reservation_event(held, 1, "reservation.made", fact, (owner, claimed.correlation)))
        made.append(HeldUnits(held, key.variant_id, key.seller_id, units))
    return tuple(made)


def reservation_event(held: UUID, version: int, kind: str, fact: Struct, by: tuple[UUID, str]) -> Event:
    """An event of a hold's stream; ``by`` is who, on which request."""
    return Event(held, version, kind, _encode(fact).decode(), *by)
