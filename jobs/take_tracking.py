"""Take in what carriers say of parcels: of one that has arrived the shipments are delivered, by commands."""

from collections.abc import Mapping, Sequence

from domain.journal.declare import Batch, batch
from domain.journal.model import BatchOutcome, Claimed, Rejected, Succeeded
from domain.orders.fulfilment_model import DeliverSellerOrder
from domain.orders.fulfilment_sql import Tracked, find_tracked
from domain.orders.tracking import TakeTracking, TrackingResult, TrackingState
from domain.rejections import Code, Rejection


@batch(TakeTracking)
async def take_tracking(batch: Batch[TakeTracking]) -> Sequence[BatchOutcome]:
    """Take a batch in; word of a parcel of which nobody knows changes nothing."""
    names = sorted({_name(claimed.command) for claimed in batch.commands})
    found = await find_tracked(batch.conn, names)
    return [_take(batch, claimed, found) for claimed in batch.commands]


def _name(command: TakeTracking) -> tuple[str, str]:
    return command.carrier, command.news.tracking


def _take(
    batch: Batch[TakeTracking], claimed: Claimed[TakeTracking], found: Mapping[tuple[str, str], Sequence[Tracked]]
) -> BatchOutcome:
    command = claimed.command
    shipments = found.get(_name(command), ())
    if not shipments:
        return Rejected(Rejection(404, Code.NOT_FOUND, "the notice is about no shipment of ours"))
    if command.news.state is not TrackingState.DELIVERED:
        return Succeeded(TrackingResult(()))
    coming = [shipment for shipment in shipments if not shipment.arrived]
    for shipment in coming:
        reason = f"the carrier {command.carrier} says so"
        deliver = DeliverSellerOrder(shipment.order_id, shipment.seller_no, shipment.id, reason)
        batch.follow_up(deliver, claimed.correlation, principal=claimed.principal)
    return Succeeded(TrackingResult(tuple(shipment.id for shipment in coming)))
