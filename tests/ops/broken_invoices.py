"""Ways to break what is true of invoices and credit notes."""

from typing import Any
from uuid import UUID

from tests.ops.breaking import Ways

WAYS = Ways()
breaks = WAYS.breaks
NOBODY = UUID(int=7)
_STREAM = "md5(uuid_send(i.seller_id) || convert_to(i.kind, 'UTF8'))::uuid"
_RETELL = f"""
UPDATE events e SET data = e.data || jsonb_build_object(
    'order_id', i.order_id, 'cause_id', i.cause_id, 'total_minor', i.content -> 'total' -> 'amount')
FROM invoices i WHERE e.stream = {_STREAM} AND e.version = i.number
"""


async def _last(conn: Any, kind: str) -> tuple[UUID, int]:
    """Seller and number of the last document of a kind that a seller has: nothing is numbered after it."""
    query = "SELECT seller_id, last FROM invoice_counters WHERE kind = $1 AND last > 0 LIMIT 1"
    (row,) = await conn.fetch(query, kind)
    return row["seller_id"], row["last"]


async def _thaw(conn: Any) -> None:
    for table in ("invoices", "events"):
        await conn.execute(f"ALTER TABLE {table} DISABLE TRIGGER {table}_frozen")


async def _change(conn: Any, kind: str, what: str, *args: object) -> None:
    """Change a document, and have its event tell so."""
    await _thaw(conn)
    where = "seller_id = $1 AND number = $2 AND kind = $3"
    await conn.execute(f"UPDATE invoices SET {what} WHERE {where}", *await _last(conn, kind), kind, *args)
    await conn.execute(_RETELL)


async def _remove(conn: Any, kind: str) -> None:
    """Take a document away as if it had never been."""
    await _thaw(conn)
    seller, number = await _last(conn, kind)
    where = "i.seller_id = $1 AND i.number = $2 AND i.kind = $3"
    await conn.execute(
        f"DELETE FROM events e USING invoices i WHERE e.stream = {_STREAM} AND e.version = i.number AND {where}",
        *(seller, number, kind),
    )
    await conn.execute(f"DELETE FROM invoices i WHERE {where}", seller, number, kind)
    await conn.execute("UPDATE invoice_counters SET last = last - 1 WHERE seller_id = $1 AND kind = $2", seller, kind)


_TOTAL = """
content = jsonb_set(
    content::jsonb, '{total,amount}', to_jsonb((content -> 'total' ->> 'amount')::bigint + 1))::json
"""


@breaks("invoice_numbers_have_no_gap")
async def a_number_was_given_and_no_document_has_it(conn, trade):
    await conn.execute("UPDATE invoice_counters SET last = last + 1 WHERE kind = 'invoice'")


@breaks("invoice_numbers_have_no_gap")
async def a_counter_is_gone(conn, trade):
    await conn.execute("DELETE FROM invoice_counters WHERE kind = 'credit_note'")


@breaks("invoice_numbers_have_no_gap")
async def a_number_is_left_out(conn, trade):
    await _thaw(conn)
    of = "seller_id = $1 AND kind = 'invoice'"
    seller, number = await _last(conn, "invoice")
    moved = f"SET version = version + 1 FROM invoices i WHERE e.stream = {_STREAM} AND e.version = i.number AND i.{of}"
    await conn.execute(f"UPDATE events e {moved} AND i.number = $2", seller, number)
    await conn.execute(f"UPDATE invoices SET number = number + 1 WHERE {of} AND number = $2", seller, number)
    await conn.execute(f"UPDATE invoice_counters SET last = last + 1 WHERE {of}", seller)


@breaks("sold_seller_orders_have_invoices")
async def a_sold_seller_order_has_no_invoice(conn, trade):
    await _remove(conn, "invoice")


@breaks("sold_seller_orders_have_invoices")
async def what_was_not_sold_has_an_invoice(conn, trade):
    await _change(conn, "invoice", "order_id = $4, cause_id = $4", trade.payments.declined[0])


@breaks("sold_seller_orders_have_invoices")
async def an_invoice_is_about_more_than_was_paid(conn, trade):
    await _change(conn, "invoice", _TOTAL)


@breaks("credit_notes_match_credits")
async def what_was_given_back_has_no_credit_note(conn, trade):
    await _remove(conn, "credit_note")


@breaks("credit_notes_match_credits")
async def a_credit_note_is_of_another_amount(conn, trade):
    await _change(conn, "credit_note", _TOTAL)


@breaks("credit_notes_match_credits")
async def a_credit_note_has_no_cause(conn, trade):
    await _change(conn, "credit_note", "cause_id = $4", NOBODY)


@breaks("documents_match_events")
async def a_document_is_told_of_otherwise(conn, trade):
    await _thaw(conn)
    await conn.execute(
        "UPDATE events SET data = data || '{\"total_minor\": 1}' WHERE type IN ('invoice.issued', 'credit_note.issued')"
    )
