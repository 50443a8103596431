"""Replaying recorded orders: they come out as recorded, prices follow, and what differs is counted."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from msgspec.structs import replace

from infra.security import Tokens
from ops.load import Client
from ops.olist import CURRENCY, Line, OlistError, Records, read_records
from ops.replay import (
    UNCATEGORISED,
    Replay,
    TargetInUseError,
    catalog_of,
    import_catalog,
    offer_key,
    variant_id,
)
from ops.replay_figures import Course, Result, count, format_money
from tests.builders import SANDBOX_SECRET, SECRET_KEY
from tests.ops.console import environment, ordermill, result_of
from tests.ops.records import FREIGHT_MINOR, LINES, ORDERS, ROWS, TOTAL_MINOR, UNITS, item, write_folder
from tests.system import System

WRITTEN = "SELECT (SELECT count(*) FROM sellers) + (SELECT count(*) FROM events) + (SELECT count(*) FROM commands)"
PRICES = """
SELECT e.data->>'before_minor' AS before, e.data->>'price_minor' AS after FROM events e
WHERE e.type = 'offer.price_changed' AND e.data->>'variant_id' = $1 ORDER BY e.version
"""

pytestmark = pytest.mark.anyio


@pytest.fixture
def records(tmp_path: Path) -> Records:
    return read_records(write_folder(tmp_path / "records"))


@pytest.fixture
def env(database_url: str, redis_url: str) -> dict[str, str]:
    return environment(DATABASE_URL=database_url, REDIS_URL=redis_url, SECRET_KEY=SECRET_KEY)


@pytest.fixture
def url(system: System) -> Iterator[str]:
    system.worker()
    return system.web()


async def import_and_place(conn: Any, url: str, records: Records) -> Result:
    sellers, offers = catalog_of(records)
    await import_catalog(conn, sellers, offers, lambda _n: None)
    return await place(conn, url, records)


async def place(conn: Any, url: str, records: Records) -> Result:
    async with Client(url, connections=16) as client:
        await Replay(client, conn, Tokens(SECRET_KEY), records.orders).run(lambda _n: None)
    return await count(conn, records.orders, audit_violations=0)


async def test_command_places_every_order_as_recorded(tmp_path: Path, env: dict[str, str]):
    folder = write_folder(tmp_path / "records")
    result = result_of("replay", str(folder), env=env)
    assert result.pop("orders_per_second") > 0
    assert result == {
        "orders": ORDERS,
        "lines": LINES,
        "units": UNITS,
        "merchandise_minor": TOTAL_MINOR,
        "currency": "BRL",
        "rejected": 0,
        "mismatched": 0,
        "failed": 0,
        "audit_violations": 0,
        "confirmed": 0,
        "to_confirm": 0,
        "captured_minor": 0,
        "delivered": 0,
        "to_deliver": 0,
        "freight_minor": 0,
    }
    conn: Any = await asyncpg.connect(env["DATABASE_URL"])
    written = await conn.fetchval(WRITTEN)
    told = ordermill("replay", str(folder), env=env, status=1).stderr.splitlines()
    assert told[-1].startswith("ordermill: the database holds 3 of these sellers")
    assert await conn.fetchval(WRITTEN) == written
    await conn.close()


async def test_every_order_is_paid_and_confirmed_for_what_was_recorded(tmp_path: Path, env: dict[str, str]):
    folder = write_folder(tmp_path / "records")
    result = result_of("replay", str(folder), "--pay", env=env | {"SANDBOX_WEBHOOK_SECRET": SANDBOX_SECRET})
    assert (result["orders"], result["confirmed"], result["to_confirm"]) == (ORDERS, ORDERS, ORDERS)
    assert result["captured_minor"] == result["merchandise_minor"] == TOTAL_MINOR
    assert (result["mismatched"], result["audit_violations"]) == (0, 0)


async def test_every_order_is_delivered_with_its_recorded_freight(tmp_path: Path, env: dict[str, str], conn: Any):
    folder = write_folder(tmp_path / "records")
    more = env | {"SANDBOX_WEBHOOK_SECRET": SANDBOX_SECRET}
    result = result_of("replay", str(folder), "--pay", "--deliver", "--freight", env=more)
    assert (result["orders"], result["delivered"], result["to_deliver"]) == (ORDERS, ORDERS, ORDERS)
    assert result["freight_minor"] == FREIGHT_MINOR
    assert result["captured_minor"] == TOTAL_MINOR + FREIGHT_MINOR
    assert (result["mismatched"], result["audit_violations"]) == (0, 0)
    states = await conn.fetch("SELECT DISTINCT fulfilment FROM seller_orders")
    assert [row["fulfilment"] for row in states] == ["delivered"]


async def test_who_wants_to_deliver_has_to_pay(tmp_path: Path, env: dict[str, str]):
    done = ordermill("replay", str(write_folder(tmp_path / "records")), "--deliver", env=env, status=1)
    assert "--deliver needs --pay" in done.stderr


async def test_freight_that_is_no_amount_is_named_where_it_is_asked_for(tmp_path: Path):
    folder = write_folder(tmp_path / "records", order_items=[item(freight_value="a lot")])
    assert len(read_records(folder).orders) == 1
    with pytest.raises(OlistError, match=r"order_items.csv, line 2, column freight_value: 'a lot' is not a price"):
        read_records(folder, freight=True)


async def test_who_wants_to_pay_needs_the_sandbox_before_anything_is_written(
    tmp_path: Path, env: dict[str, str], conn: Any
):
    before = await conn.fetchval(WRITTEN)
    folder = write_folder(tmp_path / "records")
    done = ordermill("replay", str(folder), "--pay", env=env | {"SANDBOX_WEBHOOK_SECRET": ""}, status=1)
    assert "SANDBOX_WEBHOOK_SECRET is not set" in done.stderr
    assert await conn.fetchval(WRITTEN) == before


async def test_an_order_that_was_to_be_paid_and_was_not_is_told(conn: Any, url: str, records: Records):
    await import_and_place(conn, url, records)
    result = await count(conn, records.orders, audit_violations=0, course=Course(pay=True))
    assert (result.confirmed, result.to_confirm, result.captured_minor) == (0, ORDERS, 0)
    assert not result.good


async def test_malformed_folder_ends_in_one_line_and_writes_nothing(tmp_path: Path, env: dict[str, str], conn: Any):
    before = await conn.fetchval(WRITTEN)
    folder = write_folder(tmp_path / "records", order_items=[item(), item(order_item_id="2", price="free")])
    done = ordermill("replay", str(folder), "--json", env=env, status=1)
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "ordermill: order_items.csv, line 3, column price: 'free' is not a price such as 58.9"
    ]
    assert await conn.fetchval(WRITTEN) == before


async def test_stack_without_a_key_is_refused_before_anything_is_written(
    tmp_path: Path, env: dict[str, str], conn: Any
):
    before = await conn.fetchval(WRITTEN)
    folder = write_folder(tmp_path / "records")
    done = ordermill("replay", str(folder), env=env | {"SECRET_KEY": ""}, status=1)
    assert "SECRET_KEY is not set" in done.stderr
    assert await conn.fetchval(WRITTEN) == before


async def test_offer_follows_the_recorded_prices_with_an_event_each(conn: Any, url: str, records: Records):
    result = await import_and_place(conn, url, records)
    assert result.good
    first = variant_id(Line(UUID(int=0xC1), UUID(int=0xB1), 0, 1, 0))
    changes = await conn.fetch(PRICES, str(first))
    assert [(row["before"], row["after"]) for row in changes] == [("5890", "6490"), ("6490", "5890")]


async def test_every_order_of_one_offer_meets_its_own_price(tmp_path: Path, conn: Any, url: str):
    """Forty orders in a row, most at another price than the one before: none may meet a neighbour's."""
    rows = [
        item(order_id=f"{n:032x}", shipping_limit_date=f"9/19/2017 9:{n:02d}", price=f"{10 + n // 2 % 5}.5")
        for n in range(1, 41)
    ]
    records = read_records(write_folder(tmp_path / "prices", order_items=rows))
    result = await import_and_place(conn, url, records)
    assert (result.orders, result.rejected, result.mismatched) == (40, 0, 0)
    placed = await conn.fetch(
        "SELECT o.buyer, v.total_minor FROM orders o JOIN price_versions v ON v.order_id = o.id ORDER BY o.buyer"
    )
    assert [row["total_minor"] for row in placed] == [1050 + n // 2 % 5 * 100 for n in range(1, 41)]


async def test_two_prices_in_one_order_come_out_as_one_recorded_line(tmp_path: Path, conn: Any, url: str):
    rows = [item(order_item_id=str(number), price=price) for number, price in enumerate(("58.9", "61", "58.9"), 1)]
    records = read_records(write_folder(tmp_path / "two", order_items=rows))
    result = await import_and_place(conn, url, records)
    assert (result.orders, result.lines, result.units, result.merchandise_minor) == (1, 1, 3, 17_880)
    assert result.good


async def test_refused_orders_are_rejected_and_for_their_price_mismatched_too(conn: Any, url: str, records: Records):
    sellers, offers = catalog_of(records)
    other = [
        replace(
            o, price_minor=o.price_minor + (o.category == "pc_gamer"), units=o.units * (o.category != UNCATEGORISED)
        )
        for o in offers
    ]
    await import_catalog(conn, sellers, other, lambda _n: None)
    result = await place(conn, url, records)
    assert (result.orders, result.rejected, result.mismatched, result.failed) == (ORDERS - 2, 2, 1, 0)
    assert not result.good


async def test_order_placed_for_another_sum_is_mismatched(conn: Any, url: str, records: Records):
    await import_and_place(conn, url, records)
    first, *others = records.orders
    more = replace(first, lines=(*first.lines, replace(first.lines[0], variant_no=1)))
    result = await count(conn, [more, *others], audit_violations=0)
    assert (result.orders, result.mismatched) == (ORDERS, 1)
    assert not result.good


async def test_import_holds_all_units_sold_and_nothing_else(conn: Any, records: Records):
    sellers, offers = catalog_of(records)
    await import_catalog(conn, sellers, offers, lambda _n: None)
    stock = {(row["variant_id"], row["seller_id"]): row["on_hand"] for row in await conn.fetch("SELECT * FROM stock")}
    sold: dict[tuple[UUID, UUID], int] = {}
    for line in (line for order in records.orders for line in order.lines):
        sold[offer_key(line)] = sold.get(offer_key(line), 0) + line.quantity
    assert stock == sold
    assert await conn.fetchval("SELECT count(*) FROM sellers") == len(records.sellers)
    # The fourth product was never sold, so it has no owner.
    assert await conn.fetchval("SELECT count(*) FROM products") == len(records.products) - 1
    rows = await conn.fetch(
        "SELECT c.name FROM listings l JOIN categories c ON c.id = l.category_id GROUP BY 1 ORDER BY 1"
    )
    assert [row["name"] for row in rows] == ["health_beauty", "pc_gamer", UNCATEGORISED]
    with pytest.raises(TargetInUseError):
        await import_catalog(conn, sellers, offers, lambda _n: None)


async def test_records_that_break_a_rule_of_the_catalog_are_refused_in_one_line(
    tmp_path: Path, conn: Any, env: dict[str, str]
):
    long = [*ROWS["sellers.csv"][:-1], f"{'b3':0>32},9080,{'x' * 120},{'y' * 120}"]
    folder = write_folder(tmp_path / "records", sellers=long)
    before = await conn.fetchval(WRITTEN)
    done = ordermill("replay", str(folder), env=env, status=1)
    assert done.stderr.count("\n") <= 2
    assert "name" in done.stderr
    assert await conn.fetchval(WRITTEN) == before


def test_titles_come_from_the_category(records: Records):
    titles = sorted({offer.title for offer in catalog_of(records)[1]})
    assert titles == ["Health beauty 00000000", "Pc gamer 00000000", "Uncategorised 00000000"]


def test_money_is_written_out():
    assert format_money(87_214_289, CURRENCY) == "872,142.89 BRL"
