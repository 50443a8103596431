"""Statements of what orders have of stock while they are paid for: held longer, sold, put back.

Invariant: a reservation that was confirmed stays so. What is put back is a movement of its own, once for each.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from domain.connection import Connection
from domain.inventory.model import Movement, MovementKind, PutBack, StockKey
from domain.inventory.sql import Ended, columns_of, insert_movements

LOAD_SOLD = """
SELECT id, variant_id, seller_id, location, quantity, order_id FROM reservations
WHERE id = ANY ($1::uuid[]) AND status = 'confirmed'
"""

LOAD_AVAILABLE = """
SELECT k.variant_id, k.seller_id, k.location, k.on_hand + k.backorder_limit - k.reserved AS available
FROM unnest($1::uuid[], $2::uuid[], $3::smallint[]) AS t (variant_id, seller_id, location)
JOIN stock k ON k.variant_id = t.variant_id AND k.seller_id = t.seller_id AND k.location = t.location
"""

EXTEND_RESERVATIONS = """
UPDATE reservations r SET expires_at = t.expires_at
FROM unnest($1::uuid[], $2::timestamptz[]) AS t (id, expires_at)
WHERE r.id = t.id AND r.status = 'active' AND r.expires_at < t.expires_at
"""


async def load_available(conn: Connection, keys: Iterable[StockKey]) -> dict[StockKey, int]:
    """What there is to take of stock rows: exact where they are locked."""
    rows = await conn.fetch(LOAD_AVAILABLE, *columns_of(sorted(keys)))
    return {StockKey(row["variant_id"], row["seller_id"], row["location"]): row["available"] for row in rows}


async def extend_reservations(conn: Connection, until: Mapping[UUID, datetime]) -> None:
    """Have locked reservations that are active last longer; none is made shorter."""
    if until:
        await conn.execute(EXTEND_RESERVATIONS, list(until), list(until.values()))


async def return_sold(conn: Connection, holds: Mapping[UUID, UUID], back: Mapping[UUID, int], *, reason: str) -> Ended:
    """Put units that were sold back on the shelf, each reservation's once; ``holds`` says who has them put back.

    ``back`` are the units of some reservations that are there already.

    A reservation stays confirmed: it was. Hand what is returned to :func:`restock`.
    """
    rows = await conn.fetch(LOAD_SOLD, sorted(holds)) if holds else []
    deltas: dict[StockKey, tuple[int, int]] = {}
    movements: list[Movement] = []
    for row in rows:
        key = StockKey(row["variant_id"], row["seller_id"], row["location"])
        units = row["quantity"] - back.get(row["id"], 0)
        on_hand, reserved = deltas.get(key, (0, 0))
        deltas[key] = (on_hand + units, reserved)
        if units:
            movements.append(Movement(row["id"], MovementKind.RETURNED, key, units, 0, holds[row["id"]], reason))
    await insert_movements(conn, movements)
    return Ended(rows, deltas)


async def return_units(conn: Connection, units: Sequence[PutBack], *, reason: str) -> Ended:
    """Put some of the units that reservations sold back on the shelf, once for each cause, as :func:`return_sold`."""
    rows = await conn.fetch(LOAD_SOLD, sorted({each.hold for each in units})) if units else []
    keys = {row["id"]: StockKey(row["variant_id"], row["seller_id"], row["location"]) for row in rows}
    deltas: dict[StockKey, tuple[int, int]] = {}
    for each in units:
        on_hand, reserved = deltas.get(keys[each.hold], (0, 0))
        deltas[keys[each.hold]] = (on_hand + each.quantity, reserved)
    returned = MovementKind.RETURNED
    await insert_movements(
        conn, [Movement(e.cause_id, returned, keys[e.hold], e.quantity, 0, e.actor, reason) for e in units]
    )
    return Ended(rows, deltas)


def together(*ended: Ended) -> Ended:
    """Several ends as one, so that their stock is locked in one go."""
    deltas: dict[StockKey, tuple[int, int]] = {}
    for each in ended:
        for key, (on_hand, reserved) in each.deltas.items():
            known = deltas.get(key, (0, 0))
            deltas[key] = (known[0] + on_hand, known[1] + reserved)
    return Ended([row for each in ended for row in each.rows], deltas)
