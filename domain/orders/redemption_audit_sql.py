"""What must be true of orders and the promotions they use: checks for ``domain.invariants``, by name.

Each is about a slice of orders: those from the first id to below the second.
"""

from collections.abc import Mapping

# A use is an order's that stands: cancelled whole or expired it gives its uses back, each once.
_REDEMPTIONS_MATCH_ORDERS = """
SELECT concat_ws('/', r.order_id, r.promotion_id) AS key
FROM redemptions r
LEFT JOIN orders o ON o.id = r.order_id AND o.id >= $1 AND o.id < $2
LEFT JOIN promotion_versions v ON v.promotion_id = r.promotion_id AND v.version = r.version
LEFT JOIN (
    SELECT order_id, bool_and(fulfilment = 'cancelled') AS cancelled
    FROM seller_orders WHERE order_id >= $1 AND order_id < $2 GROUP BY order_id
) s ON s.order_id = o.id
WHERE r.order_id >= $1 AND r.order_id < $2 AND (
    o.id IS NULL OR v.promotion_id IS NULL
    OR o.buyer <> r.buyer OR o.currency <> r.currency
    OR (r.returned_at IS NULL AND (o.expired_at IS NOT NULL OR o.payment = 'voided' OR s.cancelled)))
"""

REDEMPTIONS: Mapping[str, str] = {"redemptions_match_orders": _REDEMPTIONS_MATCH_ORDERS}
