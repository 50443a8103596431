"""Holds that an order takes over: which of them it may, and what they free for it.

Invariant: pure. A hold is taken over once, whole: it is released in the transaction that places the order, and what the
order needs is reserved anew as its own. So units a hold has too many are free again, units it has too few are reserved
like any others, and an order whose lines are covered by its holds never fails for stock.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from domain.catalog.model import OfferKey
from domain.inventory.ending import refuse_use
from domain.inventory.hold_model import Hold
from domain.orders.demand import Demand
from domain.rejections import Code, Rejection


def holds_for(
    wanted: Sequence[UUID], buyer: UUID, demands: Sequence[Demand], holds: Mapping[UUID, Hold], accepted_at: datetime
) -> list[Hold] | Rejection:
    """The holds an order names, or why it can't have one of them."""
    if not wanted:
        return []
    offers = {demand.key for demand in demands}
    found: list[Hold] = []
    for index, hold_id in enumerate(wanted):
        path = f"reservation_ids[{index}]"
        hold = holds.get(hold_id)
        if hold is None or hold.owner != buyer:
            return Rejection(422, Code.UNKNOWN_RESERVATION, "there is no such reservation of yours", path)
        refusal = refuse_use(hold, accepted_at)
        if refusal is not None:
            return Rejection(409, Code.RESERVATION_STATE, refusal, path)
        if _offer(hold) not in offers:
            return Rejection(422, Code.UNKNOWN_RESERVATION, "the order has no line of what this holds", path)
        found.append(hold)
    return found


def freed_by(holds: Sequence[Hold]) -> dict[OfferKey, int]:
    """The units that are there for the order that takes some holds over."""
    freed: dict[OfferKey, int] = {}
    for hold in holds:
        freed[_offer(hold)] = freed.get(_offer(hold), 0) + hold.quantity
    return freed


def with_freed(left: Mapping[OfferKey, int], freed: Mapping[OfferKey, int]) -> Mapping[OfferKey, int]:
    """What is left of offers, with what is freed for one order."""
    return {**left, **{key: left[key] + units for key, units in freed.items()}} if freed else left


def _offer(hold: Hold) -> OfferKey:
    return hold.key.variant_id, hold.key.seller_id
