"""Few rows go in one statement, many by COPY: the same rows either way."""

from typing import Any

import pytest

from domain import writing
from domain.catalog.sql import load_offers
from domain.connection import Connection
from domain.journal.model import Claimed
from domain.limits import Limits
from domain.orders import placement
from domain.orders.basket import no_pricing
from domain.orders.demand import offers_of
from domain.orders.sql import insert_placed
from domain.writing import Rows, write
from infra.clock import new_id
from tests.builders import place, write_offers

pytestmark = pytest.mark.anyio

TABLES = ("orders", "seller_orders", "order_lines", "price_versions", "reservations", "movements", "events")


async def _placed(conn: Connection, commands: list[Claimed[Any]]) -> dict[str, list[Any]]:
    """Write orders and return all their rows, but for what the database adds by itself."""
    offers = await load_offers(conn, offers_of(c.command for c in commands))
    limits = Limits()
    now = commands[0].created_at
    plan = placement.decide(
        commands, offers, no_pricing(), now=now, hold=now - now, line_quantity_max=limits.line_quantity_max
    )
    await conn.execute("BEGIN")
    await insert_placed(conn, plan)
    rows = {
        table: await conn.fetch(
            f"SELECT to_jsonb(t) - 'xid' - 'position' - 'at' - 'created_at' AS row FROM {table} t ORDER BY 1"
        )
        for table in TABLES
    }
    await conn.execute("ROLLBACK")
    return rows


async def test_one_statement_and_copy_write_the_same_rows(conn: Any, monkeypatch: pytest.MonkeyPatch):
    offers = await write_offers(conn, offers=6, sellers=3)
    now = await conn.fetchval("SELECT now()")
    commands = [
        Claimed(new_id(), new_id(), 0, "c", now, place(*offers[: n + 1], quantity=n + 1)) for n in range(len(offers))
    ]
    few = await _placed(conn, commands)
    monkeypatch.setattr(writing, "ONE_STATEMENT_RECORDS_MAX", 0)
    many = await _placed(conn, commands)
    assert few == many
    assert all(few[table] for table in TABLES)


async def test_nothing_to_write_is_no_statement(conn: Any):
    await write(conn, Rows("orders", (("id", "uuid"),), []))
    assert await conn.fetchval("SELECT count(*) FROM orders") == 0


async def test_an_array_column_takes_a_list_only(conn: Any):
    with pytest.raises(TypeError, match="takes a list"):
        await write(conn, Rows("price_versions", (("lines", "smallint[]"),), [("{0}",)]))
