"""What must be true of invoices and credit notes at every moment: checks for ``domain.invariants``, by name.

A document may be missing while the command that issues it is unfinished, parked ones included: those have been told of.
"""

from collections.abc import Mapping

from domain.orders.price_audit_sql import in_slice, last_version

_INVOICE_NUMBERS_HAVE_NO_GAP = """
SELECT concat_ws('/', seller_id, kind) AS key
FROM invoice_counters c
FULL JOIN (
    SELECT seller_id, kind, count(*) AS documents, max(number) AS last FROM invoices GROUP BY seller_id, kind
) i USING (seller_id, kind)
WHERE coalesce(c.last, 0) <> coalesce(i.last, 0) OR coalesce(i.documents, 0) <> coalesce(i.last, 0)
"""

_ABOUT_TO_BE_ISSUED = """
SELECT c.payload ->> 'order_id' FROM commands c
JOIN (
    SELECT id FROM pending WHERE job = 'issue_invoices'
    UNION ALL SELECT id FROM parked WHERE job = 'issue_invoices'
) w ON w.id = c.id
"""

_SOLD = f"SELECT id AS order_id FROM orders WHERE sold_at IS NOT NULL AND {in_slice('id')}"

_CHARGED = f"""
SELECT e.order_id, x.seller_no, x.total
FROM ({_SOLD}) e
CROSS JOIN LATERAL ({last_version("e.order_id")}) p
CROSS JOIN LATERAL (
    SELECT s.seller_no, sum(u.net + coalesce(u.added, 0)) + coalesce(max(
        h.cost - coalesce(h.by_seller, 0) - coalesce(h.by_platform, 0) + coalesce(h.added, 0)), 0) AS total
    FROM unnest(p.lines, p.amounts_minor, p.added_taxes_minor) AS u (line_no, net, added)
    JOIN order_lines l ON l.order_id = e.order_id AND l.line_no = u.line_no
    JOIN seller_orders s ON s.order_id = e.order_id AND s.seller_id = l.seller_id
    LEFT JOIN unnest(p.sellers, p.shipping_minor, p.shipping_seller_discounts_minor,
        p.shipping_platform_discounts_minor, p.shipping_added_taxes_minor)
        AS h (seller_no, cost, by_seller, by_platform, added) ON h.seller_no = s.seller_no
    GROUP BY s.seller_no
) x
"""

_SOLD_SELLER_ORDERS_HAVE_INVOICES = f"""
SELECT coalesce(s.order_id, i.order_id)::text AS key
FROM ({_CHARGED}) s
FULL JOIN (SELECT * FROM invoices WHERE kind = 'invoice' AND {in_slice("order_id")}) i
  ON i.order_id = s.order_id AND i.seller_no = s.seller_no
WHERE s.order_id IS NULL
   OR (i.order_id IS NULL AND s.order_id::text NOT IN ({_ABOUT_TO_BE_ISSUED}))
   OR (i.content -> 'total' ->> 'amount')::bigint <> s.total OR i.cause_id <> i.order_id
GROUP BY 1
"""

# Units that cost nothing may come back without a credit note: nobody misses one.
_CREDIT_NOTES_MATCH_CREDITS = f"""
SELECT coalesce(c.order_id, i.order_id)::text AS key
FROM (
    SELECT g.order_id, g.seller_no, g.cause_id, sum(g.charged) AS total
    FROM (
        SELECT c.order_id, s.seller_no, c.cause_id, c.net_minor + c.added_tax_minor AS charged
        FROM line_credits c
        JOIN order_lines l ON l.order_id = c.order_id AND l.line_no = c.line_no
        JOIN seller_orders s ON s.order_id = l.order_id AND s.seller_id = l.seller_id
        WHERE {in_slice("c.order_id")}
        UNION ALL
        SELECT order_id, seller_no, cause_id, net_minor + added_tax_minor FROM shipping_credits
        WHERE {in_slice("order_id")}
    ) g
    JOIN ({_SOLD}) e ON e.order_id = g.order_id
    GROUP BY g.order_id, g.seller_no, g.cause_id
) c
FULL JOIN (SELECT * FROM invoices WHERE kind = 'credit_note' AND {in_slice("order_id")}) i
  ON i.order_id = c.order_id AND i.seller_no = c.seller_no AND i.cause_id = c.cause_id
WHERE c.order_id IS NULL
   OR (i.order_id IS NULL AND c.total <> 0 AND c.order_id::text NOT IN ({_ABOUT_TO_BE_ISSUED}))
   OR (i.content -> 'total' ->> 'amount')::bigint <> c.total
GROUP BY 1
"""

_DOCUMENTS_MATCH_EVENTS = f"""
SELECT concat_ws('/', i.order_id, i.seller_no, i.cause_id) AS key
FROM invoices i
LEFT JOIN events e ON e.version = i.number AND e.type = i.kind || '.issued'
  AND e.stream = md5(uuid_send(i.seller_id) || convert_to(i.kind, 'UTF8'))::uuid
WHERE {in_slice("i.order_id")}
  AND (e.data ->> 'order_id', e.data ->> 'cause_id', (e.data ->> 'total_minor')::bigint)
      IS DISTINCT FROM (i.order_id::text, i.cause_id::text, (i.content -> 'total' ->> 'amount')::bigint)
"""

INVOICES: Mapping[str, str] = {
    "invoice_numbers_have_no_gap": _INVOICE_NUMBERS_HAVE_NO_GAP,
    "sold_seller_orders_have_invoices": _SOLD_SELLER_ORDERS_HAVE_INVOICES,
    "credit_notes_match_credits": _CREDIT_NOTES_MATCH_CREDITS,
    "documents_match_events": _DOCUMENTS_MATCH_EVENTS,
}
