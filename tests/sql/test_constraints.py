"""Constraints carry the invariants: the database refuses what must never be, whoever asks."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from domain.migrations.sql.first import FROZEN_TABLES
from infra.settings import read
from jobs.place_orders import place_orders
from ops.stack import EmbeddedStack
from tests import databases
from tests.builders import SECRET_KEY, place, submit, write_offers
from tests.engine.parts import rig_of

pytestmark = pytest.mark.anyio

CHECK, UNIQUE, FOREIGN, FROZEN, NULL = "23514", "23505", "23503", "23001", "23502"
ANY = "gen_random_uuid()"


async def _sell(stack: EmbeddedStack, url: str) -> None:
    settings = read({"DATABASE_URL": url, "REDIS_URL": stack.urls.redis_url, "SECRET_KEY": SECRET_KEY})
    conn: Any = await asyncpg.connect(url)
    (offer,) = await write_offers(conn, units=5, price=100)
    await submit(conn, place(offer, quantity=2))
    async with rig_of(settings, conn) as rig:
        await rig.drain(rig.runner(place_orders))
    assert await conn.fetchval("SELECT count(*) FROM orders") == 1
    await conn.close()


@pytest.fixture(scope="module")
def shop(stack: EmbeddedStack, template: str) -> Iterator[str]:
    """A database with one offer of five units, and one order of two of them."""
    name = f"constraints_{os.getpid()}"
    url = databases.create(stack, name, template)
    asyncio.run(_sell(stack, url))
    yield url
    databases.drop(stack, name)


@pytest.fixture
async def conn(shop: str) -> AsyncIterator[Any]:
    """A connection to the shop, in a transaction that is rolled back."""
    connection = await asyncpg.connect(shop)
    transaction = connection.transaction()
    await transaction.start()
    yield connection
    await transaction.rollback()
    await connection.close()


PAYMENT = (
    "INSERT INTO payments (id, order_id, attempt_no, gateway, capture, amount_minor, currency, created_at, updated_at,"
    " state, captured_minor, refunded_minor, asked_minor)"
    " SELECT gen_random_uuid(), id, 1, 'sandbox', 'now', 100, 'USD', now(), now(), '{state}', {money} FROM orders"
)
PAID = PAYMENT.format(state="captured", money="100, 0, 0")
REFUND = (
    "INSERT INTO refunds (payment_id, refund_no, order_id, amount_minor, currency, reason, cause_id, created_at, state,"
    " ended_at) SELECT id, {number}, order_id, {amount}, 'USD', 'r', id, now(), '{state}', {ended} FROM payments"
)
ONE_REFUND = REFUND.format(number=1, amount=5, state="pending", ended="NULL")
CHARGEBACK = (
    "INSERT INTO chargebacks (gateway, reference, payment_id, order_id, amount_minor, fee_minor, currency, liable,"
    " state, opened_at) SELECT 'sandbox', 'd', id, order_id, 5, 1, 'USD', 'seller', 'opened', now() FROM payments"
)

REFUSED = {
    "stock: never oversold": (CHECK, "UPDATE stock SET reserved = 6"),
    "stock: a backorder limit counts": (CHECK, "UPDATE stock SET backorder_limit = 2, reserved = 8"),
    "stock: less on hand than is reserved": (CHECK, "UPDATE stock SET on_hand = 1"),
    "stock: nothing reserved below zero": (CHECK, "UPDATE stock SET reserved = -1"),
    "stock: no negative backorder limit": (CHECK, "UPDATE stock SET backorder_limit = -1"),
    "stock: on hand below the backorder limit": (CHECK, "UPDATE stock SET reserved = 0, on_hand = -1"),
    "stock: one row per offer and location": (UNIQUE, "INSERT INTO stock SELECT * FROM stock"),
    "stock: only of an offer": (FOREIGN, f"INSERT INTO stock (variant_id, seller_id) VALUES ({ANY}, {ANY})"),
    "reservation: of nothing": (CHECK, "UPDATE reservations SET quantity = 0"),
    "reservation: an unknown state": (CHECK, "UPDATE reservations SET status = 'lost'"),
    "reservation: twice": (UNIQUE, "INSERT INTO reservations SELECT * FROM reservations"),
    "movement: one of a kind for a cause": (UNIQUE, "INSERT INTO movements SELECT * FROM movements"),
    "movement: that moves nothing": (
        CHECK,
        "INSERT INTO movements (cause_id, kind, variant_id, seller_id, actor)"
        f" VALUES ({ANY}, 'sold', {ANY}, {ANY}, {ANY})",
    ),
    "movement: of an unknown kind": (
        CHECK,
        "INSERT INTO movements (cause_id, kind, variant_id, seller_id, actor, on_hand_delta)"
        f" VALUES ({ANY}, 'stolen', {ANY}, {ANY}, {ANY}, 1)",
    ),
    "order: a number twice": (
        UNIQUE,
        "INSERT INTO orders (id, number, buyer, currency, placed_at, expires_at)"
        f" SELECT {ANY}, number, buyer, currency, now(), now() FROM orders",
    ),
    "order: an unknown payment state": (CHECK, "UPDATE orders SET payment = 'free'"),
    "order: a currency that is none": (CHECK, "UPDATE orders SET currency = 'usd'"),
    "order: no version below one": (CHECK, "UPDATE orders SET version = 0"),
    "seller order: one per seller": (UNIQUE, "INSERT INTO seller_orders SELECT * FROM seller_orders"),
    "seller order: an unknown fulfilment": (CHECK, "UPDATE seller_orders SET fulfilment = 'lost'"),
    "seller order: only of an order": (
        FOREIGN,
        f"INSERT INTO seller_orders (order_id, seller_id, seller_no) VALUES ({ANY}, {ANY}, 0)",
    ),
    "line: a total that isn't price times quantity": (
        CHECK,
        "INSERT INTO order_lines SELECT order_id, 1, seller_id, variant_id, sku, title, category, attributes, 2,"
        " 100, 199"
        " FROM order_lines",
    ),
    "line: of nothing": (
        CHECK,
        "INSERT INTO order_lines SELECT order_id, 1, seller_id, variant_id, sku, title, category, attributes, 0, 100, 0"
        " FROM order_lines",
    ),
    "line: at a negative price": (
        CHECK,
        "INSERT INTO order_lines SELECT order_id, 1, seller_id, variant_id, sku, title, category, attributes, 1, -1, -1"
        " FROM order_lines",
    ),
    "line: of a seller who has no part in the order": (
        FOREIGN,
        f"INSERT INTO order_lines SELECT order_id, 1, {ANY}, variant_id, sku, title, category, attributes, 1, 1, 1"
        " FROM order_lines",
    ),
    "price version: one of a number": (UNIQUE, "INSERT INTO price_versions SELECT * FROM price_versions"),
    "price version: a negative amount": (
        CHECK,
        "INSERT INTO price_versions (order_id, version, lines, amounts_minor, total_minor)"
        " SELECT id, 2, '{0}', '{-1}', 0 FROM orders",
    ),
    "price version: a line without an amount": (
        CHECK,
        "INSERT INTO price_versions (order_id, version, lines, amounts_minor, total_minor)"
        " SELECT id, 2, '{0,1}', '{1}', 1 FROM orders",
    ),
    "cancelled line: only of a line": (
        FOREIGN,
        f"INSERT INTO cancelled_lines (order_id, line_no, command_id) SELECT id, 7, {ANY} FROM orders",
    ),
    "event: a stream's version twice": (
        UNIQUE,
        "INSERT INTO events (stream, version, type, data, actor) SELECT stream, version, type, data, actor FROM events",
    ),
    "event: no version below one": (
        CHECK,
        f"INSERT INTO events (stream, version, type, data, actor) VALUES ({ANY}, 0, 'x', '{{}}', {ANY})",
    ),
    "offer: a SKU twice with one seller": (
        UNIQUE,
        f"WITH v AS (INSERT INTO variants (id, product_id) SELECT {ANY}, product_id FROM variants RETURNING id)"
        " INSERT INTO offers (variant_id, seller_id, sku, price_minor, currency)"
        " SELECT v.id, o.seller_id, o.sku, 1, 'USD' FROM v, offers o",
    ),
    "offer: a negative price": (CHECK, "UPDATE offers SET price_minor = -1"),
    "offer: a price past all bounds": (CHECK, "UPDATE offers SET price_minor = 1000000000000001"),
    "seller: an unknown state": (CHECK, "UPDATE sellers SET status = 'gone'"),
    "seller: without a name": (CHECK, "UPDATE sellers SET name = ''"),
    "product: an unknown state": (CHECK, "UPDATE products SET status = 'gone'"),
    "offer: an end before its beginning": (CHECK, "UPDATE offers SET valid_from = now(), valid_until = now()"),
    "offer: a quantity of none": (CHECK, "UPDATE offers SET quantity_max = 0"),
    "offer: a time window without a quantity": (CHECK, "UPDATE offers SET quantity_window_seconds = 60"),
    "variant: attributes that are no object": (CHECK, "UPDATE variants SET attributes = '[]'"),
    "variant: a choice that is no text": (CHECK, """UPDATE variants SET attributes = '{"size": 2}'"""),
    "variant: a combination twice": (
        UNIQUE,
        f"INSERT INTO variants (id, product_id, attributes) SELECT {ANY}, product_id, attributes FROM variants",
    ),
    "variant: a barcode of nine digits": (CHECK, "UPDATE variants SET barcode = '123456789'"),
    "variant: a weight below zero": (CHECK, "UPDATE variants SET weight_grams = -1"),
    "outcome: an unknown status": (CHECK, "INSERT INTO outcomes (id, status) VALUES (uuidv7(), 'failed')"),
    "outcome: refused without a problem": (CHECK, "INSERT INTO outcomes (id, status) VALUES (uuidv7(), 'rejected')"),
    "outcome: succeeded with a problem": (
        CHECK,
        "INSERT INTO outcomes (id, status, problem) VALUES (uuidv7(), 'succeeded', '{}')",
    ),
    "outcome: a second one": (UNIQUE, "INSERT INTO outcomes (id, status) SELECT id, 'cancelled' FROM outcomes"),
    "command: a second one of an id": (UNIQUE, "INSERT INTO commands SELECT * FROM commands"),
    "pending: no weight": (
        CHECK,
        f"INSERT INTO pending (id, job, weight) VALUES ({ANY}, 'x', 0)",
    ),
    "pending: twice in the queue": (
        UNIQUE,
        "INSERT INTO pending (id, job) SELECT id, 'x' FROM commands UNION ALL SELECT id, 'x' FROM commands",
    ),
    "parked: without an error": (
        NULL,
        f"INSERT INTO parked (id, job, attempts) VALUES ({ANY}, 'x', 1)",
    ),
    "idempotency: a hash of another length": (
        CHECK,
        f"INSERT INTO idempotency (principal, key_hash, command_id, fingerprint)"
        f" VALUES ({ANY}, '\\x00', {ANY}, '\\x00')",
    ),
    "idempotency: a command and an answer": (
        CHECK,
        "INSERT INTO idempotency (principal, key_hash, command_id, fingerprint, answer)"
        f" VALUES ({ANY}, uuid_send({ANY}), {ANY}, uuid_send({ANY}), 'a')",
    ),
    "idempotency: neither a command nor an answer": (
        CHECK,
        "INSERT INTO idempotency (principal, key_hash, fingerprint)"
        f" VALUES ({ANY}, uuid_send({ANY}), uuid_send({ANY}))",
    ),
    "idempotency: an answer of nothing": (
        CHECK,
        "INSERT INTO idempotency (principal, key_hash, fingerprint, answer)"
        f" VALUES ({ANY}, uuid_send({ANY}), uuid_send({ANY}), '')",
    ),
    "payment: more captured than was asked for": (CHECK, PAYMENT.format(state="captured", money="101, 0, 0")),
    "payment: more given back than was captured": (CHECK, PAYMENT.format(state="captured", money="60, 61, 0")),
    "payment: more asked back than was captured": (CHECK, PAYMENT.format(state="captured", money="60, 0, 61")),
    "payment: captured without money": (CHECK, PAYMENT.format(state="captured", money="0, 0, 0")),
    "payment: money that isn't captured": (CHECK, PAYMENT.format(state="authorized", money="60, 0, 0")),
    "payment: an unknown state": (CHECK, PAYMENT.format(state="maybe", money="0, 0, 0")),
    "payment: a number twice": (UNIQUE, f"{PAID}; {PAID}"),
    "payment: only of an order": (FOREIGN, PAID.replace("FROM orders", "").replace(" id, 1,", f" {ANY}, 1,")),
    "refund: of nothing": (CHECK, f"{PAID}; {REFUND.format(number=1, amount=0, state='pending', ended='NULL')}"),
    "refund: that ended at no time": (
        CHECK,
        f"{PAID}; {REFUND.format(number=1, amount=5, state='succeeded', ended='NULL')}",
    ),
    "refund: a number twice": (UNIQUE, f"{PAID}; {ONE_REFUND}; {ONE_REFUND}"),
    "chargeback: twice": (UNIQUE, f"{PAID}; {CHARGEBACK}; {CHARGEBACK}"),
    "chargeback: nobody bears it": (CHECK, f"{PAID}; {CHARGEBACK}; UPDATE chargebacks SET liable = 'nobody'"),
    "idempotency: a key twice": (
        UNIQUE,
        "INSERT INTO idempotency (principal, key_hash, command_id, fingerprint)"
        f" SELECT buyer, uuid_send(id), {ANY}, uuid_send(id) FROM orders, generate_series(1, 2)",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_the_database_refuses(conn: Any, what: str):
    state, statement = REFUSED[what]
    with pytest.raises(asyncpg.PostgresError) as refused:
        await conn.execute(statement)
    assert refused.value.sqlstate == state, refused.value


@pytest.mark.parametrize("change", ["UPDATE {table} SET {column} = {column}", "DELETE FROM {table}"])
@pytest.mark.parametrize("table", FROZEN_TABLES)
async def test_what_is_frozen_is_neither_changed_nor_deleted(conn: Any, table: str, change: str):
    if table == "cancelled_lines":
        await conn.execute(
            "INSERT INTO cancelled_lines (order_id, line_no, command_id) SELECT order_id, 0, $1 FROM order_lines",
            uuid4(),
        )
    column = await conn.fetchval("SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass AND attnum = 1", table)
    with pytest.raises(asyncpg.RestrictViolationError, match="append-only"):
        await conn.execute(change.format(table=table, column=column))


async def test_foreign_keys_stay_inside_an_aggregate(conn: Any):
    """Each more costs every order time and locks; what crosses aggregates is the audit's."""
    rows = await conn.fetch(
        "SELECT conrelid::regclass::text AS child, confrelid::regclass::text AS parent FROM pg_constraint"
        " WHERE contype = 'f' AND connamespace = 'public'::regnamespace"
    )
    assert {(row["child"], row["parent"]) for row in rows} == {
        ("shipments", "orders"),
        ("returns", "orders"),
        ("line_credits", "orders"),
        ("shipping_credits", "orders"),
        ("order_notes", "orders"),
        ("payout_items", "payouts"),
        ("sessions", "accounts"),
        ("refresh_tokens", "sessions"),
        ("one_time_tokens", "accounts"),
        ("api_keys", "accounts"),
        ("api_keys", "api_keys"),
        ("addresses", "accounts"),
        ("seller_members", "accounts"),
        ("seller_members", "sellers"),
        ("categories", "categories"),
        ("category_attributes", "categories"),
        ("category_attributes", "attributes"),
        ("products", "sellers"),
        ("products", "categories"),
        ("products", "product_slugs"),
        ("variants", "products"),
        ("offers", "variants"),
        ("offers", "sellers"),
        ("stock", "offers"),
        ("seller_orders", "orders"),
        ("order_lines", "seller_orders"),
        ("price_versions", "orders"),
        ("cancelled_lines", "order_lines"),
        ("cart_lines", "carts"),
        ("payments", "orders"),
        ("refunds", "payments"),
        ("chargebacks", "payments"),
        ("promotion_versions", "promotions"),
        ("promotion_codes", "promotions"),
        ("code_batches", "promotions"),
    }


async def test_the_queue_is_vacuumed_often(conn: Any):
    options = await conn.fetchval("SELECT array_to_string(reloptions, ' ') FROM pg_class WHERE relname = 'pending'")
    assert "autovacuum_vacuum_scale_factor=0 " in options
    assert "autovacuum_vacuum_cost_delay=0" in options


async def test_events_know_the_transaction_they_are_of(conn: Any):
    """A reader goes by it: commits land out of the order of positions."""
    async with conn.transaction():
        await conn.execute(
            f"INSERT INTO events (stream, version, type, data, actor) VALUES ({ANY}, 1, 'x', '{{}}', {ANY})"
        )
        assert await conn.fetchval("SELECT xid = pg_current_xact_id() FROM events WHERE type = 'x'")
