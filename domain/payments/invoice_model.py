"""Invoices and credit notes: the command, what a document says, and how it is numbered.

Invariant: a document is frozen when it is issued. What is charged on it adds up: of each line and of shipping ``net``
and ``tax`` are ``total``, and those of all of them are the document's.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar
from uuid import UUID

from msgspec import Meta, Struct

from domain.accounts.address_model import PostalAddress
from domain.journal.model import Command, Lane
from domain.money import MINOR_MAX, Currency


class IssueInvoices(Command, frozen=True):
    """Issue what documents are missing for an order that was sold, and for what was given back of it.

    It waits for no other command about the order and none waits for it: it changes nothing of the order, and what it
    finds issued already it leaves.
    """

    job: ClassVar[str] = "issue_invoices"
    lane: ClassVar[Lane] = Lane.PRICING

    order_id: UUID

    def weight(self) -> int:
        """Rows it writes, for an order of two sellers."""
        return 6


class DocumentKind(StrEnum):
    """Each kind is numbered by itself."""

    INVOICE = "invoice"
    CREDIT_NOTE = "credit_note"


class Amount(Struct, frozen=True, forbid_unknown_fields=True):
    """An amount of a document in minor units. Of units that cost less than one, what is given back may be tax alone and
    less than nothing besides.
    """

    amount: Annotated[int, Meta(ge=-MINOR_MAX, le=MINOR_MAX)]
    currency: Currency


class DocumentLine(Struct, frozen=True):
    """Units of a line. ``unit_price`` is before discounts and holds the tax if ``tax_included`` says so.

    ``tax_percent`` is null where no rate applied.
    """

    line_no: int
    sku: str
    title: str
    quantity: int
    unit_price: Amount
    discount: Amount
    net: Amount
    tax_percent: str | None
    tax_included: bool
    tax: Amount
    total: Amount


class DocumentShipping(Struct, frozen=True):
    """What a seller's shipping costs; ``cost`` is before discounts."""

    method: str
    cost: Amount
    discount: Amount
    net: Amount
    tax_percent: str | None
    tax_included: bool
    tax: Amount
    total: Amount


class TaxTotal(Struct, frozen=True):
    """What is charged at one rate, and the tax on it."""

    tax_percent: str | None
    net: Amount
    tax: Amount


class Content(Struct, frozen=True):
    """What a document says, but for its number. ``sold_at`` is when the order was paid.

    ``invoice_number`` is that of the invoice a credit note takes back from.
    """

    order_number: str
    ordered_at: datetime
    sold_at: datetime
    seller: str
    ship_to: PostalAddress | None
    currency: str
    lines: tuple[DocumentLine, ...]
    shipping: DocumentShipping | None
    taxes: tuple[TaxTotal, ...]
    discount: Amount
    net: Amount
    tax: Amount
    total: Amount
    invoice_number: int | None = None


class DocumentKey(Struct, frozen=True):
    """What a document is about: a seller order, and why. An invoice's cause is the order itself."""

    order_id: UUID
    seller_no: int
    cause_id: UUID

    @property
    def kind(self) -> DocumentKind:
        """Which kind it is."""
        return DocumentKind.INVOICE if self.cause_id == self.order_id else DocumentKind.CREDIT_NOTE


class Document(Struct, frozen=True):
    """An invoice or a credit note, as it is written."""

    key: DocumentKey
    seller_id: UUID
    number: int
    issued_at: datetime
    content: Content


class IssuedDocuments(Struct, frozen=True):
    """The result: how many documents were missing."""

    order_id: UUID
    invoices: int
    credit_notes: int


class DocumentIssued(Struct, frozen=True):
    """Data of ``invoice.issued`` and ``credit_note.issued``: the version of the event is the document's number."""

    seller_id: UUID
    order_id: UUID
    cause_id: UUID
    total_minor: int
    currency: str
