"""What invoices and credit notes say, and how they are numbered."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from domain.orders.price import LineAmounts, Price, ShippingAmounts, ShippingTerms
from domain.payments.invoice_model import Content, Document, DocumentKey, DocumentKind
from domain.payments.invoicing import Given, Seller, SoldLine, SoldOrder, event_of, missing, number
from domain.pricing.tax import TaxTerms, percent_of, ppm_of, tax_on
from tests.domain.pricing_builders import NOW
from tests.domain.strategies import laws

ADA, BERT = UUID(int=0xADA), UUID(int=0xBE)
ORDER = UUID(int=7)
CAUSE, LATER = UUID(int=1 << 100), UUID(int=1)
NINETEEN, INCLUDED = TaxTerms(190_000, False), TaxTerms(70_000, True)


def line(line_no: int, seller_no: int = 0, *, price: int = 1000, quantity: int = 2, tax: Any = None) -> SoldLine:
    return SoldLine(line_no, seller_no, f"SKU-{line_no}", f"Thing {line_no}", quantity, price, tax)


def amounts(line: SoldLine, off: int = 0) -> LineAmounts:
    net = line.unit_price_minor * line.quantity - off
    tax = tax_on(net, line.tax)
    return LineAmounts(net, off, 0, tax.amount_minor, tax.added_minor)


def sold(*lines: SoldLine, off: int = 0, shipping: dict[int, ShippingAmounts] | None = None, **more: Any) -> SoldOrder:
    """An order of what Ada (0) and Bert (1) sell; ``off`` is taken off each line."""
    return SoldOrder(
        id=more.pop("id", ORDER),
        number=12345,
        currency="EUR",
        placed_at=NOW - timedelta(days=1),
        sold_at=NOW,
        ship_to=None,
        price=Price({each.line_no: amounts(each, off) for each in lines}, shipping or {}, []),
        lines={each.line_no: each for each in lines},
        sellers={0: Seller(ADA, "Ada"), 1: Seller(BERT, "Bert")},
        given=more.pop("given", []),
    )


def contents(order: SoldOrder, issued: frozenset[DocumentKey] = frozenset()) -> list[Content]:
    return [draft.content for draft in missing([order], issued)]


def test_each_seller_of_a_sold_order_has_one_invoice_of_their_own_lines():
    order = sold(line(0, 0), line(1, 1, price=500), line(2, 0, price=250))
    ada, bert = contents(order)
    assert (ada.seller, [each.sku for each in ada.lines], ada.total.amount) == ("Ada", ["SKU-0", "SKU-2"], 2500)
    assert (bert.seller, [each.sku for each in bert.lines], bert.total.amount) == ("Bert", ["SKU-1"], 1000)
    assert [draft.key for draft in missing([order], ())] == [DocumentKey(ORDER, n, ORDER) for n in (0, 1)]


def test_a_line_that_was_cancelled_before_the_sale_is_on_no_invoice():
    order = sold(line(0, 0), line(1, 1))
    order = structs.replace(order, price=Price({0: order.price.lines[0]}, {}, []))
    assert [content.seller for content in contents(order)] == ["Ada"]


def test_an_invoice_tells_discounts_tax_and_shipping_and_sums_tax_by_rate():
    express = ShippingAmounts(600, ShippingTerms(None, "Express", NINETEEN), 100, 0, 95, 95)
    order = sold(
        line(0, tax=NINETEEN), line(1, tax=INCLUDED, price=1070), line(2, price=5), off=10, shipping={0: express}
    )
    (content,) = contents(order)
    added, included, untaxed = content.lines
    assert (added.discount.amount, added.net.amount, added.tax_percent, added.tax.amount) == (10, 1990, "19", 378)
    assert (added.tax_included, added.total.amount) == (False, 2368)
    # 21.30 hold 1.39 of tax.
    assert (included.net.amount, included.tax.amount, included.total.amount) == (1991, 139, 2130)
    assert included.tax_included
    assert (untaxed.net.amount, untaxed.tax_percent, untaxed.tax.amount) == (0, None, 0)
    shipping = content.shipping
    assert shipping is not None
    assert (shipping.method, shipping.cost.amount, shipping.discount.amount) == ("Express", 600, 100)
    assert (shipping.net.amount, shipping.tax.amount, shipping.total.amount) == (500, 95, 595)
    assert [(each.tax_percent, each.net.amount, each.tax.amount) for each in content.taxes] == [
        (None, 0, 0),
        ("7", 1991, 139),
        ("19", 2490, 473),
    ]
    assert (content.discount.amount, content.net.amount, content.tax.amount) == (130, 4481, 612)
    assert content.total.amount == order.price.total_minor == 5093


def test_each_cause_has_one_credit_note_for_each_seller_it_gives_back_for():
    back = [
        Given(CAUSE, 0, NOW, 1000, 190, 190, line_no=0, quantity=1),
        Given(CAUSE, 1, NOW, 500, 0, 0, line_no=1, quantity=1),
        Given(LATER, 0, NOW + timedelta(days=1), 1000, 190, 190, line_no=0, quantity=1),
        Given(LATER, 0, NOW + timedelta(days=1), 500, 95, 95),
    ]
    express = ShippingAmounts(500, ShippingTerms(None, "Express", NINETEEN), 0, 0, 95, 95)
    order = sold(line(0, tax=NINETEEN), line(1, 1, price=500), shipping={0: express}, given=back)
    drafts = missing([order], ())
    notes = [draft for draft in drafts if draft.key.kind is DocumentKind.CREDIT_NOTE]
    assert [(d.key.cause_id, d.seller_id, d.content.total.amount) for d in notes] == [
        (CAUSE, ADA, 1190),
        (CAUSE, BERT, 500),
        (LATER, ADA, 1785),
    ]
    assert notes[0].content.lines[0].quantity == 1
    assert notes[2].content.shipping is not None
    assert notes[2].content.shipping.total.amount == 595


def test_what_is_issued_is_not_missing():
    back = [Given(CAUSE, 0, NOW, 1000, 0, 0, line_no=0, quantity=1)]
    order = sold(line(0), given=back)
    keys = [draft.key for draft in missing([order], ())]
    assert missing([order], keys) == []
    assert [draft.key for draft in missing([order], keys[:1])] == keys[1:]


def numbered(drafts: Any, last: int = 0, invoices: Any = None) -> list[Document]:
    counters = {draft.counter: last for draft in drafts}
    return number(drafts, counters, invoices or {}, NOW)


def test_numbers_go_on_from_the_last_one_of_each_seller_and_kind():
    back = [Given(CAUSE, 0, NOW, 1, 0, 0, line_no=0, quantity=1)]
    orders = [sold(line(0), line(1, 1), id=UUID(int=n), given=back) for n in (3, 1, 2)]
    made = numbered(missing(orders, ()), last=40)
    of: dict[Any, list[int]] = {}
    for each in made:
        of.setdefault((each.seller_id, each.key.kind), []).append(each.number)
    assert of == {
        (ADA, DocumentKind.INVOICE): [41, 42, 43],
        (BERT, DocumentKind.INVOICE): [41, 42, 43],
        (ADA, DocumentKind.CREDIT_NOTE): [41, 42, 43],
    }


def test_a_credit_note_names_the_invoice_it_takes_back_from():
    back = [Given(CAUSE, 0, NOW, 1, 0, 0, line_no=0, quantity=1)]
    order = sold(line(0), given=back)
    drafts = missing([order], ())
    assert [each.content.invoice_number for each in numbered(drafts, last=7)] == [None, 8]
    (note,) = numbered(drafts[1:], last=2, invoices={(ORDER, 0): 55})
    assert (note.number, note.content.invoice_number) == (3, 55)


def test_the_event_of_a_document_has_its_number_as_version():
    first, second = (numbered(missing([sold(line(0), id=UUID(int=n))], ()), last=n)[0] for n in (1, 2))
    events = [event_of(document, "c") for document in (first, second)]
    assert [(event.type, event.version) for event in events] == [("invoice.issued", 2), ("invoice.issued", 3)]
    assert events[0].stream == events[1].stream


@pytest.mark.parametrize("percent", ["0", "7", "19", "8.875", "0.0001", "100", "5.5"])
def test_a_rate_is_written_as_it_was_said(percent: str):
    assert percent_of(ppm_of(percent)) == percent


@laws()
@given(st.data())
def test_parts_of_a_document_sum_to_its_totals(data: st.DataObject):
    taxes = st.sampled_from([None, NINETEEN, INCLUDED, TaxTerms(88_750, False)])
    lines = [
        line(n, price=data.draw(st.integers(1, 99_999)), quantity=data.draw(st.integers(1, 9)), tax=data.draw(taxes))
        for n in range(data.draw(st.integers(1, 6)))
    ]
    order = sold(*lines, off=data.draw(st.integers(0, 1)))
    # Given back one unit at a time, as crediting reckons it: in all what was charged.
    back: list[Given] = []
    for each in lines:
        whole = order.price.lines[each.line_no]
        parts = (whole.net_minor, whole.tax_minor, whole.added_tax_minor)
        shares = [[(2 * p * q + each.quantity) // (2 * each.quantity) for p in parts] for q in range(each.quantity + 1)]
        for units, (before, after) in enumerate(pairwise(shares)):
            given_back = [b - a for a, b in zip(before, after, strict=True)]
            back.append(Given(UUID(int=1000 + units), 0, NOW, *given_back, line_no=each.line_no, quantity=1))
    invoice, *notes = contents(structs.replace(order, given=back))
    for content in (invoice, *notes):
        parts = [*content.lines, *([content.shipping] if content.shipping else [])]
        assert all(part.net.amount + part.tax.amount == part.total.amount for part in parts)
        assert all(part.discount.amount >= 0 for part in parts)
        for name in ("net", "tax", "total", "discount"):
            assert sum(getattr(part, name).amount for part in parts) == getattr(content, name).amount
        assert sum(each.net.amount for each in content.taxes) == content.net.amount
        assert sum(each.tax.amount for each in content.taxes) == content.tax.amount
    assert invoice.total.amount == order.price.total_minor
    for name in ("net", "tax", "total"):
        assert sum(getattr(note, name).amount for note in notes) == getattr(invoice, name).amount


def test_what_is_given_back_of_units_worth_less_than_a_minor_unit_can_be_read_again():
    """Of such units one may bring back tax alone."""
    heavy = TaxTerms(1_000_000, True)
    back = [Given(CAUSE, 0, NOW, 0, 1, 0, line_no=0, quantity=1)]
    (_, note) = contents(sold(line(0, price=1, tax=heavy), given=back))
    assert (note.net.amount, note.tax.amount, note.total.amount) == (-1, 1, 0)
    assert msgspec.json.decode(msgspec.json.encode(note), type=Content) == note


def test_a_document_is_of_the_moment_it_is_issued():
    (document,) = numbered(missing([sold(line(0))], ()))
    assert document.issued_at == NOW == datetime(2026, 3, 1, 12, tzinfo=UTC)
