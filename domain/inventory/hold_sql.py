"""Statements of holds that belong to no order.

Invariant: holds are locked in id order by one statement and read by the next; whoever ends them locks stock after that.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import UUID

from domain.connection import Connection
from domain.inventory.hold_model import Hold
from domain.inventory.model import ReservationStatus, StockKey
from domain.inventory.sql import lock_reservations

LOAD_HOLDS = """
SELECT id, variant_id, seller_id, location, quantity, status, owner, order_id, expires_at, version
FROM reservations WHERE id = ANY ($1::uuid[])
"""

EXTEND_HOLDS = """
UPDATE reservations r SET expires_at = t.expires_at, version = t.version
FROM unnest($1::uuid[], $2::timestamptz[], $3::int[]) AS t (id, expires_at, version) WHERE r.id = t.id
"""


async def load_holds(conn: Connection, ids: Iterable[UUID]) -> dict[UUID, Hold]:
    """Read reservations, an order's or not; unknown ones are missing."""
    return {
        row["id"]: Hold(
            id=row["id"],
            key=StockKey(row["variant_id"], row["seller_id"], row["location"]),
            quantity=row["quantity"],
            status=ReservationStatus(row["status"]),
            owner=row["owner"],
            order_id=row["order_id"],
            expires_at=row["expires_at"],
            version=row["version"],
        )
        for row in await conn.fetch(LOAD_HOLDS, list(ids))
    }


async def lock_holds(conn: Connection, ids: Iterable[UUID]) -> dict[UUID, Hold]:
    """Lock reservations and read them."""
    wanted = sorted(set(ids))
    await lock_reservations(conn, wanted)
    return await load_holds(conn, wanted)


async def extend_holds(conn: Connection, extended: Mapping[UUID, tuple[datetime, int]]) -> None:
    """Have locked holds expire later, each with its new version."""
    if extended:
        until, versions = zip(*extended.values(), strict=True)
        await conn.execute(EXTEND_HOLDS, list(extended), list(until), list(versions))
