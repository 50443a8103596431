"""Sample commands of the jobs of stock."""

from uuid import UUID

from domain import ids
from domain.inventory.hold_model import EndHold, Ending, ExtendHold, HoldLine, ReserveStock
from domain.inventory.stock_model import Cause, ImportStock, SetStock, StockChange, StockChanges, StockRow
from domain.journal.model import Command
from infra.clock import new_id
from jobs.place_orders import place_orders
from jobs.reserve_stock import reserve_stock
from ops.goods import NewOffer
from tests.builders import place, submit, write_offers
from tests.engine.parts import Rig


async def stock_to_set(rig: Rig) -> list[Command]:
    """Counts and differences, one for less than is reserved, one that is forced, one on a version that isn't there."""
    offers = await write_offers(rig.conn, offers=7, units=10)
    await submit(rig.conn, *[place(offer, quantity=4) for offer in offers[:5]])
    await rig.drain(rig.runner(place_orders))
    changes = [
        StockChange("counted", on_hand=7),
        StockChange("broken", delta=-2, backorder_limit=5),
        StockChange("lost", on_hand=1),
        StockChange("lost", on_hand=1, force=True),
        StockChange("came in", delta=5, cause=Cause.RECEIVED),
        StockChange("the same", on_hand=10),
        StockChange("too late", delta=1),
    ]
    late = [None] * 6 + [(7,)]
    return [
        *(SetStock(o.variant_id, o.seller_id, c, v) for o, c, v in zip(offers, changes, late, strict=True)),
        SetStock(new_id(), offers[0].seller_id, changes[0]),
    ]


async def stock_to_import(rig: Rig) -> list[Command]:
    """Lists of counts; in one of them a row of an offer nobody knows."""
    offers = await write_offers(rig.conn, offers=6, units=10)
    seller = offers[0].seller_id
    rows = [StockRow(o.variant_id, on_hand=n) for n, o in enumerate(offers)]
    rows[4:4] = [StockRow(new_id(), delta=1)]
    return [
        ImportStock(seller, StockChanges("counted", tuple(rows[:3]))),
        ImportStock(seller, StockChanges("counted", tuple(rows[3:]), force=True)),
    ]


def hold(*offers: NewOffer, quantity: int = 1, seconds: int | None = None) -> ReserveStock:
    """The command to hold units of some offers."""
    return ReserveStock(tuple(HoldLine(o.variant_id, o.seller_id, quantity) for o in offers), seconds)


async def units_to_hold(rig: Rig) -> list[Command]:
    """Holds of one offer and of several, of too many units, of an offer nobody knows."""
    offers = await write_offers(rig.conn, offers=5, sellers=2, units=10)
    nobody = ReserveStock((HoldLine(new_id(), offers[0].seller_id, 1),))
    return [
        hold(offers[0]),
        hold(*offers[1:3], quantity=3, seconds=60),
        hold(offers[3], offers[3], quantity=2),
        hold(offers[4], quantity=11),
        nobody,
    ]


async def _held(rig: Rig, count: int) -> list[UUID]:
    """Holds that were made, one offer each, and the hold of an order."""
    offers = await write_offers(rig.conn, offers=count, units=10)
    made = await submit(rig.conn, *[hold(offer, quantity=2) for offer in offers])
    (order,) = await submit(rig.conn, place(offers[0]))
    await rig.drain(rig.runner(reserve_stock))
    await rig.drain(rig.runner(place_orders))
    return [ids.child(each, ids.Kind.RESERVATION, 0) for each in (*made, order)]


async def holds_to_end(rig: Rig) -> list[Command]:
    """Holds to release and to confirm, one of an order, one nobody made."""
    holds = await _held(rig, 4)
    endings = (Ending.RELEASED, Ending.CONFIRMED, Ending.RELEASED, Ending.CONFIRMED, Ending.RELEASED)
    nobodys = EndHold(ids.child(new_id(), ids.Kind.RESERVATION, 0), Ending.RELEASED)
    return [*(EndHold(held, ending) for held, ending in zip(holds, endings, strict=True)), nobodys]


async def holds_to_extend(rig: Rig) -> list[Command]:
    """Holds for longer, for no longer, for too long; one of an order, one nobody made."""
    holds = await _held(rig, 4)
    seconds = (3_600, 1, 10**6, None, 60)
    nobodys = ExtendHold(ids.child(new_id(), ids.Kind.RESERVATION, 0))
    return [*(ExtendHold(held, wished) for held, wished in zip(holds, seconds, strict=True)), nobodys]
