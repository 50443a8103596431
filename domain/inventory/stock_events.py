"""What is told of stock, on a stream of its own for each offer and location.

Invariant: ``stock.low`` once each time available falls to the threshold or below from above it, whatever made it fall:
orders, a count, another threshold. Whether stock is low follows from its figures, before a change and after it, so
nothing is kept that could differ from them.
"""

from collections.abc import Sequence
from uuid import UUID

import msgspec
from msgspec import Struct

from domain import ids
from domain.inventory.model import StockKey
from domain.inventory.stock_model import StockFigures, StockLow
from domain.journal.model import Event

_encode = msgspec.json.Encoder().encode


def events_of(
    key: StockKey,
    before: StockFigures,
    after: StockFigures,
    told: Sequence[tuple[str, Struct]],
    *,
    actor: UUID,
    correlation: str,
) -> list[Event]:
    """What is told of a change: (type, data) each, and that stock is low where it wasn't."""
    facts = list(told)
    if after.low and not before.low:
        facts.append(("stock.low", low(key, after.available, after.threshold or 0)))
    return [
        stock_event(key, before.events + n, fact, actor=actor, correlation=correlation)
        for n, fact in enumerate(facts, start=1)
    ]


def low(key: StockKey, available: int, threshold: int) -> StockLow:
    """The data of ``stock.low``."""
    return StockLow(key.variant_id, key.seller_id, key.location, available, threshold)


def stock_event(key: StockKey, version: int, told: tuple[str, Struct], *, actor: UUID, correlation: str) -> Event:
    """An event of a stock's stream, from its type and data."""
    kind, data = told
    stream = ids.stock_stream(key.variant_id, key.seller_id, key.location)
    return Event(stream, version, kind, _encode(data).decode(), actor, correlation)
