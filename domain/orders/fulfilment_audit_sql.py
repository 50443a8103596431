"""What must be true of seller orders and their shipments: checks for ``domain.invariants``, by name.

Each is about a slice of orders: those from the first id to below the second.
"""

from collections.abc import Mapping

from domain.orders.price_audit_sql import in_slice

# Counted per line: what is left is neither cancelled, nor given back before it was shipped, nor shipped.
_FULFILMENT_IS_WHAT_WAS_SHIPPED = f"""
SELECT concat_ws('/', r.order_id, r.seller_no) AS key
FROM seller_orders r
LEFT JOIN (
    SELECT order_id, seller_no, bool_and(state = 'delivered') AS arrived
    FROM shipments WHERE {in_slice("order_id")} GROUP BY order_id, seller_no
) s ON s.order_id = r.order_id AND s.seller_no = r.seller_no
LEFT JOIN (
    SELECT l.order_id, l.seller_id,
           sum(greatest(0, l.quantity - coalesce(k.unshipped, 0) - coalesce(u.quantity, 0))) AS units
    FROM order_lines l
    LEFT JOIN cancelled_lines c ON c.order_id = l.order_id AND c.line_no = l.line_no
    LEFT JOIN (
        SELECT order_id, line_no, sum(unshipped) AS unshipped FROM line_credits
        WHERE {in_slice("order_id")} GROUP BY order_id, line_no
    ) k ON k.order_id = l.order_id AND k.line_no = l.line_no
    LEFT JOIN (
        SELECT s.order_id, n.line_no, sum(n.quantity) AS quantity
        FROM shipments s CROSS JOIN unnest(s.lines, s.quantities) AS n (line_no, quantity)
        WHERE {in_slice("s.order_id")} GROUP BY s.order_id, n.line_no
    ) u ON u.order_id = l.order_id AND u.line_no = l.line_no
    WHERE {in_slice("l.order_id")} AND c.order_id IS NULL GROUP BY l.order_id, l.seller_id
) f ON f.order_id = r.order_id AND f.seller_id = r.seller_id
WHERE {in_slice("r.order_id")} AND NOT CASE r.fulfilment
    WHEN 'partly_shipped' THEN s.order_id IS NOT NULL AND coalesce(f.units, 0) > 0
    WHEN 'shipped' THEN NOT coalesce(s.arrived, true) AND coalesce(f.units, 0) = 0
    WHEN 'delivered' THEN coalesce(s.arrived, false) AND coalesce(f.units, 0) = 0
    WHEN 'returned' THEN coalesce(s.arrived, false) AND coalesce(f.units, 0) = 0
    ELSE s.order_id IS NULL END
"""

# A full join, which coalesce() keeps one, however many rows nobody has estimated yet.
_SHIPMENTS_MATCH_EVENTS = f"""
SELECT coalesce(s.id, e.id)::text AS key
FROM (SELECT id, order_id, state, lines, quantities FROM shipments WHERE {in_slice("order_id")}) s
FULL JOIN (
    SELECT (data ->> 'shipment_id')::uuid AS id, stream,
           count(*) FILTER (WHERE type = 'order.shipped') AS shipped,
           count(*) FILTER (WHERE type = 'order.shipment_delivered') AS delivered
    FROM events WHERE type IN ('order.shipped', 'order.shipment_delivered') AND {in_slice("stream")}
    GROUP BY data ->> 'shipment_id', stream
) e ON e.id = s.id AND e.stream = s.order_id
WHERE s.id IS NULL OR e.shipped IS DISTINCT FROM 1
   OR e.delivered IS DISTINCT FROM CASE WHEN s.state = 'delivered' THEN 1 ELSE 0 END
"""

_DELIVERED_SETTLES = f"""
SELECT concat_ws('/', r.order_id, r.seller_no) AS key
FROM seller_orders r
LEFT JOIN settlements s ON s.order_id = r.order_id AND s.seller_no = r.seller_no
WHERE {in_slice("r.order_id")} AND r.fulfilment = 'delivered' AND (s.settles_at > '-infinity') IS NOT TRUE
"""

FULFILMENT: Mapping[str, str] = {
    "fulfilment_is_what_was_shipped": _FULFILMENT_IS_WHAT_WAS_SHIPPED,
    "shipments_match_events": _SHIPMENTS_MATCH_EVENTS,
    "delivered_settles": _DELIVERED_SETTLES,
}
