"""``limit``: how fast PostgreSQL itself places orders on these tables, one transaction each.

The same rows are written as the engine writes for an order (the order, its seller orders, lines and price version,
reservations, movements, the event, the stock), by one function call and one commit per order, over 32 connections,
driven by pgbench, which takes next to nothing of the machine. What HTTP, journal and messages cost isn't in it. So
it is the most that any design with one transaction per order can reach, here; batches may pass it.

The function is the best of its kind that was tried: stock is locked after the other rows are written, so that a
hot row is held for one update and one commit only.
"""

import asyncio
import re
from collections.abc import Sequence
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import UUID

from domain.orders.model import PlaceOrder
from infra.clock import new_id
from ops.bench import checks
from ops.bench.model import Limit
from ops.bench.orders import draw_orders
from ops.bench.stage import Scene, Stage
from ops.stack import StackError, postgres_binary
from ops.stack.postgres import clean_environment

WARM_UP_SECONDS = 2
THREADS = 2
_RATE = re.compile(r"^tps = ([0-9.]+) ", re.MULTILINE)

# What to order is read from a table by one index look-up: the stand-in for reading a request.
TABLE = """
CREATE TABLE bench_orders (
    n integer PRIMARY KEY, buyer uuid NOT NULL, currency text NOT NULL,
    variants uuid[] NOT NULL, sellers uuid[] NOT NULL, quantities integer[] NOT NULL
)
"""

FUNCTION = """
CREATE FUNCTION bench_place(which integer) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    wanted bench_orders;
    placed uuid := uuidv7();
    placed_at timestamptz := clock_timestamp();
    expires timestamptz := placed_at + interval '15 minutes';
    number bigint := ('x' || substr(md5(placed::text), 1, 15))::bit(60)::bigint;
    holds uuid[];
    line_numbers smallint[];
    skus text[]; titles text[]; categories text[]; attributes jsonb[];
    prices bigint[]; amounts bigint[]; total bigint;
    touched integer;
BEGIN
    SELECT * INTO STRICT wanted FROM bench_orders WHERE n = which;
    SELECT array_agg((t.ord - 1)::smallint ORDER BY t.ord), array_agg(uuidv7() ORDER BY t.ord),
           array_agg(o.sku ORDER BY t.ord), array_agg(p.title ORDER BY t.ord), array_agg(c.name ORDER BY t.ord),
           array_agg(p.attributes || v.attributes ORDER BY t.ord), array_agg(o.price_minor ORDER BY t.ord),
           array_agg(o.price_minor * t.quantity ORDER BY t.ord), sum(o.price_minor * t.quantity)
    INTO line_numbers, holds, skus, titles, categories, attributes, prices, amounts, total
    FROM unnest(wanted.variants, wanted.sellers, wanted.quantities) WITH ORDINALITY
        AS t (variant_id, seller_id, quantity, ord)
    JOIN offers o ON o.variant_id = t.variant_id AND o.seller_id = t.seller_id AND o.active
    JOIN variants v ON v.id = t.variant_id AND v.active
    JOIN products p ON p.id = v.product_id AND p.status = 'active'
    JOIN sellers s ON s.id = t.seller_id AND s.status = 'approved'
    LEFT JOIN categories c ON c.id = p.category_id
    WHERE o.currency = wanted.currency;
    IF cardinality(line_numbers) IS DISTINCT FROM cardinality(wanted.variants) THEN
        RAISE EXCEPTION 'an offer is not for sale';
    END IF;
    INSERT INTO orders (id, number, buyer, currency, placed_at, expires_at)
    VALUES (placed, number, wanted.buyer, wanted.currency, placed_at, expires);
    INSERT INTO seller_orders (order_id, seller_id, seller_no)
    SELECT placed, seller_id, (row_number() OVER ()) - 1 FROM (SELECT DISTINCT unnest(wanted.sellers)) d (seller_id);
    INSERT INTO order_lines (order_id, line_no, seller_id, variant_id, sku, title, category, attributes, quantity,
                             unit_price_minor, total_minor)
    SELECT placed, * FROM unnest(line_numbers, wanted.sellers, wanted.variants, skus, titles, categories, attributes,
                                 wanted.quantities, prices, amounts);
    INSERT INTO price_versions (order_id, version, lines, amounts_minor, total_minor)
    VALUES (placed, 1, line_numbers, amounts, total);
    INSERT INTO reservations (id, variant_id, seller_id, quantity, owner, order_id, expires_at)
    SELECT t.id, t.variant_id, t.seller_id, t.quantity, wanted.buyer, placed, expires
    FROM unnest(holds, wanted.variants, wanted.sellers, wanted.quantities) AS t (id, variant_id, seller_id, quantity);
    INSERT INTO movements (cause_id, kind, variant_id, seller_id, reserved_delta, actor)
    SELECT t.id, 'reserved', t.variant_id, t.seller_id, t.quantity, wanted.buyer
    FROM unnest(holds, wanted.variants, wanted.sellers, wanted.quantities) AS t (id, variant_id, seller_id, quantity);
    INSERT INTO events (stream, version, type, data, actor)
    VALUES (placed, 1, 'order.placed', jsonb_build_object(
        'number', number, 'buyer', wanted.buyer, 'currency', wanted.currency, 'total_minor', total,
        'expires_at', expires, 'lines', (
            SELECT jsonb_agg(jsonb_build_object('line_no', t.n, 'variant_id', t.variant_id, 'seller_id', t.seller_id,
                'sku', t.sku, 'quantity', t.quantity, 'unit_price_minor', t.price, 'total_minor', t.amount))
            FROM unnest(line_numbers, wanted.variants, wanted.sellers, skus, wanted.quantities, prices, amounts)
                AS t (n, variant_id, seller_id, sku, quantity, price, amount)
        )), wanted.buyer);
    PERFORM FROM stock k
    JOIN unnest(wanted.variants, wanted.sellers) AS t (variant_id, seller_id)
      ON k.variant_id = t.variant_id AND k.seller_id = t.seller_id AND k.location = 0
    ORDER BY k.variant_id, k.seller_id FOR NO KEY UPDATE OF k;
    UPDATE stock k SET reserved = k.reserved + t.quantity
    FROM unnest(wanted.variants, wanted.sellers, wanted.quantities) AS t (variant_id, seller_id, quantity)
    WHERE k.variant_id = t.variant_id AND k.seller_id = t.seller_id AND k.location = 0
      AND k.reserved + t.quantity <= k.on_hand + k.backorder_limit;
    GET DIAGNOSTICS touched = ROW_COUNT;
    IF touched < cardinality(wanted.variants) THEN
        RAISE EXCEPTION 'out of stock';
    END IF;
    RETURN placed;
END $$
"""

SCRIPT = "\\set n random(:first, :last)\nSELECT bench_place(:n);\n"


async def limit(stage: Stage) -> tuple[Limit, list[str]]:
    """Measure ``spread`` and ``hot``; return the rates and what went wrong."""
    sizes = stage.sizes
    seconds = max(1, round(sizes.seconds / 2))
    rates: list[float] = []
    problems: list[str] = []
    for hot in (False, True):
        async with stage.scene("limit") as scene:
            orders = draw_orders(stage.goods, sizes.requests, hot=stage.goods.offers[0] if hot else None)
            await _write(scene, orders)
            for length in (WARM_UP_SECONDS, seconds):
                await scene.calm()
                rate = await _pgbench(stage, scene, len(orders), length)
            rates.append(round(rate, 1))
            oversold = await scene.conn.fetchval(checks.OVERSOLD)
            problems += [f"the limit oversold {oversold} units"] if oversold else []
    return Limit(rates[0], rates[1], sizes.limit_connections, "pgbench -M prepared"), problems


async def _write(scene: Scene, orders: Sequence[PlaceOrder]) -> None:
    await scene.conn.execute(TABLE)
    await scene.conn.execute(FUNCTION)
    await scene.conn.copy_records_to_table(
        "bench_orders", records=[_row(number, order) for number, order in enumerate(orders, 1)]
    )
    await scene.conn.execute("ANALYZE bench_orders")


def _row(number: int, order: PlaceOrder) -> tuple[int, UUID, str, list[UUID], list[UUID], list[int]]:
    lines = order.lines
    variants, sellers = [line.variant_id for line in lines], [line.seller_id for line in lines]
    return number, new_id(), order.currency, variants, sellers, [line.quantity for line in lines]


async def _pgbench(stage: Stage, scene: Scene, orders: int, seconds: int) -> float:
    script = stage.stack.data / "bench_place.sql"
    script.write_text(SCRIPT)
    address = urlsplit(scene.database_url)
    host = parse_qs(address.query)["host"][0]
    connections = stage.sizes.limit_connections
    options = f"--no-vacuum --protocol=prepared --client={connections} --jobs={THREADS} --time={seconds}"
    options += f" --define=first=1 --define=last={orders} --random-seed=1 --username={address.username}"
    process = await asyncio.create_subprocess_exec(
        str(postgres_binary("pgbench")),
        *options.split(),
        f"--host={unquote(host)}",
        f"--file={script}",
        address.path.removeprefix("/"),
        env=clean_environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    stdout, stderr = await process.communicate()
    found = _RATE.search(stdout.decode())
    if process.returncode != 0 or found is None:
        raise StackError(f"pgbench ended with status {process.returncode}: {stderr.decode()[-2000:]}")
    return float(found[1])
