"""Note what of seller orders has arrived; from when on payouts may take it."""

from collections.abc import Sequence

from domain.journal.declare import Batch, batch
from domain.journal.model import BatchOutcome
from domain.orders.fulfilment_model import DeliverSellerOrder
from jobs.fulfilling import fulfil


@batch(DeliverSellerOrder)
async def deliver_seller_orders(batch: Batch[DeliverSellerOrder]) -> Sequence[BatchOutcome]:
    """Carry out a batch; outcomes in the order of the commands."""
    return await fulfil(batch)
