"""Ways to break what is true of seller orders and their shipments."""

from typing import Any
from uuid import UUID

from tests.ops.breaking import Ways

WAYS = Ways()
breaks = WAYS.breaks

SEND = """
WITH sent AS (
    INSERT INTO shipments
        (id, order_id, seller_no, seller_id, lines, quantities, carrier, state, shipped_at, delivered_at)
    SELECT gen_random_uuid(), $1, s.seller_no, s.seller_id, array_agg(l.line_no), array_agg(l.quantity), 'manual',
           $2, now(), CASE WHEN $2 = 'delivered' THEN now() END
    FROM seller_orders s JOIN order_lines l ON l.order_id = s.order_id AND l.seller_id = s.seller_id
    WHERE s.order_id = $1 GROUP BY s.seller_no, s.seller_id RETURNING id
), told AS (
    INSERT INTO events (stream, version, type, data, actor)
    SELECT $1, o.version + n, t.type, jsonb_build_object('shipment_id', s.id), o.buyer
    FROM (SELECT id, row_number() OVER () AS nth FROM sent) s
    JOIN orders o ON o.id = $1
    CROSS JOIN unnest($3::text[]) WITH ORDINALITY AS t (type, place)
    CROSS JOIN LATERAL (SELECT ((s.nth - 1) * cardinality($3::text[]) + t.place)::int AS n) AS numbered
    RETURNING version
), raised AS (
    UPDATE orders SET version = greatest(version, (SELECT max(version) FROM told)) WHERE id = $1
)
UPDATE seller_orders SET fulfilment = $2 WHERE order_id = $1
"""


async def send(conn: Any, order: UUID, state: str, *told: str) -> None:
    """Have all parts of an order be shipped or delivered, with events of these types."""
    await conn.execute(SEND, order, state, list(told))


@breaks("fulfilment_is_what_was_shipped")
async def a_seller_order_is_shipped_that_nobody_sent(conn, trade):
    await conn.execute("UPDATE seller_orders SET fulfilment = 'shipped' WHERE order_id = $1", trade.payments.paid[0])


@breaks("fulfilment_is_what_was_shipped")
async def what_was_sent_whole_stands_as_sent_in_part(conn, trade):
    order = trade.payments.paid[0]
    await send(conn, order, "shipped", "order.shipped")
    await conn.execute("UPDATE seller_orders SET fulfilment = 'partly_shipped' WHERE order_id = $1", order)


@breaks("shipments_match_events")
async def a_shipment_is_told_of_by_nobody(conn, trade):
    await send(conn, trade.payments.paid[0], "shipped")


@breaks("shipments_match_events")
async def a_shipment_has_arrived_and_nobody_said_so(conn, trade):
    order = trade.payments.paid[0]
    await conn.execute(
        "INSERT INTO settlements SELECT order_id, seller_no, seller_id, 'USD', 0, now(), 0"
        " FROM seller_orders WHERE order_id = $1 ON CONFLICT (order_id, seller_no)"
        " DO UPDATE SET settles_at = now()",
        order,
    )
    await send(conn, order, "delivered", "order.shipped")


@breaks("delivered_settles")
async def what_has_arrived_is_never_settled(conn, trade):
    order = trade.payments.paid[0]
    await conn.execute("UPDATE settlements SET settles_at = NULL WHERE order_id = $1", order)
    await send(conn, order, "delivered", "order.shipped", "order.shipment_delivered")
