"""Sample commands of the jobs of stock."""

from domain.inventory.stock_model import Cause, ImportStock, SetStock, StockChange, StockChanges, StockRow
from domain.journal.model import Command
from infra.clock import new_id
from jobs.place_orders import place_orders
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
