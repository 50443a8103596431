"""A flash sale through the HTTP API, and what the database says about it afterwards.

Invariant: every figure about orders, units and money is asked of the database, after every order has come to its end;
what the buyers were told serves only to see that a repeated key always names the same job. So a defect that fools the
client can't hide here. How each order should end follows from its number (``ops/sale.py``, ``ops/story.py``).
"""

import asyncio
import secrets
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from msgspec import Struct, structs

from domain.accounts.account_sql import insert_accounts
from domain.accounts.model import NewAccount, Role
from domain.invariants import Audit, run_audit
from domain.journal.model import SYSTEM, Event
from domain.journal.sql import insert_events
from infra.passwords import Passwords
from infra.security import Tokens
from ops.campaign import launch
from ops.catalog import write_catalog
from ops.load import Client
from ops.output import Output
from ops.processes import ALL_LANES
from ops.sale import CURRENCY, Sale, Size, Wish, draw_up
from ops.shopper import Shopper, Standing, shoppers
from ops.staff import WAYS, Staff, Way
from ops.story import ENDS_BY_ITSELF, PAID, Buyer, end_of, units_of_one_seller
from ops.takings import count_takings
from ops.target import Target, connect
from ops.temporary import DEFAULTS, serving, temporary_stack

SEED = 20_261_122
WORKERS = 2
IN_FLIGHT_MAX = 48
CONNECTIONS = 3 * IN_FLIGHT_MAX
"""Each order in flight may go out three times at once."""
END_SECONDS = 60.0
"""How long an order may take to come to its end, once it is due to."""

SETTINGS = {"EXPIRY_SWEEP_SECONDS": "1", "SANDBOX_LATE_SECONDS": "3", "PAYOUT_HOLD_SECONDS": "0"}

# What has neither succeeded nor been refused after everyone was answered has failed, parked or not.
ORDERS = """
SELECT count(*) AS submitted, count(*) FILTER (WHERE o.status = 'succeeded') AS succeeded,
       count(*) FILTER (WHERE o.status = 'rejected') AS rejected
FROM commands c LEFT JOIN outcomes o ON o.id = c.id
WHERE c.job = 'place_orders'
"""

UNITS = """
WITH received AS (
    SELECT variant_id, seller_id, sum(on_hand_delta) AS units FROM movements WHERE kind = 'received' GROUP BY 1, 2
), sold AS (
    SELECT l.variant_id, l.seller_id, sum(l.quantity) AS units
    FROM order_lines l JOIN orders o ON o.id = l.order_id
    WHERE o.expired_at IS NULL
      AND NOT EXISTS (SELECT FROM cancelled_lines c WHERE c.order_id = l.order_id AND c.line_no = l.line_no)
    GROUP BY 1, 2
)
SELECT coalesce(sum(r.units), 0)::bigint AS available, coalesce(sum(s.units), 0)::bigint AS sold,
       coalesce(sum(greatest(s.units - coalesce(r.units, 0), 0)), 0)::bigint AS oversold
FROM received r FULL JOIN sold s USING (variant_id, seller_id)
"""

# By the correlation id, which every request under a key carried; the table of keys would vouch for itself.
DUPLICATES = """
SELECT count(*) FROM (
    SELECT FROM orders o JOIN commands c ON c.id = o.id
    GROUP BY c.principal, c.correlation HAVING count(*) > 1
) twice
"""

# Of the promotion that the code brings: uses that stand, and those that came back.
CODE_USES = """
SELECT count(*) FILTER (WHERE returned_at IS NULL) AS standing, count(returned_at) AS returned
FROM redemptions WHERE promotion_id = $1
"""

# Of all orders, at their last price.
PRICED = """
SELECT coalesce(sum((SELECT coalesce(sum(d), 0) FROM unnest(p.platform_discounts_minor) AS d)), 0)::bigint AS discounts
FROM orders o CROSS JOIN LATERAL (
    SELECT platform_discounts_minor FROM price_versions v WHERE v.order_id = o.id ORDER BY version DESC LIMIT 1
) p
"""

COMMISSIONED = "SELECT count(*) FROM order_lines WHERE commission_rule_id IS NOT NULL"

CANCELLED = """
SELECT count(DISTINCT l.order_id) FILTER (WHERE l.lines = l.cancelled) AS whole,
       count(DISTINCT l.order_id) FILTER (WHERE l.cancelled BETWEEN 1 AND l.lines - 1) AS in_part
FROM (
    SELECT l.order_id, count(*) AS lines, count(c.line_no) AS cancelled
    FROM order_lines l LEFT JOIN cancelled_lines c USING (order_id, line_no) GROUP BY l.order_id
) l
"""


class Milliseconds(Struct, frozen=True):
    """From a buyer's request to the outcome of the job, as those saw it who waited on the line."""

    p50: float
    p99: float


class Result(Struct, frozen=True):
    """What the sale came to. ``repeats`` were requests under a key already sent, ``repeats_astray`` those of them
    that were answered with another job; the rest is the database's account, of money as in ``Takings``.
    """

    orders_submitted: int
    succeeded: int
    rejected: int
    failed: int
    units_available: int
    units_sold: int
    oversold: int
    duplicates: int
    audit_violations: int
    orders_per_second: float
    outcome_ms: Milliseconds
    repeats: int
    repeats_astray: int
    cancelled: int
    cancelled_in_part: int
    code_uses: int
    code_uses_returned: int
    code_uses_max: int
    discounts_minor: int
    lines_with_commission: int
    succeeded_min: int
    paid: int
    declined: int
    expired: int
    captured_minor: int
    refunded_minor: int
    delivered: int
    partly_shipped: int
    returned: int
    ledger_balance_minor: int
    commission_minor: int
    payouts_minor: int
    money_astray: int
    orders_astray: int

    @property
    def good(self) -> bool:
        """Whether it was a sale at all, and nothing is oversold, doubled, failed, astray or violated."""
        wrong = self.oversold + self.duplicates + self.failed + self.audit_violations + self.repeats_astray
        wrong += self.money_astray + self.orders_astray + abs(self.ledger_balance_minor)
        wrong += max(0, self.code_uses - self.code_uses_max)
        return not wrong and self.succeeded >= self.succeeded_min


class _Crowd:
    """The buyers of a sale, and what they were told."""

    def __init__(self, client: Client, tokens: Tokens, buyers: set[UUID]) -> None:
        self._shoppers = {buyer: Shopper(client, tokens, buyer) for buyer in buyers}
        self._room = asyncio.Semaphore(IN_FLIGHT_MAX)
        self.ends: dict[UUID, Standing] = {}
        self._whose: dict[UUID, Shopper] = {}
        self._largest: dict[UUID, int] = {}
        self._open: list[Buyer] = []
        self.waits: list[float] = []
        self.repeats = 0
        self.repeats_astray = 0
        self.seconds = 0.0

    async def order(self, wishes: Sequence[Wish], step: Callable[[int], None]) -> None:
        """Have orders placed and their stories lived, as many at once as there is room for; returns when all are."""
        started = time.perf_counter()
        async with shoppers() as group:
            for wish in wishes:
                await self._room.acquire()
                group.create_task(self._one(wish, step))
        self.seconds += time.perf_counter() - started

    async def _one(self, wish: Wish, step: Callable[[int], None]) -> None:
        shopper = self._shoppers[wish.buyer]
        asks = [shopper.order(wish.key, wish.order, wait=not wish.polls) for _ in range(wish.copies)]
        outcomes = list(await asyncio.gather(*asks))
        if wish.resent:
            outcomes.append(await shopper.order(wish.key, wish.order))
        first, *others = outcomes
        if not wish.polls:
            self.waits.append(first.seconds)
        self.repeats += len(others)
        self.repeats_astray += sum(other.job != first.job for other in others)
        if first.status == "succeeded" and first.job is not None:
            self.ends[first.job] = end_of(wish)
            self._whose[first.job] = shopper
            self._largest[first.job] = units_of_one_seller(wish)
            buyer = Buyer(shopper, wish, first.job)
            await buyer.live()
            self.repeats += buyer.repeats
            self.repeats_astray += buyer.astray
            if wish.story in ENDS_BY_ITSELF:
                self._open.append(buyer)
        self._room.release()
        step(1)

    async def see_the_ends(self) -> None:
        """Wait for the orders that come to their end by themselves."""

        async def see(buyer: Buyer) -> None:
            async with self._room:
                await buyer.see_the_end(END_SECONDS)

        async with shoppers() as group:
            for buyer in self._open:
                group.create_task(see(buyer))
        self._open.clear()

    async def be_served(self, staff: Staff, count: int, step: Callable[[int], None]) -> None:
        """Have the sellers see to orders that were paid, each in one of the ways in turn.

        The largest come first, so that each way gets one that can be sent in parts, whoever was quick to pay.
        """

        async def serve(order: UUID, way: Way) -> None:
            async with self._room:
                self.ends[order] = await staff.serve(order, self._whose[order], way, seconds=END_SECONDS)
            step(1)

        async with shoppers() as group:
            served = sorted(self.paid[:count], key=self._largest.__getitem__, reverse=True)
            for number, order in enumerate(served):
                group.create_task(serve(order, WAYS[number % len(WAYS)]))

    @property
    def paid(self) -> list[UUID]:
        """The orders that are paid in the end, oldest first."""
        return sorted(order for order, end in self.ends.items() if end == PAID)


def demo(output: Output, size: Size | None = None) -> Result:
    """Run a sale on a stack of its own. Raises StackError and ShopError."""
    size = size or Size()
    settings = {**DEFAULTS, **SETTINGS, "RESERVATION_SECONDS": str(size.hold_seconds)}
    sale = draw_up(size, SEED)
    output.say("Ordermill demo: a flash sale, through the HTTP API, on servers that go away afterwards.")
    output.say(f"Starting PostgreSQL, Valkey, an api, {WORKERS} workers and a scheduler ...")
    with temporary_stack() as target:
        asyncio.run(_open(sale, target))
        with serving(target, settings, workers=WORKERS, lanes=ALL_LANES) as url:
            result = asyncio.run(_hold(sale, size, target, url, output))
    _tell(result, output)
    return result


async def _open(sale: Sale, target: Target) -> None:
    async with connect(target) as conn:
        owners = [seller.owner for seller in sale.sellers if seller.owner is not None]
        await insert_accounts(conn, await _accounts(owners))
        await insert_events(conn, [Event(owner, 1, "account.registered", "{}", SYSTEM, "demo") for owner in owners])
        await write_catalog(conn, sale.sellers, [*sale.scarce, *sale.plenty], actor=SYSTEM, reason="demo")


async def _accounts(owners: Sequence[UUID]) -> list[NewAccount]:
    """The accounts of who owns the sellers, under a password that nobody is told."""
    passwords = Passwords()
    try:
        hashed = await passwords.hash(secrets.token_urlsafe())
    finally:
        passwords.close()
    return [
        NewAccount(owner, f"owner-{n}@example.org", "An owner", hashed, frozenset({Role.BUYER}), verified=True)
        for n, owner in enumerate(owners)
    ]


async def _hold(sale: Sale, size: Size, target: Target, url: str, output: Output) -> Result:
    units = sum(offer.units for offer in sale.scarce)
    scarce = {offer.variant_id for offer in sale.scarce}
    after_them = sum(wish.order.lines[0].variant_id in scarce for wish in sale.rush)
    output.say()
    output.say(f"{len(sale.sellers)} sellers have {len(sale.scarce) + len(sale.plenty)} things on sale.")
    output.say(f"{len(sale.scarce)} of them are scarce: {units:,} units, which {after_them:,} orders will ask for.")
    buyers = {wish.buyer for wish in (*sale.rush, *sale.late)}
    async with Client(url, connections=CONNECTIONS) as client:
        tokens = Tokens(target.secret_key)
        coded = await launch(client, tokens, sale, size)
        given = sum(bool(wish.order.codes) for wish in (*sale.rush, *sale.late))
        output.say(f"A code takes 15 % off, {size.code_uses_max:,} times; {given:,} orders will give it.")
        crowd = _Crowd(client, tokens, buyers)
        with output.progress(f"The rush: {size.rush:,} orders, and what their buyers do about them", size.rush) as bar:
            await crowd.order(sale.rush, bar.advance)
        output.say(f"Whoever left without paying holds units for {size.hold_seconds} seconds ...")
        await crowd.see_the_ends()
        with output.progress(f"{size.late:,} latecomers ask for the scarce units that came back", size.late) as bar:
            await crowd.order(sale.late, bar.advance)
        await crowd.see_the_ends()
        staff = Staff(client, tokens)
        served = min(size.served, len(crowd.paid))
        with output.progress(f"Sellers see to {served:,} paid orders: shipped, returned, refunded", served) as bar:
            await crowd.be_served(staff, served, bar.advance)
        await staff.open_accounts([seller.owner for seller in sale.sellers if seller.owner is not None])
        await staff.pay_out(CURRENCY, seconds=END_SECONDS)
    output.say("Every order has come to its end. Now the database is asked what happened, and audited ...")
    async with connect(target) as conn:
        audit = await run_audit(conn)
        _say_violations(audit, output)
        return await _count(conn, crowd, size, coded, audit)


def _say_violations(audit: Audit, output: Output) -> None:
    for check in audit.checks:
        if check.violations:
            output.say(f"  {check.name}: {check.violations:,} violations, such as {', '.join(check.sample)}")


async def _count(conn: Any, crowd: _Crowd, size: Size, coded: UUID, audit: Audit) -> Result:
    orders, units = await conn.fetchrow(ORDERS), await conn.fetchrow(UNITS)
    cancelled = await conn.fetchrow(CANCELLED)
    uses = await conn.fetchrow(CODE_USES, coded)
    hundredths = statistics.quantiles(crowd.waits, n=100)
    return Result(
        orders_submitted=orders["submitted"],
        succeeded=orders["succeeded"],
        rejected=orders["rejected"],
        failed=orders["submitted"] - orders["succeeded"] - orders["rejected"],
        units_available=units["available"],
        units_sold=units["sold"],
        oversold=units["oversold"],
        duplicates=await conn.fetchval(DUPLICATES),
        audit_violations=audit.violations,
        orders_per_second=round(orders["submitted"] / crowd.seconds, 1),
        outcome_ms=Milliseconds(round(hundredths[49] * 1000, 1), round(hundredths[98] * 1000, 1)),
        repeats=crowd.repeats,
        repeats_astray=crowd.repeats_astray,
        cancelled=cancelled["whole"],
        cancelled_in_part=cancelled["in_part"],
        code_uses=uses["standing"],
        code_uses_returned=uses["returned"],
        code_uses_max=size.code_uses_max,
        discounts_minor=await conn.fetchval(PRICED),
        lines_with_commission=await conn.fetchval(COMMISSIONED),
        succeeded_min=size.succeeded_min,
        **structs.asdict(await count_takings(conn, crowd.ends)),
    )


def _tell(result: Result, output: Output) -> None:
    output.say()
    output.table(
        ("what", "figure", "meaning"),
        [
            ("orders submitted", f"{result.orders_submitted:,}", "each accepted once, written down before the answer"),
            ("  succeeded", f"{result.succeeded:,}", "placed, with stock reserved for every line"),
            ("  rejected", f"{result.rejected:,}", "refused whole, because a scarce line was sold out"),
            ("  failed", f"{result.failed:,}", "must be 0: no job got stuck"),
            ("cancelled", f"{result.cancelled:,} + {result.cancelled_in_part:,}", "whole + by line; units went back"),
            ("paid", f"{result.paid:,}", "by the payment sandbox; the money of some was given back"),
            ("  payments declined", f"{result.declined:,}", "tried anew, or left to expire"),
            ("expired", f"{result.expired:,}", "nobody paid them in time; units went back"),
            ("  astray", f"{result.orders_astray:,}", "must be 0: each ended as its buyer's doing says"),
            ("money captured", f"{result.captured_minor:,}", "minor units, of all payments"),
            ("  refunded", f"{result.refunded_minor:,}", "of paid orders that were cancelled, whole or by line"),
            ("  astray", f"{result.money_astray:,}", "must be 0: orders, payments, the gateway's books agree"),
            ("seller orders delivered", f"{result.delivered:,}", "of those the sellers saw to"),
            ("  shipped in part", f"{result.partly_shipped:,}", "the rest is still to be sent"),
            ("  returns received", f"{result.returned:,}", "refunded, and back on the shelf"),
            ("commission", f"{result.commission_minor:,}", "minor units, less what refunds took back"),
            ("paid out", f"{result.payouts_minor:,}", "minor units, to sellers whose orders were delivered"),
            ("ledger balance", f"{result.ledger_balance_minor:,}", "must be 0: every posting balances"),
            ("units available", f"{result.units_available:,}", "received by the sellers"),
            ("units sold", f"{result.units_sold:,}", "on lines that still stand"),
            ("oversold", f"{result.oversold:,}", "must be 0: no unit was sold twice"),
            ("uses of the code", f"{result.code_uses:,}", f"never over {result.code_uses_max:,}, however many give it"),
            ("  came back", f"{result.code_uses_returned:,}", "with orders that were cancelled or expired"),
            ("discounts", f"{result.discounts_minor:,}", "minor units, at the last price of every order"),
            ("lines with commission", f"{result.lines_with_commission:,}", "rule and rate frozen with the line"),
            ("repeated requests", f"{result.repeats:,}", "the same Idempotency-Key again, often at the same moment"),
            ("  astray", f"{result.repeats_astray:,}", "must be 0: each was answered with the first one's job"),
            ("duplicates", f"{result.duplicates:,}", "must be 0: no key made two orders"),
            ("audit violations", f"{result.audit_violations:,}", "must be 0: figures, movements, events agree"),
            (
                "orders per second",
                f"{result.orders_per_second:,}",
                "with all that became of them, on this machine",
            ),
            ("outcome p50 / p99", f"{result.outcome_ms.p50:g} / {result.outcome_ms.p99:g} ms", "request to outcome"),
        ],
    )
    output.say()
    output.say("Nothing was oversold, doubled or lost." if result.good else "This is not as it must be: see above.")
