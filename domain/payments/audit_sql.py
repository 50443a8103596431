"""What must be true of money at every moment: checks for ``domain.invariants``, by name.

Those about orders are about a slice of them: those from the first id to below the second.
"""

from collections.abc import Mapping

from domain.orders.price_audit_sql import in_slice, last_version
from domain.payments.invoice_audit_sql import INVOICES

_REFUNDS_ADD_UP = f"""
SELECT p.id::text AS key
FROM payments p
LEFT JOIN (
    SELECT payment_id, sum(amount_minor) FILTER (WHERE state = 'succeeded') AS refunded,
           sum(amount_minor) FILTER (WHERE state <> 'failed') AS asked, count(*) AS refunds, max(refund_no) AS last
    FROM refunds WHERE {in_slice("order_id")} GROUP BY payment_id
) r ON r.payment_id = p.id
WHERE {in_slice("p.order_id")} AND (
    p.refunded_minor <> coalesce(r.refunded, 0) OR p.asked_minor <> coalesce(r.asked, 0) OR r.refunds <> r.last)
"""

_CAPTURED_IS_AT_LEAST_REFUNDED = f"""
SELECT p.id::text AS key FROM payments p
WHERE {in_slice("p.order_id")}
  AND (p.refunded_minor > p.captured_minor OR p.asked_minor > p.captured_minor OR p.captured_minor > p.amount_minor)
"""

# Which states of an order's payment its current attempt may stand for.
_PAYMENT_IS_THAT_OF_THE_CURRENT_ATTEMPT = f"""
SELECT o.id::text AS key
FROM orders o
LEFT JOIN payments p ON p.id = o.payment_id AND {in_slice("p.order_id")}
LEFT JOIN LATERAL ({last_version("o.id")}) v ON true
WHERE {in_slice("o.id")} AND CASE
    WHEN o.payment_id IS NULL THEN NOT (o.payment IN ('unpaid', 'failed') OR (o.payment = 'paid' AND v.total_minor = 0))
    WHEN p.id IS NULL OR p.order_id <> o.id OR p.currency <> o.currency THEN true
    ELSE NOT CASE p.state
        WHEN 'voided' THEN o.payment IN ('voided', 'failed')
        WHEN 'captured' THEN o.payment = CASE
            WHEN p.refunded_minor >= p.captured_minor THEN 'refunded'
            WHEN p.refunded_minor > 0 THEN 'partially_refunded' ELSE 'paid' END
            OR (o.payment = 'failed' AND p.refunded_minor >= p.captured_minor)
        ELSE o.payment = p.state END
END
"""

_DEAD = """
(o.expired_at IS NOT NULL
 OR NOT EXISTS (SELECT FROM seller_orders x WHERE x.order_id = o.id AND x.fulfilment <> 'cancelled'))
"""
_TAKEN_BACK = (
    "coalesce((SELECT sum(amount_minor) FROM chargebacks c WHERE c.payment_id = p.id AND c.state <> 'won'), 0)"
)

# Of a refund that failed a person has been told; until somebody acts it is the one exception.
_MONEY_NOBODY_IS_OWED_IS_GIVEN_BACK = f"""
SELECT p.id::text AS key
FROM payments p JOIN orders o ON o.id = p.order_id AND {in_slice("o.id")}
WHERE {in_slice("p.order_id")} AND p.state = 'captured' AND (o.payment_id IS DISTINCT FROM p.id OR {_DEAD})
  AND p.captured_minor > greatest(p.asked_minor, p.refunded_minor) + {_TAKEN_BACK}
  AND NOT EXISTS (SELECT FROM refunds f WHERE f.payment_id = p.id AND f.state = 'failed')
"""

_CONFIRMED_ORDERS_ARE_PAID_FOR = f"""
SELECT o.id::text AS key
FROM orders o
JOIN payments p ON p.id = o.payment_id AND {in_slice("p.order_id")}
CROSS JOIN LATERAL ({last_version("o.id")}) v
WHERE {in_slice("o.id")} AND NOT {_DEAD}
  AND ((o.payment = 'authorized' AND p.amount_minor < v.total_minor)
       OR (o.payment = 'paid' AND p.captured_minor < v.total_minor))
"""

_PAYMENTS_MATCH_EVENTS = f"""
SELECT coalesce(p.id::text, e.id) AS key
FROM (SELECT * FROM payments WHERE {in_slice("order_id")}) p
FULL JOIN (
    SELECT data ->> 'payment_id' AS id,
           count(*) FILTER (WHERE type = 'order.payment_started') AS started,
           (array_agg(data ->> 'state' ORDER BY version DESC)
               FILTER (WHERE type <> 'order.payment_started'))[1] AS state
    FROM events WHERE type LIKE 'order.payment!_%' ESCAPE '!' AND {in_slice("stream")} GROUP BY 1
) e ON e.id = p.id::text
WHERE p.id IS NULL OR e.started IS DISTINCT FROM 1 OR p.state <> coalesce(e.state, 'pending')
"""

_CHARGEBACKS_MATCH_EVENTS = """
SELECT concat_ws('/', c.gateway, c.reference) AS key
FROM chargebacks c
LEFT JOIN payments p ON p.id = c.payment_id
WHERE p.id IS NULL OR (p.gateway, p.order_id, p.currency) <> (c.gateway, c.order_id, c.currency)
   OR NOT EXISTS (
        SELECT FROM events e WHERE e.stream = c.order_id AND e.type = 'order.chargeback_' || c.state
          AND e.data ->> 'reference' = c.reference)
"""

# By the books of the sandbox, the one gateway whose books can be read here; the sweep compares the others.
_NO_CHARGE_WITHOUT_AN_ORDER = """
SELECT i.reference AS key
FROM sandbox_intents i
LEFT JOIN payments p ON p.id = i.payment_id
LEFT JOIN orders o ON o.id = p.order_id
WHERE i.captured_minor > i.refunded_minor AND (
    o.id IS NULL OR (p.reference IS NOT NULL AND p.reference <> i.reference) OR p.amount_minor <> i.amount_minor)
"""

PAYMENTS: Mapping[str, str] = {
    "captured_is_at_least_refunded": _CAPTURED_IS_AT_LEAST_REFUNDED,
    "refunds_add_up": _REFUNDS_ADD_UP,
    "payment_is_that_of_the_current_attempt": _PAYMENT_IS_THAT_OF_THE_CURRENT_ATTEMPT,
    "money_nobody_is_owed_is_given_back": _MONEY_NOBODY_IS_OWED_IS_GIVEN_BACK,
    "confirmed_orders_are_paid_for": _CONFIRMED_ORDERS_ARE_PAID_FOR,
    "payments_match_events": _PAYMENTS_MATCH_EVENTS,
    "chargebacks_match_events": _CHARGEBACKS_MATCH_EVENTS,
    "no_charge_without_an_order": _NO_CHARGE_WITHOUT_AN_ORDER,
    **INVOICES,
}
