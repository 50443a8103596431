"""Stock, reservations and the movements that add up to them."""

from datetime import datetime
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from msgspec import Struct

from domain.journal.model import Command, Lane


class MovementKind(StrEnum):
    """Why stock figures changed."""

    RECEIVED = "received"
    RESERVED = "reserved"
    RELEASED = "released"
    EXPIRED = "expired"
    SOLD = "sold"
    RETURNED = "returned"
    ADJUSTED = "adjusted"


class ReservationStatus(StrEnum):
    """``active`` becomes one of the others, exactly once."""

    ACTIVE = "active"
    CONFIRMED = "confirmed"
    RELEASED = "released"
    EXPIRED = "expired"


class StockKey(Struct, frozen=True, order=True):
    """Which stock row: a variant of a seller at a location. The order is the order of locks."""

    variant_id: UUID
    seller_id: UUID
    location: int = 0


class Movement(Struct, frozen=True):
    """A change of stock figures, in units, with its cause. (cause, kind) is unique."""

    cause_id: UUID
    kind: MovementKind
    key: StockKey
    on_hand_delta: int
    reserved_delta: int
    actor: UUID
    reason: str = ""


class PutBack(Struct, frozen=True):
    """Units of what a reservation sold that go back on the shelf, once for each cause."""

    cause_id: UUID
    hold: UUID
    quantity: int
    actor: UUID


class Reservation(Struct, frozen=True):
    """Units held for an owner, and for an order if it belongs to one, until ``expires_at``."""

    id: UUID
    key: StockKey
    quantity: int
    owner: UUID
    order_id: UUID | None
    expires_at: datetime


class ExpireReservations(Command, frozen=True):
    """Take back what is due: the reservations of some orders, or, with none named, whatever is due.

    ``since`` is where a sweep goes on: what came due before it has been handled.
    """

    job: ClassVar[str] = "expire_reservations"
    lane: ClassVar[Lane] = Lane.STOCK

    orders: tuple[UUID, ...] = ()
    since: datetime | None = None

    def weight(self) -> int:
        """A step of the sweep handles a bounded number of reservations; a named order has a few."""
        return 10 * len(self.orders) if self.orders else 10_000
