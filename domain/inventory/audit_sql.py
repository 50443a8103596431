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

INVENTORY: Mapping[str, str] = {"stock_matches_events": _STOCK_MATCHES_EVENTS}
