"""Replay recorded orders: import what they need, then place each one through the HTTP API, in its order.

Invariant: an order meets the price it was recorded at. Where that differs from the offer's price, the offer's price
is changed first, with its event, but only when no earlier order on that offer is still unplaced: else that one
would meet the later price. Everything else is in flight together.

With ``pay`` each order is paid with the payment sandbox as soon as it is placed.

What came of it is counted in the database. Each order's buyer carries the recorded order's id, so the two sides
are compared without asking the client what it believes.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid5

from msgspec import Struct

from domain.catalog.model import OfferKey, PriceChange
from domain.catalog.offer_sql import change_prices
from domain.invariants import Audit, run_audit
from domain.journal.model import SYSTEM
from domain.money import Money, exponent
from domain.orders.model import OrderLine, PlaceOrder
from domain.rejections import Code
from infra import postgres
from infra.gateways import sandbox
from infra.security import Tokens
from ops.catalog import write_catalog
from ops.goods import NewOffer, NewSeller
from ops.load import Client
from ops.olist import CURRENCY, Line, Product, RecordedOrder, Records, Seller
from ops.output import Output
from ops.processes import ALL_LANES, CORE_LANES
from ops.shopper import Shopper, shoppers
from ops.target import Target, connect
from ops.temporary import serving

IN_FLIGHT_MAX = 128
SHORT_ID = 8
UNCATEGORISED = "uncategorised"
Step = Callable[[int], None]

KNOWN = """
SELECT (SELECT count(*) FROM sellers WHERE id = ANY ($1::uuid[])) AS sellers,
       (SELECT count(*) FROM products WHERE id = ANY ($2::uuid[])) AS products
"""

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

ENDED = """
SELECT count(*) FILTER (WHERE o.id IS NULL) AS unended,
       count(*) FILTER (WHERE o.problem->>'code' = $2) AS refused_for_price,
       extract(epoch FROM max(o.finished_at) - min(c.created_at))::float8 AS seconds
FROM commands c LEFT JOIN outcomes o ON o.id = c.id
WHERE c.principal = ANY ($1::uuid[]) AND c.job = 'place_orders'
"""


class TargetInUseError(Exception):
    """The target holds some of what would be imported; the message is one line."""


class Result(Struct, frozen=True):
    """What the database holds of the recorded orders, in units and minor units of the currency.

    ``mismatched`` orders were placed or paid for another sum than recorded, or refused because the price was another
    one (those are ``rejected`` too). ``failed`` ones got no outcome: they are parked. ``confirmed`` and
    ``captured_minor`` are those that were paid and what that brought, ``to_confirm`` how many should be.
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

    @property
    def good(self) -> bool:
        """Whether every order was placed, and paid where asked, for what was recorded, and the audit found nothing."""
        wrong = self.rejected or self.mismatched or self.failed or self.audit_violations
        return not wrong and self.confirmed == self.to_confirm


def variant_id(line: Line) -> UUID:
    """Derived from the product's id, so that the same records make the same catalog."""
    return uuid5(line.product_id, f"variant {line.variant_no}")


def offer_key(line: Line) -> OfferKey:
    """Which offer a line takes."""
    return variant_id(line), line.seller_id


def catalog_of(records: Records) -> tuple[list[NewSeller], list[NewOffer]]:
    """All sellers, and an offer for each pair of product and seller that sold: first price, all units it sold.

    A product that nobody sold has no owner and stays out.
    """
    first: dict[OfferKey, Line] = {}
    units: dict[OfferKey, int] = {}
    for order in records.orders:
        for line in order.lines:
            key = offer_key(line)
            first.setdefault(key, line)
            units[key] = units.get(key, 0) + line.quantity
    sellers = [NewSeller(seller.id, _seller_name(seller)) for seller in records.sellers.values()]
    several = {line.product_id for line in first.values() if line.variant_no}
    offers = [
        _offer(line, records.products[line.product_id], units[key], several=line.product_id in several)
        for key, line in first.items()
    ]
    return sellers, offers


def _seller_name(seller: Seller) -> str:
    place = " ".join(part for part in (seller.city, seller.state) if part)
    return f"{place} {seller.id.hex[:SHORT_ID]}".strip()


def _offer(line: Line, product: Product, units: int, *, several: bool) -> NewOffer:
    suffix = f"-{line.variant_no + 1}" if line.variant_no else ""
    title = (product.category or UNCATEGORISED).replace("_", " ").capitalize()
    return NewOffer(
        product_id=product.id,
        variant_id=variant_id(line),
        seller_id=line.seller_id,
        title=f"{title} {product.id.hex[:SHORT_ID]}",
        category=product.category or UNCATEGORISED,
        attributes={"variant": str(line.variant_no + 1)} if several else {},
        sku=f"{product.id.hex}{suffix}",
        price_minor=line.unit_price_minor,
        currency=CURRENCY,
        units=units,
    )


async def import_catalog(conn: Any, sellers: Sequence[NewSeller], offers: Sequence[NewOffer], step: Step) -> None:
    """Write sellers, products, offers and stock; raises TargetInUseError when some are there already."""
    known = await conn.fetchrow(KNOWN, [s.id for s in sellers], [o.product_id for o in offers])
    if known["sellers"] or known["products"]:
        raise TargetInUseError(
            f"the database holds {known['sellers']} of these sellers and {known['products']} of these products"
            " already: replay needs one that has none of them"
        )
    await write_catalog(conn, sellers, offers, actor=SYSTEM, reason="replay", progress=step)


class _Run(Struct):
    """Orders on one offer, one after the other at one price: how many of them haven't ended yet."""

    price_minor: int
    unended: int


class Replay:
    """Places recorded orders, on offers that stand at the prices of their first ones.

    Orders are sent strictly one after the other, up to ``IN_FLIGHT_MAX`` unplaced ones at a time. An offer goes to
    its next price as soon as the last order at its present one has ended, so the orders to come seldom wait.
    """

    def __init__(
        self, client: Client, conn: Any, tokens: Tokens, orders: Sequence[RecordedOrder], *, pay: bool = False
    ) -> None:
        self._client = client
        self._pay = pay
        self._conn = conn
        self._tokens = tokens
        self._orders = orders
        self._runs = _runs(orders)
        self._prices = {key: runs[0].price_minor for key, runs in self._runs.items()}
        self._due: asyncio.Queue[OfferKey] = asyncio.Queue()
        self._changed = asyncio.Event()
        self._room = asyncio.Semaphore(IN_FLIGHT_MAX)

    async def run(self, step: Step) -> None:
        """Place every order; returns when each has its outcome. Raises ShopError when the api stays away."""
        async with shoppers() as group:
            group.create_task(self._change_prices())
            for order in self._orders:
                await self._room.acquire()
                while any(self._prices[offer_key(line)] != line.unit_price_minor for line in order.lines):
                    self._changed.clear()
                    await self._changed.wait()
                group.create_task(self._place(order, step))

    async def _place(self, order: RecordedOrder, step: Step) -> None:
        lines = tuple(
            OrderLine(*offer_key(line), line.quantity, Money(line.unit_price_minor, CURRENCY)) for line in order.lines
        )
        shopper = Shopper(self._client, self._tokens, order.id)
        outcome = await shopper.order(f"replay-{order.id.hex}", PlaceOrder(CURRENCY, lines))
        for line in order.lines:
            runs = self._runs[offer_key(line)]
            runs[0].unended -= 1
            if runs[0].unended == 0 and len(runs) > 1:
                runs.popleft()
                self._due.put_nowait(offer_key(line))
        if self._pay and outcome.status == "succeeded" and outcome.job is not None:
            await shopper.pay(f"pay-{order.id.hex}", outcome.job, sandbox.OK)
        self._room.release()
        step(1)

    async def _change_prices(self) -> None:
        """Write the price changes that are due, those that came due meanwhile together, until none is to come."""
        left = sum(len(runs) - 1 for runs in self._runs.values())
        while left:
            keys = [await self._due.get()]
            while not self._due.empty():
                keys.append(self._due.get_nowait())
            new = {key: self._runs[key][0].price_minor for key in keys}
            async with postgres.transaction(self._conn):
                await change_prices(self._conn, [PriceChange(*key, new[key]) for key in keys], actor=SYSTEM)
            self._prices.update(new)
            self._changed.set()
            left -= len(keys)


def _runs(orders: Sequence[RecordedOrder]) -> dict[OfferKey, deque[_Run]]:
    """The prices that each offer goes through, with the number of orders at each."""
    runs: dict[OfferKey, deque[_Run]] = {}
    for order in orders:
        for line in order.lines:
            of_offer = runs.setdefault(offer_key(line), deque())
            if not of_offer or of_offer[-1].price_minor != line.unit_price_minor:
                of_offer.append(_Run(line.unit_price_minor, 0))
            of_offer[-1].unended += 1
    return runs


async def count(conn: Any, orders: Sequence[RecordedOrder], *, audit_violations: int, paid: bool = False) -> Result:
    """Hold what the database has against what was recorded."""
    recorded = {order.id: order.total_minor for order in orders}
    buyers = list(recorded)
    placed = {row["buyer"]: row["total_minor"] for row in await conn.fetch(PLACED, buyers)}
    figures = await conn.fetchrow(FIGURES, buyers)
    taken = await conn.fetchrow(PAID, buyers)
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
        mismatched=off + ended["refused_for_price"] + (taken["off"] if paid else 0),
        failed=ended["unended"],
        audit_violations=audit_violations,
        orders_per_second=round(figures["orders"] / ended["seconds"], 1) if ended["seconds"] else 0.0,
        confirmed=taken["confirmed"],
        to_confirm=len(recorded) if paid else 0,
        captured_minor=taken["captured_minor"],
    )


def replay(records: Records, target: Target, env: Mapping[str, str], output: Output, *, pay: bool = False) -> Result:
    """Import and place everything on a migrated stack, with processes of its own; ``env`` holds their settings.

    With ``pay`` every order is paid with the sandbox, too.

    Raises TargetInUseError before anything is written; ShopError when the api stays away.
    """
    sellers, offers = catalog_of(records)

    async def write() -> None:
        async with connect(target) as conn:
            with output.progress("Importing sellers, products, offers and stock", len(offers)) as bar:
                await import_catalog(conn, sellers, offers, bar.advance)

    async def place(url: str) -> Result:
        async with connect(target) as conn:
            with output.progress(
                "Placing the orders, and paying each" if pay else "Placing the orders", len(records.orders)
            ) as bar:
                async with Client(url, connections=IN_FLIGHT_MAX) as client:
                    tokens = Tokens(target.secret_key)
                    await Replay(client, conn, tokens, records.orders, pay=pay).run(bar.advance)
            output.say("Auditing what the database holds now ...")
            audit = await run_audit(conn)
            _tell_violations(audit, output)
            return await count(conn, records.orders, audit_violations=audit.violations, paid=pay)

    output.say(f"Read {len(records.orders):,} orders, {len(offers):,} offers, {len(sellers):,} sellers.")
    asyncio.run(write())
    with serving(target, env, lanes=ALL_LANES if pay else CORE_LANES) as url:
        result = asyncio.run(place(url))
    _tell(result, output)
    return result


def _tell_violations(audit: Audit, output: Output) -> None:
    for check in audit.checks:
        if check.violations:
            output.say(f"  {check.name}: {check.violations:,} violations, such as {', '.join(check.sample)}")


def _tell(result: Result, output: Output) -> None:
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
