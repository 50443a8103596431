"""Looking for orders: the status that SQL derives is the lifecycle's, and each set of filters finds what fits all."""

import random
from datetime import UTC, datetime, timedelta
from itertools import combinations_with_replacement, product
from typing import Any
from uuid import UUID

import pytest

from domain import ids
from domain.accounts.email import email_key
from domain.orders.lifecycle import order_status
from domain.orders.model import Fulfilment, OrderStatus, Payment
from domain.orders.search_reads import OrderSearch, search_orders
from infra.clock import new_id
from tests.builders import write_account

pytestmark = pytest.mark.anyio

LAST = UUID(int=2**128 - 1)
MIXES = [mix for size in (1, 2, 3) for mix in combinations_with_replacement(Fulfilment, size)]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
EMAILS = ("Ada@Example.com", "grace@example.com", "straße@example.com")


async def write_orders(conn: Any, rows: list[dict[str, Any]]) -> None:
    """Write orders as far as a search looks at them, of whatever payment and fulfilment."""
    await conn.execute(
        "INSERT INTO orders (id, number, buyer, currency, payment, placed_at, expires_at, expired_at, email, email_key)"
        " SELECT t.id, t.number, t.buyer, 'USD', t.payment, t.at, t.at, CASE WHEN t.expired THEN t.at END, t.email,"
        " t.key FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::text[], $5::timestamptz[], $6::boolean[],"
        " $7::text[], $8::text[]) AS t (id, number, buyer, payment, at, expired, email, key)",
        *([row[name] for row in rows] for name in ("id", "number", "buyer", "payment", "at", "expired", "email")),
        [None if row["email"] is None else email_key(row["email"]) for row in rows],
    )
    parts = [(row["id"], seller, n, f) for row in rows for n, (seller, f) in enumerate(row["parts"])]
    await conn.executemany(
        "INSERT INTO seller_orders (order_id, seller_id, seller_no, fulfilment) VALUES ($1, $2, $3, $4)", parts
    )
    await conn.execute(
        "INSERT INTO price_versions (order_id, version, lines, amounts_minor, total_minor)"
        " SELECT t.id, 1, '{}', '{}', 0 FROM unnest($1::uuid[]) AS t (id)",
        [row["id"] for row in rows],
    )


def row_of(payment: Payment, mix: tuple[Fulfilment, ...], **more: Any) -> dict[str, Any]:
    order = new_id()
    parts = [(new_id(), fulfilment) for fulfilment in mix]
    row = {"id": order, "number": ids.order_number(order), "buyer": new_id(), "payment": payment, "at": NOON}
    return row | {"expired": False, "email": None, "parts": parts} | more


async def found(conn: Any, **wanted: Any) -> list[UUID]:
    rows = await search_orders(conn, wanted=OrderSearch(**wanted), below=LAST, limit=10_000)
    return [row.id for row in rows]


async def test_the_status_that_is_looked_for_is_the_lifecycles(conn: Any):
    rows = [row_of(payment, mix, expired=expired) for payment in Payment for mix in MIXES for expired in (False, True)]
    await write_orders(conn, rows)
    of: dict[OrderStatus, list[UUID]] = {status: [] for status in OrderStatus}
    for row in reversed(rows):
        of[order_status(row["payment"], [f for _, f in row["parts"]], expired=row["expired"])].append(row["id"])
    for status in OrderStatus:
        assert await found(conn, status=status) == of[status], status


async def test_any_filters_together_find_what_fits_all_of_them(conn: Any):
    draw = random.Random(6)
    sellers = [new_id() for _ in range(3)]
    buyers = [await write_account(conn, email=email) for email in EMAILS[:2]] + [new_id()]
    key_of = dict(zip(buyers, [email_key(email) for email in EMAILS[:2]], strict=False))
    rows = []
    for _ in range(300):
        row = row_of(draw.choice(list(Payment)), (), buyer=draw.choice(buyers), email=draw.choice([None, *EMAILS]))
        row["at"] = NOON + timedelta(days=draw.randint(-2, 2))
        # Asked for some hours before it was placed.
        asked_ms = int((row["at"] - timedelta(hours=draw.choice([0, 0, 20]))).timestamp() * 1000)
        row["id"] = ids.compose(asked_ms, draw.randbytes(8))
        row["number"] = ids.order_number(row["id"])
        row["parts"] = [(seller, draw.choice(list(Fulfilment))) for seller in draw.sample(sellers, draw.randint(1, 3))]
        rows.append(row)
    await write_orders(conn, rows)
    rows.sort(key=lambda row: row["id"], reverse=True)
    hits = 0
    for few in product((False, True), repeat=6):
        row = draw.choice(rows)
        number, email, seller, buyer, status, days = few
        wanted: dict[str, Any] = {
            "number": row["number"] if number else None,
            "email_key": email_key(draw.choice(EMAILS).upper()) if email else None,
            "seller": draw.choice(sellers) if seller else None,
            "buyer": row["buyer"] if buyer else None,
            "status": draw.choice([s for s in OrderStatus if s is not OrderStatus.PLACING]) if status else None,
            "placed_from": NOON - timedelta(days=1) if days else None,
            "placed_before": NOON + timedelta(days=1) if days else None,
        }
        expected = [each["id"] for each in rows if fits(each, wanted, key_of)]
        assert await found(conn, **wanted) == expected, wanted
        hits += bool(expected)
    assert hits > 20


def fits(row: dict[str, Any], wanted: dict[str, Any], key_of: dict[UUID, str]) -> bool:
    status = order_status(row["payment"], [f for _, f in row["parts"]], expired=row["expired"])
    keys = {None if row["email"] is None else email_key(row["email"]), key_of.get(row["buyer"])}
    return (
        wanted["number"] in {None, row["number"]}
        and (wanted["email_key"] is None or wanted["email_key"] in keys)
        and (wanted["seller"] is None or wanted["seller"] in {seller for seller, _ in row["parts"]})
        and wanted["buyer"] in {None, row["buyer"]}
        and wanted["status"] in {None, status}
        and (wanted["placed_from"] is None or wanted["placed_from"] <= row["at"] < wanted["placed_before"])
    )


async def test_a_page_goes_on_below_the_last_one(conn: Any):
    seller = new_id()
    rows = [row_of(Payment.PAID, (), parts=[(seller, Fulfilment.AWAITING)]) for _ in range(5)]
    await write_orders(conn, rows)
    newest = [row["id"] for row in reversed(rows)]
    wanted = OrderSearch(seller=seller)
    first = await search_orders(conn, wanted=wanted, below=LAST, limit=3)
    rest = await search_orders(conn, wanted=wanted, below=first[-1].id, limit=3)
    assert [row.id for row in (*first, *rest)] == newest


async def test_an_order_that_is_being_placed_is_in_no_list(conn: Any):
    assert await found(conn, status=OrderStatus.PLACING) == []
