"""A flash sale through the HTTP API, and what the database says about it afterwards.

Invariant: every figure about orders and units is asked of the database, after the last job has ended; what the
buyers were told serves only to choose whom to have cancel, and to see that a repeated key always names the same
job. So a defect that fools the client can't hide here.
"""

import asyncio
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from msgspec import Struct

from domain.invariants import Audit, run_audit
from domain.journal.model import SYSTEM
from infra.security import Tokens
from ops.campaign import launch
from ops.catalog import write_catalog
from ops.load import Client
from ops.output import Output
from ops.sale import Sale, Size, Wish, draw_up
from ops.shopper import Outcome, Shopper, shoppers
from ops.target import Target, connect
from ops.temporary import DEFAULTS, serving, temporary_stack

SEED = 20_261_122
WORKERS = 2
IN_FLIGHT_MAX = 48
CONNECTIONS = 3 * IN_FLIGHT_MAX
"""Each order in flight may go out three times at once."""
CANCEL_EVERY = 8

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
    that were answered with another job; the rest is the database's account.
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

    @property
    def good(self) -> bool:
        """Whether it was a sale at all, and nothing is oversold, doubled, failed or violated."""
        wrong = self.oversold + self.duplicates + self.failed + self.audit_violations + self.repeats_astray
        wrong += max(0, self.code_uses - self.code_uses_max)
        return not wrong and self.succeeded >= self.succeeded_min


class _Crowd:
    """The buyers of a sale, and what they were told."""

    def __init__(self, client: Client, tokens: Tokens, buyers: set[UUID]) -> None:
        self._shoppers = {buyer: Shopper(client, tokens, buyer) for buyer in buyers}
        self._room = asyncio.Semaphore(IN_FLIGHT_MAX)
        self.outcomes: dict[str, Outcome] = {}
        self.waits: list[float] = []
        self.repeats = 0
        self.repeats_astray = 0
        self.seconds = 0.0

    async def order(self, wishes: Sequence[Wish], step: Callable[[int], None]) -> None:
        """Have orders placed, as many at once as there is room for; returns when each has its outcome."""
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
        self.outcomes[wish.key] = first
        if not wish.polls:
            self.waits.append(first.seconds)
        self.repeats += len(others)
        self.repeats_astray += sum(other.job != first.job for other in others)
        self._room.release()
        step(1)

    async def cancel(self, wishes: Sequence[Wish], step: Callable[[int], None]) -> None:
        """Have placed orders cancelled: those of several lines by their first line, the others whole."""

        async def cancel(wish: Wish, order: UUID) -> None:
            lines = (0,) if len(wish.order.lines) > 1 else None
            shopper = self._shoppers[wish.buyer]
            async with self._room:
                await shopper.cancel(f"cancel-{wish.key}", order, lines=lines, reason="changed my mind")
            step(1)

        async with shoppers() as group:
            for wish in wishes:
                job = self.outcomes[wish.key].job
                if job is not None:
                    group.create_task(cancel(wish, job))

    def placed(self, wishes: Sequence[Wish]) -> list[Wish]:
        """Those of the wishes that came true."""
        return [wish for wish in wishes if self.outcomes[wish.key].status == "succeeded"]


def demo(output: Output, size: Size | None = None) -> Result:
    """Run a sale on a stack of its own. Raises StackError and ShopError."""
    size = size or Size()
    sale = draw_up(size, SEED)
    output.say("Ordermill demo: a flash sale, through the HTTP API, on servers that go away afterwards.")
    output.say(f"Starting PostgreSQL, Valkey, an api, {WORKERS} workers and a scheduler ...")
    with temporary_stack() as target:
        asyncio.run(_open(sale, target))
        with serving(target, DEFAULTS, workers=WORKERS) as url:
            result = asyncio.run(_hold(sale, size, target, url, output))
    _tell(result, output)
    return result


async def _open(sale: Sale, target: Target) -> None:
    async with connect(target) as conn:
        await write_catalog(conn, sale.sellers, [*sale.scarce, *sale.plenty], actor=SYSTEM, reason="demo")


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
        with output.progress(f"The rush: {len(sale.rush):,} orders, some sent three times at once", size.rush) as bar:
            await crowd.order(sale.rush, bar.advance)
        regretted = crowd.placed(sale.rush)[::CANCEL_EVERY]
        with output.progress(f"{len(regretted):,} buyers cancel an order or a line of it", len(regretted)) as bar:
            await crowd.cancel(regretted, bar.advance)
        with output.progress(f"{size.late:,} latecomers ask for the scarce units that came back", size.late) as bar:
            await crowd.order(sale.late, bar.advance)
    output.say("Every job has ended. Now the database is asked what happened, and audited ...")
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
            ("units available", f"{result.units_available:,}", "received by the sellers"),
            ("units sold", f"{result.units_sold:,}", "on lines that still stand"),
            ("oversold", f"{result.oversold:,}", "must be 0: no unit was sold twice"),
            ("uses of the code", f"{result.code_uses:,}", f"never over {result.code_uses_max:,}, however many give it"),
            ("  came back", f"{result.code_uses_returned:,}", "with orders that were cancelled"),
            ("discounts", f"{result.discounts_minor:,}", "minor units, at the last price of every order"),
            ("lines with commission", f"{result.lines_with_commission:,}", "rule and rate frozen with the line"),
            ("repeated requests", f"{result.repeats:,}", "the same Idempotency-Key again, often at the same moment"),
            ("  astray", f"{result.repeats_astray:,}", "must be 0: each was answered with the first one's job"),
            ("duplicates", f"{result.duplicates:,}", "must be 0: no key made two orders"),
            ("audit violations", f"{result.audit_violations:,}", "must be 0: figures, movements, events agree"),
            ("orders per second", f"{result.orders_per_second:,}", "the buyers share this machine"),
            ("outcome p50 / p99", f"{result.outcome_ms.p50:g} / {result.outcome_ms.p99:g} ms", "request to outcome"),
        ],
    )
    output.say()
    output.say("Nothing was oversold, doubled or lost." if result.good else "This is not as it must be: see above.")
