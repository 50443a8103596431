"""Invoices and credit notes as those who may see them do."""

from datetime import datetime
from uuid import UUID

import msgspec

from domain import ids
from domain.connection import Connection
from domain.payments.invoice_model import Content, DocumentKind

_SHOWN = "order_id, seller_no, cause_id, seller_id, kind, number, issued_at, content::text AS content"
# In the order in which they are told: each seller's invoice, then what was given back of it.
LOAD_DOCUMENTS = f"""
SELECT {_SHOWN} FROM invoices WHERE order_id = $1 ORDER BY seller_no, kind DESC, number
"""

_content = msgspec.json.Decoder(Content)


class DocumentView(Content, frozen=True, kw_only=True):
    """An invoice or a credit note. ``number`` counts its seller's documents of its kind.

    ``cause_id`` is the order's for an invoice; for a credit note that of what gave something back.
    """

    kind: DocumentKind
    number: int
    issued_at: datetime
    seller_id: UUID
    order_id: UUID
    seller_order_id: UUID
    cause_id: UUID


async def load_documents(conn: Connection, order_id: UUID, seller_id: UUID | None = None) -> list[DocumentView]:
    """Read an order's documents, all of them or those of a seller."""
    return [
        DocumentView(
            **{name: getattr(content, name) for name in Content.__struct_fields__},
            kind=DocumentKind(row["kind"]),
            number=row["number"],
            issued_at=row["issued_at"],
            seller_id=row["seller_id"],
            order_id=row["order_id"],
            seller_order_id=ids.child(row["order_id"], ids.Kind.SELLER_ORDER, row["seller_no"]),
            cause_id=row["cause_id"],
        )
        for row in await conn.fetch(LOAD_DOCUMENTS, order_id)
        if seller_id in {None, row["seller_id"]}
        for content in [_content.decode(row["content"])]
    ]
