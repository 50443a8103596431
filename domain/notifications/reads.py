"""Reading whom events may be told, and what their mails tell. All by sets of keys.

Invariant: an address is read here and goes into the mail alone. Who has an account is written to at its verified
address; who hasn't, or hasn't verified it, at the address the order was given. A member of a seller is told only while
they are one.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.connection import Connection
from domain.journal.event_reads import stored
from domain.journal.events import StoredEvent
from domain.notifications.facts import (
    STORY,
    EndpointFacts,
    Facts,
    Line,
    OrderFacts,
    OrderTale,
    PayoutFacts,
    order_facts,
    product_facts,
    stock_facts,
)
from domain.notifications.hearing_sql import load_product_sellers
from domain.notifications.model import Audience, NotificationKind, NotificationState
from domain.notifications.telling import OF_LINES, TELLS, Listeners, OrderPast, sellers_of
from domain.notifications.webhook_model import EndpointEnded

LOAD_BUYERS = """
SELECT o.id, o.buyer FROM orders o LEFT JOIN accounts a ON a.id = o.buyer
WHERE o.id = ANY ($1::uuid[]) AND (a.verified_at IS NOT NULL OR o.email IS NOT NULL)
"""

LOAD_LINE_SELLERS = "SELECT order_id, line_no, seller_id FROM order_lines WHERE order_id = ANY ($1::uuid[])"

LOAD_PASTS = """
SELECT stream, version, type, data FROM events
WHERE stream = ANY ($1::uuid[]) AND type IN ('order.confirmed', 'order.cancelled', 'order.lines_cancelled')
"""

LOAD_MEMBERS = """
SELECT m.seller_id, m.account_id FROM seller_members m JOIN accounts a ON a.id = m.account_id
WHERE m.seller_id = ANY ($1::uuid[]) AND a.status = 'active' AND a.verified_at IS NOT NULL
ORDER BY m.seller_id, m.account_id
"""

LOAD_ADMINS = """
SELECT id FROM accounts WHERE roles @> '{ADMIN}' AND status = 'active' AND verified_at IS NOT NULL ORDER BY id
"""

LOAD_SWITCHED_OFF = "SELECT recipient, switched_off FROM mail_preferences WHERE recipient = ANY ($1::uuid[])"

# The columns of the event come first: that is how it is read.
LOAD_NOTIFICATIONS = """
SELECT e.stream, e.version, e.type, e.data, e.actor, e.correlation, e.at, e.xid, e.position,
       n.id, n.audience, n.recipient, n.kind, n.seller_id, n.state, n.told_in, n.message_id, n.due_at, r.switched_off,
       CASE WHEN n.audience = 'buyer' THEN CASE WHEN a.verified_at IS NOT NULL THEN a.email ELSE o.email END
            WHEN a.verified_at IS NULL OR a.status <> 'active' THEN NULL
            WHEN n.audience = 'admin' THEN CASE WHEN a.roles @> '{ADMIN}' THEN a.email END
            WHEN EXISTS (
                SELECT FROM seller_members m WHERE m.account_id = n.recipient AND m.seller_id = n.seller_id
            ) THEN a.email END AS address,
       CASE WHEN a.verified_at IS NOT NULL THEN a.name ELSE '' END AS name, a.language
FROM notifications n
JOIN events e ON e.stream = n.stream AND e.version = n.version
LEFT JOIN accounts a ON a.id = n.recipient
LEFT JOIN orders o ON o.id = n.stream AND n.audience = 'buyer'
LEFT JOIN mail_preferences r ON r.recipient = n.recipient
WHERE n.id = ANY ($1::uuid[])
"""

LOAD_STORIES = """
SELECT e.stream, e.version, e.type, e.data, e.actor, e.correlation, e.at, e.xid, e.position, n.id
FROM notifications n
JOIN events e ON e.stream = n.stream AND (e.version = n.version OR e.version < n.version AND e.type = ANY ($2::text[]))
WHERE n.id = ANY ($1::uuid[]) ORDER BY n.id, e.version
"""

LOAD_LINES = """
SELECT order_id, line_no, seller_id, title, sku, quantity, total_minor FROM order_lines
WHERE order_id = ANY ($1::uuid[]) ORDER BY order_id, line_no
"""

LOAD_SELLER_NUMBERS = "SELECT order_id, seller_id, seller_no FROM seller_orders WHERE order_id = ANY ($1::uuid[])"

LOAD_NAMES = "SELECT id, name FROM sellers WHERE id = ANY ($1::uuid[])"

LOAD_TITLES = "SELECT id, title FROM products WHERE id = ANY ($1::uuid[])"

LOAD_GATHERED = """
SELECT e.stream, e.version, e.type, e.data, e.actor, e.correlation, e.at, e.xid, e.position,
       coalesce(n.told_in, n.id) AS id
FROM (
    SELECT id, told_in, stream, version FROM notifications WHERE id = ANY ($1::uuid[])
    UNION ALL
    SELECT id, told_in, stream, version FROM notifications WHERE told_in = ANY ($1::uuid[])
) AS n
JOIN events e ON e.stream = n.stream AND e.version = n.version
ORDER BY e.xid, e.position
"""

LOAD_OFFER_TITLES = """
SELECT o.variant_id, o.seller_id, o.sku, p.title
FROM unnest($1::uuid[], $2::uuid[]) AS t (variant_id, seller_id)
JOIN offers o ON o.variant_id = t.variant_id AND o.seller_id = t.seller_id
JOIN variants v ON v.id = o.variant_id
JOIN products p ON p.id = v.product_id
"""

LOAD_PAYOUT_SHARES = """
SELECT i.payout_id, i.seller_id, i.amount_minor, i.orders, p.currency
FROM unnest($1::uuid[], $2::uuid[]) AS t (payout_id, seller_id)
JOIN payout_items i ON i.payout_id = t.payout_id AND i.seller_id = t.seller_id
JOIN payouts p ON p.id = i.payout_id
"""

LOAD_PAID_SELLERS = """
SELECT seller_id FROM payout_items WHERE payout_id = $1 AND seller_id > $2 AND state = 'paid'
ORDER BY seller_id LIMIT $3
"""


class ToSend(Struct, frozen=True):
    """A notification with where it goes now; ``address`` is None when there is nobody to send it to."""

    id: UUID
    audience: Audience
    recipient: UUID
    kind: NotificationKind
    seller_id: UUID | None
    state: NotificationState
    message_id: str | None
    due_at: datetime
    event: StoredEvent
    address: str | None
    name: str
    language: str | None
    switched_off: bool


async def load_listeners(conn: Connection, events: Sequence[StoredEvent]) -> Listeners:
    """Read whom some events may be told."""
    orders = list({e.stream for e in events if any(who is Audience.BUYER for who, _ in TELLS[e.type])})
    buyers = {r["id"]: r["buyer"] for r in await conn.fetch(LOAD_BUYERS, orders)} if orders else {}
    pasts = await _load_pasts(conn, list({e.stream for e in events if e.type in OF_LINES}))
    reviewed = [e.stream for e in events if e.type.startswith("product.")]
    products = await load_product_sellers(conn, reviewed)
    telling = [e for e in events if any(who is Audience.SELLER for who, _ in TELLS[e.type])]
    sellers = {seller for e in telling for seller in sellers_of(e, pasts, products)}
    members = await load_members(conn, list(sellers))
    of_admins = any(who is Audience.ADMIN for e in events for who, _ in TELLS[e.type])
    admins = [row["id"] for row in await conn.fetch(LOAD_ADMINS)] if of_admins else []
    everybody = {*buyers.values(), *admins, *(m for some in members.values() for m in some)}
    return Listeners(buyers, pasts, products, members, admins, await load_switched_off(conn, list(everybody)))


async def load_members(conn: Connection, seller_ids: Sequence[UUID]) -> dict[UUID, list[UUID]]:
    """Read who can be told for sellers: active members with a verified address."""
    members: dict[UUID, list[UUID]] = {}
    for row in await conn.fetch(LOAD_MEMBERS, seller_ids) if seller_ids else ():
        members.setdefault(row["seller_id"], []).append(row["account_id"])
    return members


async def load_switched_off(conn: Connection, recipients: Sequence[UUID]) -> dict[UUID, frozenset[str]]:
    """Read what recipients have switched off; who has nothing switched off is missing."""
    rows = await conn.fetch(LOAD_SWITCHED_OFF, recipients) if recipients else ()
    return {row["recipient"]: frozenset(row["switched_off"]) for row in rows}


async def _load_pasts(conn: Connection, order_ids: Sequence[UUID]) -> dict[UUID, OrderPast]:
    if not order_ids:
        return {}
    pasts = {order_id: OrderPast() for order_id in order_ids}
    for row in await conn.fetch(LOAD_LINE_SELLERS, order_ids):
        pasts[row["order_id"]].sellers[row["line_no"]] = row["seller_id"]
    for row in await conn.fetch(LOAD_PASTS, order_ids):
        past = pasts[row["stream"]]
        if row["type"] == "order.confirmed":
            past.confirmed = min(row["version"], past.confirmed or row["version"])
        else:
            past.cancelled.append((row["version"], frozenset(msgspec.json.decode(row["data"])["lines"])))
    return pasts


async def load_to_send(conn: Connection, notification_ids: Sequence[UUID]) -> dict[UUID, ToSend]:
    """Read notifications with the events they are about and where they go; unknown ones are missing."""
    return {
        row["id"]: ToSend(
            id=row["id"],
            audience=Audience(row["audience"]),
            recipient=row["recipient"],
            kind=NotificationKind(row["kind"]),
            seller_id=row["seller_id"],
            state=NotificationState(row["state"]),
            message_id=row["message_id"],
            due_at=row["due_at"],
            event=stored(row),
            address=row["address"],
            name=row["name"],
            language=row["language"],
            switched_off=row["kind"] in (row["switched_off"] or ()),
        )
        for row in await conn.fetch(LOAD_NOTIFICATIONS, notification_ids)
    }


async def load_facts(conn: Connection, some: Sequence[ToSend]) -> dict[UUID, Facts]:
    """Read what the mails of some notifications tell; one whose matter is gone is missing."""
    facts: dict[UUID, Facts] = {}
    facts.update(await _load_order_facts(conn, [n for n in some if n.event.type.startswith("order.")]))
    facts.update(await _load_stock_facts(conn, [n for n in some if n.kind is NotificationKind.LOW_STOCK]))
    products = [n for n in some if n.event.type.startswith("product.")]
    if products:
        titles = {r["id"]: r["title"] for r in await conn.fetch(LOAD_TITLES, [n.event.stream for n in products])}
        facts |= {n.id: product_facts(n.event, titles.get(n.event.stream, "")) for n in products}
    paid = [n for n in some if n.kind is NotificationKind.PAYOUT_PAID]
    if paid:
        rows = await conn.fetch(LOAD_PAYOUT_SHARES, [n.event.stream for n in paid], [n.seller_id for n in paid])
        shares = {
            (r["payout_id"], r["seller_id"]): PayoutFacts(r["amount_minor"], r["currency"], r["orders"]) for r in rows
        }
        facts |= {n.id: shares[n.event.stream, n.seller_id] for n in paid if (n.event.stream, n.seller_id) in shares}
    for n in some:
        if n.kind is NotificationKind.WEBHOOK_DISABLED:
            ended = msgspec.json.decode(n.event.data, type=EndpointEnded)
            facts[n.id] = EndpointFacts(ended.host, ended.reason)
    return facts


async def _load_order_facts(conn: Connection, some: Sequence[ToSend]) -> dict[UUID, OrderFacts]:
    if not some:
        return {}
    tales = {n.id: OrderTale() for n in some}
    for row in await conn.fetch(LOAD_STORIES, [n.id for n in some], STORY):
        tales[row["id"]].events.append(stored(row))
    orders = list({n.event.stream for n in some})
    lines: dict[UUID, list[Line]] = {}
    for row in await conn.fetch(LOAD_LINES, orders):
        line = Line(row["line_no"], row["seller_id"], row["title"], row["sku"], row["quantity"], row["total_minor"])
        lines.setdefault(row["order_id"], []).append(line)
    names = await _load_names(conn, [n.seller_id for n in some if n.seller_id is not None])
    numbers = {(r["order_id"], r["seller_id"]): r["seller_no"] for r in await conn.fetch(LOAD_SELLER_NUMBERS, orders)}
    for n in some:
        tales[n.id].lines = lines.get(n.event.stream, [])
    return {n.id: order_facts(n.kind, n.audience, n.seller_id, tales[n.id], names=names, numbers=numbers) for n in some}


async def _load_names(conn: Connection, seller_ids: Sequence[UUID]) -> Mapping[UUID, str]:
    return {row["id"]: row["name"] for row in await conn.fetch(LOAD_NAMES, seller_ids)} if seller_ids else {}


async def _load_stock_facts(conn: Connection, some: Sequence[ToSend]) -> dict[UUID, Any]:
    if not some:
        return {}
    events: dict[UUID, list[StoredEvent]] = {n.id: [] for n in some}
    for row in await conn.fetch(LOAD_GATHERED, list(events)):
        events[row["id"]].append(stored(row))
    datas = [msgspec.json.decode(event.data) for told in events.values() for event in told]
    keys = list({(UUID(data["variant_id"]), UUID(data["seller_id"])) for data in datas})
    rows = await conn.fetch(LOAD_OFFER_TITLES, [variant for variant, _ in keys], [seller for _, seller in keys])
    offers = {(row["variant_id"], row["seller_id"]): (row["title"], row["sku"]) for row in rows}
    return {key: stock_facts(told, offers) for key, told in events.items()}


async def load_paid_sellers(conn: Connection, payout_id: UUID, after_seller: UUID, limit: int) -> list[UUID]:
    """Name the next sellers that a payout paid, in the order of their ids."""
    return [row["seller_id"] for row in await conn.fetch(LOAD_PAID_SELLERS, payout_id, after_seller, limit)]
