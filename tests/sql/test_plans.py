"""Every statement goes by an index: none scans a table of over 10,000 rows, whatever plan PostgreSQL keeps."""

import asyncio
import importlib
import json
import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from domain.catalog import listing_reads
from domain.catalog.listing import Sort
from domain.orders import search_reads
from infra import postgres
from ops.stack import EmbeddedStack
from tests import databases
from tests.sql.filled import FILL, ROWS, SAMPLE, statements
from tests.sql.taxonomy_rows import nth

pytestmark = pytest.mark.anyio

MODULES = [
    "domain.journal.sql",
    "domain.journal.answers_sql",
    "domain.journal.reads",
    "domain.journal.event_reads",
    "domain.journal.event_search_reads",
    "domain.journal.event_sql",
    "domain.operation.audit_sql",
    "domain.operation.figure_reads",
    "domain.operation.reads",
    "domain.operation.status_reads",
    "domain.operation.tick_sql",
    "domain.orders.sql",
    "domain.orders.reads",
    "domain.orders.fulfilment_sql",
    "domain.orders.seller_order_reads",
    "domain.orders.shipment_reads",
    "domain.orders.search_reads",
    "domain.orders.note_sql",
    "domain.orders.return_reads",
    "domain.orders.return_sql",
    "domain.orders.crediting_sql",
    "domain.orders.expiry_sql",
    "domain.inventory.sql",
    "domain.inventory.stock_sql",
    "domain.inventory.received_sql",
    "domain.insights.sql",
    "domain.insights.reads",
    "domain.inventory.hold_sql",
    "domain.inventory.limit_sql",
    "domain.inventory.reads",
    "domain.inventory.sale_sql",
    "domain.accounts.seller_reads",
    "domain.catalog.sql",
    "domain.catalog.attribute_reads",
    "domain.catalog.attribute_sql",
    "domain.catalog.category_reads",
    "domain.catalog.category_sql",
    "domain.catalog.listing_reads",
    "domain.catalog.listing_sql",
    "domain.catalog.use_sql",
    "domain.catalog.offer_sql",
    "domain.catalog.product_reads",
    "domain.catalog.product_sql",
    "domain.catalog.relist_sql",
    "domain.catalog.variant_sql",
    "domain.orders.cart_sql",
    "domain.payments.ledger_reads",
    "domain.payments.ledger_sql",
    "domain.payments.payout_reads",
    "domain.payments.payout_sql",
    "domain.payments.invoice_reads",
    "domain.payments.invoice_sql",
    "domain.notifications.hearing_sql",
    "domain.notifications.webhook_reads",
    "domain.notifications.webhook_sql",
    "domain.payments.reads",
    "domain.payments.reconciliation_sql",
    "domain.payments.sql",
    "domain.payments.statement_reads",
    "domain.notifications.preference_sql",
    "domain.notifications.reads",
    "domain.notifications.sql",
    "domain.orders.commission_sql",
    "domain.orders.price_sql",
    "domain.orders.repricing_sql",
    "domain.pricing.book_reads",
    "domain.pricing.commission_reads",
    "domain.pricing.commission_sql",
    "domain.pricing.rate_sql",
    "domain.pricing.code_sql",
    "domain.pricing.promotion_reads",
    "domain.pricing.promotion_sql",
    "domain.pricing.use_sql",
    "domain.pricing.version_sql",
    "infra.gateways.sandbox_books",
]
_STATEMENT = re.compile(r"\s*(SELECT|WITH|INSERT|UPDATE|DELETE)\b")
QUERIES: dict[tuple[str, str], str] = {
    (module, name): value
    for module in MODULES
    for name, value in vars(importlib.import_module(module)).items()
    if name.isupper() and isinstance(value, str) and _STATEMENT.match(value)
} | {
    (listing_reads.__name__, f"{name} {key}"): statement
    for name, of in (("WALKS", listing_reads.WALKS), ("GATHERINGS", listing_reads.GATHERINGS))
    for key, statement in of.items()
}
QUERIES |= {
    (search_reads.__name__, f"SEARCHES {filters}"): statement for filters, statement in search_reads.SEARCHES.items()
}

# An operator's retry finds its command's partition while it runs, by the id of the row it took.
PRUNED_AS_IT_RUNS = {("domain.journal.sql", "UNPARK")}
LARGE = 10_000


def test_no_statement_returns_rows_without_columns():
    """asyncpg 0.32 writes eight bytes past the end of such a row when it is freed: the heap is damaged."""
    assert [key for key, query in QUERIES.items() if re.match(r"\s*SELECT\s+FROM\b", query)] == []


async def _fill(url: str) -> dict[str, Any]:
    conn = await asyncpg.connect(url)
    try:
        await conn.execute(FILL)
        await conn.execute("VACUUM ANALYZE")
        return dict(await conn.fetchrow(SAMPLE))
    finally:
        await conn.close()


@pytest.fixture(scope="session")
def filled(stack: EmbeddedStack, template: str) -> tuple[str, dict[str, Any]]:
    url = databases.create(stack, "filled", template)
    return url, asyncio.run(_fill(url))


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


async def large_tables(conn: Any) -> set[str]:
    rows = await conn.fetch("SELECT relname FROM pg_class WHERE relkind = 'r' AND reltuples > $1", LARGE)
    return {row["relname"] for row in rows}


async def explain(conn: Any, query: str, args: tuple[object, ...], begin: str = postgres.BEGIN) -> dict[str, Any]:
    """The plan for these very parameters, under the settings of a worker's session."""
    await conn.execute(begin)
    try:
        return dict(json.loads(await conn.fetchval(f"EXPLAIN (FORMAT JSON) {query}", *args))[0]["Plan"])
    finally:
        await conn.execute("ROLLBACK")


async def explain_generic(conn: Any, query: str) -> dict[str, Any]:
    """The plan for any parameters, which PostgreSQL may keep after a few uses."""
    await conn.execute(
        "CREATE OR REPLACE FUNCTION pg_temp.generic(query text) RETURNS json LANGUAGE plpgsql AS $$ DECLARE plan json;"
        " BEGIN EXECUTE 'EXPLAIN (GENERIC_PLAN, FORMAT JSON) ' || query INTO plan; RETURN plan; END $$"
    )
    await conn.execute(postgres.BEGIN)
    try:
        return dict(json.loads(await conn.fetchval("SELECT pg_temp.generic($1)", query))[0]["Plan"])
    finally:
        await conn.execute("ROLLBACK")


def partitions(plan: dict[str, Any]) -> set[str]:
    return {
        node["Relation Name"]
        for node in nodes(plan)
        if re.match(r"(commands|outcomes)_\d+$", node.get("Relation Name", "")) and node["Node Type"] != "ModifyTable"
    }


def scans(plan: dict[str, Any], large: set[str]) -> list[str]:
    return [
        node["Relation Name"]
        for node in nodes(plan)
        if node["Node Type"] == "Seq Scan" and node["Relation Name"] in large
    ]


def test_every_statement_of_the_domain_is_planned_here():
    assert set(statements(_sample())) == set(QUERIES), "give each statement parameters in tests/sql/filled.py"


def _sample() -> dict[str, Any]:
    return {name: [uuid4()] for name in ("ids", "buyers", "variants", "sellers")}


async def _wrong(conn: Any, key: tuple[str, str], args: tuple[object, ...], large: set[str]) -> list[str]:
    """What is wrong with how a statement is carried out."""
    plan, generic = await explain(conn, QUERIES[key], args), await explain_generic(conn, QUERIES[key])
    found = [f"scans {table}" for table in scans(plan, large)]
    found += [f"scans {table} with a kept plan" for table in scans(generic, large)]
    # Ids of one day: its partition, and at midnight its neighbour.
    tables = {name.split("_")[0] for name in partitions(plan)}
    if key not in PRUNED_AS_IT_RUNS and len(partitions(plan)) > 2 * len(tables):
        found.append(f"looks into partitions that can't matter: {partitions(plan)}")
    return found


async def test_no_statement_scans_a_large_table(filled: tuple[str, dict[str, Any]]):
    url, sample = filled
    conn = await asyncpg.connect(url)
    try:
        large = await large_tables(conn)
        assert {"pending", "orders", "order_lines", "stock", "offers", "reservations", "events"} <= large
        assert {"categories", "carts", "cart_lines"} <= large
        assert {"payments", "refunds", "chargebacks", "orphaned_charges"} <= large
        args = statements(sample)
        assert {key: wrong for key in QUERIES if (wrong := await _wrong(conn, key, args[key], large))} == {}
    finally:
        await conn.close()


@pytest.mark.parametrize("name", ["CLAIM", "CLAIM_ORDERED", "CLAIM_SOLO", "CLAIM_EFFECTS"])
async def test_a_claim_reads_its_rows_in_the_index_order_and_stops(filled: tuple[str, dict[str, Any]], name: str):
    """A sort of everything that is due would grow with the backlog."""
    url, sample = filled
    key = ("domain.journal.sql", name)
    args: list[Any] = list(statements(sample)[key])
    conn = await asyncpg.connect(url)
    try:
        plan = await explain(conn, QUERIES[key], tuple(args))
    finally:
        await conn.close()
    # The locking part: a CTE, or what the DELETE of one row asks for.
    first = next(node for node in nodes(plan) if node["Node Type"] == "Limit")
    kinds = [node["Node Type"] for node in nodes(first)]
    assert "LockRows" in kinds
    assert not {"Sort", "Hash Join", "Nested Loop"} & set(kinds)
    scan = next(node for node in nodes(first) if node.get("Alias") in {"pending", "p", "p_1"})
    assert scan["Index Name"] == ("pending_solo" if name == "CLAIM_SOLO" else "pending_due")


@pytest.mark.parametrize("sort", Sort)
async def test_a_walk_reads_so_many_in_the_index_order_and_stops(filled: tuple[str, dict[str, Any]], sort: Sort):
    conn = await asyncpg.connect(filled[0])
    try:
        plan = await explain_generic(conn, listing_reads.WALKS[sort])
    finally:
        await conn.close()
    index = "listings_" + {Sort.NEWEST: "newest", Sort.TITLE: "title"}.get(sort, "price")
    (scan,) = (node for node in nodes(plan) if node.get("Relation Name") == "listings")
    assert (scan["Node Type"], scan["Index Name"]) == ("Index Scan", index)
    (limit,) = (node for node in nodes(plan) if node["Node Type"] == "Limit" and scan in node.get("Plans", ()))
    assert limit["Plans"] == [scan], "nothing stands between what is read and where it stops"


@pytest.mark.parametrize(
    ("filters", "indexes"),
    [
        ({10: ["n=77"]}, {"listings_found_priced"}),
        ({4: ["n=77", "n=78"]}, {"listings_found_priced"}),
        ({9: [nth(4, 77)]}, {"listings_category"}),
        ({9: [nth(4, n) for n in range(1, 40)], 10: ["colour=3"]}, {"listings_category", "listings_found_priced"}),
        ({7: 77, 8: 79}, {"listings_price"}),
        ({6: "", 7: 0, 12: nth(1, 77)}, {"listings_found"}),
    ],
)
async def test_what_is_gathered_is_found_by_what_is_rare_of_it(
    filled: tuple[str, dict[str, Any]], filters: dict[int, Any], indexes: set[str]
):
    url, sample = filled
    arguments = list(statements(sample)[listing_reads.__name__, f"GATHERINGS {Sort.NEWEST}"])
    for number, value in filters.items():
        arguments[number - 1] = value
    conn = await asyncpg.connect(url)
    try:
        plan = await explain(conn, listing_reads.GATHERINGS[Sort.NEWEST], tuple(arguments), postgres.BEGIN_PLANNING)
    finally:
        await conn.close()
    assert {node["Index Name"] for node in nodes(plan) if "Index Name" in node} == indexes


async def test_a_scan_would_be_seen(filled: tuple[str, dict[str, Any]]):
    conn = await asyncpg.connect(filled[0])
    try:
        query = "SELECT count(*) FROM orders WHERE payment = $1"
        assert scans(await explain(conn, query, ("unpaid",)), {"orders"}) == ["orders"]
        assert scans(await explain_generic(conn, query), {"orders"}) == ["orders"]
        every = await explain(conn, "SELECT count(*) FROM commands WHERE job = $1", ("place_orders",))
        assert len(partitions(every)) > 2
    finally:
        await conn.close()


async def test_the_filled_tables_are_over_the_limit(filled: tuple[str, dict[str, Any]]):
    conn = await asyncpg.connect(filled[0])
    try:
        tables = ("commands", "outcomes", "pending", "parked", "idempotency", "movements", "reservations", "orders")
        for table in tables:
            assert await conn.fetchval(f"SELECT count(*) FROM {table}") > LARGE
    finally:
        await conn.close()
    assert ROWS > LARGE
