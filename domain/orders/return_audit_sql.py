"""What must be true of returns at every moment: checks for ``domain.invariants``, by name, about slices of orders."""

from collections.abc import Mapping

from domain.orders.price_audit_sql import in_slice

_RETURNS_MATCH_EVENTS = f"""
SELECT coalesce(r.id::text, e.id) AS key
FROM (SELECT id, state FROM returns WHERE {in_slice("order_id")}) r
FULL JOIN (
    SELECT data ->> 'return_id' AS id, (array_agg(type ORDER BY version DESC))[1] AS last
    FROM events WHERE type LIKE 'order.return!_%' ESCAPE '!' AND {in_slice("stream")} GROUP BY 1
) e ON e.id = r.id::text
WHERE r.id IS NULL OR e.last IS DISTINCT FROM 'order.return_' || r.state
"""

_RETURNED_UNITS_ARE_PUT_BACK = f"""
SELECT concat_ws('/', r.id, u.line_no) AS key
FROM returns r
CROSS JOIN unnest(r.lines, r.restocked) AS u (line_no, restocked)
LEFT JOIN movements m ON m.cause_id = md5(concat_ws('/', 'return', r.id, u.line_no))::uuid AND m.kind = 'returned'
WHERE {in_slice("r.order_id")} AND coalesce(u.restocked, 0) <> coalesce(m.on_hand_delta, 0)
"""

_NO_UNIT_IS_SENT_BACK_TWICE = f"""
SELECT concat_ws('/', t.order_id, t.line_no) AS key
FROM (
    SELECT r.order_id, u.line_no, bool_or(u.received > u.quantity OR u.restocked > u.received) AS too_many,
           sum(CASE r.state WHEN 'rejected' THEN 0 WHEN 'received' THEN u.received ELSE u.quantity END) AS units
    FROM returns r
    CROSS JOIN unnest(r.lines, r.quantities, r.received, r.restocked) AS u (line_no, quantity, received, restocked)
    WHERE {in_slice("r.order_id")} GROUP BY r.order_id, u.line_no
) t
LEFT JOIN (
    SELECT s.order_id, u.line_no, sum(u.quantity) AS units
    FROM shipments s CROSS JOIN unnest(s.lines, s.quantities) AS u (line_no, quantity)
    WHERE s.state = 'delivered' AND {in_slice("s.order_id")} GROUP BY s.order_id, u.line_no
) d ON d.order_id = t.order_id AND d.line_no = t.line_no
WHERE t.too_many OR t.units > coalesce(d.units, 0)
"""

# Of the lines that weren't cancelled, but for what was given back before it was shipped.
_RETURNED_SELLER_ORDERS_CAME_BACK = f"""
SELECT concat_ws('/', s.order_id, s.seller_no) AS key
FROM seller_orders s
JOIN order_lines l ON l.order_id = s.order_id AND l.seller_id = s.seller_id
LEFT JOIN cancelled_lines c ON c.order_id = l.order_id AND c.line_no = l.line_no
WHERE s.fulfilment = 'returned' AND c.line_no IS NULL AND {in_slice("s.order_id")}
  AND l.quantity > (
    SELECT coalesce(sum(k.unshipped), 0) FROM line_credits k WHERE k.order_id = l.order_id AND k.line_no = l.line_no
  ) + (
    SELECT coalesce(sum(u.received), 0)
    FROM returns r CROSS JOIN unnest(r.lines, r.received) AS u (line_no, received)
    WHERE r.order_id = l.order_id AND u.line_no = l.line_no
  )
GROUP BY 1
"""

RETURNS: Mapping[str, str] = {
    "returns_match_events": _RETURNS_MATCH_EVENTS,
    "returned_units_are_put_back": _RETURNED_UNITS_ARE_PUT_BACK,
    "no_unit_is_sent_back_twice": _NO_UNIT_IS_SENT_BACK_TWICE,
    "returned_seller_orders_came_back": _RETURNED_SELLER_ORDERS_CAME_BACK,
}
