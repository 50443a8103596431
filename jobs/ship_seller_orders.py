"""Ship seller orders, whole or in part; what was only authorized is captured then."""

from collections.abc import Sequence

from domain.journal.declare import Batch, batch
from domain.journal.model import BatchOutcome
from domain.orders.fulfilment_model import ShipSellerOrder
from jobs.fulfilling import fulfil


@batch(ShipSellerOrder)
async def ship_seller_orders(batch: Batch[ShipSellerOrder]) -> Sequence[BatchOutcome]:
    """Carry out a batch; outcomes in the order of the commands."""
    return await fulfil(batch)
