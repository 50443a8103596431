"""Statements of stock that comes with a list of goods: rows for new offers, units on hand.

Invariant: what comes is a movement and an event, once for each cause.
"""

from collections.abc import Sequence
from uuid import UUID

from domain.catalog.model import OfferKey
from domain.connection import Connection
from domain.inventory.model import Movement, MovementKind, StockKey
from domain.inventory.sql import columns_of, insert_movements
from domain.inventory.stock_events import stock_event
from domain.inventory.stock_model import StockReceived
from domain.journal.sql import insert_events

RECEIVE_STOCK = """
INSERT INTO stock (variant_id, seller_id, location, on_hand, events)
SELECT *, 1 FROM unnest($1::uuid[], $2::uuid[], $3::smallint[], $4::int[])
ON CONFLICT (variant_id, seller_id, location)
    DO UPDATE SET on_hand = stock.on_hand + excluded.on_hand, events = stock.events + 1
RETURNING variant_id, seller_id, location, events
"""

# With nothing on hand: an offer has its row from the start, so that whoever changes stock finds it.
OPEN_STOCK = """
INSERT INTO stock (variant_id, seller_id) SELECT * FROM unnest($1::uuid[], $2::uuid[])
ON CONFLICT (variant_id, seller_id, location) DO NOTHING
"""


async def receive_stock(
    conn: Connection, received: Sequence[tuple[UUID, StockKey, int]], *, actor: UUID, reason: str
) -> None:
    """Put units on hand: (cause id, stock key, units), one cause for each key. Run it in a transaction."""
    ordered = sorted(received, key=lambda item: item[1])
    rows = await conn.fetch(
        RECEIVE_STOCK, *columns_of([key for _, key, _ in ordered]), [units for _, _, units in ordered]
    )
    versions = {StockKey(variant_id, seller_id, location): events for variant_id, seller_id, location, events in rows}
    told = [
        (key, StockReceived(key.variant_id, key.seller_id, key.location, units, reason)) for _, key, units in ordered
    ]
    await insert_events(
        conn,
        [stock_event(key, versions[key], ("stock.received", fact), actor=actor, correlation="") for key, fact in told],
    )
    await insert_movements(
        conn,
        [Movement(cause, MovementKind.RECEIVED, key, units, 0, actor, reason) for cause, key, units in ordered],
    )


async def open_stock(conn: Connection, offers: Sequence[OfferKey]) -> None:
    """Give offers their stock rows; those that have one keep it."""
    ordered = sorted(offers)
    await conn.execute(OPEN_STOCK, [offer[0] for offer in ordered], [offer[1] for offer in ordered])
