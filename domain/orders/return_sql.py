"""Statements of returns: read what of locked orders may be sent back, write what became of it.

Invariant: an order's row is the lock of its returns: whoever changes them holds it, and has read them after it had it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.connection import Connection
from domain.orders.cancellation import OpenOrder
from domain.orders.return_model import ReturnState
from domain.orders.returning import Return, SentBack
from domain.writing import Rows, write

RETURN_COLUMNS = (
    ("id", "uuid"),
    ("order_id", "uuid"),
    ("seller_no", "smallint"),
    ("seller_id", "uuid"),
    ("lines", "smallint[]"),
    ("quantities", "integer[]"),
    ("reason", "text"),
    ("requested_by", "uuid"),
    ("requested_at", "timestamptz"),
)

LOAD_RETURNS = """
SELECT id, order_id, seller_no, seller_id, lines, quantities, received, restocked, state, reason, answer
FROM returns WHERE order_id = ANY ($1::uuid[]) ORDER BY id
"""

LOAD_ARRIVED = """
SELECT s.order_id, u.line_no, u.quantity, s.delivered_at
FROM shipments s CROSS JOIN unnest(s.lines, s.quantities) AS u (line_no, quantity)
WHERE s.order_id = ANY ($1::uuid[]) AND s.state = 'delivered'
"""

DECIDE_RETURNS = """
UPDATE returns r SET state = t.state, answer = t.answer, decided_by = t.actor, decided_at = $5
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[]) AS t (id, state, answer, actor) WHERE r.id = t.id
"""

# A received return has as many units as lines, and an array of arrays would want them all of one length.
RECEIVE_RETURNS = """
UPDATE returns r SET state = 'received', received_by = t.actor, received_at = $5,
    received = string_to_array(t.received, ',')::integer[], restocked = string_to_array(t.restocked, ',')::integer[]
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[]) AS t (id, received, restocked, actor) WHERE r.id = t.id
"""

FIND_RETURN = "SELECT order_id, seller_id FROM returns WHERE id = $1"


async def load_sent_back(conn: Connection, orders: Mapping[UUID, OpenOrder]) -> dict[UUID, SentBack]:
    """Read what of locked orders was delivered, and their returns."""
    known = {order_id: SentBack(order, {}, {}) for order_id, order in orders.items()}
    keys = list(known)
    for row in await conn.fetch(LOAD_ARRIVED, keys):
        arrived = known[row["order_id"]].arrived.setdefault(row["line_no"], [])
        arrived.append((row["delivered_at"], row["quantity"]))
    for row in await conn.fetch(LOAD_RETURNS, keys):
        known[row["order_id"]].returns[row["id"]] = _return(row)
    return known


def _return(row: Any) -> Return:
    lines = row["lines"]
    return Return(
        id=row["id"],
        order_id=row["order_id"],
        seller_no=row["seller_no"],
        seller_id=row["seller_id"],
        lines=dict(zip(lines, row["quantities"], strict=True)),
        state=ReturnState(row["state"]),
        reason=row["reason"],
        answer=row["answer"],
        received=dict(zip(lines, row["received"], strict=False)),
        restocked=dict(zip(lines, row["restocked"], strict=False)),
    )


async def insert_returns(conn: Connection, returns: Sequence[Return], now: datetime) -> None:
    """Write returns that were asked for."""
    records = [
        (r.id, r.order_id, r.seller_no, r.seller_id, list(r.lines), list(r.lines.values()), r.reason, r.by, now)
        for r in returns
    ]
    await write(conn, Rows("returns", RETURN_COLUMNS, records))


async def decide_returns(conn: Connection, returns: Sequence[Return], now: datetime) -> None:
    """Write what sellers said to returns."""
    if returns:
        columns = ([r.id for r in returns], [r.state.value for r in returns], [r.answer for r in returns])
        await conn.execute(DECIDE_RETURNS, *columns, [r.by for r in returns], now)


async def receive_returns(conn: Connection, returns: Sequence[Return], now: datetime) -> None:
    """Write what came back."""
    if returns:
        received = [_listed(r.received[n] for n in r.lines) for r in returns]
        restocked = [_listed(r.restocked[n] for n in r.lines) for r in returns]
        actors = [r.by for r in returns]
        await conn.execute(RECEIVE_RETURNS, [r.id for r in returns], received, restocked, actors, now)


def _listed(units: Any) -> str:
    return ",".join(str(each) for each in units)


async def find_return(conn: Connection, return_id: UUID) -> tuple[UUID, UUID] | None:
    """The order and the seller of a return."""
    row = await conn.fetchrow(FIND_RETURN, return_id)
    return None if row is None else (row["order_id"], row["seller_id"])
