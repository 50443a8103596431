"""Statements of orders that expire.

Invariant: an order is expired only by what its row says under its lock.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from msgspec import Struct

from domain.connection import Connection
from domain.ids import Kind, child
from domain.journal.model import SYSTEM

# An order is expired only by what the row says under its lock: due, not paid, and not over already. A sweep expires
# thousands in a second, so each tells of it in the same statement, with its lines that aren't cancelled.
EXPIRE_ORDERS = """
WITH gone AS (
    UPDATE orders o SET expired_at = $2, version = o.version + 1
    WHERE o.id = ANY ($1::uuid[]) AND o.expired_at IS NULL AND o.expires_at <= $2
      AND o.payment IN ('unpaid', 'pending', 'action_required', 'failed')
      AND EXISTS (SELECT FROM seller_orders s WHERE s.order_id = o.id AND s.fulfilment <> 'cancelled')
    RETURNING o.id, o.version,
              CASE WHEN o.payment IN ('pending', 'action_required') THEN o.payment_id END AS payment_id
), expired AS MATERIALIZED (
    SELECT id, version, payment_id, ARRAY(
        SELECT l.line_no FROM order_lines l WHERE l.order_id = gone.id AND NOT EXISTS (
            SELECT FROM cancelled_lines c WHERE c.order_id = l.order_id AND c.line_no = l.line_no)
        ORDER BY l.line_no
    ) AS lines FROM gone
), told AS (
    INSERT INTO events (stream, version, type, data, actor, correlation)
    SELECT id, version, 'order.expired', jsonb_build_object('lines', to_jsonb(lines)), $3, $4 FROM expired
)
SELECT id, payment_id, lines FROM expired
"""


class ExpiredOrder(Struct, frozen=True):
    """An order that has just expired: its lines that weren't cancelled, and the payment of it that was under way."""

    lines: Sequence[int]
    payment_id: UUID | None

    def reservations(self, order: UUID) -> list[UUID]:
        """The ids of what its lines held."""
        return [child(order, Kind.RESERVATION, line_no) for line_no in self.lines]


async def expire_orders(
    conn: Connection, ids: Collection[UUID], now: datetime, correlation: str
) -> dict[UUID, ExpiredOrder]:
    """Expire locked orders that are due and not paid, and tell of it."""
    rows = await conn.fetch(EXPIRE_ORDERS, ids, now, SYSTEM, correlation)
    return {order: ExpiredOrder(lines, payment_id) for order, payment_id, lines in rows}
