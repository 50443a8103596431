"""Documents of paid orders: each once, however often and however many at once they are asked for, without a gap."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest

from domain.journal.declare import Batch
from domain.orders.model import CancelOrder
from domain.payments.invoice_model import IssueInvoices
from domain.payments.invoice_reads import load_documents
from infra.clock import new_id
from tests.builders import submit, write_offers
from tests.engine.parts import Rig
from tests.jobs.invariants import violations
from tests.jobs.paying import JOBS, Till, a_till

pytestmark = pytest.mark.anyio


@pytest.fixture
async def till(rig: Rig) -> AsyncIterator[Till]:
    async with a_till(rig, units=100) as made:
        yield made


async def issue(till: Till, *orders: UUID) -> list[Any]:
    commands = await submit(till.conn, *(IssueInvoices(order) for order in orders))
    await till.run("issue_invoices")
    rows = await till.conn.fetch("SELECT id, result::text AS r FROM outcomes WHERE id = ANY ($1)", commands)
    results = {row["id"]: None if row["r"] is None else msgspec.json.decode(row["r"]) for row in rows}
    return [results[command] for command in commands]


async def numbers(conn: Any) -> dict[tuple[UUID, str], list[int]]:
    rows = await conn.fetch(
        "SELECT seller_id, kind, array_agg(number ORDER BY number) AS n FROM invoices GROUP BY seller_id, kind"
    )
    return {(row["seller_id"], row["kind"]): row["n"] for row in rows}


async def test_a_paid_order_has_an_invoice_of_each_seller_and_what_is_cancelled_a_credit_note(till: Till):
    (other,) = await write_offers(till.conn, units=10, price=250)
    order = await till.order(till.offer, other, quantity=2)
    assert await issue(till, order) == [{"order_id": str(order), "invoices": 0, "credit_notes": 0}], "not sold yet"
    await till.pay(order)
    await till.run_all()
    await issue(till, order)
    shown = await load_documents(till.conn, order)
    assert [(d.kind, d.seller_id, d.number, d.total.amount) for d in shown] == [
        ("invoice", till.offer.seller_id, 1, 2000),
        ("invoice", other.seller_id, 1, 500),
    ]
    (cancelling,) = await submit(till.conn, CancelOrder(order, lines=(1,)))
    await till.run_all()
    await issue(till, order)
    (note,) = (d for d in await load_documents(till.conn, order, other.seller_id) if d.kind == "credit_note")
    assert (note.cause_id, note.number, note.invoice_number, note.total.amount) == (cancelling, 1, 1, 500)
    assert [(line.quantity, line.total.amount) for line in note.lines] == [(2, 500)]
    assert await violations(till.conn) == {}


async def test_an_order_that_costs_nothing_has_an_invoice_of_nothing(till: Till):
    free = await write_offers(till.conn, units=5, price=0)
    order = await till.order(*free)
    await till.run_all()
    (shown,) = await load_documents(till.conn, order)
    assert (shown.kind, shown.number, shown.total.amount) == ("invoice", 1, 0)


async def test_asked_for_again_nothing_more_is_issued(till: Till):
    order = await till.order()
    await till.pay(order)
    await till.run_all()
    await issue(till, order, order, order)
    assert await numbers(till.conn) == {(till.offer.seller_id, "invoice"): [1]}
    assert await issue(till, order, new_id()) == [{"order_id": str(order), "invoices": 0, "credit_notes": 0}, None]


async def test_a_document_never_changes(till: Till):
    order = await till.order()
    await till.pay(order)
    await issue(till, order)
    before = await load_documents(till.conn, order)
    await till.conn.execute("UPDATE sellers SET name = 'Another name' WHERE id = $1", till.offer.seller_id)
    await issue(till, order)
    assert await load_documents(till.conn, order) == before
    with pytest.raises(asyncpg.RestrictViolationError, match="append-only"):
        await till.conn.execute("UPDATE invoices SET number = 2")


async def paid(till: Till, count: int) -> list[UUID]:
    orders = [await till.order() for _ in range(count)]
    for order in orders:
        await till.start(order)
    await till.run("start_payments")
    # What selling them had follow is what is asked for here.
    gone = "WITH gone AS (DELETE FROM pending WHERE job = 'issue_invoices' RETURNING id)"
    await till.conn.execute(f"{gone} DELETE FROM commands WHERE id IN (SELECT id FROM gone)")
    return orders


async def test_a_rollback_leaves_no_gap(till: Till):
    first, second = await paid(till, 2)
    job = JOBS["issue_invoices"]
    ran = []

    async def write_and_fail(batch: Batch[Any]) -> Any:
        await job.run(batch)
        ran.append(await batch.conn.fetchval("SELECT count(*) FROM invoices"))
        raise ConnectionResetError

    await submit(till.conn, IssueInvoices(first))
    with pytest.raises(ConnectionResetError):
        await till.rig.run(till.rig.runner(msgspec.structs.replace(job, run=write_and_fail)))
    assert ran == [1]
    assert await numbers(till.conn) == {}
    await issue(till, second)
    await till.run("issue_invoices")
    assert await numbers(till.conn) == {(till.offer.seller_id, "invoice"): [1, 2]}


async def test_workers_at_once_issue_each_document_once_without_a_gap(till: Till):
    orders = await paid(till, 12)
    # Twice each, and a few at a time: both workers come to the same orders and the same counter.
    await submit(till.conn, *(IssueInvoices(order) for order in (*orders, *reversed(orders))))
    job = msgspec.structs.replace(JOBS["issue_invoices"], commands_max=3)
    await asyncio.gather(*(till.rig.drain(till.rig.runner(job)) for _ in range(3)))
    assert await numbers(till.conn) == {(till.offer.seller_id, "invoice"): list(range(1, 13))}
    parked = await till.conn.fetchval("SELECT count(*) FROM parked WHERE job = 'issue_invoices'")
    assert parked == 0
    events = await till.conn.fetch("SELECT version FROM events WHERE type = 'invoice.issued' ORDER BY version")
    assert [row["version"] for row in events] == list(range(1, 13))
