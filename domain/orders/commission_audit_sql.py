"""What must be true of confirmed orders and their commission at every moment: checks for ``domain.invariants``.

Those about orders are about a slice of them: those from the first id to below the second.
"""

from collections.abc import Mapping

from domain.money import BASIS_POINTS
from domain.orders.price_audit_sql import in_slice, last_version

_PAID = "('authorized', 'paid', 'partially_refunded', 'refunded')"

# An order that came to be paid when it was dead stays dead: the money is given back.
_CONFIRMED = f"""
o.payment IN {_PAID} AND o.expired_at IS NULL
AND EXISTS (SELECT FROM seller_orders x WHERE x.order_id = o.id AND x.fulfilment <> 'cancelled')
"""

_CONFIRMED_ORDERS_MATCH_EVENTS = f"""
SELECT coalesce(o.id, e.stream)::text AS key
FROM (SELECT o.id, {_CONFIRMED} AS confirmed, o.payment FROM orders o WHERE {in_slice("o.id")}) o
FULL JOIN (
    SELECT stream, count(*) AS times, max((data ->> 'total_minor')::bigint) AS total_minor
    FROM events WHERE type = 'order.confirmed' AND {in_slice("stream")} GROUP BY stream
) e ON e.stream = o.id
WHERE o.id IS NULL OR (o.confirmed AND e.stream IS NULL)
   OR (e.stream IS NOT NULL AND (
        e.times <> 1 OR o.payment NOT IN ('authorized', 'paid', 'partially_refunded', 'refunded', 'voided')
        OR NOT EXISTS (SELECT FROM price_versions v WHERE v.order_id = o.id AND v.total_minor = e.total_minor)))
"""

# The snapshots come after the order is confirmed, by a command of the same transaction.
_CONFIRMED_LINES_HAVE_SNAPSHOTS = f"""
SELECT coalesce(o.id, s.order_id)::text AS key
FROM (
    SELECT o.id, ARRAY(
        SELECT n FROM unnest(p.lines) AS n
        WHERE n NOT IN (SELECT c.line_no FROM cancelled_lines c WHERE c.order_id = o.id)
    ) AS lines
    FROM orders o CROSS JOIN LATERAL ({last_version("o.id")}) p
    WHERE {_CONFIRMED} AND {in_slice("o.id")}
) o
FULL JOIN (
    SELECT s.order_id, array_agg(s.line_no) AS lines, EXISTS (
        SELECT FROM events e WHERE e.stream = s.order_id AND e.type = 'order.confirmed') AS confirmed
    FROM commission_snapshots s WHERE {in_slice("s.order_id")} GROUP BY s.order_id
) s ON s.order_id = o.id
LEFT JOIN (
    SELECT aggregate FROM pending WHERE job = 'snapshot_commissions'
    UNION SELECT c.aggregate FROM parked k JOIN commands c ON c.id = k.id WHERE k.job = 'snapshot_commissions'
) q ON q.aggregate = o.id
WHERE (o.id IS NULL AND NOT s.confirmed)
   OR (o.id IS NOT NULL AND NOT o.lines <@ coalesce(s.lines, '{{}}') AND q.aggregate IS NULL)
"""

_RATED = f"floor((2 * b.base::numeric * l.commission_rate_bp + {BASIS_POINTS}) / {2 * BASIS_POINTS})"

_SNAPSHOTS_ARE_BY_FROZEN_TERMS = f"""
SELECT concat_ws('/', s.order_id, s.line_no) AS key
FROM commission_snapshots s
LEFT JOIN order_lines l ON l.order_id = s.order_id AND l.line_no = s.line_no AND {in_slice("l.order_id")}
LEFT JOIN orders o ON o.id = s.order_id AND {in_slice("o.id")}
LEFT JOIN LATERAL (
    SELECT * FROM price_versions v
    WHERE v.order_id = s.order_id AND s.line_no = ANY (v.lines) ORDER BY version DESC LIMIT 1
) p ON true
LEFT JOIN LATERAL (
    SELECT greatest(0, u.net + coalesce(u.by_platform, 0) - coalesce(u.tax, 0) + coalesce(u.added, 0)) AS base
    FROM unnest(p.lines, p.amounts_minor, p.platform_discounts_minor, p.taxes_minor, p.added_taxes_minor)
        AS u (line_no, net, by_platform, tax, added)
    WHERE u.line_no = s.line_no
) b ON true
WHERE {in_slice("s.order_id")} AND (
    l.order_id IS NULL OR b.base IS NULL
    OR (s.seller_id, s.currency, s.base_minor) IS DISTINCT FROM (l.seller_id, o.currency, b.base)
    OR s.rule_id IS DISTINCT FROM l.commission_rule_id
    OR s.amount_minor IS DISTINCT FROM CASE WHEN l.commission_rule_id IS NULL THEN 0 ELSE least(
        b.base, coalesce(l.commission_maximum_minor, b.base),
        greatest(l.commission_minimum_minor, {_RATED} + l.commission_fixed_minor * l.quantity::numeric)) END
    OR s.rule_id::text IS DISTINCT FROM (
        SELECT each ->> 'rule_id' FROM jsonb_array_elements(s.considered) AS each WHERE each ->> 'lost' IS NULL))
"""

# A full join, which coalesce() keeps one: it never compares each with each, however many rows nobody has estimated yet.
_SNAPSHOTS_MATCH_EVENTS = f"""
SELECT s.order_id::text AS key
FROM (
    SELECT order_id, jsonb_object_agg(line_no, amount_minor) AS amounts
    FROM commission_snapshots WHERE {in_slice("order_id")} GROUP BY order_id
) s
FULL JOIN (
    SELECT e.stream, jsonb_object_agg(line ->> 'line_no', line -> 'amount_minor') AS amounts, count(*) AS lines
    FROM events e CROSS JOIN LATERAL jsonb_array_elements(e.data -> 'lines') AS line
    WHERE e.type = 'order.commission_snapshotted' AND {in_slice("e.stream")} GROUP BY e.stream
) e ON e.stream = s.order_id
WHERE coalesce(e.amounts <> s.amounts, false)
"""

_RULES_THAT_ARE_PAID_BY_ARE_USED = f"""
SELECT l.commission_rule_id::text AS key
FROM order_lines l
LEFT JOIN commission_rules r ON r.id = l.commission_rule_id AND r.to_version IS NULL AND r.used
WHERE l.commission_rule_id IS NOT NULL AND r.id IS NULL AND {in_slice("l.order_id")}
GROUP BY 1
"""

# Of rules, each with all it was: one after the other at the versions of all rules, each told by its event.
_COMMISSION_RULES_MATCH_EVENTS = """
SELECT coalesce(r.id, e.stream)::text AS key
FROM (
    SELECT *, lag(to_version) OVER (PARTITION BY id ORDER BY revision) AS before,
           lead(revision) OVER (PARTITION BY id ORDER BY revision) AS next,
           row_number() OVER (PARTITION BY id ORDER BY revision) AS n
    FROM commission_rules
) r
FULL JOIN (SELECT stream, version, data FROM events WHERE type LIKE 'commission_rule.%') e
  ON e.stream = r.id AND e.version = r.revision
WHERE r.id IS NULL OR e.stream IS NULL
   OR r.revision <> r.n OR (r.next IS NULL) <> (r.to_version IS NULL)
   OR r.before <> r.from_version OR e.data -> 'content' IS DISTINCT FROM r.content
   OR (e.data ->> 'rules_version')::bigint <> r.from_version
   OR r.from_version > (SELECT version FROM pricing_versions WHERE part = 'commission')
GROUP BY 1
"""

COMMISSION: Mapping[str, str] = {
    "confirmed_orders_match_events": _CONFIRMED_ORDERS_MATCH_EVENTS,
    "confirmed_lines_have_snapshots": _CONFIRMED_LINES_HAVE_SNAPSHOTS,
    "snapshots_are_by_frozen_terms": _SNAPSHOTS_ARE_BY_FROZEN_TERMS,
    "snapshots_match_events": _SNAPSHOTS_MATCH_EVENTS,
    "rules_that_are_paid_by_are_used": _RULES_THAT_ARE_PAID_BY_ARE_USED,
    "commission_rules_match_events": _COMMISSION_RULES_MATCH_EVENTS,
}
