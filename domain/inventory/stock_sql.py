"""Statements of stock that is changed by hand.

Invariant: rows are locked in key order by one statement and read by the next, then written with the figures decided.
"""

from collections.abc import Iterable
from uuid import UUID

from domain.connection import Connection
from domain.inventory.model import StockKey
from domain.inventory.sql import insert_movements, lock_stock
from domain.inventory.stock_model import StockFigures
from domain.inventory.stocktaking import StockPlan
from domain.journal.sql import insert_events

LOAD_FIGURES = """
SELECT k.variant_id, k.seller_id, k.location, k.on_hand, k.reserved, k.backorder_limit, k.threshold, k.version, k.events
FROM unnest($1::uuid[], $2::uuid[], $3::smallint[]) AS t (variant_id, seller_id, location)
JOIN stock k ON k.variant_id = t.variant_id AND k.seller_id = t.seller_id AND k.location = t.location
"""

SET_FIGURES = """
UPDATE stock k
SET on_hand = t.on_hand, backorder_limit = t.backorder_limit, threshold = t.threshold, version = t.version,
    events = t.events
FROM unnest($1::uuid[], $2::uuid[], $3::smallint[], $4::int[], $5::int[], $6::int[], $7::bigint[], $8::int[])
    AS t (variant_id, seller_id, location, on_hand, backorder_limit, threshold, version, events)
WHERE k.variant_id = t.variant_id AND k.seller_id = t.seller_id AND k.location = t.location
"""


def _columns(keys: Iterable[StockKey]) -> tuple[list[UUID], list[UUID], list[int]]:
    ordered = sorted(keys)
    return [k.variant_id for k in ordered], [k.seller_id for k in ordered], [k.location for k in ordered]


async def lock_figures(conn: Connection, keys: Iterable[StockKey]) -> dict[StockKey, StockFigures]:
    """Lock rows of stock and read them; unknown ones are missing."""
    wanted = set(keys)
    await lock_stock(conn, wanted)
    rows = await conn.fetch(LOAD_FIGURES, *_columns(wanted))
    return {StockKey(*row[:3]): StockFigures(*row[3:]) for row in rows}


async def write_stock(conn: Connection, plan: StockPlan) -> None:
    """Write what was decided about locked rows."""
    if not plan.changed:
        return
    await insert_movements(conn, plan.movements)
    await insert_events(conn, plan.events)
    keys = sorted(plan.changed)
    figures = [plan.figures[key] for key in keys]
    await conn.execute(
        SET_FIGURES,
        *_columns(keys),
        [f.on_hand for f in figures],
        [f.backorder_limit for f in figures],
        [f.threshold for f in figures],
        [f.version for f in figures],
        [f.events for f in figures],
    )
