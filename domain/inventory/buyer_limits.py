"""How much of an offer one buyer may take: in one order, or within a time.

Invariant: pure. What counts are the units that a buyer's orders and free-standing holds have of the offer, held or
sold; what is cancelled, released or expired counts no more. The time is looked back from when an order was accepted,
which its id tells, to when the others were: so it doesn't matter in which order a queue is worked off. Units that were
taken before the offer had a limit don't count.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from msgspec import Struct

from domain import ids
from domain.catalog.model import Offer, OfferKey


class BuyerKey(NamedTuple):
    """A buyer of an offer. The order is the order of locks."""

    variant_id: UUID
    seller_id: UUID
    buyer: UUID


Taken = dict[BuyerKey, dict[UUID, int]]
"""The units that buyers have of offers with a limit, by reservation."""


class LimitedHold(Struct, frozen=True):
    """A reservation that counts, and the limit it was made under."""

    key: BuyerKey
    reservation_id: UUID
    most: int
    window_seconds: int


class Asking(Struct, frozen=True):
    """Who asks for units, when the request was accepted (milliseconds since 1970), and what of theirs it replaces."""

    buyer: UUID
    accepted_ms: int
    instead_of: Collection[UUID] = ()


def key_of_buyer(offer: Offer, buyer: UUID) -> list[BuyerKey]:
    """What a buyer's units of an offer are counted by; nothing where none have to be counted."""
    if offer.quantity_max is None or offer.quantity_window_seconds is None:
        return []
    return [BuyerKey(offer.variant_id, offer.seller_id, buyer)]


def keys_of(wanted: Iterable[tuple[UUID, OfferKey]], offers: Mapping[OfferKey, Offer]) -> list[BuyerKey]:
    """What has to be counted for some buyers' offers, each once, in the order of locks."""
    limited = {key: offer for key, offer in offers.items() if offer.quantity_window_seconds is not None}
    if not limited:
        return []
    return sorted({key for buyer, offer in wanted if offer in limited for key in key_of_buyer(limited[offer], buyer)})


def earliest(offer: Offer, accepted_ms: int) -> int:
    """From which moment on units count, in milliseconds since 1970."""
    return accepted_ms - 1_000 * (offer.quantity_window_seconds or 0)


def refuse_units(offer: Offer, units: int, asking: Asking, taken: Mapping[BuyerKey, Mapping[UUID, int]]) -> str | None:
    """Why a buyer may not have so many units; None when they may."""
    most = offer.quantity_max
    if most is None:
        return None
    keys = key_of_buyer(offer, asking.buyer)
    if not keys:
        return None if units <= most else f"at most {most} of {offer.sku} in one order"
    since = earliest(offer, asking.accepted_ms)
    had = sum(
        held
        for reservation, held in taken.get(keys[0], {}).items()
        if ids.unix_ms(reservation) > since and reservation not in asking.instead_of
    )
    if had + units <= most:
        return None
    seconds = offer.quantity_window_seconds
    return f"at most {most} of {offer.sku} in {seconds} s for one buyer: {max(most - had, 0)} left"


def take(offer: Offer, reservation: UUID, units: int, asking: Asking, taken: Taken) -> list[LimitedHold]:
    """Count units that a buyer has now; nothing where none are counted."""
    rows = []
    for key in key_of_buyer(offer, asking.buyer):
        had = taken.setdefault(key, {})
        for gone in asking.instead_of:
            had.pop(gone, None)
        had[reservation] = units
        rows.append(LimitedHold(key, reservation, offer.quantity_max or 0, offer.quantity_window_seconds or 0))
    return rows


def moment(at: datetime) -> int:
    """A time in milliseconds since 1970."""
    return int(at.timestamp() * 1_000)
