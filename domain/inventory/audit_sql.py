"""What must be true of stock that people keep, at every moment: checks for ``domain.invariants``, by name."""

from collections.abc import Mapping


def _last(field: str) -> str:
    """What the last event of a stream that names a field says of it."""
    return f"(array_agg((data ->> '{field}')::int ORDER BY version DESC) FILTER (WHERE data ? '{field}'))[1] AS {field}"


# Whoever changes a limit or a threshold says so, and nothing is low without having been told.
_STOCK_MATCHES_EVENTS = f"""
SELECT concat_ws('/', coalesce(k.variant_id::text, e.stream::text), k.seller_id, k.location) AS key
FROM (
    SELECT *, md5(uuid_send(variant_id) || uuid_send(seller_id) || int2send(location))::uuid AS stream
    FROM stock WHERE events > 0 OR version > 1 OR backorder_limit > 0 OR threshold IS NOT NULL
) k
FULL JOIN (
    SELECT stream, count(*) AS events, max(version) AS last,
           count(*) FILTER (WHERE type IN ('stock.set', 'stock.threshold_set')) AS edits,
           bool_or(type = 'stock.low') AS told, {_last("threshold")}, {_last("backorder_limit")}
    FROM events WHERE type LIKE 'stock.%' GROUP BY stream
) e USING (stream)
WHERE (k.events, k.events, k.version - 1, k.threshold, k.backorder_limit)
      IS DISTINCT FROM (e.events, e.last, e.edits, e.threshold, coalesce(e.backorder_limit, 0))
   OR (k.on_hand + k.backorder_limit - k.reserved <= k.threshold AND NOT e.told)
"""

# A hold of an order has no events; any other has one for each step, the last one for how it ended.
_HOLDS_MATCH_EVENTS = """
SELECT coalesce(r.id, e.stream)::text AS key
FROM (SELECT * FROM reservations WHERE order_id IS NULL AND id >= $1 AND id < $2) r
FULL JOIN (
    SELECT stream, count(*) AS events, max(version) AS last, (array_agg(type ORDER BY version DESC))[1] AS type
    FROM events WHERE type LIKE 'reservation.%' AND stream >= $1 AND stream < $2 GROUP BY stream
) e ON e.stream = r.id
WHERE (r.version, r.version) IS DISTINCT FROM (e.events, e.last)
   OR (r.status = 'active') <> (e.type IN ('reservation.made', 'reservation.extended'))
   OR (r.status <> 'active' AND e.type <> 'reservation.' || r.status)
"""

# Of those that were made under one limit, none is one too many: looked back from each, by when it was asked for.
_LIMITS_ARE_KEPT = """
SELECT l.reservation_id::text AS key
FROM limited_holds l
LEFT JOIN reservations r ON r.id = l.reservation_id
CROSS JOIN LATERAL (
    SELECT sum(o.quantity) AS units FROM limited_holds x
    JOIN reservations o ON o.id = x.reservation_id AND o.status IN ('active', 'confirmed')
    WHERE (x.variant_id, x.seller_id, x.buyer) = (l.variant_id, l.seller_id, l.buyer)
      AND x.reservation_id <= l.reservation_id
      AND uuid_extract_timestamp(x.reservation_id)
          > uuid_extract_timestamp(l.reservation_id) - make_interval(secs => l.window_seconds)
      AND (x.most, x.window_seconds) = (l.most, l.window_seconds)
      AND NOT EXISTS (SELECT FROM movements m WHERE m.cause_id = o.id AND m.kind = 'returned')
) had
WHERE (r.variant_id, r.seller_id, r.owner) IS DISTINCT FROM (l.variant_id, l.seller_id, l.buyer) OR had.units > l.most
"""

INVENTORY: Mapping[str, str] = {
    "stock_matches_events": _STOCK_MATCHES_EVENTS,
    "holds_match_events": _HOLDS_MATCH_EVENTS,
    "limits_are_kept": _LIMITS_ARE_KEPT,
}
