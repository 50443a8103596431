"""Sample commands of the jobs of seller orders."""

from uuid import UUID

from domain.journal.model import Command
from domain.orders.fulfilment_model import AcceptSellerOrder, DeliverSellerOrder, ShipSellerOrder, Units
from domain.orders.model import CancelOrder
from domain.orders.tracking import TakeTracking, TrackingNews, TrackingState
from infra.clock import new_id
from jobs.accept_seller_orders import accept_seller_orders
from jobs.cancel_orders import cancel_orders
from jobs.confirm_orders import confirm_orders
from jobs.place_orders import place_orders
from jobs.ship_seller_orders import ship_seller_orders
from jobs.snapshot_commissions import snapshot_commissions
from tests.builders import place, submit, write_offers
from tests.engine.parts import Rig


async def _confirmed(rig: Rig, count: int) -> list[UUID]:
    """Orders that cost nothing, of two sellers with three units of a line each."""
    offers = await write_offers(rig.conn, offers=2, sellers=2, units=1_000, price=0)
    ids = await submit(rig.conn, *[place(*offers, quantity=3) for _ in range(count)])
    for job in (place_orders, confirm_orders, snapshot_commissions):
        await rig.drain(rig.runner(job))
    return ids


async def accepted(rig: Rig, count: int) -> list[UUID]:
    """Such orders, the part of the first seller accepted."""
    ids = await _confirmed(rig, count)
    await submit(rig.conn, *(AcceptSellerOrder(order, 0) for order in ids))
    await rig.drain(rig.runner(accept_seller_orders))
    return ids


async def orders_to_accept(rig: Rig) -> list[Command]:
    """Both parts of an order, one of a cancelled order, one of an order nobody paid, parts that aren't there."""
    both, cancelled = await _confirmed(rig, 2)
    (unpaid,) = await submit(rig.conn, place(*(await write_offers(rig.conn))))
    await submit(rig.conn, CancelOrder(cancelled))
    for job in (place_orders, cancel_orders):
        await rig.drain(rig.runner(job))
    return [
        AcceptSellerOrder(both, 0),
        AcceptSellerOrder(both, 1, reason="in stock"),
        AcceptSellerOrder(cancelled, 0),
        AcceptSellerOrder(unpaid, 0),
        AcceptSellerOrder(both, 7),
        AcceptSellerOrder(new_id(), 0),
    ]


async def orders_to_ship(rig: Rig) -> list[Command]:
    """Whole and in part, too many units, a line of another seller, what isn't accepted, what isn't there."""
    whole, part, many, other = await accepted(rig, 4)
    return [
        ShipSellerOrder(whole, 0, tracking="T1"),
        ShipSellerOrder(part, 0, (Units(0, 2),), carrier="manual"),
        ShipSellerOrder(many, 0, (Units(0, 4),)),
        ShipSellerOrder(other, 0, (Units(1, 1),)),
        ShipSellerOrder(other, 1),
        ShipSellerOrder(new_id(), 0),
    ]


async def orders_to_deliver(rig: Rig) -> list[Command]:
    """All that is on its way, one of two shipments, one that isn't there, what hasn't been shipped."""
    whole, part, unshipped = await accepted(rig, 3)
    _, first, _ = await submit(
        rig.conn,
        ShipSellerOrder(whole, 0),
        ShipSellerOrder(part, 0, (Units(0, 1),)),
        ShipSellerOrder(part, 0, (Units(0, 2),)),
    )
    for _ in range(2):
        await rig.drain(rig.runner(ship_seller_orders))
    return [
        DeliverSellerOrder(whole, 0),
        DeliverSellerOrder(part, 0, first),
        DeliverSellerOrder(unshipped, 0, first),
        DeliverSellerOrder(unshipped, 0),
        DeliverSellerOrder(new_id(), 0),
    ]


async def parcels_to_track(rig: Rig) -> list[Command]:
    """A parcel that has arrived; one that is on its way; one of which nobody knows."""
    first, second = await accepted(rig, 2)
    one, other = new_id().hex, new_id().hex
    await submit(
        rig.conn, ShipSellerOrder(first, 0, tracking=one), ShipSellerOrder(second, 0, (Units(0, 1),), tracking=other)
    )
    await rig.drain(rig.runner(ship_seller_orders))
    said = ((one, TrackingState.DELIVERED), (other, TrackingState.IN_TRANSIT), ("nobody's", TrackingState.DELIVERED))
    return [TakeTracking("manual", TrackingNews(new_id().hex, number, state)) for number, state in said]


BUILDERS = {
    "take_tracking": parcels_to_track,
    "accept_seller_orders": orders_to_accept,
    "ship_seller_orders": orders_to_ship,
    "deliver_seller_orders": orders_to_deliver,
}
