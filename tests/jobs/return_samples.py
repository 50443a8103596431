"""Sample commands of the jobs of returns."""

from typing import Any
from uuid import UUID

from msgspec import Struct

from domain import ids
from domain.journal.model import Command
from domain.orders.fulfilment_model import DeliverSellerOrder, ShipSellerOrder, Units
from domain.orders.return_model import DecideReturn, ReceivedLine, ReceiveReturn, RequestReturn
from infra.clock import new_id
from jobs.decide_returns import decide_returns
from jobs.deliver_seller_orders import deliver_seller_orders
from jobs.place_orders import place_orders
from jobs.request_returns import request_returns
from jobs.ship_seller_orders import ship_seller_orders
from tests.builders import place, submit, write_offers
from tests.engine.parts import Rig
from tests.jobs.fulfilment_samples import accepted


class Asked(Struct, frozen=True):
    """A return that was asked for."""

    order: UUID
    id: UUID


async def _delivered(rig: Rig, count: int) -> list[UUID]:
    """Orders of which the three units of the first line were delivered."""
    orders = await accepted(rig, count)
    await submit(rig.conn, *(ShipSellerOrder(order, 0) for order in orders))
    await rig.drain(rig.runner(ship_seller_orders))
    await submit(rig.conn, *(DeliverSellerOrder(order, 0) for order in orders))
    await rig.drain(rig.runner(deliver_seller_orders))
    return orders


async def _asked(rig: Rig, count: int) -> list[Asked]:
    orders = await _delivered(rig, count)
    commands = await submit(rig.conn, *(RequestReturn(order, (Units(0, 2),), "Too small") for order in orders))
    await rig.drain(rig.runner(request_returns))
    return [Asked(order, ids.numbered(command, 0)) for order, command in zip(orders, commands, strict=True)]


async def returns_to_request(rig: Rig) -> list[Command]:
    """All and some of what was delivered, too much, what is on no line or wasn't sent, orders that aren't there."""
    whole, part, many, other = await _delivered(rig, 4)
    (nothing,) = await write_offers(rig.conn, units=0)
    (refused,) = await submit(rig.conn, place(nothing))
    await rig.drain(rig.runner(place_orders))

    def ask(order: UUID, *units: tuple[int, int]) -> RequestReturn:
        return RequestReturn(order, tuple(Units(*each) for each in units), "Too small")

    return [ask(whole, (0, 3)), ask(part, (0, 1), (0, 1)), ask(many, (0, 4)), ask(other, (1, 1)), ask(refused, (0, 1))]


async def returns_to_decide(rig: Rig) -> list[Command]:
    """Returns that are approved and rejected, one that was before, one that isn't there."""
    one, other, done = await _asked(rig, 3)
    await submit(rig.conn, DecideReturn(done.order, done.id, approve=False))
    await rig.drain(rig.runner(decide_returns))
    return [
        DecideReturn(one.order, one.id, approve=True),
        DecideReturn(other.order, other.id, approve=False, reason="worn"),
        DecideReturn(done.order, done.id, approve=True),
        DecideReturn(done.order, new_id(), approve=True),
    ]


async def returns_to_receive(rig: Rig) -> list[Command]:
    """Returns that came back whole and in part, with too much in it, one nobody approved, one that isn't there."""
    whole, part, many, early = await _asked(rig, 4)
    await submit(rig.conn, *(DecideReturn(each.order, each.id, approve=True) for each in (whole, part, many)))
    await rig.drain(rig.runner(decide_returns))
    return [
        ReceiveReturn(whole.order, whole.id),
        ReceiveReturn(part.order, part.id, (ReceivedLine(0, 1, restock=False),)),
        ReceiveReturn(many.order, many.id, (ReceivedLine(0, 3),)),
        ReceiveReturn(early.order, early.id),
        ReceiveReturn(early.order, new_id()),
    ]


BUILDERS: dict[str, Any] = {
    "request_returns": returns_to_request,
    "decide_returns": returns_to_decide,
    "receive_returns": returns_to_receive,
}
