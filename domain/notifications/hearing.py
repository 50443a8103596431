"""The decision who may hear of an event, and what of it.

Invariant: pure. The platform hears everything as it stands. A seller hears of their own: whole where the event is about
them alone, and of what is about an order of several sellers no more than their lines. Whoever is added to the types of
events is heard of by the platform alone until it is listed here.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.journal.events import StoredEvent
from domain.orders.fulfilment_model import seller_order_id

OF_LINES = frozenset(
    {
        "order.placed",
        "order.lines_cancelled",
        "order.cancelled",
        "order.expired",
        "order.taken_up_again",
        "order.confirmed",
    }
)
"""About the order as a whole: each of its sellers hears of their lines."""
OF_SELLER = frozenset(
    {
        "order.accepted",
        "order.shipped",
        "order.shipment_delivered",
        "order.delivered",
        "order.returned",
        "order.return_requested",
        "order.return_approved",
        "order.return_rejected",
        "order.return_received",
        "invoice.issued",
        "credit_note.issued",
        "offer.created",
        "offer.price_changed",
        "offer.changed",
        "offer.ended",
        "stock.set",
        "stock.forced",
        "stock.threshold_set",
        "stock.low",
        "webhook_endpoint.created",
        "webhook_endpoint.changed",
        "webhook_endpoint.rotated",
        "webhook_endpoint.disabled",
        "webhook_endpoint.removed",
    }
)
"""About one seller, whom their data name."""
OF_PRODUCT = frozenset(
    f"product.{what}"
    for what in ("created", "changed", "submitted", "approved", "rejected", "activated", "deactivated", "archived")
)
"""About a product: its seller hears of it."""
SELLER_HIMSELF = frozenset(
    f"seller.{what}" for what in ("approved", "suspended", "reinstated", "changed", "member_added", "member_removed")
)
"""About a seller, whose stream it is."""
HEARD_BY_SELLERS = OF_LINES | OF_SELLER | OF_PRODUCT | SELLER_HIMSELF


class Ear(Struct, frozen=True):
    """Who listens, and to what; ``seller_id`` is None for the platform."""

    seller_id: UUID | None
    events: Sequence[str]

    def wants(self, kind: str) -> bool:
        """Whether events of a type are for them."""
        prefix = f"{kind.partition('.')[0]}.*"
        return any(pattern in {"*", kind, prefix} for pattern in self.events)


class Line(Struct, frozen=True):
    """Whose a line of an order is."""

    line_no: int
    seller_id: UUID
    seller_no: int


class Known(Struct, frozen=True):
    """What events leave out: the lines of orders, and the sellers of products."""

    lines: Mapping[UUID, list[Line]]
    products: Mapping[UUID, UUID]


NOTHING_KNOWN = Known({}, {})


class _Seller(Struct, frozen=True):
    seller_id: UUID | None = None


_seller_of = msgspec.json.Decoder(_Seller).decode
_read = msgspec.json.Decoder(dict[str, Any]).decode
_encode = msgspec.json.Encoder().encode


def wanted(events: Iterable[StoredEvent]) -> tuple[set[UUID], set[UUID]]:
    """The orders and the products of which something has to be known to tell who may hear of events."""
    orders, products = set[UUID](), set[UUID]()
    for event in events:
        if event.type in OF_LINES:
            orders.add(event.stream)
        elif event.type in OF_PRODUCT:
            products.add(event.stream)
    return orders, products


def heard_by_sellers(event: StoredEvent, known: Known) -> dict[UUID, str]:
    """What each seller may hear of an event: its data as JSON, by seller."""
    if event.type in OF_LINES:
        return _parts(event, known.lines.get(event.stream, []))
    seller: UUID | None = None
    if event.type in OF_SELLER:
        seller = _seller_of(event.data).seller_id
    elif event.type in OF_PRODUCT:
        seller = known.products.get(event.stream)
    elif event.type in SELLER_HIMSELF:
        seller = event.stream
    return {} if seller is None else {seller: event.data}


def _parts(event: StoredEvent, lines: Iterable[Line]) -> dict[UUID, str]:
    said = _read(event.data)
    touched: Any = said.get("lines")
    named = {each["line_no"] if isinstance(each, dict) else each: each for each in touched or ()}
    parts: dict[UUID, dict[str, Any]] = {}
    for line in lines:
        if touched is not None and line.line_no not in named:
            continue
        part = parts.setdefault(line.seller_id, {})
        part.setdefault("order_id", event.stream)
        part.setdefault("seller_order_id", seller_order_id(event.stream, line.seller_no))
        part.setdefault("seller_id", line.seller_id)
        for field in ("number", "currency", "reason"):
            if field in said:
                part.setdefault(field, said[field])
        part.setdefault("lines", []).append(named.get(line.line_no, line.line_no))
    return {seller: _encode(part).decode() for seller, part in parts.items()}
