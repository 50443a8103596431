"""Issue what invoices and credit notes are missing: read, decide, lock the counters, look once more, write."""

from collections.abc import Sequence
from uuid import UUID

from domain.journal.declare import Batch, batch
from domain.journal.model import BatchOutcome, Rejected, Succeeded
from domain.journal.sql import insert_events
from domain.payments import invoicing
from domain.payments.invoice_model import Document, DocumentKind, IssuedDocuments, IssueInvoices
from domain.payments.invoice_sql import (
    insert_documents,
    load_issued,
    load_order_ids,
    load_sold_orders,
    lock_counters,
)
from domain.rejections import Code, Rejection


@batch(IssueInvoices)
async def issue_invoices(batch: Batch[IssueInvoices]) -> Sequence[BatchOutcome]:
    """Issue a batch; outcomes in the order of the commands. An order that wasn't sold lacks nothing."""
    conn = batch.conn
    ids = sorted({claimed.command.order_id for claimed in batch.commands})
    known = await load_order_ids(conn, ids)
    documents = await _issue(batch, ids)
    correlations = {claimed.command.order_id: claimed.correlation for claimed in batch.commands}
    await insert_documents(conn, documents)
    await insert_events(conn, [invoicing.event_of(each, correlations[each.key.order_id]) for each in documents])
    issued: dict[UUID, list[DocumentKind]] = {}
    for each in documents:
        issued.setdefault(each.key.order_id, []).append(each.key.kind)
    outcomes: list[BatchOutcome] = []
    for claimed in batch.commands:
        order = claimed.command.order_id
        if order not in known:
            outcomes.append(Rejected(Rejection(404, Code.NOT_FOUND, "there is no such order")))
            continue
        kinds = issued.pop(order, [])
        invoices, credit_notes = kinds.count(DocumentKind.INVOICE), kinds.count(DocumentKind.CREDIT_NOTE)
        outcomes.append(Succeeded(IssuedDocuments(order, invoices, credit_notes)))
    return outcomes


async def _issue(batch: Batch[IssueInvoices], ids: Sequence[UUID]) -> list[Document]:
    conn = batch.conn
    drafts = invoicing.missing(await load_sold_orders(conn, ids), await load_issued(conn, ids))
    if not drafts:
        return []
    last = await lock_counters(conn, {draft.counter for draft in drafts})
    # Somebody else may have issued some of them until just now.
    issued = await load_issued(conn, ids)
    left = [draft for draft in drafts if draft.key not in issued]
    invoices = {
        (key.order_id, key.seller_no): number for key, number in issued.items() if key.kind is DocumentKind.INVOICE
    }
    return invoicing.number(left, last, invoices, batch.now)
