"""Stock and its movements as sellers see them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from msgspec import Struct

from domain.connection import Connection
from domain.inventory.model import MovementKind
from domain.inventory.stock_model import MovementPlace, StockFigures

LOAD_STOCK = """
SELECT location, on_hand, reserved, backorder_limit, threshold, version, events FROM stock
WHERE variant_id = $1 AND seller_id = $2 ORDER BY location
"""

_MOVEMENT = "cause_id, kind, variant_id, seller_id, location, on_hand_delta, reserved_delta, actor, reason, at"

# A seller's by its own index, all of them by the one by time: two statements, so that each has one plan.
LIST_MOVEMENTS = f"""
SELECT {_MOVEMENT} FROM movements
WHERE (at, cause_id, kind) < ($1, $2, $3)
  AND ($5::uuid IS NULL OR variant_id = $5) AND ($6::text IS NULL OR kind = $6)
ORDER BY at DESC, cause_id DESC, kind DESC LIMIT $4
"""

LIST_MOVEMENTS_OF_SELLER = f"""
SELECT {_MOVEMENT} FROM movements
WHERE seller_id = $7 AND (at, cause_id, kind) < ($1, $2, $3)
  AND ($5::uuid IS NULL OR variant_id = $5) AND ($6::text IS NULL OR kind = $6)
ORDER BY at DESC, cause_id DESC, kind DESC LIMIT $4
"""

_FROM_THE_LAST = MovementPlace(datetime(9999, 12, 31, tzinfo=UTC), UUID(int=2**128 - 1), "")


class LocationStock(Struct, frozen=True):
    """What is at one location."""

    location: int
    on_hand: int
    reserved: int
    backorder_limit: int
    available: int


class StockView(Struct, frozen=True):
    """The stock of an offer, in all and by location. ``low`` says that ``threshold`` is reached.

    ``on_hand`` are units that nobody has bought yet, ``reserved`` those of them that are held. ``version`` rises when
    somebody changes the stock by hand, not when orders do.
    """

    variant_id: UUID
    seller_id: UUID
    on_hand: int
    reserved: int
    backorder_limit: int
    available: int
    threshold: int | None
    low: bool
    version: int
    locations: list[LocationStock]


class MovementView(Struct, frozen=True):
    """A change of stock figures: what it was because of, who made it and why."""

    cause_id: UUID
    kind: MovementKind
    variant_id: UUID
    seller_id: UUID
    location: int
    on_hand_delta: int
    reserved_delta: int
    actor: UUID
    reason: str
    at: datetime


async def load_stock(conn: Connection, variant_id: UUID, seller_id: UUID) -> StockView | None:
    """Read the stock of an offer; None where there is no such offer."""
    rows = await conn.fetch(LOAD_STOCK, variant_id, seller_id)
    if not rows:
        return None
    figures = [(row["location"], StockFigures(*row[1:])) for row in rows]
    first = figures[0][1]
    return StockView(
        variant_id=variant_id,
        seller_id=seller_id,
        on_hand=sum(f.on_hand for _, f in figures),
        reserved=sum(f.reserved for _, f in figures),
        backorder_limit=sum(f.backorder_limit for _, f in figures),
        available=sum(f.available for _, f in figures),
        threshold=first.threshold,
        low=first.low,
        version=first.version,
        locations=[LocationStock(n, f.on_hand, f.reserved, f.backorder_limit, f.available) for n, f in figures],
    )


async def list_movements(
    conn: Connection,
    *,
    seller_id: UUID | None,
    variant_id: UUID | None,
    kind: MovementKind | None,
    below: MovementPlace | None,
    limit: int,
) -> list[MovementView]:
    """Read a page of movements, the newest first: a seller's, or all."""
    place = below or _FROM_THE_LAST
    arguments = (place.at, place.cause_id, place.kind, limit, variant_id, None if kind is None else kind.value)
    rows: Sequence[Any]
    if seller_id is None:
        rows = await conn.fetch(LIST_MOVEMENTS, *arguments)
    else:
        rows = await conn.fetch(LIST_MOVEMENTS_OF_SELLER, *arguments, seller_id)
    return [MovementView(row[0], MovementKind(row[1]), *row[2:]) for row in rows]


def place_of(movement: MovementView) -> MovementPlace:
    """Where a movement stands among others."""
    return MovementPlace(movement.at, movement.cause_id, movement.kind.value)
