"""Holds that belong to no order: what is asked of them, what stands in the rows, what is told."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar
from uuid import UUID

from msgspec import Meta, Struct

from domain import ids
from domain.catalog.offers import QUANTITY_CEILING
from domain.inventory.model import ReservationStatus, StockKey
from domain.journal.model import Command, Lane
from domain.rejections import Code, Rejection

HOLD_LINES_CEILING = 1_000
SECONDS_CEILING = 31 * 86_400

Quantity = Annotated[int, Meta(ge=1, le=QUANTITY_CEILING, description="units")]
Seconds = Annotated[int, Meta(ge=1, le=SECONDS_CEILING)]


class HoldLine(Struct, frozen=True, forbid_unknown_fields=True):
    """Units of one offer to hold."""

    variant_id: UUID
    seller_id: UUID
    quantity: Quantity


HoldLines = Annotated[tuple[HoldLine, ...], Meta(min_length=1, max_length=HOLD_LINES_CEILING)]


class NewHold(Struct, frozen=True, forbid_unknown_fields=True):
    """Units to hold: of one offer, or, in ``lines``, of several, all or none.

    They are held for ``seconds``, or as long as an unpaid order holds its own.
    """

    variant_id: UUID | None = None
    seller_id: UUID | None = None
    quantity: Quantity | None = None
    lines: HoldLines | None = None
    seconds: Seconds | None = None

    def wanted(self) -> tuple[HoldLine, ...] | Rejection:
        """The lines there are; a rejection where it isn't said which."""
        one = (self.variant_id, self.seller_id, self.quantity)
        if self.lines is not None:
            if any(part is not None for part in one):
                return Rejection(400, Code.INVALID_REQUEST, "name one offer or several lines, not both", "lines")
            return self.lines
        for name, part in zip(("variant_id", "seller_id", "quantity"), one, strict=True):
            if part is None:
                return Rejection(400, Code.INVALID_REQUEST, "say what to hold, and how much of it", name)
        return (HoldLine(*one),)  # type: ignore[arg-type]  # none of them is None here


class Extension(Struct, frozen=True, forbid_unknown_fields=True):
    """For how long to hold from now on; without ``seconds``, as long as an unpaid order holds its own."""

    seconds: Seconds | None = None


class ReserveStock(Command, frozen=True, omit_defaults=True):
    """Hold units for whoever asks: all lines or none. The holds' ids derive from the command's."""

    job: ClassVar[str] = "reserve_stock"
    lane: ClassVar[Lane] = Lane.STOCK

    lines: HoldLines
    seconds: Seconds | None = None

    def weight(self) -> int:
        """Rows it writes: hold, movement, event, and a share of the stock."""
        return 4 * len(self.lines)


class Ending(StrEnum):
    """How somebody ends a hold."""

    RELEASED = "released"
    CONFIRMED = "confirmed"


class EndHold(Command, frozen=True):
    """Give held units back, or have them leave the shelf."""

    job: ClassVar[str] = "end_holds"
    lane: ClassVar[Lane] = Lane.STOCK
    ordered: ClassVar[bool] = True

    reservation_id: UUID
    ending: Ending

    def weight(self) -> int:
        """Rows it writes."""
        return 4

    def aggregate(self) -> UUID:
        """What made the hold, and with it all holds that it made."""
        return ids.parent(self.reservation_id)


class ExtendHold(Command, frozen=True, omit_defaults=True):
    """Hold units for longer."""

    job: ClassVar[str] = "extend_holds"
    lane: ClassVar[Lane] = Lane.STOCK
    ordered: ClassVar[bool] = True

    reservation_id: UUID
    seconds: Seconds | None = None

    def weight(self) -> int:
        """Rows it writes."""
        return 2

    def aggregate(self) -> UUID:
        """What made the hold, and with it all holds that it made."""
        return ids.parent(self.reservation_id)


class Hold(Struct, frozen=True):
    """A reservation as it stands, under lock."""

    id: UUID
    key: StockKey
    quantity: int
    status: ReservationStatus
    owner: UUID
    order_id: UUID | None
    expires_at: datetime
    version: int


class HeldUnits(Struct, frozen=True):
    """A hold that was made."""

    id: UUID
    variant_id: UUID
    seller_id: UUID
    quantity: int


class MadeHolds(Struct, frozen=True):
    """The result of reserving: a hold for each offer, and when they expire."""

    reservations: tuple[HeldUnits, ...]
    expires_at: datetime


class EndedHold(Struct, frozen=True):
    """The result of ending a hold."""

    reservation_id: UUID
    status: ReservationStatus


class ExtendedHold(Struct, frozen=True):
    """The result of holding for longer."""

    reservation_id: UUID
    expires_at: datetime


class ReservationMade(Struct, frozen=True):
    """The event ``reservation.made``."""

    variant_id: UUID
    seller_id: UUID
    location: int
    quantity: int
    owner: UUID
    expires_at: datetime


class ReservationExtended(Struct, frozen=True):
    """The event ``reservation.extended``."""

    expires_at: datetime


class ReservationEnded(Struct, frozen=True):
    """The events ``reservation.released``, ``reservation.confirmed`` and ``reservation.expired``."""

    variant_id: UUID
    seller_id: UUID
    location: int
    quantity: int
    owner: UUID
    reason: str
