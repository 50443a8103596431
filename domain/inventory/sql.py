"""Statements of stock and reservations.

Invariant: the order of locks is orders by id, reservations by id, then stock by (variant, seller, location), in
every statement of every job. Locking and reading are two statements: one that does both reads stale rows.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct

from domain.catalog.model import OfferKey
from domain.connection import Connection
from domain.inventory.model import ExpireReservations, Movement, MovementKind, Reservation, ReservationStatus, StockKey
from domain.inventory.stock_events import low, stock_event
from domain.journal.model import SYSTEM, Event
from domain.journal.sql import insert_events
from domain.writing import Rows, write

DUE_PER_OFFER_MAX = 500
MOVEMENT_COLUMNS = (
    ("cause_id", "uuid"),
    ("kind", "text"),
    ("variant_id", "uuid"),
    ("seller_id", "uuid"),
    ("location", "smallint"),
    ("on_hand_delta", "integer"),
    ("reserved_delta", "integer"),
    ("actor", "uuid"),
    ("reason", "text"),
)
RESERVATION_COLUMNS = (
    ("id", "uuid"),
    ("variant_id", "uuid"),
    ("seller_id", "uuid"),
    ("location", "smallint"),
    ("quantity", "integer"),
    ("owner", "uuid"),
    ("order_id", "uuid"),
    ("expires_at", "timestamptz"),
)

# ORDER BY inside the locking query, or two batches lock the same rows in different orders. Only the number of locks
# comes back: asyncpg 0.32 writes past the end of a row without columns.
LOCK_STOCK = """
SELECT count(*) FROM (
    SELECT FROM stock k
    JOIN unnest($1::uuid[], $2::uuid[], $3::smallint[]) AS t (variant_id, seller_id, location)
      ON k.variant_id = t.variant_id AND k.seller_id = t.seller_id AND k.location = t.location
    ORDER BY k.variant_id, k.seller_id, k.location
    FOR NO KEY UPDATE OF k
) AS locked
"""

# The condition is the check made again under the lock; a row that is short isn't updated and isn't returned. A row that
# has fallen to its threshold, and was above it before these deltas, has one event more.
APPLY_STOCK = """
UPDATE stock k
SET on_hand = k.on_hand + t.on_hand_delta, reserved = k.reserved + t.reserved_delta,
    events = k.events + CASE
        WHEN k.threshold >= k.on_hand + k.backorder_limit - k.reserved + t.on_hand_delta - t.reserved_delta
         AND k.threshold < k.on_hand + k.backorder_limit - k.reserved
        THEN 1 ELSE 0 END
FROM unnest($1::uuid[], $2::uuid[], $3::smallint[], $4::int[], $5::int[])
    AS t (variant_id, seller_id, location, on_hand_delta, reserved_delta)
WHERE k.variant_id = t.variant_id AND k.seller_id = t.seller_id AND k.location = t.location
  AND k.reserved + t.reserved_delta <= k.on_hand + t.on_hand_delta + k.backorder_limit
RETURNING CASE
    WHEN k.threshold >= k.on_hand + k.backorder_limit - k.reserved
     AND k.threshold < k.on_hand + k.backorder_limit - k.reserved - t.on_hand_delta + t.reserved_delta
    THEN (k.variant_id, k.seller_id, k.location, k.on_hand + k.backorder_limit - k.reserved, k.threshold, k.events)
END AS low
"""

HAS_DUE = """
SELECT EXISTS (
    SELECT FROM unnest($1::uuid[], $2::uuid[]) AS t (variant_id, seller_id)
    WHERE EXISTS (
        SELECT FROM reservations r
        WHERE r.variant_id = t.variant_id AND r.seller_id = t.seller_id
          AND r.status = 'active' AND r.expires_at <= $3
    )
)
"""

# The oldest due ones of each offer; what another transaction holds is being taken care of there.
LOCK_DUE_OF_OFFERS = """
SELECT d.id FROM unnest($1::uuid[], $2::uuid[]) AS t (variant_id, seller_id)
CROSS JOIN LATERAL (
    SELECT r.id FROM reservations r
    WHERE r.variant_id = t.variant_id AND r.seller_id = t.seller_id
      AND r.status = 'active' AND r.expires_at <= $3
    ORDER BY r.expires_at LIMIT $4
    FOR UPDATE SKIP LOCKED
) d
"""

# What has ended leaves dead entries at the start of the index: a step begins where the last one came to ($2).
DUE = """
SELECT id, order_id, expires_at FROM reservations
WHERE status = 'active' AND expires_at <= $1 AND expires_at >= coalesce($2::timestamptz, '-infinity')
ORDER BY expires_at, id LIMIT $3
"""

LOCK_RESERVATIONS = """
SELECT count(*) FROM (
    SELECT FROM reservations WHERE id = ANY ($1::uuid[]) ORDER BY id FOR UPDATE
) AS locked
"""

LOAD_ACTIVE = "SELECT id FROM reservations WHERE id = ANY ($1::uuid[]) AND status = 'active'"

# All that ending them writes but the stock, in one statement: a sweep ends thousands in a second, and a row that goes
# to the worker and back costs as much as writing it. What belongs to no order tells that it has ended. Who, why and on
# which request are the same for all ($3, $4), or stand beside the ids.
_ENDING = """
ended AS (
    UPDATE reservations r SET status = $2, version = r.version + 1
    FROM unnest($1::uuid[], $5::uuid[], $6::text[], $7::text[]) AS t (id, actor, reason, correlation)
    WHERE r.id = t.id AND r.status = 'active'
    RETURNING r.id, r.variant_id, r.seller_id, r.location, r.quantity, r.order_id, r.owner, r.version,
              coalesce(t.actor, $3::uuid) AS actor, coalesce(t.reason, $4::text) AS reason,
              coalesce(t.correlation, '') AS correlation
), moved AS (
    INSERT INTO movements (cause_id, kind, variant_id, seller_id, location, on_hand_delta, reserved_delta,
                           actor, reason)
    SELECT id, $8::text, variant_id, seller_id, location, CASE WHEN $8 = 'sold' THEN -quantity ELSE 0 END, -quantity,
           actor, reason
    FROM ended RETURNING 1
), told AS (
    INSERT INTO events (stream, version, type, data, actor, correlation)
    SELECT id, version, $9, jsonb_build_object(
        'variant_id', variant_id, 'seller_id', seller_id, 'location', location, 'quantity', quantity, 'owner', owner,
        'reason', reason), actor, correlation
    FROM ended WHERE order_id IS NULL RETURNING 1
)
"""

END_RESERVATIONS = f"WITH {_ENDING} SELECT variant_id, seller_id, location, quantity, order_id FROM ended"

# What was reserved is free again, in the same statement. It can't oversell and makes nothing low, so there is nothing
# to check and nothing to tell; a row that changed before its lock was had is read anew for the update, as any row is.
# That all else has been written is asked for first: parts of a statement that nothing reads run at its end, and placing
# would wait for the stock meanwhile.
EXPIRE_AND_RESTOCK = f"""
WITH {_ENDING}, written AS MATERIALIZED (
    SELECT (SELECT count(*) FROM moved) + (SELECT count(*) FROM told) AS n
), freed AS MATERIALIZED (
    SELECT variant_id, seller_id, location, sum(quantity)::int AS units
    FROM ended, written WHERE written.n > 0 GROUP BY 1, 2, 3
), locked AS MATERIALIZED (
    SELECT k.variant_id, k.seller_id, k.location, f.units FROM stock k
    JOIN freed f ON f.variant_id = k.variant_id AND f.seller_id = k.seller_id AND f.location = k.location
    ORDER BY k.variant_id, k.seller_id, k.location FOR NO KEY UPDATE OF k
), stocked AS (
    UPDATE stock k SET reserved = k.reserved - l.units FROM locked l
    WHERE k.variant_id = l.variant_id AND k.seller_id = l.seller_id AND k.location = l.location
    RETURNING 1
)
SELECT (SELECT count(*) FROM ended)::int AS ended,
       (SELECT count(*) FROM freed) = (SELECT count(*) FROM stocked) AS stocked
"""


_MOVEMENTS = {
    ReservationStatus.CONFIRMED: MovementKind.SOLD,
    ReservationStatus.RELEASED: MovementKind.RELEASED,
    ReservationStatus.EXPIRED: MovementKind.EXPIRED,
}

_TOLD = {
    ReservationStatus.CONFIRMED: "reservation.confirmed",
    ReservationStatus.RELEASED: "reservation.released",
    ReservationStatus.EXPIRED: "reservation.expired",
}


def columns_of(keys: Sequence[StockKey]) -> tuple[list[UUID], list[UUID], list[int]]:
    return [k.variant_id for k in keys], [k.seller_id for k in keys], [k.location for k in keys]


async def lock_stock(conn: Connection, keys: Iterable[StockKey]) -> None:
    """Lock stock rows in key order."""
    await conn.execute(LOCK_STOCK, *columns_of(sorted(keys)))


async def apply_stock(conn: Connection, deltas: dict[StockKey, tuple[int, int]]) -> bool:
    """Add (on hand, reserved) deltas to locked rows; False when any of them would be oversold.

    The caller goes back to its savepoint on False: rows that weren't short have been changed. Where available falls to
    its threshold, that is told.
    """
    keys = sorted(deltas)
    rows = await conn.fetch(
        APPLY_STOCK, *columns_of(keys), [deltas[key][0] for key in keys], [deltas[key][1] for key in keys]
    )
    alerts = [_low_event(row["low"]) for row in rows if row["low"] is not None]
    if alerts:
        await insert_events(conn, alerts)
    return len(rows) == len(keys)


def _low_event(row: Any) -> Event:
    variant_id, seller_id, location, available, threshold, version = row
    key = StockKey(variant_id, seller_id, location)
    return stock_event(key, version, ("stock.low", low(key, available, threshold)), actor=SYSTEM, correlation="")


def movement_rows(movements: Sequence[Movement]) -> Rows:
    """Movements as rows to write; a second one of a kind for the same cause is a unique violation."""
    return Rows(
        "movements",
        MOVEMENT_COLUMNS,
        [
            (
                m.cause_id,
                m.kind.value,
                m.key.variant_id,
                m.key.seller_id,
                m.key.location,
                m.on_hand_delta,
                m.reserved_delta,
                m.actor,
                m.reason,
            )
            for m in movements
        ],
    )


async def insert_movements(conn: Connection, movements: Sequence[Movement]) -> None:
    """Append movements."""
    await write(conn, movement_rows(movements))


def reservation_rows(reservations: Sequence[Reservation]) -> Rows:
    """Active reservations as rows to write."""
    return Rows(
        "reservations",
        RESERVATION_COLUMNS,
        [
            (r.id, r.key.variant_id, r.key.seller_id, r.key.location, r.quantity, r.owner, r.order_id, r.expires_at)
            for r in reservations
        ],
    )


async def has_due(conn: Connection, offers: Sequence[OfferKey], now: object) -> bool:
    """Whether any of the offers has a reservation that is due but not yet taken back."""
    return bool(await conn.fetchval(HAS_DUE, [o[0] for o in offers], [o[1] for o in offers], now))


class Ended(Struct, frozen=True):
    """Reservations that have been ended and locked, and the stock that is still to be given back.

    ``rows`` have variant_id, seller_id, location, quantity and order_id.
    """

    rows: Sequence[Any]
    deltas: dict[StockKey, tuple[int, int]]

    def follow_ups(self) -> list[ExpireReservations]:
        """What expires the orders that reservations belonged to which were taken back as due."""
        orders = sorted({row["order_id"] for row in self.rows if row["order_id"] is not None})
        return [ExpireReservations(orders=tuple(orders[n : n + 100])) for n in range(0, len(orders), 100)]


async def load_due(conn: Connection, now: datetime, since: datetime | None, most: int) -> Sequence[Any]:
    """The oldest due reservations, from a time on if one is given: id, order_id and expires_at, by expires_at."""
    return await conn.fetch(DUE, now, since, most)


async def lock_reservations(conn: Connection, ids: Iterable[UUID]) -> None:
    """Lock reservations in id order."""
    await conn.execute(LOCK_RESERVATIONS, list(ids))


async def lock_active(conn: Connection, ids: Sequence[UUID]) -> set[UUID]:
    """Lock reservations in id order; return those that are active."""
    if not ids:
        return set()
    await lock_reservations(conn, ids)
    return {row["id"] for row in await conn.fetch(LOAD_ACTIVE, ids)}


async def end_reservations(
    conn: Connection,
    ids: Sequence[UUID],
    status: ReservationStatus,
    *,
    actor: UUID | Mapping[UUID, UUID],
    reason: str | Mapping[UUID, str],
    correlations: Mapping[UUID, str] | None = None,
) -> Ended:
    """End active reservations among ``ids``, locked in id order, and write their movements.

    Confirmed units leave the shelf; others are free again. Hand what is returned to :func:`restock`, after whatever is
    locked between reservations and stock. A reservation that had ended already is left alone. ``actor`` is who ends
    them all, or each by its id, and so is ``reason``. Those that belong to no order tell that they have ended; of the
    others their order's events do.
    """
    if not ids:
        return Ended([], {})
    await lock_reservations(conn, ids)
    kind = _MOVEMENTS[status]
    rows = await conn.fetch(
        END_RESERVATIONS,
        ids,
        status.value,
        actor if isinstance(actor, UUID) else None,
        reason if isinstance(reason, str) else None,
        [] if isinstance(actor, UUID) else [actor[held] for held in ids],
        [] if isinstance(reason, str) else [reason[held] for held in ids],
        [correlations.get(held, "") for held in ids] if correlations else [],
        kind.value,
        _TOLD[status],
    )
    deltas: dict[StockKey, tuple[int, int]] = {}
    for variant_id, seller_id, location, units, _ in rows:
        key = StockKey(variant_id, seller_id, location)
        on_hand, reserved = deltas.get(key, (0, 0))
        deltas[key] = (on_hand - units if kind is MovementKind.SOLD else on_hand, reserved - units)
    return Ended(rows, deltas)


async def expire_and_restock(conn: Connection, ids: Sequence[UUID]) -> int:
    """Expire those that are active among reservations, locked before, and give back what they held, stock last.

    The same as :func:`end_reservations` and :func:`restock`, for thousands at a time; returns how many there were.
    """
    if not ids:
        return 0
    expired = ReservationStatus.EXPIRED
    (row,) = await conn.fetch(
        EXPIRE_AND_RESTOCK, ids, expired.value, SYSTEM, "due", [], [], [], _MOVEMENTS[expired].value, _TOLD[expired]
    )
    if not row["stocked"]:
        raise RuntimeError("stock rows of reservations are missing")
    return int(row["ended"])


async def restock(conn: Connection, ended: Ended, *, lock_too: Iterable[StockKey] = ()) -> None:
    """Give back what ended reservations held.

    ``lock_too`` names stock the caller will write later in the transaction: everything is locked in one go, in key
    order.
    """
    await lock_stock(conn, {*ended.deltas, *lock_too})
    if ended.deltas and not await apply_stock(conn, ended.deltas):
        raise RuntimeError("stock rows of reservations are missing")


async def expire_due_of_offers(
    conn: Connection,
    offers: Sequence[OfferKey],
    now: object,
    *,
    actor: UUID,
    but: Collection[UUID] = (),
    also: Iterable[UUID] = (),
) -> Ended:
    """End the oldest due reservations of offers, at most 500 each, but for some; see :func:`end_reservations`.

    ``also`` are due, too, and locked already.
    """
    rows = await conn.fetch(LOCK_DUE_OF_OFFERS, [o[0] for o in offers], [o[1] for o in offers], now, DUE_PER_OFFER_MAX)
    found = sorted({*also, *(row["id"] for row in rows)} - set(but))
    return await end_reservations(conn, found, ReservationStatus.EXPIRED, actor=actor, reason="due")
