"""Pages as people read and print them, written from the templates in ``infra/pages``.

Invariant: what somebody typed is never markup, and a page loads nothing and runs nothing.
"""

from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from domain.accounts.address_model import PostalAddress
from domain.money import written
from domain.payments.invoice_reads import DocumentView

SECURITY = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
"""What a browser is told to keep to."""

_pages = Environment(
    loader=PackageLoader("infra", "pages"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_pages.filters["money"] = lambda amount: written(amount.amount, amount.currency)


def documents_page(order_number: str, documents: Sequence[DocumentView]) -> bytes:
    """An order's invoices and credit notes as one page of HTML, each on a sheet of its own when it is printed."""
    page = _pages.get_template("documents.html")
    return page.render(order_number=order_number, documents=documents, address_of=address_lines).encode()


def address_lines(to: PostalAddress) -> list[str]:
    """An address as it is written on a parcel, without lines that say nothing."""
    city = " ".join(part for part in (to.postal_code, to.city) if part)
    place = ", ".join(part for part in (city, to.region) if part)
    return [line for line in (to.name, to.company, to.line1, to.line2, place, to.country) if line]
