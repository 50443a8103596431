"""Migrations: safe to run twice and at once, whole or not at all, and the same as the tables Piccolo knows."""

import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest

from domain.catalog.listing_sql import refresh_listings
from domain.catalog.product_reads import load_history
from domain.invariants import run_check
from domain.journal.partitions import LEAD_DAYS
from domain.migrations.sql import accounts, first, offers, products, taxonomy
from domain.piccolo_app import TABLES
from infra.migrate import migrate
from ops.stack import EmbeddedStack
from tests import databases
from tests.system import ROOT

pytestmark = pytest.mark.anyio
_numbers = itertools.count(1)


@pytest.fixture
def empty_url(stack: EmbeddedStack) -> Iterator[str]:
    """A database without a table."""
    name = f"empty_{os.getpid()}_{next(_numbers)}"
    yield databases.create(stack, name)
    databases.drop(stack, name)


async def shape(url: str) -> list[Any]:
    """All columns, constraints, indexes and triggers of a database."""
    conn = await asyncpg.connect(url)
    try:
        return [
            [tuple(row) for row in await conn.fetch(query)]
            for query in (
                "SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns"
                " WHERE table_schema = 'public' ORDER BY 1, 2",
                "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
                " WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2",
                "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
                "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1",
            )
        ]
    finally:
        await conn.close()


async def test_migrating_twice_changes_nothing(empty_url: str):
    assert await migrate(empty_url) == len(list((ROOT / "domain" / "migrations").glob("ordermill_*.py")))
    once = await shape(empty_url)
    assert await migrate(empty_url) == 0
    assert await shape(empty_url) == once


def test_migrating_at_once_from_several_processes_runs_each_migration_once(empty_url: str):
    script = (
        "import asyncio, sys; from infra.migrate import migrate; import piccolo.apps.migrations.commands.forwards;"
        " print('ready', flush=True); sys.stdin.readline(); print(asyncio.run(migrate(sys.argv[1])))"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, empty_url],
            cwd=ROOT,
            env={**os.environ, "PICCOLO_CONF": "infra.piccolo_conf"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.flush()
    done = [(process.communicate(timeout=60), process.returncode) for process in processes]
    assert [code for _, code in done] == [0] * 4, [out for out, _ in done]
    ran = sorted(int(out.split()[-1]) for (out, _), _ in done)
    assert ran[:3] == [0, 0, 0]
    assert ran[3] >= 1


async def test_a_crash_in_the_middle_leaves_nothing(empty_url: str, monkeypatch: pytest.MonkeyPatch):
    statements = first.statements()
    broken = [*statements[: len(statements) // 2], "SELECT 1 / 0"]
    with monkeypatch.context() as patched:
        patched.setattr(first, "statements", lambda: broken)
        with pytest.raises(Exception, match="division by zero"):
            await migrate(empty_url)
    conn = await asyncpg.connect(empty_url)
    try:
        left = await conn.fetchval("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace")
    finally:
        await conn.close()
    assert left == 0
    assert await migrate(empty_url) >= 1, "and the next run makes it good"


async def test_products_from_before_get_a_category_a_slug_and_a_listing(empty_url: str):
    conn = await asyncpg.connect(empty_url)
    try:
        async with conn.transaction():
            for statement in [*first.statements(), *accounts.statements(), *taxonomy.statements()]:
                await conn.execute(statement)
        await conn.execute(
            "INSERT INTO sellers (id, name, status) VALUES (uuidv7(), 'S', 'approved'), (uuidv7(), 'T', 'suspended');"
            "INSERT INTO products (id, seller_id, title, category, status)"
            " SELECT uuidv7(), s.id, 'T', c, 'active' FROM sellers s, unnest(ARRAY['Mugs', ' Mugs', '***', NULL]) AS c;"
            "INSERT INTO events (stream, version, type, data, actor)"
            ' SELECT id, 1, \'product.activated\', \'{"title": "T", "category": null}\', seller_id FROM products;'
            'INSERT INTO variants (id, product_id, attributes) SELECT uuidv7(), id, \'{"size": "S"}\' FROM products;'
            "INSERT INTO offers (variant_id, seller_id, sku, price_minor, currency)"
            " SELECT v.id, s.id, v.id::text, 100, 'USD' FROM variants v, sellers s"
        )
        async with conn.transaction():
            for statement in [*products.statements(), *offers.statements()]:
                await conn.execute(statement)
        named = await conn.fetch(
            "SELECT c.name, count(*), count(DISTINCT p.slug) AS slugs FROM products p"
            " LEFT JOIN categories c ON c.id = p.category_id GROUP BY 1 ORDER BY 1"
        )
        assert [tuple(row) for row in named] == [("***", 2, 2), ("Mugs", 4, 4), (None, 2, 2)]
        before = await _listed(conn)
        assert len(before) == 8 + 8
        await refresh_listings(conn, [row["id"] for row in await conn.fetch("SELECT id FROM products")])
        assert await _listed(conn) == before
        assert (await run_check(conn, "categories_match_events")).violations == 0
        (told, *_) = [
            await load_history(conn, row["id"], limit=9) for row in await conn.fetch("SELECT id FROM products")
        ]
        assert [(entry.type, entry.changes) for entry in told] == [("product.activated", {})]
    finally:
        await conn.close()


async def _listed(conn: Any) -> list[Any]:
    return list(await conn.fetch("SELECT * FROM listings ORDER BY product_id, currency"))


async def test_the_days_to_come_have_their_partitions(conn: Any):
    for table in ("commands", "outcomes"):
        days = await conn.fetchval("SELECT count(*) FROM pg_inherits WHERE inhparent = $1::regclass", table)
        assert days == LEAD_DAYS + 2, "yesterday, today and two weeks"


_SAME = {"DOUBLE PRECISION": "DOUBLE PRECISION", "TIMESTAMPTZ": "TIMESTAMP WITH TIME ZONE", "XID8": "XID8"}


def _type(column: Any) -> str:
    name = column.column_type.upper()
    return "ARRAY" if name.endswith("[]") else _SAME.get(name, name)


@pytest.mark.parametrize("table", TABLES, ids=[t._meta.tablename for t in TABLES])
async def test_a_table_of_piccolos_is_the_table_the_migrations_make(conn: Any, table: Any):
    rows = await conn.fetch(
        "SELECT column_name, upper(data_type) AS type, is_nullable = 'YES' AS nullable, column_default IS NOT NULL"
        " OR is_identity = 'YES' AS has_default FROM information_schema.columns"
        " WHERE table_schema = 'public' AND table_name = $1",
        table._meta.tablename,
    )
    made = {row["column_name"]: (row["type"], row["nullable"]) for row in rows}
    known = {c._meta.db_column_name: (_type(c), c._meta.null) for c in table._meta.columns}
    assert known == made
    keys = await conn.fetch(
        "SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)"
        " WHERE i.indrelid = $1::regclass AND i.indisprimary",
        table._meta.tablename,
    )
    assert table._meta.primary_key._meta.db_column_name in {row["attname"] for row in keys}
    for column in table._meta.columns:
        default = next(row["has_default"] for row in rows if row["column_name"] == column._meta.db_column_name)
        value = column._meta.params.get("default")
        if value is not None and not callable(value):
            assert default, f"{column._meta.db_column_name} has a default in Piccolo only"


async def test_every_table_is_known_to_piccolo(conn: Any):
    rows = await conn.fetch(
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition"
        " AND relnamespace = 'public'::regnamespace AND relname <> 'migration'"
    )
    assert {row["relname"] for row in rows} == {t._meta.tablename for t in TABLES}
