"""A database with over 10,000 rows in each table that grows, and realistic parameters for every statement on it."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from domain.catalog import sql as catalog
from domain.insights import reads as insight_reads
from domain.insights import sql as insights
from domain.inventory import hold_sql, limit_sql, received_sql, stock_sql
from domain.inventory import reads as inventory_reads
from domain.inventory import sql as inventory
from domain.journal import answers_sql, event_reads, event_search_reads, event_sql
from domain.journal import reads as journal_reads
from domain.journal import sql as journal
from domain.orders import reads as order_reads
from domain.orders import sql as orders
from infra.clock import new_id
from tests.sql import (
    cart_rows,
    fulfilment_rows,
    money_rows,
    notification_rows,
    offer_rows,
    operation_rows,
    order_rows,
    payment_rows,
    payout_rows,
    pricing_rows,
    product_rows,
    sandbox_rows,
    taxonomy_rows,
    webhook_rows,
)

ROWS = 12_000

# n-th thing: an id made of its number, so that tables fit together without a join.
_IDS = """
CREATE FUNCTION pg_temp.nth(kind int, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS
$$ SELECT (lpad(to_hex(kind), 8, '0') || '-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid $$
"""

FILL = f"""
{_IDS};
CREATE TEMP TABLE numbers AS SELECT n, pg_temp.nth(1, n) AS seller, pg_temp.nth(2, n) AS variant,
    pg_temp.nth(3, n % 500) AS buyer, uuidv7(make_interval(secs => -0.001 * ({ROWS} - n))) AS id
    FROM generate_series(1, {ROWS}) AS n;
INSERT INTO sellers (id, name, status) SELECT seller, 'S', 'approved' FROM numbers;
{product_rows.FILL}
INSERT INTO variants (id, product_id) SELECT variant, variant FROM numbers;
INSERT INTO offers (variant_id, seller_id, sku, price_minor, currency)
    SELECT variant, seller, n, 100, 'USD' FROM numbers;
INSERT INTO stock (variant_id, seller_id, on_hand) SELECT variant, seller, 100 FROM numbers;
INSERT INTO commands (id, job, principal, aggregate, payload) SELECT id, 'place_orders', buyer, id, '{{}}' FROM numbers;
INSERT INTO outcomes (id, status) SELECT id, 'succeeded' FROM numbers WHERE n % 10 > 0;
INSERT INTO pending (id, job, aggregate, solo, run_at)
    SELECT id, CASE WHEN n % 2 = 0 THEN 'place_orders' ELSE 'cancel_orders' END, variant, n % 100 = 0,
        now() - make_interval(secs => n::float8 / 100) FROM numbers;
INSERT INTO parked (id, job, attempts, error) SELECT id, 'place_orders', 3, 'e' FROM numbers;
INSERT INTO idempotency (principal, key_hash, command_id, fingerprint, created_at)
    SELECT buyer, uuid_send(variant), id, uuid_send(id), now() - make_interval(secs => ({ROWS} - n) * 30) FROM numbers;
INSERT INTO orders (id, number, buyer, currency, placed_at, expires_at)
    SELECT id, n, buyer, 'USD', now(), now() + make_interval(secs => n - 100) FROM numbers;
INSERT INTO seller_orders (order_id, seller_id, seller_no) SELECT id, seller, 0 FROM numbers;
INSERT INTO order_lines (order_id, line_no, seller_id, variant_id, sku, title, attributes, quantity, unit_price_minor,
    total_minor) SELECT id, 0, seller, variant, n, 'T', '{{}}', 1, 100, 100 FROM numbers;
INSERT INTO price_versions (order_id, version, lines, amounts_minor, total_minor)
    SELECT id, 1, '{{0}}', '{{100}}', 100 FROM numbers;
{pricing_rows.FILL}
INSERT INTO cancelled_lines (order_id, line_no, command_id) SELECT id, 0, id FROM numbers;
INSERT INTO reservations (id, variant_id, seller_id, quantity, owner, order_id, expires_at)
    SELECT id, variant, seller, 1, buyer, id, now() + make_interval(secs => n - 100) FROM numbers;
INSERT INTO limited_holds (variant_id, seller_id, buyer, reservation_id, most, window_seconds)
    SELECT variant, seller, buyer, id, 3, 3600 FROM numbers;
INSERT INTO movements (cause_id, kind, variant_id, seller_id, reserved_delta, actor)
    SELECT id, 'reserved', variant, seller, 1, buyer FROM numbers;
INSERT INTO events (stream, version, type, data, actor) SELECT id, 1, 'order.placed', '{{}}', buyer FROM numbers;
INSERT INTO subscriptions (name, xid, position) SELECT 's' || n, '0', 0 FROM generate_series(1, 5) AS n;
{taxonomy_rows.FILL}
{sandbox_rows.FILL}
{cart_rows.FILL}
{payment_rows.FILL}
{order_rows.FILL}
{money_rows.FILL}
{payout_rows.FILL}
{webhook_rows.FILL}
{notification_rows.FILL}
"""


Arguments = dict[tuple[str, str], tuple[object, ...]]


def statements(sample: Any) -> Arguments:
    """Arguments for each statement, by module and name; ``sample`` has ids of some rows of each kind."""
    return {
        **_of_the_queue(sample),
        **_of_jobs(sample),
        **_of_events(sample),
        **_of_orders(sample),
        **order_rows.statements(sample),
        **fulfilment_rows.statements(sample),
        **_of_stock(sample),
        **taxonomy_rows.statements(),
        **offer_rows.statements(sample),
        **product_rows.statements(sample),
        **pricing_rows.statements(sample),
        **cart_rows.statements(sample),
        **payment_rows.statements(sample),
        **money_rows.statements(sample),
        **payout_rows.statements(sample),
        **webhook_rows.statements(sample),
        **notification_rows.statements(sample),
        **sandbox_rows.statements(sample),
        **operation_rows.statements(sample),
    }


def _of_the_queue(sample: Any) -> Arguments:
    ids: list[UUID] = sample["ids"]
    bounds = (min(ids), max(ids))
    variants, buyer, count = sample["variants"], sample["buyers"][0], len(ids)
    new = [new_id() for _ in ids]
    zeros, nothing = [0] * count, [None] * count
    hashes = [uuid4().bytes for _ in ids]
    lease = uuid4()
    claim = ("place_orders", datetime.now(UTC) - timedelta(days=1), 500, 8_000, "orders")
    j, a = journal.__name__, answers_sql.__name__
    return {
        (j, "INSERT_COMMANDS"): (
            new,
            [buyer] * count,
            ["place_orders"] * count,
            nothing,
            ["{}"] * count,
            [""] * count,
            [1] * count,
            [0.0] * count,
            hashes,
            hashes,
            nothing,
        ),
        (j, "LOAD_KEYS"): ([buyer] * count, hashes),
        (j, "CLAIM"): claim,
        (j, "CLAIM_ORDERED"): ("cancel_orders", *claim[1:]),
        (j, "CLAIM_SOLO"): ("place_orders", "orders"),
        (j, "LOAD_CLAIMED"): (ids, *bounds),
        (j, "CLAIM_EFFECTS"): ("place_orders", 32, 60.0, "io", lease, True),
        (j, "RELEASE_LEASES"): (ids, lease),
        (j, "RETRY_EFFECT"): (ids[0], lease, 1.0, "e", False),
        (j, "PUT_EFFECT_OFF"): (ids[0], lease, 1.0, "e", None),
        (j, "PUT_BACK"): (new, [0.1] * count, zeros, "cancel_orders", variants, [1] * count),
        (j, "PARK"): (new, "place_orders", zeros, zeros, nothing, ["e"] * count),
        (j, "UNPARK"): (ids[0], 1),
        (j, "MARK_SOLO"): (ids, 1),
        (j, "NEXT_RUN"): ("place_orders",),
        (j, "NOTE_RUN"): (lease, "place_orders", 1, ids),
        (j, "HEARTBEAT"): (lease, "w", ["orders"], "1"),
        (j, "TAKE_DEAD_RUNS"): (5.0,),
        (j, "PRUNE_WORKERS"): (5.0,),
        (j, "DUE_JOBS"): (["place_orders", "cancel_orders"],),
        (j, "PRUNE_KEYS"): (72, 100),
        (a, "LOCK_KEYS"): ([1, 2],),
        (a, "LOAD_ANSWERS"): ([buyer] * count, hashes),
        (a, "KEEP_ANSWERS"): ([buyer] * count, hashes, hashes, hashes),
    }


def _of_jobs(sample: Any) -> Arguments:
    ids: list[UUID] = sample["ids"]
    bounds, buyer = (min(ids), max(ids)), sample["buyers"][0]
    r = journal_reads.__name__
    return {
        (r, "LOAD_JOBS"): (ids, *bounds),
        (r, "LOAD_ENDED"): (ids, *bounds),
        (r, "LIST_JOBS_OF"): (buyer, bounds[1], bounds[0], 50),
        (r, "LIST_JOBS"): (bounds[1], bounds[0], 50),
        (r, "LIST_PARKED"): (bounds[1], 50),
        (r, "CANCEL_QUEUED"): (ids[0],),
        (r, "LANE_FIGURES"): (["place_orders", "cancel_orders"], 1_000),
        (r, "PAUSE_LANE"): ("orders", buyer),
        (r, "RESUME_LANE"): ("orders",),
        (r, "PAUSED_LANES"): (),
        (r, "LIVE_WORKERS"): (),
    }


def _of_events(sample: Any) -> Arguments:
    ids: list[UUID] = sample["ids"]
    count = len(ids)
    r, e, f = event_reads.__name__, event_sql.__name__, event_search_reads.__name__
    day_ago = datetime.now(UTC) - timedelta(days=1)
    filters = ("order.placed", "order.", "c", day_ago, datetime.now(UTC))
    return {
        (f, "OF_STREAM"): (ids[0], 0, 0, 50, *filters),
        (f, "ALONG_ALL"): (0, 0, 20_000, 50, *filters),
        (f, "FIRST_SINCE"): (day_ago,),
        (r, "READ_EVENTS"): (0, 0, 500, ["order.placed"]),
        (r, "LOAD_HORIZON"): (),
        (r, "LOAD_EVENTS"): (ids, [1] * count),
        (r, "LOAD_STREAMS"): (ids, ["order.placed"]),
        (r, "LOAD_DUE"): (["s1", "s2"], "io"),
        (r, "LOAD_SUBSCRIPTIONS"): (1_000,),
        (e, "FOUND_SUBSCRIPTIONS"): (["s1", "new"], [False, True]),
        (e, "LOCK_SUBSCRIPTION"): ("s1",),
        (e, "MOVE_SUBSCRIPTION"): ("s1", 1, 1),
        (e, "NOTE_FAILURES"): ("s1", ids, [1] * count, [1] * count, ["e"] * count),
        (r, "LIST_FAILURES"): ("s1", 100),
        (e, "TAKE_FAILURES"): ("s1", ids, [1] * count),
        (e, "LAST_AGAINST_CLOCK"): (),
        (e, "FORGET_RUNS"): (2**62,),
    }


def _of_orders(sample: Any) -> Arguments:
    ids: list[UUID] = sample["ids"]
    bounds, sellers, count = (min(ids), max(ids)), sample["sellers"], len(ids)
    now = datetime.now(UTC)
    o, v = orders.__name__, order_reads.__name__
    return {
        (o, "LOCK_ORDERS"): (ids,),
        (o, "LOAD_ORDERS"): (ids,),
        (o, "LOAD_SELLER_ORDERS"): (ids,),
        (o, "LOAD_LINE_SELLERS"): (ids,),
        (o, "LOCK_PARKED"): (ids,),
        (o, "LOAD_PLACINGS"): (ids, *bounds),
        (o, "CANCEL_PARKED"): (ids,),
        (o, "SET_VERSIONS"): (ids, [2] * count),
        (o, "SET_FULFILMENTS"): (ids, sellers, ["cancelled"] * count),
        (o, "CONFIRM_ORDERS"): (ids, [2] * count, now),
        (v, "LOAD"): (ids,),
        (v, "LOAD_SELLER_ORDERS"): (ids,),
        (v, "LOAD_LINES"): (ids,),
        (v, "LOAD_PRICE"): (ids[0],),
        (v, "LOAD_RESERVATIONS"): (ids,),
        (v, "LOAD_TIMELINE"): (ids[0],),
    }


def _of_stock(sample: Any) -> Arguments:
    ids: list[UUID] = sample["ids"]
    variants, sellers, count = sample["variants"], sample["sellers"], len(ids)
    zeros, now = [0] * count, datetime.now(UTC)
    today = now.date()
    stock = (variants, sellers, zeros)
    i, c, s, r = inventory.__name__, catalog.__name__, stock_sql.__name__, inventory_reads.__name__
    h, b = hold_sql.__name__, limit_sql.__name__
    buyers = (variants, sellers, sample["buyers"])
    ending = (ids, "released", buyers[2][0], "", [], [], [], "released", "reservation.released")
    page = (now, ids[0], "sold", 50, None, None)
    return {
        (s, "LOAD_FIGURES"): stock,
        (h, "LOAD_HOLDS"): (ids,),
        (b, "LOCK_BUYERS"): buyers,
        (b, "LOAD_TAKEN"): (*buyers, ids),
        (b, "LOAD_LIMITED"): (*buyers, ids),
        (b, "HAS_DUE_OF_BUYERS"): (*buyers, now),
        (b, "LOCK_DUE_OF_BUYERS"): (*buyers, now),
        (h, "EXTEND_HOLDS"): (ids, [now] * count, [2] * count),
        (s, "SET_FIGURES"): (*stock, [1] * count, zeros, [None] * count, [2] * count, [1] * count),
        (r, "LOAD_STOCK"): (variants[0], sellers[0]),
        (r, "LIST_MOVEMENTS"): page,
        (r, "LIST_MOVEMENTS_OF_SELLER"): (*page, sellers[0]),
        (i, "LOCK_STOCK"): stock,
        (i, "APPLY_STOCK"): (*stock, zeros, [1] * count),
        (received_sql.__name__, "RECEIVE_STOCK"): (*stock, [1] * count),
        (received_sql.__name__, "OPEN_STOCK"): (variants, sellers),
        (insight_reads.__name__, "LIST_SALES"): (sellers[0], today, "USD", 50),
        (insight_reads.__name__, "LIST_STOCK_DAYS"): (variants[0], sellers[0], today, 50),
        (insights.__name__, "ADD_SALES"): (sellers, [today] * count, ["USD"] * count, *[[1] * count] * 9),
        (insights.__name__, "ADD_STOCK_DAYS"): (*stock, [today] * count, *[[1] * count] * 6),
        (i, "HAS_DUE"): (variants, sellers, now),
        (i, "LOCK_DUE_OF_OFFERS"): (variants, sellers, now, 500),
        (i, "DUE"): (now, now - timedelta(days=1), 1_000),
        (i, "LOCK_RESERVATIONS"): (ids,),
        (i, "END_RESERVATIONS"): ending,
        (i, "EXPIRE_AND_RESTOCK"): ending,
        (i, "LOAD_ACTIVE"): (ids,),
        (c, "LOAD_OFFERS"): (variants, sellers),
    }


SAMPLE = """
SELECT array_agg(o.id) AS ids, array_agg(o.buyer) AS buyers, array_agg(l.variant_id) AS variants,
       array_agg(l.seller_id) AS sellers
FROM orders o JOIN order_lines l ON l.order_id = o.id WHERE o.number % 240 = 7
"""
