"""Reservations that are due: half of them of unpaid orders of two lines, half of them free-standing.

Written in a few statements, as the jobs would have left them an hour ago, with all that hangs on them, so that the
audit has nothing to say of them. Placing a quarter of a million orders through the engine would take minutes.
"""

from typing import Any

from ops.bench.orders import CURRENCY

LINES = 2
_CLOCK = "floor(extract(epoch FROM now() - interval '1 hour') * 1000)::bigint"
# UUIDv7s of an hour ago, a thousand a millisecond, whose lowest 12 bits are free for children. One in three is an
# order's.
_NUMBERED = f"""
CREATE TEMP TABLE asked AS
SELECT n, (lpad(to_hex({_CLOCK} + n / 1000), 12, '0') || '70008' || lpad(to_hex(n), 12, '0') || '000')::uuid AS id,
       md5('buyer ' || n % 5000)::uuid AS buyer, n % (1 + {LINES}) = 0 AS ordered
FROM generate_series(1, $1 / 2 / {LINES} + $1 / 2) AS n
"""
_SHELVES = """
CREATE TEMP TABLE shelves AS
SELECT row_number() OVER (ORDER BY o.variant_id) - 1 AS place, o.variant_id, o.seller_id, o.sku,
       o.price_minor, p.title, c.name AS category, v.product_id
FROM offers o JOIN variants v ON v.id = o.variant_id JOIN products p ON p.id = v.product_id
LEFT JOIN categories c ON c.id = p.category_id
"""
# Lines of an order stand next to each other, so they are of different sellers wherever there are several.
_UNITS = f"""
CREATE TEMP TABLE units AS
SELECT a.n, a.id AS parent, a.buyer, a.ordered, line_no,
       (left(a.id::text, 33) || lpad(to_hex(2048 + line_no), 3, '0'))::uuid AS id, s.*
FROM asked a CROSS JOIN generate_series(0, {LINES} - 1) AS line_no
JOIN shelves s ON s.place = (a.n * {LINES} + line_no) % (SELECT count(*) FROM shelves)
WHERE a.ordered OR line_no = 0
"""
_ORDERS = f"""
INSERT INTO orders (id, number, buyer, currency, placed_at, expires_at)
    SELECT id, n, buyer, '{CURRENCY}', now() - interval '1 hour', now() - interval '1 minute' FROM asked WHERE ordered;
INSERT INTO seller_orders (order_id, seller_id, seller_no)
    SELECT parent, seller_id, min(line_no) FROM units WHERE ordered GROUP BY parent, seller_id;
INSERT INTO order_lines (order_id, line_no, seller_id, variant_id, sku, title, category, attributes, quantity,
                         unit_price_minor, total_minor, product_id)
    SELECT parent, line_no, seller_id, variant_id, sku, title, category, '{{}}', 1, price_minor, price_minor, product_id
    FROM units WHERE ordered;
INSERT INTO price_versions (order_id, version, lines, amounts_minor, total_minor)
    SELECT parent, 1, array_agg(line_no ORDER BY line_no), array_agg(price_minor ORDER BY line_no), sum(price_minor)
    FROM units WHERE ordered GROUP BY parent;
INSERT INTO events (stream, version, type, data, actor)
    SELECT parent, 1, 'order.placed', jsonb_build_object(
        'buyer', buyer, 'currency', '{CURRENCY}', 'total_minor', sum(price_minor),
        'lines', jsonb_agg(jsonb_build_object(
            'line_no', line_no, 'variant_id', variant_id, 'seller_id', seller_id, 'sku', sku, 'quantity', 1,
            'unit_price_minor', price_minor, 'total_minor', price_minor) ORDER BY line_no)), buyer
    FROM units WHERE ordered GROUP BY parent, buyer;
"""
_HOLDS = """
INSERT INTO reservations (id, variant_id, seller_id, quantity, owner, order_id, expires_at)
    SELECT id, variant_id, seller_id, 1, buyer, CASE WHEN ordered THEN parent END,
           now() - interval '1 minute' - make_interval(secs => ((SELECT max(n) FROM asked) - n) / 1000.0)
    FROM units ORDER BY n;
INSERT INTO movements (cause_id, kind, variant_id, seller_id, reserved_delta, actor, at)
    SELECT id, 'reserved', variant_id, seller_id, 1, buyer, now() - interval '1 hour' FROM units ORDER BY n;
INSERT INTO events (stream, version, type, data, actor)
    SELECT id, 1, 'reservation.made', jsonb_build_object('quantity', 1), buyer FROM units WHERE NOT ordered ORDER BY n;
UPDATE stock k SET reserved = reserved + u.units
FROM (SELECT variant_id, seller_id, count(*) AS units FROM units GROUP BY 1, 2) u
WHERE k.variant_id = u.variant_id AND k.seller_id = u.seller_id;
UPDATE orders o SET expires_at = r.expires_at FROM reservations r WHERE r.order_id = o.id;
DROP TABLE units, asked, shelves;
"""


async def write_due(conn: Any, reservations: int) -> None:
    """Write so many reservations that are due."""
    await conn.execute(_NUMBERED.replace("$1", str(reservations)))
    for statement in (_SHELVES, _UNITS, _ORDERS, _HOLDS):
        await conn.execute(statement, timeout=600)
    await conn.execute("VACUUM ANALYZE reservations, movements, orders, order_lines, seller_orders, events, stock")
