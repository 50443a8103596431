"""What a mail tells: facts that are worked out from the event it is about, and from what can't change any more.

Invariant: a mail about an order is told from the order's own events up to the one it is about, and from its frozen
lines. So it shows the order as it was then, whenever it is sent, and each try of it is the same mail.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct, field

from domain.journal.events import StoredEvent
from domain.notifications.model import Audience, NotificationKind
from domain.orders.fulfilment_model import seller_order_id

STORY = (
    "order.placed",
    "order.repriced",
    "order.lines_cancelled",
    "order.cancelled",
    "order.return_requested",
)
"""The events an order's mails are told from, besides the one they are about."""

_WHOLE = frozenset({NotificationKind.ORDER_PLACED, NotificationKind.ORDER_CONFIRMED})


class Line(Struct, frozen=True):
    """A frozen line of an order; ``total_minor`` is its price times its quantity, before any discount."""

    line_no: int
    seller_id: UUID
    title: str
    sku: str
    quantity: int
    total_minor: int


class Item(Struct, frozen=True):
    """Units of something; ``total_minor`` is None where the mail is about units and not about money."""

    title: str
    sku: str
    quantity: int
    total_minor: int | None = None


class OrderFacts(Struct, frozen=True):
    """What of an order a mail tells; amounts in minor units, None where they aren't told.

    ``total_minor`` is what the order comes to after the event, ``amount_minor`` what the buyer gets back. ``reason`` is
    never the reader's own. ``seller_order_id`` is set for a seller.
    """

    order_id: UUID
    number: str
    currency: str
    items: tuple[Item, ...] = ()
    total_minor: int | None = None
    discount_minor: int | None = None
    shipping_minor: int | None = None
    tax_minor: int | None = None
    amount_minor: int | None = None
    expires_at: datetime | None = None
    seller: str = ""
    seller_order_id: UUID | None = None
    carrier: str = ""
    tracking: str = ""
    reason: str = ""


class LowOffer(Struct, frozen=True):
    """An offer of which little is left."""

    title: str
    sku: str
    available: int
    threshold: int


class StockFacts(Struct, frozen=True):
    """The offers a mail of low stock tells of."""

    offers: tuple[LowOffer, ...]


class ProductFacts(Struct, frozen=True):
    """A product that was approved or rejected."""

    product_id: UUID
    title: str
    reason: str = ""


class PayoutFacts(Struct, frozen=True):
    """What a payout brought a seller."""

    amount_minor: int
    currency: str
    orders: int


class EndpointFacts(Struct, frozen=True):
    """A webhook endpoint that gets nothing any more."""

    host: str
    reason: str


Facts = OrderFacts | StockFacts | ProductFacts | PayoutFacts | EndpointFacts


class OrderTale(Struct):
    """An order's events up to one of them, oldest first, that one last; and its frozen lines."""

    events: list[StoredEvent] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)


class _Standing(Struct):
    """How an order stands after some of its events."""

    number: str = ""
    currency: str = ""
    buyer: str = ""
    expires_at: str = ""
    total_minor: int | None = None
    discount_minor: int | None = None
    shipping_minor: int | None = None
    tax_minor: int | None = None
    gone: set[int] = field(default_factory=set)
    returns: dict[str, Any] = field(default_factory=dict)


def order_facts(
    kind: NotificationKind,
    audience: Audience,
    seller_id: UUID | None,
    tale: OrderTale,
    *,
    names: Mapping[UUID, str],
    numbers: Mapping[tuple[UUID, UUID], int],
) -> OrderFacts:
    """What a mail of a kind tells of an order, to its buyer or to one of its sellers.

    ``names`` are sellers', ``numbers`` those of seller orders by (order, seller).
    """
    about = tale.events[-1]
    data: dict[str, Any] = msgspec.json.decode(about.data)
    standing = _Standing()
    for event in tale.events:
        _follow(standing, event)
    reason = str(data.get("reason") or "")
    mine = [line for line in tale.lines if audience is Audience.BUYER or line.seller_id == seller_id]
    facts = OrderFacts(
        about.stream,
        standing.number,
        standing.currency,
        seller="" if seller_id is None else names.get(seller_id, ""),
        seller_order_id=_part(audience, about.stream, seller_id, numbers),
        # A gateway's reasons are codes, and a refund's are those of what it was asked for with.
        reason="" if str(about.actor) == standing.buyer and audience is Audience.BUYER else reason,
        items=_items(kind, audience, data, standing, mine),
    )
    match kind:
        case NotificationKind.ORDER_PLACED | NotificationKind.ORDER_CONFIRMED:
            amounts = {name: getattr(standing, name) for name in ("discount_minor", "shipping_minor", "tax_minor")}
            until = msgspec.convert(standing.expires_at, datetime) if kind is NotificationKind.ORDER_PLACED else None
            return msgspec.structs.replace(facts, total_minor=standing.total_minor, expires_at=until, **amounts)
        case NotificationKind.LINES_CANCELLED | NotificationKind.ORDER_CANCELLED:
            back = data["refund_minor"] or None
            return msgspec.structs.replace(facts, total_minor=standing.total_minor, amount_minor=back)
        case NotificationKind.ORDER_SHIPPED:
            tracking = str(data["tracking"] or "")
            return msgspec.structs.replace(facts, carrier=data["carrier"] if tracking else "", tracking=tracking)
        case NotificationKind.ORDER_REFUNDED:
            return msgspec.structs.replace(facts, amount_minor=data["amount_minor"], reason="")
        case NotificationKind.PAYMENT_FAILED:
            return msgspec.structs.replace(facts, total_minor=standing.total_minor, reason="")
        case _:
            return facts


def _part(
    audience: Audience, order_id: UUID, seller_id: UUID | None, numbers: Mapping[tuple[UUID, UUID], int]
) -> UUID | None:
    if audience is Audience.BUYER or seller_id is None:
        return None
    return seller_order_id(order_id, numbers[order_id, seller_id])


def _follow(standing: _Standing, event: StoredEvent) -> None:
    data: dict[str, Any] = msgspec.json.decode(event.data)
    match event.type:
        case "order.placed":
            standing.number, standing.currency = data["number"], data["currency"]
            standing.buyer, standing.expires_at = data["buyer"], data["expires_at"]
        case "order.lines_cancelled" | "order.cancelled":
            standing.gone |= set(data["lines"])
        case "order.return_requested":
            standing.returns[data["return_id"]] = data["lines"]
        case _:
            pass
    if event.type in {"order.placed", "order.repriced", "order.lines_cancelled", "order.cancelled", "order.confirmed"}:
        standing.total_minor = data["total_minor"]
    if event.type in {"order.placed", "order.repriced"}:
        standing.discount_minor, standing.shipping_minor = data["discount_minor"], data["shipping_minor"]
        standing.tax_minor = data["tax_minor"]
    elif event.type in {"order.lines_cancelled", "order.cancelled"}:
        # What is left of them no event says.
        standing.discount_minor = standing.shipping_minor = standing.tax_minor = None


def _items(
    kind: NotificationKind, audience: Audience, data: Mapping[str, Any], standing: _Standing, mine: Sequence[Line]
) -> tuple[Item, ...]:
    """The lines that a mail is about, with how many units of them."""
    by_number = {line.line_no: line for line in mine}
    match kind:
        case NotificationKind.ORDER_PLACED | NotificationKind.ORDER_CONFIRMED | NotificationKind.NEW_ORDER:
            units = {n: line.quantity for n, line in by_number.items() if n not in standing.gone}
        case NotificationKind.ORDER_CANCELLED | NotificationKind.LINES_CANCELLED | NotificationKind.SALE_CANCELLED:
            units = {n: by_number[n].quantity for n in data["lines"] if n in by_number}
        case NotificationKind.ORDER_SHIPPED:
            units = {line["line_no"]: line["quantity"] for line in data["lines"]}
        case NotificationKind.RETURN_APPROVED:
            units = {line["line_no"]: line["quantity"] for line in standing.returns.get(data["return_id"], ())}
        case _:
            units = {}
    with_money = audience is Audience.BUYER and kind in _WHOLE
    return tuple(
        Item(line.title, line.sku, units[n], line.total_minor if with_money else None)
        for n, line in sorted(by_number.items())
        if n in units
    )


def product_facts(event: StoredEvent, title: str) -> ProductFacts:
    """What is told of a product: why it was rejected stands among its changes."""
    changes: dict[str, Any] = msgspec.json.decode(event.data)["changes"]
    reason = changes.get("reason", {}).get("after") if event.type == "product.rejected" else ""
    return ProductFacts(event.stream, title, str(reason or ""))


def stock_facts(events: Sequence[StoredEvent], offers: Mapping[tuple[UUID, UUID], tuple[str, str]]) -> StockFacts:
    """What is told of offers that run low, each once, as it was last; ``offers`` are their titles and SKUs."""
    low: dict[tuple[UUID, UUID], LowOffer] = {}
    for event in events:
        data: dict[str, Any] = msgspec.json.decode(event.data)
        key = UUID(data["variant_id"]), UUID(data["seller_id"])
        low[key] = LowOffer(*offers.get(key, ("", "")), data["available"], data["threshold"])
    return StockFacts(tuple(sorted(low.values(), key=lambda offer: (offer.available, offer.title, offer.sku))))
