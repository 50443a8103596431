"""Which events make which mails, and to whom.

Invariant: the table is all there is: an event that doesn't stand in it is told nobody. A seller hears of an order when
it is confirmed, not when it is placed: until then it may expire, and nothing is to be packed. So a seller hears of a
cancellation only of what it was told of before. Members of a seller aren't told what they did themselves.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct, field

from domain.journal.events import StoredEvent
from domain.notifications.model import NEEDED, Audience, NotificationKind

BUYER, SELLER, ADMIN = Audience.BUYER, Audience.SELLER, Audience.ADMIN
Kind = NotificationKind

TELLS: Mapping[str, tuple[tuple[Audience, NotificationKind], ...]] = {
    "order.placed": ((BUYER, Kind.ORDER_PLACED),),
    "order.confirmed": ((BUYER, Kind.ORDER_CONFIRMED), (SELLER, Kind.NEW_ORDER)),
    "order.payment_failed": ((BUYER, Kind.PAYMENT_FAILED),),
    "order.shipped": ((BUYER, Kind.ORDER_SHIPPED),),
    "order.delivered": ((BUYER, Kind.ORDER_DELIVERED),),
    "order.cancelled": ((BUYER, Kind.ORDER_CANCELLED), (SELLER, Kind.SALE_CANCELLED)),
    "order.lines_cancelled": ((BUYER, Kind.LINES_CANCELLED), (SELLER, Kind.SALE_CANCELLED)),
    "order.return_approved": ((BUYER, Kind.RETURN_APPROVED),),
    "order.refunded": ((BUYER, Kind.ORDER_REFUNDED),),
    "stock.low": ((SELLER, Kind.LOW_STOCK),),
    "product.approved": ((SELLER, Kind.PRODUCT_APPROVED),),
    "product.rejected": ((SELLER, Kind.PRODUCT_REJECTED),),
    "payout.paid": ((SELLER, Kind.PAYOUT_PAID),),
    "webhook_endpoint.disabled": ((SELLER, Kind.WEBHOOK_DISABLED), (ADMIN, Kind.WEBHOOK_DISABLED)),
}
"""What each event is told as, to whom."""

OF_LINES = frozenset({"order.confirmed", "order.cancelled", "order.lines_cancelled"})
"""Events that concern the sellers of some of an order's lines."""


class OrderPast(Struct):
    """What of an order says which sellers an event of it is for: sellers by line, the version that confirmed it, and
    the versions that cancelled lines.
    """

    sellers: dict[int, UUID] = field(default_factory=dict)
    confirmed: int | None = None
    cancelled: list[tuple[int, frozenset[int]]] = field(default_factory=list)


class Listeners(Struct, frozen=True):
    """Everybody whom some events may be told, by what they are about.

    ``buyers`` are those that have an address, by order; ``members`` those of sellers that do; ``products`` are their
    sellers'. ``off`` is what recipients have switched off.
    """

    buyers: Mapping[UUID, UUID]
    pasts: Mapping[UUID, OrderPast]
    products: Mapping[UUID, UUID]
    members: Mapping[UUID, Sequence[UUID]]
    admins: Sequence[UUID]
    off: Mapping[UUID, frozenset[str]]


class Told(Struct, frozen=True):
    """An event that is told to somebody."""

    event: StoredEvent
    audience: Audience
    kind: NotificationKind
    recipient: UUID
    seller_id: UUID | None = None


def tell(events: Sequence[StoredEvent], listeners: Listeners) -> list[Told]:
    """Say whom each event is told, as what; one event, recipient and audience at most once."""
    found = [told for event in events for told in _of(event, listeners)]
    return [t for t in found if t.kind in NEEDED or t.kind.value not in listeners.off.get(t.recipient, frozenset())]


def sellers_of(event: StoredEvent, pasts: Mapping[UUID, OrderPast], products: Mapping[UUID, UUID]) -> list[UUID]:
    """The sellers that an event concerns, each once. A payout's are too many to be named here."""
    if event.type in OF_LINES:
        return _sellers_of_lines(event, pasts.get(event.stream, OrderPast()))
    if event.type in {"product.approved", "product.rejected"}:
        return [products[event.stream]] if event.stream in products else []
    named = _data(event).get("seller_id")
    return [] if named is None else [UUID(named)]


def _of(event: StoredEvent, listeners: Listeners) -> Iterator[Told]:
    for audience, kind in TELLS.get(event.type, ()):
        match audience:
            case Audience.BUYER:
                buyer = listeners.buyers.get(event.stream)
                # An attempt that a later one has replaced isn't how the buyer pays.
                if buyer is not None and _data(event).get("current") is not False:
                    seller = _data(event).get("seller_id")
                    yield Told(event, audience, kind, buyer, None if seller is None else UUID(seller))
            case Audience.SELLER:
                for seller_id in sellers_of(event, listeners.pasts, listeners.products):
                    for member in listeners.members.get(seller_id, ()):
                        if member != event.actor:
                            yield Told(event, audience, kind, member, seller_id)
            case Audience.ADMIN:
                if _data(event).get("seller_id") is None:
                    for admin in listeners.admins:
                        yield Told(event, audience, kind, admin)


def _sellers_of_lines(event: StoredEvent, past: OrderPast) -> list[UUID]:
    if event.type == "order.confirmed":
        gone = {line for version, lines in past.cancelled if version < event.version for line in lines}
        lines = past.sellers.keys() - gone
    elif past.confirmed is not None and past.confirmed < event.version:
        lines = past.sellers.keys() & set(_data(event)["lines"])
    else:
        return []
    return list(dict.fromkeys(past.sellers[line] for line in sorted(lines)))


def _data(event: StoredEvent) -> dict[str, Any]:
    data: dict[str, Any] = msgspec.json.decode(event.data)
    return data
