"""The decision which documents are missing for sold orders, and what they say.

Invariant: pure. A seller order that was sold has one invoice, on the price version that counted at the sale, and each
cause that gives something of it back has one credit note. Numbers of a seller's kind go up by one.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from msgspec import Struct, structs

from domain import ids
from domain.accounts.address_model import PostalAddress
from domain.journal.model import SYSTEM, Event
from domain.orders.price import Price
from domain.payments.invoice_model import (
    Amount,
    Content,
    Document,
    DocumentIssued,
    DocumentKey,
    DocumentKind,
    DocumentLine,
    DocumentShipping,
    TaxTotal,
)
from domain.pricing.tax import TaxTerms, percent_of

_encode = msgspec.json.Encoder().encode
CounterKey = tuple[UUID, DocumentKind]
"""Whose documents of which kind are counted."""


class SoldLine(Struct, frozen=True):
    """A line as it was frozen at placing."""

    line_no: int
    seller_no: int
    sku: str
    title: str
    quantity: int
    unit_price_minor: int
    tax: TaxTerms | None


class Seller(Struct, frozen=True):
    """Who sells a seller order."""

    id: UUID
    name: str


class Given(Struct, frozen=True):
    """What a cause gives back of a line, or of a seller's shipping, in minor units.

    ``net_minor`` is after discounts and still holds a tax that is included.
    """

    cause_id: UUID
    seller_no: int
    at: datetime
    net_minor: int
    tax_minor: int
    added_tax_minor: int
    line_no: int | None = None
    quantity: int = 0


class SoldOrder(Struct, frozen=True):
    """An order that was sold: who sold what of it at what price, and what was given back."""

    id: UUID
    number: int
    currency: str
    placed_at: datetime
    sold_at: datetime
    ship_to: PostalAddress | None
    price: Price
    lines: Mapping[int, SoldLine]
    sellers: Mapping[int, Seller]
    given: Sequence[Given]


class Draft(Struct, frozen=True):
    """A document that has no number yet."""

    key: DocumentKey
    seller_id: UUID
    content: Content

    @property
    def counter(self) -> CounterKey:
        """By what it is numbered."""
        return self.seller_id, self.key.kind


class _Charged(Struct, frozen=True):
    """An amount as it stands on a document: ``gross_minor`` before the discount, ``net_minor`` without any tax."""

    gross_minor: int
    discount_minor: int
    net_minor: int
    tax_minor: int
    terms: TaxTerms | None

    @property
    def percent(self) -> str | None:
        return None if self.terms is None else percent_of(self.terms.rate_ppm)


def _charged(gross: int, after_discounts: int, tax: int, added: int, terms: TaxTerms | None) -> _Charged:
    return _Charged(gross, gross - after_discounts, after_discounts - (tax - added), tax, terms)


def missing(orders: Collection[SoldOrder], issued: Collection[DocumentKey]) -> list[Draft]:
    """The documents that sold orders lack: invoices first, and what was given back first of the credit notes."""
    made: list[Draft] = []
    for order in sorted(orders, key=lambda order: order.id):
        sold = sorted({order.lines[line_no].seller_no for line_no in order.price.lines})
        for seller_no in sold:
            made += _draft(order, DocumentKey(order.id, seller_no, order.id), issued)
        causes = {(each.at, each.cause_id, each.seller_no) for each in order.given if each.seller_no in sold}
        for _, cause_id, seller_no in sorted(causes):
            made += _draft(order, DocumentKey(order.id, seller_no, cause_id), issued)
    return made


def _draft(order: SoldOrder, key: DocumentKey, issued: Collection[DocumentKey]) -> list[Draft]:
    if key in issued:
        return []
    content = _invoice(order, key.seller_no) if key.kind is DocumentKind.INVOICE else _credit_note(order, key)
    return [Draft(key, order.sellers[key.seller_no].id, content)]


def _invoice(order: SoldOrder, seller_no: int) -> Content:
    lines = []
    for line_no, amounts in sorted(order.price.lines.items()):
        line = order.lines[line_no]
        if line.seller_no == seller_no:
            gross = line.quantity * line.unit_price_minor
            charged = _charged(gross, amounts.net_minor, amounts.tax_minor, amounts.added_tax_minor, line.tax)
            lines.append((line, line.quantity, charged))
    shipping = order.price.shipping.get(seller_no)
    sent = None
    if shipping is not None:
        sent = _charged(
            shipping.cost_minor, shipping.net_minor, shipping.tax_minor, shipping.added_tax_minor, shipping.terms.tax
        )
    return _content(order, seller_no, lines, sent)


def _credit_note(order: SoldOrder, key: DocumentKey) -> Content:
    lines, sent = [], None
    for given in order.given:
        if given.cause_id != key.cause_id or given.seller_no != key.seller_no:
            continue
        amounts = (given.net_minor, given.tax_minor, given.added_tax_minor)
        if given.line_no is None:
            shipping = order.price.shipping[key.seller_no]
            sent = _charged(shipping.cost_minor, *amounts, shipping.terms.tax)
        else:
            line = order.lines[given.line_no]
            gross = given.quantity * line.unit_price_minor
            lines.append((line, given.quantity, _charged(gross, *amounts, line.tax)))
    lines.sort(key=lambda each: each[0].line_no)
    return _content(order, key.seller_no, lines, sent)


def _content(
    order: SoldOrder, seller_no: int, lines: Sequence[tuple[SoldLine, int, _Charged]], sent: _Charged | None
) -> Content:
    def money(minor: int) -> Amount:
        return Amount(minor, order.currency)

    parts = [charged for _, _, charged in lines] + ([] if sent is None else [sent])
    net, tax = sum(part.net_minor for part in parts), sum(part.tax_minor for part in parts)
    return Content(
        order_number=ids.format_order_number(order.number),
        ordered_at=order.placed_at,
        sold_at=order.sold_at,
        seller=order.sellers[seller_no].name,
        ship_to=order.ship_to,
        currency=order.currency,
        lines=tuple(_line(line, quantity, charged, order.currency) for line, quantity, charged in lines),
        shipping=None if sent is None else _shipping(order.price.shipping[seller_no].terms.name, sent, order.currency),
        taxes=_taxes(parts, order.currency),
        discount=money(sum(part.discount_minor for part in parts)),
        net=money(net),
        tax=money(tax),
        total=money(net + tax),
    )


def _line(line: SoldLine, quantity: int, charged: _Charged, currency: str) -> DocumentLine:
    return DocumentLine(
        line_no=line.line_no,
        sku=line.sku,
        title=line.title,
        quantity=quantity,
        unit_price=Amount(line.unit_price_minor, currency),
        discount=Amount(charged.discount_minor, currency),
        net=Amount(charged.net_minor, currency),
        tax_percent=charged.percent,
        tax_included=charged.terms is not None and charged.terms.inclusive,
        tax=Amount(charged.tax_minor, currency),
        total=Amount(charged.net_minor + charged.tax_minor, currency),
    )


def _shipping(method: str, charged: _Charged, currency: str) -> DocumentShipping:
    return DocumentShipping(
        method=method,
        cost=Amount(charged.gross_minor, currency),
        discount=Amount(charged.discount_minor, currency),
        net=Amount(charged.net_minor, currency),
        tax_percent=charged.percent,
        tax_included=charged.terms is not None and charged.terms.inclusive,
        tax=Amount(charged.tax_minor, currency),
        total=Amount(charged.net_minor + charged.tax_minor, currency),
    )


def _taxes(parts: Sequence[_Charged], currency: str) -> tuple[TaxTotal, ...]:
    """What is charged at each rate, the lowest first; what no rate applied to before all."""
    sums: dict[int | None, tuple[int, int]] = {}
    for part in parts:
        rate = None if part.terms is None else part.terms.rate_ppm
        net, tax = sums.get(rate, (0, 0))
        sums[rate] = (net + part.net_minor, tax + part.tax_minor)
    return tuple(
        TaxTotal(None if rate is None else percent_of(rate), Amount(net, currency), Amount(tax, currency))
        for rate, (net, tax) in sorted(sums.items(), key=lambda item: -1 if item[0] is None else item[0])
    )


def number(
    drafts: Sequence[Draft],
    last: Mapping[CounterKey, int],
    invoices: Mapping[tuple[UUID, int], int],
    now: datetime,
) -> list[Document]:
    """Give drafts their numbers, in their order, from the last ones of their counters on.

    ``invoices`` has the numbers of invoices that were issued before, by order and number of the seller order.
    """
    counters, of = dict(last), dict(invoices)
    made: list[Document] = []
    for draft in sorted(drafts, key=lambda draft: draft.key.kind is not DocumentKind.INVOICE):
        counters[draft.counter] += 1
        count, part = counters[draft.counter], (draft.key.order_id, draft.key.seller_no)
        content = draft.content
        if draft.key.kind is DocumentKind.INVOICE:
            of[part] = count
        else:
            content = structs.replace(content, invoice_number=of[part])
        made.append(Document(draft.key, draft.seller_id, count, now, content))
    return made


def event_of(document: Document, correlation: str) -> Event:
    """What issuing a document tells. The stream is that of its seller's documents of its kind."""
    kind, total = document.key.kind, document.content.total
    told = DocumentIssued(
        document.seller_id, document.key.order_id, document.key.cause_id, total.amount, total.currency
    )
    name = "invoice.issued" if kind is DocumentKind.INVOICE else "credit_note.issued"
    stream = ids.document_stream(document.seller_id, kind.value)
    return Event(stream, document.number, name, _encode(told).decode(), SYSTEM, correlation)
