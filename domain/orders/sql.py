"""Statements of orders: write decided ones, lock and change open ones.

Invariant: lines and price versions are only ever inserted; the database refuses to change them. Children are
found by the order's id, so no statement needs an index of its own.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from domain.accounts.email import email_key
from domain.connection import Connection
from domain.inventory.limit_sql import limited_rows
from domain.inventory.model import StockKey
from domain.inventory.sql import movement_rows, reservation_rows
from domain.journal.model import Status
from domain.journal.sql import event_rows
from domain.orders.cancellation import CancellationPlan, OpenOrder, Placing
from domain.orders.crediting_sql import (
    insert_credits,
    load_came_back,
    load_credited,
    load_credited_shipping,
    load_shipped,
)
from domain.orders.model import Fulfilment, LineRow, OrderRow, Payment, PlacementPlan
from domain.orders.price import Price, without
from domain.orders.price_sql import PRICE_NAMES, price_from, price_rows
from domain.pricing.quote import NO_TERMS, FrozenTerms
from domain.pricing.use_sql import redemption_rows
from domain.rejections import Rejection
from domain.writing import Rows, write

ORDER_COLUMNS = (
    ("id", "uuid"),
    ("number", "bigint"),
    ("buyer", "uuid"),
    ("email", "text"),
    ("email_key", "text"),
    ("currency", "text"),
    ("placed_at", "timestamptz"),
    ("expires_at", "timestamptz"),
    ("commission_version", "bigint"),
    ("ship_to", "jsonb"),
)
SELLER_ORDER_COLUMNS = (("order_id", "uuid"), ("seller_id", "uuid"), ("seller_no", "smallint"))
LINE_COLUMNS = (
    ("order_id", "uuid"),
    ("line_no", "smallint"),
    ("seller_id", "uuid"),
    ("variant_id", "uuid"),
    ("sku", "text"),
    ("title", "text"),
    ("category", "text"),
    ("attributes", "jsonb"),
    ("quantity", "integer"),
    ("unit_price_minor", "bigint"),
    ("total_minor", "bigint"),
    ("product_id", "uuid"),
    ("categories", "uuid[]"),
    ("weight_grams", "integer"),
)
# Of lines that bear a commission or a tax.
TERMS_COLUMNS = (
    ("commission_rule_id", "uuid"),
    ("commission_rate_bp", "integer"),
    ("commission_fixed_minor", "bigint"),
    ("commission_minimum_minor", "bigint"),
    ("commission_maximum_minor", "bigint"),
    ("tax_rate_ppm", "integer"),
    ("tax_inclusive", "boolean"),
)
CANCELLED_COLUMNS = (("order_id", "uuid"), ("line_no", "smallint"), ("command_id", "uuid"), ("paid", "boolean"))

_UNSHIPPED = {Fulfilment.AWAITING, Fulfilment.PROCESSING, Fulfilment.CANCELLED}

# Locks are taken inside, and only their number comes back: asyncpg 0.32 writes past the end of a row without columns.
LOCK_ORDERS = """
SELECT count(*) FROM (
    SELECT FROM orders WHERE id = ANY ($1::uuid[]) ORDER BY id FOR NO KEY UPDATE
) AS locked
"""

LOAD_ORDERS = f"""
SELECT o.id, o.number, o.buyer, o.currency, o.payment, o.expired_at IS NOT NULL AS expired, o.version,
       o.placed_at, o.expires_at, o.payment_id, o.held_by, o.sold_at IS NOT NULL AS sold,
       p.version AS price_version, {PRICE_NAMES}
FROM orders o
CROSS JOIN LATERAL (
    SELECT version, {PRICE_NAMES} FROM price_versions v
    WHERE v.order_id = o.id ORDER BY version DESC LIMIT 1
) p
WHERE o.id = ANY ($1::uuid[])
"""

LOAD_SELLER_ORDERS = """
SELECT order_id, seller_id, fulfilment FROM seller_orders WHERE order_id = ANY ($1::uuid[])
ORDER BY order_id, seller_no
"""

LOAD_LINE_SELLERS = """
SELECT l.order_id, l.line_no, l.seller_id, l.quantity, coalesce(c.paid, false) AS refunded
FROM order_lines l LEFT JOIN cancelled_lines c ON c.order_id = l.order_id AND c.line_no = l.line_no
WHERE l.order_id = ANY ($1::uuid[])
"""

LOAD_STOCK_LINES = """
SELECT order_id, line_no, variant_id, seller_id, quantity FROM order_lines WHERE order_id = ANY ($1::uuid[])
"""

LOCK_PARKED = """
SELECT count(*) FROM (SELECT FROM parked WHERE id = ANY ($1::uuid[]) ORDER BY id FOR UPDATE) AS locked
"""

LOAD_PLACINGS = """
SELECT t.id, o.status, o.problem, k.id IS NOT NULL AS parked
FROM unnest($1::uuid[]) AS t (id)
LEFT JOIN outcomes o ON o.id = t.id AND o.id BETWEEN $2 AND $3
LEFT JOIN parked k ON k.id = t.id
"""

CANCEL_PARKED = """
WITH gone AS (DELETE FROM parked WHERE id = ANY ($1::uuid[]) RETURNING id, attempts)
INSERT INTO outcomes (id, status, attempts) SELECT id, 'cancelled', attempts FROM gone
"""

SET_VERSIONS = """
UPDATE orders o SET version = t.version
FROM unnest($1::uuid[], $2::int[]) AS t (id, version) WHERE o.id = t.id
"""

SET_FULFILMENTS = """
UPDATE seller_orders s SET fulfilment = t.fulfilment
FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS t (order_id, seller_id, fulfilment)
WHERE s.order_id = t.order_id AND s.seller_id = t.seller_id
"""

# No attempt counts any more: whatever one of them should bring is given back.
CONFIRM_ORDERS = """
UPDATE orders o SET payment = 'paid', payment_id = NULL, version = t.version, sold_at = $3
FROM unnest($1::uuid[], $2::int[]) AS t (id, version) WHERE o.id = t.id
"""

SAVE_ORDERS = """
UPDATE orders o
SET payment = t.payment, payment_id = t.payment_id, held_by = t.held_by, version = t.version,
    expires_at = t.expires_at, expired_at = CASE WHEN t.expired THEN coalesce(o.expired_at, $9) END,
    sold_at = CASE WHEN t.sold THEN coalesce(o.sold_at, $9) END
FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::int[], $6::timestamptz[], $7::boolean[],
            $8::boolean[])
    AS t (id, payment, payment_id, held_by, version, expires_at, expired, sold)
WHERE o.id = t.id
"""


async def insert_placed(conn: Connection, plan: PlacementPlan) -> None:
    """Write all that placing orders adds, but for the stock, which comes last."""
    await write(conn, *placed_rows(plan))


def placed_rows(plan: PlacementPlan) -> list[Rows]:
    """What placing orders adds: orders and their parts, reservations, movements, events."""
    return [
        *order_rows(plan.orders),
        reservation_rows(plan.reservations),
        movement_rows(plan.movements),
        limited_rows(plan.limited),
        redemption_rows(plan.redemptions),
        event_rows(plan.events),
    ]


def order_rows(orders: Sequence[OrderRow]) -> list[Rows]:
    """Orders as rows to write, with their seller orders, lines and first price versions."""
    return [
        Rows("orders", ORDER_COLUMNS, [_order_record(o) for o in orders]),
        Rows(
            "seller_orders",
            SELLER_ORDER_COLUMNS,
            [(o.id, seller, n) for o in orders for n, seller in enumerate(o.sellers)],
        ),
        *_line_rows(orders),
        *price_rows((o.id, 1, o.price) for o in orders),
    ]


def _line_rows(orders: Sequence[OrderRow]) -> list[Rows]:
    plain: list[tuple[object, ...]] = []
    charged: list[tuple[object, ...]] = []
    for order in orders:
        for line in order.lines:
            if line.terms is NO_TERMS:
                plain.append(_line_record(order.id, line))
            else:
                charged.append(_line_record(order.id, line) + _terms_record(line.terms))
    return [Rows("order_lines", LINE_COLUMNS, plain), Rows("order_lines", LINE_COLUMNS + TERMS_COLUMNS, charged)]


def _order_record(order: OrderRow) -> tuple[object, ...]:
    return (
        order.id,
        order.number,
        order.buyer,
        order.email,
        None if order.email is None else email_key(order.email),
        order.currency,
        order.placed_at,
        order.expires_at,
        order.commission_version,
        None if order.ship_to is None else msgspec.json.encode(order.ship_to).decode(),
    )


def _line_record(order_id: UUID, line: LineRow) -> tuple[object, ...]:
    return (
        order_id,
        line.line_no,
        line.seller_id,
        line.variant_id,
        line.sku,
        line.title,
        line.category,
        line.attributes,
        line.quantity,
        line.unit_price_minor,
        line.total_minor,
        line.product_id,
        list(line.categories),
        line.weight_grams,
    )


def _terms_record(terms: FrozenTerms) -> tuple[object, ...]:
    commission, tax = terms.commission, terms.tax
    return (
        commission.rule_id,
        commission.terms.rate_bp,
        commission.terms.fixed_minor,
        commission.terms.minimum_minor,
        commission.terms.maximum_minor,
        None if tax is None else tax.rate_ppm,
        None if tax is None else tax.inclusive,
    )


async def lock_orders(conn: Connection, ids: Collection[UUID]) -> None:
    """Lock orders in id order; read them in a later statement."""
    await conn.execute(LOCK_ORDERS, ids)


async def load_open_orders(conn: Connection, ids: Sequence[UUID]) -> dict[UUID, OpenOrder]:
    """Read orders as cancelling sees them; unknown ones are missing."""
    rows = await conn.fetch(LOAD_ORDERS, ids)
    sellers = await conn.fetch(LOAD_SELLER_ORDERS, ids)
    lines = await conn.fetch(LOAD_LINE_SELLERS, ids)
    orders = {
        row["id"]: OpenOrder(
            id=row["id"],
            buyer=row["buyer"],
            currency=row["currency"],
            payment=Payment(row["payment"]),
            expired=row["expired"],
            version=row["version"],
            price_version=row["price_version"],
            price=price_from(row),
            sellers={},
            fulfilments={},
            number=row["number"],
            placed_at=row["placed_at"],
            expires_at=row["expires_at"],
            payment_id=row["payment_id"],
            held_by=row["held_by"],
            sold=row["sold"],
        )
        for row in rows
    }
    for row in sellers:
        orders[row["order_id"]].fulfilments[row["seller_id"]] = Fulfilment(row["fulfilment"])
    refunded: dict[UUID, set[int]] = {}
    for row in lines:
        orders[row["order_id"]].sellers[row["line_no"]] = row["seller_id"]
        orders[row["order_id"]].quantities[row["line_no"]] = row["quantity"]
        if row["refunded"]:
            refunded.setdefault(row["order_id"], set()).add(row["line_no"])
    for order_id, gone in refunded.items():
        orders[order_id].price = _still_counts(orders[order_id], gone)
    await _load_what_followed(conn, orders)
    return orders


async def _load_what_followed(conn: Connection, orders: Mapping[UUID, OpenOrder]) -> None:
    """Read what was shipped of orders and came back, and what was given back of those that were sold."""
    sold = [order.id for order in orders.values() if order.sold]
    if sold:
        for order_id, credited in (await load_credited(conn, sold)).items():
            orders[order_id].credited = credited
        for order_id, sellers in (await load_credited_shipping(conn, sold)).items():
            orders[order_id].shipping_credited = sellers
    shipped = [order.id for order in orders.values() if not _UNSHIPPED.issuperset(order.fulfilments.values())]
    if shipped:
        for order_id, units in (await load_shipped(conn, shipped)).items():
            orders[order_id].shipped = {n: quantity for n, (quantity, _) in units.items()}
            orders[order_id].on_the_way = {n for n, (_, arrived) in units.items() if not arrived}
        for order_id, came_back in (await load_came_back(conn, shipped)).items():
            orders[order_id].came_back = came_back


def _still_counts(order: OpenOrder, refunded: set[int]) -> Price:
    """What counts of a paid order: its price without the lines that were refunded, and their sellers' shipping."""
    left = {order.sellers[n] for n in order.price.lines if n not in refunded}
    return without(order.price, refunded, {n for n, seller in enumerate(order.fulfilments) if seller not in left})


async def load_placings(conn: Connection, ids: Sequence[UUID]) -> Mapping[UUID, Placing]:
    """What became of the placements of orders, parked ones locked; one that is unfinished is missing."""
    await conn.execute(LOCK_PARKED, ids)
    rows: Sequence[Any] = await conn.fetch(LOAD_PLACINGS, ids, min(ids), max(ids))
    placings: dict[UUID, Placing] = {}
    for row in rows:
        if row["parked"]:
            placings[row["id"]] = Placing(Status.FAILED)
        elif row["status"] is not None:
            problem = None if row["problem"] is None else msgspec.json.decode(row["problem"], type=Rejection)
            placings[row["id"]] = Placing(Status(row["status"]), problem)
    return placings


async def cancel_parked(conn: Connection, ids: Sequence[UUID]) -> None:
    """End parked placements, locked before, as cancelled."""
    if ids:
        await conn.execute(CANCEL_PARKED, ids)


async def apply_cancellations(conn: Connection, plan: CancellationPlan, now: datetime) -> None:
    """Write what decided cancellations leave of locked orders, but for the orders themselves, events and stock."""
    await insert_credits(conn, plan.credits, plan.shipping_credits, now)
    await write(
        conn,
        Rows("cancelled_lines", CANCELLED_COLUMNS, plan.cancelled),
        *price_rows(plan.price_versions),
    )
    await set_fulfilments(conn, plan.fulfilments)


async def set_fulfilments(conn: Connection, fulfilments: Mapping[tuple[UUID, UUID], Fulfilment]) -> None:
    """Write where seller orders of locked orders stand, by (order id, seller id)."""
    if fulfilments:
        await conn.execute(
            SET_FULFILMENTS,
            [order_id for order_id, _ in fulfilments],
            [seller_id for _, seller_id in fulfilments],
            [fulfilment.value for fulfilment in fulfilments.values()],
        )


async def set_versions(conn: Connection, versions: Mapping[UUID, int]) -> None:
    """Write the new versions of locked orders' streams."""
    if versions:
        await conn.execute(SET_VERSIONS, list(versions), list(versions.values()))


async def confirm_orders(conn: Connection, versions: Mapping[UUID, int], now: datetime) -> None:
    """Mark locked orders as paid and sold, each with its stream's new version."""
    if versions:
        await conn.execute(CONFIRM_ORDERS, list(versions), list(versions.values()), now)


async def save_orders(conn: Connection, orders: Iterable[OpenOrder], now: datetime) -> None:
    """Write where locked orders stand: payment, expiry, whose their holds are, and their streams' versions."""
    changed = list(orders)
    if changed:
        await conn.execute(
            SAVE_ORDERS,
            [order.id for order in changed],
            [order.payment.value for order in changed],
            [order.payment_id for order in changed],
            [order.held_by for order in changed],
            [order.version for order in changed],
            [order.expires_at for order in changed],
            [order.expired for order in changed],
            [order.sold for order in changed],
            now,
        )


async def load_stock_lines(conn: Connection, orders: Sequence[UUID]) -> dict[UUID, dict[int, tuple[StockKey, int]]]:
    """What the lines of orders are made of: stock key and units by line number, by order."""
    lines: dict[UUID, dict[int, tuple[StockKey, int]]] = {order: {} for order in orders}
    for row in await conn.fetch(LOAD_STOCK_LINES, orders):
        lines[row["order_id"]][row["line_no"]] = (StockKey(row["variant_id"], row["seller_id"]), row["quantity"])
    return lines
