"""What must be true of the data at every moment, as named, set-based SQL.

Invariant: the audit never disturbs traffic and never reports what traffic does. Each check looks at a thing with one
statement, so with one snapshot, and every batch commits all it does at once; so the statements hold while orders
pour in. Each runs in a read-only transaction of its own, and what is about orders takes a slice of them at a time,
so that none outlives the limit every transaction has.

Constraints say what one row or one key can say; what is here spans tables. The journal is kept for a while only, so
what is compared with it is compared from its first remaining command on.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from msgspec import Struct

from domain import ids
from domain.accounts import audit_sql as accounts
from domain.catalog import audit_sql as catalog
from domain.catalog import product_audit_sql as products
from domain.connection import Connection
from domain.inventory import audit_sql as inventory
from domain.journal import audit_sql as journal
from domain.journal.audit_sql import FIRST_COMMAND
from domain.orders import cart_audit_sql as carts
from domain.orders import commission_audit_sql as commission
from domain.orders import fulfilment_audit_sql as fulfilment
from domain.orders import price_audit_sql as prices
from domain.orders import redemption_audit_sql as redemptions
from domain.orders import return_audit_sql as returns
from domain.orders.price_audit_sql import in_slice as _in
from domain.payments import audit_sql as payments
from domain.payments import ledger_audit_sql as ledger
from domain.payments import posting_audit_sql as postings
from domain.pricing import audit_sql as pricing

SAMPLE_MAX = 5
CHECK_SECONDS_MAX = 9
_BEGIN = (
    "BEGIN TRANSACTION READ ONLY; SET LOCAL transaction_timeout = '10s';"
    f" SET LOCAL statement_timeout = '{CHECK_SECONDS_MAX}s'; SET LOCAL lock_timeout = '3s';"
    " SET LOCAL work_mem = '64MB'; SET LOCAL jit = off; SET LOCAL plan_cache_mode = force_custom_plan"
)

_COUNT = """
WITH bad AS MATERIALIZED ({query})
SELECT (SELECT count(*) FROM bad) AS violations,
       ARRAY(SELECT key FROM bad ORDER BY key LIMIT {sample}) AS sample
"""


_SLICE_ORDERS = 50_000
FIRST_ID = UUID(int=0)
_LAST_ID = UUID(int=2**128 - 1)
_NEXT_BOUND = "SELECT id FROM orders WHERE id > $1 ORDER BY id LIMIT 1 OFFSET $2"


class Check(Struct, frozen=True):
    """How one invariant stands: how many keys violate it, and the first of them."""

    name: str
    violations: int
    sample: list[str]


class Audit(Struct, frozen=True):
    """All invariants, and how many violations there are in all."""

    checks: list[Check]
    violations: int


# --- Stock ------------------------------------------------------------------------------------------------------

_STOCK_IS_SUM_OF_MOVEMENTS = """
SELECT concat_ws('/', variant_id, seller_id, location) AS key
FROM stock k
FULL JOIN (
    SELECT variant_id, seller_id, location, sum(on_hand_delta) AS on_hand, sum(reserved_delta) AS reserved
    FROM movements GROUP BY variant_id, seller_id, location
) m USING (variant_id, seller_id, location)
WHERE coalesce(k.on_hand, 0) <> coalesce(m.on_hand, 0) OR coalesce(k.reserved, 0) <> coalesce(m.reserved, 0)
"""

_RESERVED_IS_SUM_OF_RESERVATIONS = """
SELECT concat_ws('/', variant_id, seller_id, location) AS key
FROM stock k
FULL JOIN (
    SELECT variant_id, seller_id, location, sum(quantity) AS held
    FROM reservations WHERE status = 'active' GROUP BY variant_id, seller_id, location
) r USING (variant_id, seller_id, location)
WHERE coalesce(k.reserved, 0) <> coalesce(r.held, 0)
"""

# Told from what was received and what is held or sold, not only from the row's own figures.
_NOTHING_OVERSOLD = """
SELECT concat_ws('/', variant_id, seller_id, location) AS key
FROM (
    SELECT variant_id, seller_id, location, sum(quantity) AS taken
    FROM reservations WHERE status IN ('active', 'confirmed') GROUP BY variant_id, seller_id, location
) r
FULL JOIN stock k USING (variant_id, seller_id, location)
LEFT JOIN (
    SELECT variant_id, seller_id, location, sum(on_hand_delta) AS received
    FROM movements WHERE kind IN ('received', 'returned', 'adjusted') GROUP BY variant_id, seller_id, location
) m USING (variant_id, seller_id, location)
WHERE coalesce(r.taken, 0) > coalesce(m.received, 0) + coalesce(k.backorder_limit, 0)
   OR k.on_hand + k.backorder_limit < k.reserved
"""

_RESERVATIONS_MATCH_MOVEMENTS = f"""
SELECT coalesce(r.id, m.cause_id)::text AS key
FROM (SELECT * FROM reservations WHERE {_in("id")}) r
FULL JOIN (
    SELECT cause_id,
           count(*) FILTER (WHERE kind = 'reserved') AS begun,
           count(*) FILTER (WHERE kind <> 'reserved') AS ended,
           max(kind) FILTER (WHERE kind <> 'reserved') AS ending,
           sum(reserved_delta) FILTER (WHERE kind = 'reserved') AS units,
           sum(reserved_delta) AS units_left,
           count(DISTINCT (variant_id, seller_id, location)) AS offers,
           min(variant_id::text) AS variant_id, min(seller_id::text) AS seller_id, min(location) AS location
    FROM movements
    WHERE kind IN ('reserved', 'released', 'expired', 'sold') AND {_in("cause_id")} GROUP BY cause_id
) m ON m.cause_id = r.id
WHERE r.id IS NULL OR m.cause_id IS NULL
   OR m.begun <> 1 OR m.units <> r.quantity
   OR m.offers <> 1
   OR (m.variant_id, m.seller_id, m.location) <> (r.variant_id::text, r.seller_id::text, r.location)
   OR m.ended <> CASE WHEN r.status = 'active' THEN 0 ELSE 1 END
   OR m.units_left <> CASE WHEN r.status = 'active' THEN r.quantity ELSE 0 END
   OR m.ending IS DISTINCT FROM CASE r.status
        WHEN 'released' THEN 'released' WHEN 'expired' THEN 'expired' WHEN 'confirmed' THEN 'sold' END
"""

# --- Journal ----------------------------------------------------------------------------------------------------

_PLACEMENTS_MATCH_ORDERS = f"""
SELECT coalesce(c.id, o.id)::text AS key
FROM (
    SELECT c.id, c.principal, x.status, x.result ->> 'order_id' AS order_id,
           (x.result -> 'total' ->> 'amount')::bigint AS total_minor
    FROM commands c LEFT JOIN outcomes x ON x.id = c.id AND {_in("x.id")}
    WHERE c.job = 'place_orders' AND {_in("c.id")}
) c
FULL JOIN (SELECT * FROM orders WHERE {_in("id")}) o ON o.id = c.id
LEFT JOIN price_versions p ON p.order_id = o.id AND p.version = 1 AND {_in("p.order_id")}
WHERE (c.id IS NULL AND o.id >= {FIRST_COMMAND})
   OR (c.id IS NOT NULL AND coalesce(c.status = 'succeeded', false) <> (o.id IS NOT NULL))
   OR (c.id IS NOT NULL AND o.id IS NOT NULL
       AND (o.buyer <> c.principal OR c.order_id <> o.id::text OR c.total_minor <> p.total_minor))
"""

_CANCELLATIONS_MATCH_OUTCOMES = f"""
SELECT coalesce(c.id, l.command_id)::text AS key
FROM (
    SELECT c.id, x.result ->> 'order_id' AS order_id, json_array_length(x.result -> 'cancelled_lines') AS lines
    FROM commands c JOIN outcomes x ON x.id = c.id
    WHERE c.job = 'cancel_orders' AND x.status = 'succeeded'
) c
FULL JOIN (
    SELECT command_id, count(*) AS lines, count(DISTINCT order_id) AS orders, min(order_id::text) AS order_id
    FROM cancelled_lines GROUP BY command_id
) l ON l.command_id = c.id
WHERE l.command_id IS NULL
   OR (c.id IS NULL AND l.command_id >= {FIRST_COMMAND}
       AND NOT EXISTS (SELECT FROM commands k WHERE k.id = l.command_id AND k.job <> 'cancel_orders'))
   OR (l.orders <> 1 AND c.id IS NOT NULL)
   OR (c.id IS NOT NULL AND (c.lines IS DISTINCT FROM l.lines OR c.order_id IS DISTINCT FROM l.order_id))
"""

# --- Orders -----------------------------------------------------------------------------------------------------

_LAST_PRICE_VERSION_IS_THE_OPEN_LINES = f"""
SELECT o.id::text AS key
FROM orders o
LEFT JOIN LATERAL (
    SELECT lines, cardinality(lines) AS count FROM price_versions v
    WHERE v.order_id = o.id ORDER BY version DESC LIMIT 1
) p ON true
LEFT JOIN (
    SELECT l.order_id, array_agg(l.line_no ORDER BY l.line_no) AS lines
    FROM order_lines l LEFT JOIN cancelled_lines c ON c.order_id = l.order_id AND c.line_no = l.line_no
    WHERE (c.order_id IS NULL OR c.paid) AND {_in("l.order_id")} GROUP BY l.order_id
) w ON w.order_id = o.id
WHERE {_in("o.id")}
  AND ARRAY(SELECT n FROM unnest(p.lines) AS n ORDER BY n) IS DISTINCT FROM coalesce(w.lines, '{{}}')
"""

_SELLER_ORDERS_MATCH_LINES = f"""
SELECT coalesce(o.id, s.order_id, l.order_id)::text AS key
FROM (
    SELECT order_id, seller_id, bool_and(c.line_no IS NOT NULL) AS all_cancelled
    FROM order_lines l LEFT JOIN cancelled_lines c USING (order_id, line_no)
    WHERE {_in("l.order_id")} GROUP BY order_id, seller_id
) l
FULL JOIN (SELECT * FROM seller_orders WHERE {_in("order_id")}) s
  ON s.order_id = l.order_id AND s.seller_id = l.seller_id
FULL JOIN (SELECT id FROM orders WHERE {_in("id")}) o ON o.id = s.order_id
WHERE o.id IS NULL OR s.order_id IS NULL OR l.order_id IS NULL
   OR (s.fulfilment = 'cancelled') <> l.all_cancelled
GROUP BY 1
"""

_PLACED_EVENTS_MATCH_ORDERS = f"""
SELECT coalesce(o.id, e.stream)::text AS key
FROM (
    SELECT o.id, o.buyer, o.currency, p.total_minor, p.discount_minor, p.shipping_minor, p.tax_minor, l.lines
    FROM orders o
    LEFT JOIN (
        SELECT order_id, total_minor, {prices.SUMS} FROM price_versions WHERE version = 1 AND {_in("order_id")}
    ) p ON p.order_id = o.id
    LEFT JOIN (
        SELECT order_id, jsonb_agg(jsonb_build_object(
            'line_no', line_no, 'variant_id', variant_id, 'seller_id', seller_id, 'sku', sku, 'quantity', quantity,
            'unit_price_minor', unit_price_minor, 'total_minor', total_minor) ORDER BY line_no) AS lines
        FROM order_lines WHERE {_in("order_id")} GROUP BY order_id
    ) l ON l.order_id = o.id
    WHERE {_in("o.id")}
) o
FULL JOIN (SELECT stream, version, data FROM events WHERE type = 'order.placed' AND {_in("stream")}) e
  ON e.stream = o.id
WHERE o.id IS NULL OR e.stream IS NULL OR e.version <> 1
   OR e.data ->> 'buyer' <> o.buyer::text OR e.data ->> 'currency' <> o.currency
   OR (e.data ->> 'total_minor')::bigint IS DISTINCT FROM o.total_minor
   OR coalesce((e.data ->> 'discount_minor')::bigint, 0) <> o.discount_minor
   OR coalesce((e.data ->> 'shipping_minor')::bigint, 0) <> o.shipping_minor
   OR coalesce((e.data ->> 'tax_minor')::bigint, 0) <> o.tax_minor
   OR e.data -> 'lines' IS DISTINCT FROM o.lines
"""

_CANCELLED_LINES_MATCH_EVENTS = f"""
SELECT coalesce(c.order_id, e.stream)::text AS key
FROM (SELECT * FROM cancelled_lines WHERE {_in("order_id")}) c
FULL JOIN (
    SELECT e.stream, n::smallint AS line_no, count(*) AS times
    FROM events e CROSS JOIN LATERAL jsonb_array_elements_text(e.data -> 'lines') AS n
    WHERE e.type IN ('order.cancelled', 'order.lines_cancelled') AND {_in("e.stream")}
    GROUP BY e.stream, n
) e ON e.stream = c.order_id AND e.line_no = c.line_no
WHERE c.order_id IS NULL OR e.stream IS NULL OR e.times <> 1
GROUP BY 1
"""

_EXPIRED_ORDERS_MATCH_EVENTS = f"""
SELECT coalesce(o.id, e.stream)::text AS key
FROM (SELECT id FROM orders WHERE expired_at IS NOT NULL AND {_in("id")}) o
FULL JOIN (
    SELECT stream, max(version) FILTER (WHERE type = 'order.expired') AS expired,
           max(version) FILTER (WHERE type = 'order.taken_up_again') AS taken,
           count(*) FILTER (WHERE type = 'order.expired') AS times
    FROM events WHERE type IN ('order.expired', 'order.taken_up_again') AND {_in("stream")} GROUP BY stream
) e ON e.stream = o.id
WHERE e.times > 1 OR (o.id IS NOT NULL) <> (coalesce(e.expired, 0) > coalesce(e.taken, 0))
"""

_ORDER_VERSION_IS_LAST_EVENT = f"""
SELECT o.id::text AS key
FROM orders o
LEFT JOIN (
    SELECT stream, max(version) AS last, count(*) AS events FROM events WHERE {_in("stream")} GROUP BY stream
) e ON e.stream = o.id
WHERE {_in("o.id")} AND (o.version IS DISTINCT FROM e.last OR e.events IS DISTINCT FROM o.version)
"""


def _hold(parent: str, line_no: str) -> str:
    """The id of the reservation of a line, a child of its order or of the command that took its stock again."""
    number = f"lpad(to_hex({ids.Kind.RESERVATION << 10} + {line_no}), 3, '0')"
    return f"(left({parent}::text, 33) || {number})::uuid"


# Holds that are due may be taken back for another order a moment before their own order expires.
_OPEN_LINES_ARE_HELD = f"""
SELECT l.order_id::text AS key
FROM (
    SELECT l.order_id, l.quantity, l.variant_id, l.seller_id, o.buyer, o.payment, o.expires_at,
           c.order_id IS NULL AND o.expired_at IS NULL AS open,
           {_hold("coalesce(o.held_by, o.id)", "l.line_no")} AS hold
    FROM order_lines l
    JOIN orders o ON o.id = l.order_id AND {_in("o.id")}
    LEFT JOIN cancelled_lines c ON c.order_id = l.order_id AND c.line_no = l.line_no
    WHERE {_in("l.order_id")}
    OFFSET 0
) l
LEFT JOIN reservations r ON r.id = l.hold
WHERE r.id IS NULL
   OR r.order_id IS DISTINCT FROM l.order_id OR r.owner <> l.buyer OR r.quantity <> l.quantity
   OR (r.variant_id, r.seller_id) <> (l.variant_id, l.seller_id)
   OR (l.open AND CASE
        WHEN l.payment IN ('authorized', 'paid', 'partially_refunded', 'refunded') THEN r.status <> 'confirmed'
        ELSE r.status <> 'active' AND NOT (r.status = 'expired' AND l.expires_at <= now()) END)
GROUP BY 1
"""

_ENDED_LINES_HOLD_NOTHING = """
SELECT r.id::text AS key
FROM reservations r
LEFT JOIN orders o ON o.id = r.order_id
LEFT JOIN cancelled_lines c
  ON c.order_id = r.order_id AND c.line_no = ('x' || right(r.id::text, 3))::bit(12)::int & 1023
WHERE r.status = 'active' AND r.order_id IS NOT NULL
  AND (o.id IS NULL OR o.expired_at IS NOT NULL OR c.order_id IS NOT NULL)
"""

INVARIANTS: Mapping[str, str] = {
    "stock_is_sum_of_movements": _STOCK_IS_SUM_OF_MOVEMENTS,
    "reserved_is_sum_of_reservations": _RESERVED_IS_SUM_OF_RESERVATIONS,
    "nothing_oversold": _NOTHING_OVERSOLD,
    "reservations_match_movements": _RESERVATIONS_MATCH_MOVEMENTS,
    **journal.JOURNAL,
    "placements_match_orders": _PLACEMENTS_MATCH_ORDERS,
    "cancellations_match_outcomes": _CANCELLATIONS_MATCH_OUTCOMES,
    **inventory.INVENTORY,
    **prices.PRICES,
    "last_price_version_is_the_open_lines": _LAST_PRICE_VERSION_IS_THE_OPEN_LINES,
    "seller_orders_match_lines": _SELLER_ORDERS_MATCH_LINES,
    "placed_events_match_orders": _PLACED_EVENTS_MATCH_ORDERS,
    "cancelled_lines_match_events": _CANCELLED_LINES_MATCH_EVENTS,
    "expired_orders_match_events": _EXPIRED_ORDERS_MATCH_EVENTS,
    "order_version_is_last_event": _ORDER_VERSION_IS_LAST_EVENT,
    "open_lines_are_held": _OPEN_LINES_ARE_HELD,
    "ended_lines_hold_nothing": _ENDED_LINES_HOLD_NOTHING,
    **fulfilment.FULFILMENT,
    **carts.CARTS,
    **payments.PAYMENTS,
    **postings.POSTINGS,
    **ledger.LEDGER,
    **redemptions.REDEMPTIONS,
    **returns.RETURNS,
    **pricing.PROMOTIONS,
    **commission.COMMISSION,
    **accounts.SELLERS,
    **catalog.TAXONOMY,
    **catalog.OFFERS,
    **products.PRODUCTS,
}
"""Statements by name; each returns one row ``key`` (text) per violation."""


class Piece(Struct, frozen=True):
    """What a piece of a check came to: a slice of orders, or all of it. ``until`` is where the next one begins."""

    violations: int
    sample: list[str]
    until: UUID | None


async def run_piece(conn: Connection, name: str, after: UUID = FIRST_ID) -> Piece:
    """Run the piece of an invariant that begins at an id, in a short read-only transaction."""
    query = _COUNT.format(query=INVARIANTS[name], sample=SAMPLE_MAX)
    if "$1" not in query:
        (row,) = await _look(conn, query)
        return Piece(row["violations"], list(row["sample"]), None)
    bound = await _look(conn, _NEXT_BOUND, after, _SLICE_ORDERS - 1)
    until = bound[0]["id"] if bound else None
    (row,) = await _look(conn, query, after, until or _LAST_ID)
    return Piece(row["violations"], list(row["sample"]), until)


async def run_check(conn: Connection, name: str) -> Check:
    """Run one invariant, piece by piece."""
    violations, sample, after = 0, list[str](), FIRST_ID
    while True:
        piece = await run_piece(conn, name, after)
        violations += piece.violations
        sample += piece.sample
        if piece.until is None:
            return Check(name=name, violations=violations, sample=sample[:SAMPLE_MAX])
        after = piece.until


async def _look(conn: Connection, query: str, *args: object) -> Sequence[Any]:
    await conn.execute(_BEGIN)
    try:
        return await conn.fetch(query, *args)
    finally:
        # Nothing was written: undoing is the same as committing, and works after a failure too.
        await conn.execute("ROLLBACK")


async def run_audit(conn: Connection) -> Audit:
    """Run all invariants, one after the other; ``conn`` must not be in a transaction."""
    checks = [await run_check(conn, name) for name in INVARIANTS]
    return Audit(checks=checks, violations=sum(check.violations for check in checks))
