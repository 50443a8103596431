"""Replay recorded orders: import what they need, then place each one through the HTTP API, in its order.

Invariant: an order meets the price it was recorded at. Where that differs from the offer's price, the offer's price
is changed first, with its event, but only when no earlier order on that offer is still unplaced: else that one
would meet the later price. Everything else is in flight together.

With ``pay`` each order is paid with the payment sandbox as soon as it is placed; with ``deliver`` its seller orders are
accepted, shipped and delivered then. Where freight was read, sellers get it as their shipping rates
(``ops/freight.py``).

What came of it is counted in the database (``ops/replay_figures.py``).
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID, uuid5

from msgspec import Struct, structs

from domain.accounts.model import Role
from domain.catalog.model import OfferKey, PriceChange
from domain.catalog.offer_sql import change_prices
from domain.invariants import run_audit
from domain.journal.model import SYSTEM
from domain.money import Money
from domain.orders.fulfilment_model import seller_order_id
from domain.orders.model import OrderLine, PlaceOrder
from infra import postgres
from infra.gateways import sandbox
from infra.security import Tokens
from ops.catalog import write_catalog
from ops.freight import SOMEWHERE, amounts_of, methods_of, write_freight
from ops.goods import NewOffer, NewSeller
from ops.load import Client
from ops.olist import CURRENCY, Line, Product, RecordedOrder, Records, Seller
from ops.output import Output
from ops.processes import ALL_LANES, CORE_LANES
from ops.replay_figures import PLACED_ALONE, Course, Result, count, settled, tell, tell_violations
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


class TargetInUseError(Exception):
    """The target holds some of what would be imported; the message is one line."""


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


STEPS = ("accept", "ship", "deliver")


class Replay:
    """Places recorded orders, on offers that stand at the prices of their first ones.

    Orders are sent strictly one after the other, up to ``IN_FLIGHT_MAX`` unplaced ones at a time. An offer goes to
    its next price as soon as the last order at its present one has ended, so the orders to come seldom wait.
    """

    def __init__(
        self, client: Client, conn: Any, tokens: Tokens, orders: Sequence[RecordedOrder], course: Course = PLACED_ALONE
    ) -> None:
        self._client = client
        self._course = course
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
        placing = PlaceOrder(CURRENCY, lines)
        if order.freight_minor:
            placing = structs.replace(placing, shipping_address=SOMEWHERE, shipping_methods=methods_of(order))
        outcome = await shopper.order(f"replay-{order.id.hex}", placing)
        for line in order.lines:
            runs = self._runs[offer_key(line)]
            runs[0].unended -= 1
            if runs[0].unended == 0 and len(runs) > 1:
                runs.popleft()
                self._due.put_nowait(offer_key(line))
        if self._course.pay and outcome.status == "succeeded" and outcome.job is not None:
            await shopper.pay(f"pay-{order.id.hex}", outcome.job, sandbox.OK)
            if self._course.deliver:
                await self._deliver(order, outcome.job)
        self._room.release()
        step(1)

    async def _deliver(self, order: RecordedOrder, placed: UUID) -> None:
        """Have an order's sellers accept, ship and deliver their parts; an admin acts for them, another one each time.

        So each stays within their limit of requests.
        """
        staff = Shopper(self._client, self._tokens, order.id, role=Role.ADMIN)
        for number in range(len({line.seller_id for line in order.lines})):
            for way in STEPS:
                await staff.move(f"{way}-{number}-{order.id.hex}", seller_order_id(placed, number), way)

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


def replay(
    records: Records, target: Target, env: Mapping[str, str], output: Output, course: Course = PLACED_ALONE
) -> Result:
    """Import and place everything on a migrated stack, with processes of its own; ``env`` holds their settings.

    ``course`` says how far each order goes.

    Raises TargetInUseError before anything is written; ShopError when the api stays away.
    """
    sellers, offers = catalog_of(records)

    async def write() -> None:
        async with connect(target) as conn:
            with output.progress("Importing sellers, products, offers and stock", len(offers)) as bar:
                await import_catalog(conn, sellers, offers, bar.advance)
            await write_freight(conn, amounts_of(records.orders))

    async def place(url: str) -> Result:
        async with connect(target) as conn:
            with output.progress(course.title, len(records.orders)) as bar:
                async with Client(url, connections=IN_FLIGHT_MAX) as client:
                    tokens = Tokens(target.secret_key)
                    await Replay(client, conn, tokens, records.orders, course).run(bar.advance)
            await settled(conn)
            output.say("Auditing what the database holds now ...")
            audit = await run_audit(conn)
            tell_violations(audit, output)
            return await count(conn, records.orders, audit_violations=audit.violations, course=course)

    output.say(f"Read {len(records.orders):,} orders, {len(offers):,} offers, {len(sellers):,} sellers.")
    asyncio.run(write())
    with serving(target, env, lanes=ALL_LANES if course.pay else CORE_LANES) as url:
        result = asyncio.run(place(url))
    tell(result, output)
    return result
