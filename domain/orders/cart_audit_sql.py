"""What must be true of carts: checks for ``domain.invariants``, by name.

What events tell adds up to the rows, but for where a cart goes and its codes, which no event holds. Carts that were
pruned have no rows and no event of their end, so it is looked at from the rows.
"""

from collections.abc import Mapping

_CARTS_MATCH_EVENTS = """
SELECT c.id::text AS key
FROM carts c
LEFT JOIN (
    SELECT cart_id, jsonb_agg(jsonb_build_object(
        'variant_id', variant_id, 'seller_id', seller_id, 'quantity', quantity,
        'unit_price_minor', unit_price_minor) ORDER BY line_no) AS lines
    FROM cart_lines GROUP BY cart_id
) l ON l.cart_id = c.id
LEFT JOIN (
    SELECT stream, max(version) AS version, count(*) AS events,
           (array_agg(data ORDER BY version DESC) FILTER (WHERE data ? 'lines'))[1] AS held,
           (array_agg(data ->> 'order_id' ORDER BY version DESC) FILTER (WHERE data ? 'order_id'))[1] AS order_id,
           bool_or(type = 'cart.removed') AS removed
    FROM events WHERE type LIKE 'cart.%' GROUP BY stream
) e ON e.stream = c.id
WHERE (c.version, c.version, c.owner::text, c.currency, coalesce(l.lines, '[]'), c.order_id::text, false)
      IS DISTINCT FROM (e.version, e.events, e.held ->> 'owner', e.held ->> 'currency', e.held -> 'lines',
                        e.order_id, e.removed)
"""

_ORDERED_CARTS_ARE_THEIR_BUYERS = """
SELECT c.id::text AS key FROM carts c JOIN orders o ON o.id = c.order_id WHERE o.buyer <> c.owner
"""

CARTS: Mapping[str, str] = {
    "carts_match_events": _CARTS_MATCH_EVENTS,
    "ordered_carts_are_their_buyers": _ORDERED_CARTS_ARE_THEIR_BUYERS,
}
"""Statements by name; each returns one row ``key`` (text) per violation."""
