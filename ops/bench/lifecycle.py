"""``lifecycle``: buyers place and pay, sellers accept, ship and deliver; how many orders a second are complete.

An order is complete when every part of it has arrived and its commission was worked out and posted. What is asked of
sellers is asked by admins, in turn, as by services that act for them.
"""

from datetime import UTC, datetime
from typing import Any

from domain.accounts.model import Role
from domain.journal.model import SYSTEM
from domain.orders.fulfilment_model import AcceptSellerOrder, DeliverSellerOrder, ShipSellerOrder
from domain.orders.model import PlaceOrder
from domain.payments.model import StartPayment
from domain.pricing.commission_edit import StoredRule
from domain.pricing.commission_model import CommissionContent
from domain.pricing.commission_sql import Edit, write_rules
from domain.pricing.snapshot import SnapshotCommissions
from domain.pricing.version_sql import raise_version
from infra.clock import new_id
from infra.security import Tokens
from ops.bench import checks
from ops.bench.flow import measure, unexpected_answers
from ops.bench.loop import ClosedLoop, Request, encode_requests, endless
from ops.bench.model import Scenario, percentiles
from ops.bench.orders import TOKEN_SECONDS, draw_orders
from ops.bench.payment import BODY, following, start_with_io
from ops.bench.stage import Stage

RATE_BP = 1_000
STEPS = ("accept", "ship", "deliver")
JOBS = [
    command.job
    for command in (
        PlaceOrder,
        StartPayment,
        SnapshotCommissions,
        AcceptSellerOrder,
        ShipSellerOrder,
        DeliverSellerOrder,
    )
]

# Whatever clients have seen by then: orders whose last step of all was taken within the measured time.
COMPLETED = """
SELECT count(*) FROM (
    SELECT e.stream FROM events e WHERE e.type IN ('order.delivered', 'order.commission_snapshotted')
    GROUP BY e.stream
    HAVING count(*) FILTER (WHERE e.type = 'order.commission_snapshotted') = 1
       AND count(*) = 1 + (SELECT count(*) FROM seller_orders s WHERE s.order_id = e.stream)
       AND max(e.at) >= $1 AND max(e.at) < $2
) AS completed
"""

# Of every order that was paid within the run: its sale and its commission in the ledger.
UNPOSTED = """
SELECT count(*) FROM orders o WHERE o.payment = 'paid' AND 2 <> (
    SELECT count(DISTINCT l.kind) FROM ledger_entries l WHERE l.order_id = o.id AND l.kind IN ('sale', 'commission'))
"""


async def lifecycle(stage: Stage) -> Scenario:
    """Run orders through their whole life."""
    sizes = stage.sizes
    async with stage.scene("lifecycle") as scene:
        await _write_rule(scene.conn)
        base_url = await start_with_io(scene, {"PAYMENT_CONCURRENCY": str(sizes.connections)})
        load = ClosedLoop(base_url, endless(_requests(base_url, stage)), connections=sizes.connections)
        measured = await measure(scene, load, sizes)
        problems = await checks.problems(scene.conn, load.accepted, jobs=JOBS)
        problems += unexpected_answers(load, {200, 202})
        completed = await scene.conn.fetchval(COMPLETED, measured.began, measured.ended)
        unposted = await scene.conn.fetchval(UNPOSTED)
        if unposted:
            problems.append(f"{unposted} paid orders have no sale or no commission in the ledger")
        seconds, usage = measured.seconds, measured.usage
        return Scenario(
            orders_per_second=round(completed / seconds, 1),
            outcome_ms=percentiles(load.outcome_seconds),
            rss_mb=usage.resident(),
            orders=completed,
            seconds=round(seconds, 2),
            cores=usage.cores,
            cpu_us_per_order=usage.per_order(completed / seconds),
            problems=problems,
        )


async def _write_rule(conn: Any) -> None:
    """A commission on everything."""
    async with conn.transaction():
        edit = Edit(await raise_version(conn, "commission"), datetime.now(UTC), SYSTEM, "bench")
        rule = StoredRule(new_id(), 1, False, CommissionContent(title="On everything", rate_bp=RATE_BP))
        await write_rules(conn, [("commission_rule.created", rule)], edit)


def _requests(base_url: str, stage: Stage) -> list[Request]:
    """Orders with all that follows them, each on one connection."""
    orders = draw_orders(stage.goods, stage.sizes.requests)
    tokens = Tokens(stage.stack.secret_key)
    staff = [tokens.sign(new_id(), frozenset({Role.ADMIN}), TOKEN_SECONDS) for _ in stage.tokens]
    placing = encode_requests(base_url, orders, stage.tokens, without_wait_every=0)
    made: list[Request] = []
    for number, (order, request) in enumerate(zip(orders, placing, strict=True)):
        token, then = staff[number % len(staff)], None
        for part in reversed(range(len({line.seller_id for line in order.lines}))):
            for way in reversed(STEPS):
                then = following(base_url, way, token, b"", then=then, part=part)
        paying = following(base_url, "payment", stage.tokens[number % len(stage.tokens)], BODY, then=then)
        made.append(Request(request.head, request.tail, request.waits, paying))
    return made
