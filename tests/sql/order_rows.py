"""Rows of notes, returns and documents, and arguments for their statements and for those that look for orders."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from domain.orders import note_sql, return_reads, return_sql, search_reads
from domain.payments import invoice_reads, invoice_sql
from infra.clock import new_id

LAST = UUID(int=2**128 - 1)

FILL = """
INSERT INTO order_notes (id, order_id, seller_id, author, text, at)
    SELECT id, id, CASE WHEN n % 2 = 0 THEN seller END, buyer, 'T', now() FROM numbers;
INSERT INTO returns (id, order_id, seller_no, seller_id, lines, quantities, reason, requested_by, requested_at)
    SELECT id, id, 0, seller, '{0}', '{1}', 'R', buyer, now() FROM numbers;
INSERT INTO invoice_counters (seller_id, kind, last) SELECT seller, 'invoice', 1 FROM numbers;
INSERT INTO invoices (order_id, seller_no, cause_id, seller_id, kind, number, issued_at, content)
    SELECT id, 0, id, seller, 'invoice', 1, now(), '{}' FROM numbers;
"""


def statements(sample: Any) -> dict[tuple[str, str], tuple[Any, ...]]:
    """Arguments for each statement, by module and name."""
    now = datetime.now(UTC)
    wanted = {
        "number": 7,
        "email": "nobody@example.com",
        "seller": sample["sellers"][0],
        "buyer": sample["buyers"][0],
        "status": "confirmed",
    }
    page = (LAST, UUID(int=0), now - timedelta(days=7), now, 50)
    n = note_sql.__name__
    ids, seller = sample["ids"], sample["sellers"][0]
    count = len(ids)
    notes = ([new_id() for _ in ids], ids, sample["sellers"], sample["buyers"], ["t"] * count, [now] * count)
    searches = {
        (search_reads.__name__, f"SEARCHES {filters}"): (*page, *(wanted[name] for name in filters.split()))
        for filters in search_reads.SEARCHES
    }
    b, v, ones = return_sql.__name__, return_reads.__name__, ["1"] * count
    said = (["approved"] * count, ["t"] * count)
    i, kinds = invoice_sql.__name__, ["invoice"] * count
    return searches | {
        (invoice_reads.__name__, "LOAD_DOCUMENTS"): (ids[0],),
        (b, "LOAD_RETURNS"): (ids,),
        (b, "LOAD_ARRIVED"): (ids,),
        (b, "DECIDE_RETURNS"): (ids, *said, sample["buyers"], now),
        (b, "RECEIVE_RETURNS"): (ids, ones, ones, sample["buyers"], now),
        (b, "FIND_RETURN"): (ids[0],),
        (v, "LOAD"): (ids[0],),
        (v, "LIST_ALL"): (LAST, 50),
        (v, "LIST_OWN"): (LAST, 50, sample["buyers"][0], seller),
        (i, "LOAD_SOLD_ORDERS"): (ids,),
        (i, "LOAD_SOLD_LINES"): (ids,),
        (i, "LOAD_SELLERS"): (ids,),
        (i, "LOAD_GIVEN"): (ids,),
        (i, "LOAD_ORDER_IDS"): (ids,),
        (i, "LOAD_ISSUED"): (ids,),
        (i, "LOCK_COUNTERS"): (sample["sellers"], kinds),
        (i, "SET_COUNTERS"): (sample["sellers"], kinds, [2] * count),
        (n, "INSERT_NOTES"): notes,
        (n, "LIST_NOTES"): (ids[0], LAST, 50),
        (n, "LIST_NOTES_OF_SELLER"): (ids[0], LAST, 50, seller),
        (n, "LOAD_SELLERS"): (ids,),
    }
