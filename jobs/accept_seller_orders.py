"""Accept seller orders: lock their orders, decide, write."""

from collections.abc import Sequence

from domain.journal.declare import Batch, batch
from domain.journal.model import BatchOutcome
from domain.orders.fulfilment_model import AcceptSellerOrder
from jobs.fulfilling import fulfil


@batch(AcceptSellerOrder)
async def accept_seller_orders(batch: Batch[AcceptSellerOrder]) -> Sequence[BatchOutcome]:
    """Carry out a batch; outcomes in the order of the commands."""
    return await fulfil(batch)
