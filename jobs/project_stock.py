"""Keep the read model of the history of stock: add what events come to."""

from domain.insights.sql import STOCK_HISTORY, add_events
from domain.journal.declare import EventBatch, subscription

EVENTS_MAX = 5_000
GATHER_SECONDS = 2.0
"""Many at a time fall into few rows."""


@subscription(STOCK_HISTORY.table, STOCK_HISTORY.types, events_max=EVENTS_MAX, gather_seconds=GATHER_SECONDS)
async def project_stock(batch: EventBatch) -> None:
    """Add some events."""
    await add_events(batch.conn, STOCK_HISTORY, batch.events)
