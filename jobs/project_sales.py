"""Keep the read model of sellers' sales: add what events come to."""

from domain.insights.sql import SELLER_SALES, add_events
from domain.journal.declare import EventBatch, subscription

EVENTS_MAX = 5_000
GATHER_SECONDS = 2.0
"""Many at a time fall into few rows."""


@subscription(SELLER_SALES.table, SELLER_SALES.types, events_max=EVENTS_MAX, gather_seconds=GATHER_SECONDS)
async def project_sales(batch: EventBatch) -> None:
    """Add some events."""
    await add_events(batch.conn, SELLER_SALES, batch.events)
