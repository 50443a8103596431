"""How an offer's stock moved in a day: the read model ``stock_history``, as events add to it.

Invariant: pure, and a sum: in whatever order events come, the same comes of them, and all days of an offer add up to
what is on hand and reserved. An order's events name lines by number, so what one of them moves follows from those of
its stream before it: a line is reserved, then sold or free again.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date
from enum import StrEnum
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.journal.events import StoredEvent

PLACED = "order.placed"
LIVES = frozenset(
    {
        "order.expired",
        "order.taken_up_again",
        "order.confirmed",
        "order.cancelled",
        "order.lines_cancelled",
        "order.credited",
        "order.return_received",
    }
)
"""What moves stock of an order after its placing."""
KEPT = frozenset({"stock.set", "stock.received"})
HELD = {
    # (on hand, reserved) for each unit
    "reservation.made": (0, 1),
    "reservation.released": (0, -1),
    "reservation.expired": (0, -1),
    "reservation.confirmed": (-1, -1),
}
STOCK_TYPES = frozenset({PLACED, *LIVES, *KEPT, *HELD})


class StockDayKey(Struct, frozen=True, order=True):
    """Which stock, on which day (UTC); ids as they are written. The order is the order of locks."""

    variant_id: str
    seller_id: str
    location: int
    day: date


class StockDay(Struct):
    """Units that moved: by how many on hand and reserved are more or less, and of those on hand how many came in, were
    counted differently, were sold, and were put back.
    """

    on_hand: int = 0
    reserved: int = 0
    received: int = 0
    adjusted: int = 0
    sold: int = 0
    returned: int = 0


class _Line(Struct):
    line_no: int
    restocked: int = 0


class _Lines(Struct):
    lines: list[int | _Line] = []


# Ids stay as they are written: each order that is placed comes by here, and most of its offers come by again.
class _PlacedLine(Struct):
    line_no: int
    variant_id: str
    seller_id: str
    quantity: int


class _Placed(Struct):
    lines: list[_PlacedLine]


class _OfStock(Struct):
    variant_id: str
    seller_id: str
    location: int
    on_hand_delta: int = 0
    quantity: int = 0
    cause: str = "received"


class _Standing(StrEnum):
    RESERVED = "reserved"
    SOLD = "sold"
    FREE = "free"


_Key = tuple[str, str, int]
"""Variant, seller, location."""


class _Part(Struct):
    """A line of an order: of which stock, how many units, where they are; ``back`` of those sold are on the shelf."""

    key: _Key
    quantity: int
    standing: _Standing = _Standing.RESERVED
    back: int = 0


Moves = list[tuple[_Key, StockDay]]
_placed = msgspec.json.Decoder(_Placed)
_lines = msgspec.json.Decoder(_Lines)
_of_stock = msgspec.json.Decoder(_OfStock)


def stock_days_of(
    events: Iterable[StoredEvent], histories: Mapping[UUID, Sequence[StoredEvent]]
) -> dict[StockDayKey, StockDay]:
    """What some events add to the history of stock; ``histories`` are whole streams of orders, by version."""
    found: dict[tuple[_Key, date], StockDay] = {}
    told = {stream: _moves_of_order(history) for stream, history in histories.items()}
    for event in events:
        day = event.at.astimezone(UTC).date()
        if event.type == PLACED:
            for line in _placed.decode(event.data).lines:
                _of(found, (line.variant_id, line.seller_id, 0), day).reserved += line.quantity
            continue
        for key, moved in _moves(event, told):
            to = _of(found, key, day)
            for name in StockDay.__struct_fields__:
                setattr(to, name, getattr(to, name) + getattr(moved, name))
    return {
        StockDayKey(variant, seller, location, day): moved
        for ((variant, seller, location), day), moved in found.items()
    }


def _of(found: dict[tuple[_Key, date], StockDay], key: _Key, day: date) -> StockDay:
    there = found.get((key, day))
    if there is None:
        there = found[key, day] = StockDay()
    return there


def _moves(event: StoredEvent, told: Mapping[UUID, Mapping[int, Moves]]) -> Moves:
    if event.type in LIVES:
        return told[event.stream][event.version]
    data = _of_stock.decode(event.data)
    key = (data.variant_id, data.seller_id, data.location)
    if event.type in HELD:
        on_hand, reserved = (units * data.quantity for units in HELD[event.type])
        return [(key, StockDay(on_hand=on_hand, reserved=reserved, sold=-on_hand))]
    came = data.cause == "received"
    delta = data.on_hand_delta
    return [(key, StockDay(on_hand=delta, received=delta if came else 0, adjusted=0 if came else delta))]


def _moves_of_order(history: Sequence[StoredEvent]) -> dict[int, Moves]:
    """What each event of an order's stream moves, by version."""
    parts = {
        line.line_no: _Part((line.variant_id, line.seller_id, 0), line.quantity)
        for line in _placed.decode(history[0].data).lines
    }
    return {event.version: _moves_of_step(event, parts) for event in history[1:]}


def _moves_of_step(event: StoredEvent, parts: Mapping[int, _Part]) -> Moves:
    if event.type == "order.confirmed":
        return [_move(part, _Standing.SOLD) for part in parts.values() if part.standing is _Standing.RESERVED]
    lines = _lines.decode(event.data).lines
    numbers = [line for line in lines if isinstance(line, int)]
    if event.type == "order.taken_up_again":
        return [_move(parts[n], _Standing.RESERVED) for n in numbers if parts[n].standing is _Standing.FREE]
    moved = [_move(parts[n], _Standing.FREE) for n in numbers if parts[n].standing is not _Standing.FREE]
    for line in lines:
        if not isinstance(line, int) and line.restocked:
            part = parts[line.line_no]
            part.back += line.restocked
            moved.append((part.key, StockDay(on_hand=line.restocked, returned=line.restocked)))
    return moved


def _move(part: _Part, to: _Standing) -> tuple[_Key, StockDay]:
    """Take a line to another standing; return what that moves."""
    units, before = part.quantity, part.standing
    part.standing = to
    if to is _Standing.SOLD:
        return part.key, StockDay(on_hand=-units, reserved=-units, sold=units)
    if to is _Standing.RESERVED:
        return part.key, StockDay(reserved=units)
    if before is _Standing.RESERVED:
        return part.key, StockDay(reserved=-units)
    back = units - part.back
    return part.key, StockDay(on_hand=back, returned=back)
