"""What came of recorded orders, counted in the database, and told.

Invariant: each order's buyer carries the recorded order's id, so what was placed, paid and delivered is held against
what was recorded without asking the client what it believes.
"""

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from msgspec import Struct

from domain.invariants import Audit
from domain.money import exponent
from domain.rejections import Code
from ops.olist import CURRENCY, RecordedOrder
from ops.output import Output

# Version 1 is what placing charged; nothing that happens to the order later changes it.
PLACED = """
SELECT o.buyer, sum(v.total_minor)::bigint AS total_minor
FROM orders o JOIN price_versions v ON v.order_id = o.id AND v.version = 1
WHERE o.buyer = ANY ($1::uuid[]) GROUP BY o.buyer
"""

# What was paid, and of which orders: status ``confirmed``, which is derived.
PAID = """
SELECT count(*) FILTER (WHERE o.payment = 'paid' AND o.expired_at IS NULL) AS confirmed,
       coalesce(sum(p.captured_minor), 0)::bigint AS captured_minor,
       count(*) FILTER (WHERE p.captured_minor - p.refunded_minor <> v.total_minor) AS off
FROM orders o
JOIN price_versions v ON v.order_id = o.id AND v.version = 1
LEFT JOIN LATERAL (
    SELECT sum(captured_minor) AS captured_minor, sum(refunded_minor) AS refunded_minor
    FROM payments WHERE order_id = o.id
) p ON true
WHERE o.buyer = ANY ($1::uuid[])
"""

# A line is what one order takes of one product from one seller, also where it had to become two variants.
FIGURES = """
SELECT count(DISTINCT o.id) AS orders, count(DISTINCT (o.id, v.product_id, l.seller_id)) AS lines,
       coalesce(sum(l.quantity), 0)::bigint AS units, coalesce(sum(l.total_minor), 0)::bigint AS merchandise_minor,
       min(o.currency) AS currency
FROM orders o JOIN order_lines l ON l.order_id = o.id JOIN variants v ON v.id = l.variant_id
WHERE o.buyer = ANY ($1::uuid[])
"""

# Of which orders every seller order has arrived, and what shipping was charged at placing.
DELIVERED = """
SELECT count(*) FILTER (WHERE NOT EXISTS (
           SELECT FROM seller_orders s WHERE s.order_id = o.id AND s.fulfilment <> 'delivered')) AS delivered,
       coalesce(sum((SELECT sum(f) FROM unnest(v.shipping_minor) AS f)), 0)::bigint AS freight_minor
FROM orders o JOIN price_versions v ON v.order_id = o.id AND v.version = 1
WHERE o.buyer = ANY ($1::uuid[])
"""

# What the engine still has to do that is due by now.
DUE = "SELECT count(*) FROM pending WHERE run_at <= now() + interval '5 seconds'"

ENDED = """
SELECT count(*) FILTER (WHERE o.id IS NULL) AS unended,
       count(*) FILTER (WHERE o.problem->>'code' = $2) AS refused_for_price,
       extract(epoch FROM max(o.finished_at) - min(c.created_at))::float8 AS seconds
FROM commands c LEFT JOIN outcomes o ON o.id = c.id
WHERE c.principal = ANY ($1::uuid[]) AND c.job = 'place_orders'
"""


LOOKS_MAX = 1_200
LOOK_SECONDS = 0.1


class Course(Struct, frozen=True):
    """How far each order goes: placed, or paid as well, or delivered, too."""

    pay: bool = False
    deliver: bool = False

    @property
    def title(self) -> str:
        """What is being done, for a person."""
        if self.deliver:
            return "Placing the orders, paying, shipping and delivering each"
        return "Placing the orders, and paying each" if self.pay else "Placing the orders"


PLACED_ALONE = Course()


class Result(Struct, frozen=True):
    """What the database holds of the recorded orders, in units and minor units of the currency.

    ``mismatched`` orders were placed or paid for another sum than recorded, or refused because the price was another
    one (those are ``rejected`` too). ``failed`` ones got no outcome: they are parked. ``confirmed`` and
    ``captured_minor`` are those that were paid and what that brought, ``to_confirm`` how many should be. ``delivered``
    are those of which every part has arrived, ``freight_minor`` is what shipping came to.
    """

    orders: int
    lines: int
    units: int
    merchandise_minor: int
    currency: str
    rejected: int
    mismatched: int
    failed: int
    audit_violations: int
    orders_per_second: float
    confirmed: int
    to_confirm: int
    captured_minor: int
    delivered: int
    to_deliver: int
    freight_minor: int

    @property
    def good(self) -> bool:
        """Whether every order came as far as asked, for what was recorded, and the audit found nothing."""
        wrong = self.rejected or self.mismatched or self.failed or self.audit_violations
        return not wrong and self.confirmed == self.to_confirm and self.delivered >= self.to_deliver


async def count(
    conn: Any, orders: Sequence[RecordedOrder], *, audit_violations: int, course: Course = PLACED_ALONE
) -> Result:
    """Hold what the database has against what was recorded."""
    recorded = {order.id: order.total_minor for order in orders}
    buyers = list(recorded)
    placed = {row["buyer"]: row["total_minor"] for row in await conn.fetch(PLACED, buyers)}
    figures = await conn.fetchrow(FIGURES, buyers)
    taken = await conn.fetchrow(PAID, buyers)
    arrived = await conn.fetchrow(DELIVERED, buyers)
    ended = await conn.fetchrow(ENDED, buyers, Code.PRICE_CHANGED.value)
    off = sum(total != recorded[buyer] for buyer, total in placed.items())
    return Result(
        orders=figures["orders"],
        lines=figures["lines"],
        units=figures["units"],
        merchandise_minor=figures["merchandise_minor"],
        currency=figures["currency"] or CURRENCY,
        # Whatever was neither placed nor left without an outcome was refused, by the job or at the door.
        rejected=len(recorded) - len(placed) - ended["unended"],
        mismatched=off + ended["refused_for_price"] + (taken["off"] if course.pay else 0),
        failed=ended["unended"],
        audit_violations=audit_violations,
        orders_per_second=round(figures["orders"] / ended["seconds"], 1) if ended["seconds"] else 0.0,
        confirmed=taken["confirmed"],
        to_confirm=len(recorded) if course.pay else 0,
        captured_minor=taken["captured_minor"],
        delivered=arrived["delivered"],
        to_deliver=len(recorded) if course.deliver else 0,
        freight_minor=arrived["freight_minor"],
    )


async def settled(conn: Any) -> None:
    """Return when nothing is left that the engine has to do now, or after a while: the figures tell then."""
    for _ in range(LOOKS_MAX):
        if not await conn.fetchval(DUE):
            return
        await asyncio.sleep(LOOK_SECONDS)


def tell_violations(audit: Audit, output: Output) -> None:
    """Say what the audit found."""
    for check in audit.checks:
        if check.violations:
            output.say(f"  {check.name}: {check.violations:,} violations, such as {', '.join(check.sample)}")


def tell(result: Result, output: Output) -> None:
    """Say it to a person."""
    output.say()
    output.table(
        ("what", "figure"),
        [
            ("orders placed", f"{result.orders:,}"),
            ("lines", f"{result.lines:,}"),
            ("units", f"{result.units:,}"),
            ("merchandise", f"{format_money(result.merchandise_minor, result.currency)}"),
            ("orders paid and confirmed", f"{result.confirmed:,} of {result.to_confirm:,}"),
            ("money captured", f"{format_money(result.captured_minor, result.currency)}"),
            ("orders delivered", f"{result.delivered:,} of {result.to_deliver:,}"),
            ("shipping charged", f"{format_money(result.freight_minor, result.currency)}"),
            ("orders refused", f"{result.rejected:,}"),
            ("orders whose sum differs", f"{result.mismatched:,}"),
            ("orders failed", f"{result.failed:,}"),
            ("violations found by the audit", f"{result.audit_violations:,}"),
            ("orders per second", f"{result.orders_per_second:,}"),
        ],
    )
    output.say()
    output.say("Every order came out as it was recorded." if result.good else "Not every order came out as recorded.")


def format_money(minor: int, currency: str) -> str:
    """Write an amount for a person: ``872,142.89 BRL``."""
    digits = exponent(currency)
    return f"{Decimal(minor).scaleb(-digits):,.{digits}f} {currency}"
