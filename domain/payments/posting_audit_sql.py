"""What must be true of the ledger and the orders it is about: checks for ``domain.invariants``, by name.

Those about orders are about a slice of them: those from the first id to below the second.
"""

from collections.abc import Mapping

from domain.orders.price_audit_sql import in_slice, last_version

_DEAD = """
(o.expired_at IS NOT NULL OR o.payment = 'voided'
 OR NOT EXISTS (SELECT FROM seller_orders x WHERE x.order_id = o.id AND x.fulfilment <> 'cancelled'))
"""

_PAID_ORDERS_ARE_SOLD = f"""
SELECT o.id::text AS key FROM orders o
WHERE {in_slice("o.id")} AND (
    (o.sold_at IS NULL AND o.payment IN ('paid', 'partially_refunded', 'refunded') AND NOT {_DEAD})
    OR (o.sold_at IS NOT NULL AND o.payment NOT IN ('paid', 'partially_refunded', 'refunded')))
"""

_CLEARING_IS_WHAT_WAS_CAPTURED = f"""
SELECT coalesce(p.order_id, e.order_id)::text AS key
FROM (
    SELECT order_id, sum(captured_minor - refunded_minor) AS amount FROM payments
    WHERE {in_slice("order_id")} GROUP BY order_id
) p
FULL JOIN (
    SELECT order_id, sum(amount_minor) AS amount FROM ledger_entries
    WHERE {in_slice("order_id")} AND account = 'gateway_clearing' AND kind IN ('capture', 'refund_paid')
    GROUP BY order_id
) e ON e.order_id = p.order_id
WHERE coalesce(p.amount, 0) <> coalesce(e.amount, 0)
"""

_COMMISSION_IS_SNAPSHOTS_LESS_REVERSALS = f"""
SELECT coalesce(s.order_id, e.order_id)::text AS key
FROM (
    SELECT order_id, sum(amount_minor) AS amount FROM (
        SELECT order_id, amount_minor FROM commission_snapshots WHERE {in_slice("order_id")}
        UNION ALL SELECT order_id, -amount_minor FROM commission_reversals WHERE {in_slice("order_id")}
    ) each GROUP BY order_id
) s
FULL JOIN (
    SELECT order_id, -sum(amount_minor) AS amount FROM ledger_entries
    WHERE {in_slice("order_id")} AND account = 'commission_revenue' GROUP BY order_id
) e ON e.order_id = s.order_id
WHERE coalesce(s.amount, 0) <> coalesce(e.amount, 0)
"""

# What a sale moved is the order's price then: of the last version with the lines that were paid for, less nothing.
_SALES_ARE_WHAT_ORDERS_COST = f"""
SELECT o.id::text AS key
FROM orders o
CROSS JOIN LATERAL ({last_version("o.id")}) v
LEFT JOIN (
    SELECT order_id, sum(amount_minor) AS amount FROM ledger_entries
    WHERE {in_slice("order_id")} AND kind = 'sale' AND account = 'refunds' GROUP BY order_id
) e ON e.order_id = o.id
WHERE {in_slice("o.id")}
  AND coalesce(e.amount, 0) <> CASE WHEN o.sold_at IS NULL THEN 0 ELSE v.total_minor END
"""

_CREDITS_MATCH_THE_LEDGER = f"""
SELECT coalesce(c.order_id, e.order_id)::text AS key
FROM (
    SELECT order_id, sum(net_minor + added_tax_minor) AS amount FROM (
        SELECT order_id, net_minor, added_tax_minor FROM line_credits WHERE {in_slice("order_id")}
        UNION ALL SELECT order_id, net_minor, added_tax_minor FROM shipping_credits WHERE {in_slice("order_id")}
    ) each GROUP BY order_id
) c
FULL JOIN (
    SELECT order_id, -sum(amount_minor) AS amount FROM ledger_entries
    WHERE {in_slice("order_id")} AND kind = 'refund' AND account = 'refunds' GROUP BY order_id
) e ON e.order_id = c.order_id
WHERE coalesce(c.amount, 0) <> coalesce(e.amount, 0)
"""

_CREDITS_ARE_OF_UNITS_THAT_WERE_SOLD = f"""
SELECT concat_ws('/', l.order_id, l.line_no) AS key
FROM order_lines l
LEFT JOIN (
    SELECT order_id, line_no, sum(quantity) AS quantity, sum(unshipped) AS unshipped FROM line_credits
    WHERE {in_slice("order_id")} GROUP BY order_id, line_no
) c ON c.order_id = l.order_id AND c.line_no = l.line_no
LEFT JOIN cancelled_lines g ON g.order_id = l.order_id AND g.line_no = l.line_no
LEFT JOIN (
    SELECT s.order_id, u.line_no, sum(u.quantity) AS quantity
    FROM shipments s CROSS JOIN unnest(s.lines, s.quantities) AS u (line_no, quantity)
    WHERE {in_slice("s.order_id")} GROUP BY s.order_id, u.line_no
) s ON s.order_id = l.order_id AND s.line_no = l.line_no
WHERE {in_slice("l.order_id")} AND (
    coalesce(c.quantity, 0) > l.quantity OR coalesce(c.unshipped, 0) + coalesce(s.quantity, 0) > l.quantity
    OR (g.paid AND coalesce(c.quantity, 0) <> l.quantity))
"""

# Of orders whose refunds failed, or of which a gateway or a bank took something by itself, a person was told.
_BUYERS_GET_BACK_WHAT_THEY_ARE_OWED = f"""
SELECT e.order_id::text AS key
FROM (
    SELECT order_id, -sum(amount_minor) AS owed FROM ledger_entries
    WHERE {in_slice("order_id")} AND account = 'refunds' GROUP BY order_id
) e
LEFT JOIN (
    SELECT order_id, sum(amount_minor) FILTER (WHERE state = 'pending') AS pending,
           bool_or(state = 'failed' OR reason = 'given back at the gateway') AS odd
    FROM refunds WHERE {in_slice("order_id")} GROUP BY order_id
) r ON r.order_id = e.order_id
LEFT JOIN (
    SELECT order_id, bool_or(captured_minor > 0 AND captured_minor < amount_minor) AS odd FROM payments
    WHERE {in_slice("order_id")} GROUP BY order_id
) p ON p.order_id = e.order_id
WHERE e.owed <> coalesce(r.pending, 0) AND NOT coalesce(r.odd, false) AND NOT coalesce(p.odd, false)
  AND NOT EXISTS (SELECT FROM chargebacks c WHERE c.order_id = e.order_id AND c.state = 'opened')
  AND (EXISTS (SELECT FROM orders o WHERE o.id = e.order_id AND o.sold_at IS NOT NULL)
       OR NOT EXISTS (SELECT FROM chargebacks c WHERE c.order_id = e.order_id))
"""

# Commission is taken back with what it was reckoned on: all of it with a line that was cancelled.
_REVERSALS_FOLLOW_WHAT_IS_GIVEN_BACK = f"""
SELECT concat_ws('/', coalesce(s.order_id, r.order_id), coalesce(s.line_no, r.line_no)) AS key
FROM (
    SELECT s.order_id, s.line_no, CASE
        WHEN g.order_id IS NOT NULL OR c.base >= s.base_minor THEN s.amount_minor
        WHEN c.base IS NULL THEN 0
        ELSE floor((2 * s.amount_minor::numeric * c.base + s.base_minor) / (2 * s.base_minor)) END AS amount
    FROM commission_snapshots s
    LEFT JOIN cancelled_lines g ON g.order_id = s.order_id AND g.line_no = s.line_no
    LEFT JOIN (
        SELECT order_id, line_no, greatest(0, sum(net_minor + platform_discount_minor - tax_minor + added_tax_minor))
            AS base
        FROM line_credits WHERE {in_slice("order_id")} GROUP BY order_id, line_no
    ) c ON c.order_id = s.order_id AND c.line_no = s.line_no
    WHERE s.amount_minor > 0 AND {in_slice("s.order_id")}
) s
FULL JOIN (
    SELECT order_id, line_no, sum(amount_minor) AS amount FROM commission_reversals
    WHERE {in_slice("order_id")} GROUP BY order_id, line_no
) r ON r.order_id = s.order_id AND r.line_no = s.line_no
WHERE coalesce(s.amount, 0) <> coalesce(r.amount, 0)
"""

# Those of a line that is cancelled with it go back with the whole reservation.
_UNSHIPPED_CREDITS_ARE_PUT_BACK = f"""
SELECT concat_ws('/', c.order_id, c.line_no) AS key
FROM line_credits c
LEFT JOIN cancelled_lines g ON g.order_id = c.order_id AND g.line_no = c.line_no AND g.command_id = c.cause_id
LEFT JOIN movements m
  ON m.cause_id = md5(concat_ws('/', 'refund', c.cause_id, c.line_no))::uuid AND m.kind = 'returned'
WHERE {in_slice("c.order_id")} AND g.order_id IS NULL AND c.unshipped <> coalesce(m.on_hand_delta, 0)
"""

# What was sold and is cancelled is back on the shelf, once; of an order that expired nothing was sold.
_DEAD_SALES_ARE_RETURNED = """
SELECT r.id::text AS key
FROM reservations r
JOIN orders o ON o.id = r.order_id
LEFT JOIN cancelled_lines c
  ON c.order_id = r.order_id AND c.line_no = ('x' || right(r.id::text, 3))::bit(12)::int & 1023
LEFT JOIN movements m ON m.cause_id = r.id AND m.kind = 'returned'
WHERE r.status = 'confirmed' AND (
    o.expired_at IS NOT NULL
    OR (c.order_id IS NOT NULL AND (m.reserved_delta <> 0 OR coalesce(m.on_hand_delta, 0) <> r.quantity - (
        SELECT coalesce(sum(k.unshipped), 0) FROM line_credits k
        WHERE k.order_id = c.order_id AND k.line_no = c.line_no AND k.cause_id <> c.command_id))))
"""

POSTINGS: Mapping[str, str] = {
    "dead_sales_are_returned": _DEAD_SALES_ARE_RETURNED,
    "paid_orders_are_sold": _PAID_ORDERS_ARE_SOLD,
    "clearing_is_what_was_captured": _CLEARING_IS_WHAT_WAS_CAPTURED,
    "commission_is_snapshots_less_reversals": _COMMISSION_IS_SNAPSHOTS_LESS_REVERSALS,
    "sales_are_what_orders_cost": _SALES_ARE_WHAT_ORDERS_COST,
    "credits_match_the_ledger": _CREDITS_MATCH_THE_LEDGER,
    "credits_are_of_units_that_were_sold": _CREDITS_ARE_OF_UNITS_THAT_WERE_SOLD,
    "unshipped_credits_are_put_back": _UNSHIPPED_CREDITS_ARE_PUT_BACK,
    "buyers_get_back_what_they_are_owed": _BUYERS_GET_BACK_WHAT_THEY_ARE_OWED,
    "reversals_follow_what_is_given_back": _REVERSALS_FOLLOW_WHAT_IS_GIVEN_BACK,
}
