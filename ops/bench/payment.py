"""``payment``: each buyer places an order and pays it with the sandbox; how many orders a second are confirmed.

The same load is put on twice, each time on a fresh database: on workers as they are in production (one for the core
lanes, one for what talks to the outside, with as many calls to the sandbox at a time as there are clients), and on the
same workers with batches of one.
"""

import asyncio
from collections.abc import Mapping
from urllib.parse import urlsplit

from msgspec import Struct

from domain.orders.model import PlaceOrder
from domain.payments.model import StartPayment
from domain.pricing.snapshot import SnapshotCommissions
from ops.bench import checks
from ops.bench.flow import measure, unexpected_answers
from ops.bench.loop import WAIT_SECONDS, ClosedLoop, Request, encode_requests, endless
from ops.bench.model import Percentiles, Scenario, percentiles
from ops.bench.orders import draw_orders
from ops.bench.probe import Usage
from ops.bench.stage import Scene, Stage

BODY = b'{"gateway":"sandbox","token":"tok_ok"}'
JOBS = [PlaceOrder.job, StartPayment.job, SnapshotCommissions.job]

# Only what the engine has finished within the measured time counts, whatever clients have seen by then.
CONFIRMED = """
SELECT count(*) FROM outcomes o JOIN commands c ON c.id = o.id
WHERE c.job = 'start_payments' AND o.status = 'succeeded' AND o.finished_at >= $1 AND o.finished_at < $2
"""

# Of every order that was paid within the run: its charge, its sale and its confirmation.
UNPAID = """
SELECT count(*) FROM orders o
LEFT JOIN payments p ON p.id = o.payment_id
WHERE p.state = 'captured' AND (o.payment <> 'paid' OR NOT EXISTS (
    SELECT FROM events e WHERE e.stream = o.id AND e.type = 'order.confirmed'))
"""


class Paid(Struct, frozen=True):
    """What one run came to."""

    per_second: float
    payments: int
    seconds: float
    usage: Usage
    outcome: Percentiles | None
    problems: list[str]


async def payment(stage: Stage) -> Scenario:
    """Place and pay, in batches and one by one."""
    whole = await _run(stage, "payment", {})
    single = await _run(stage, "payment_single", {"WORKER_BATCH_COMMANDS_MAX": "1"})
    return Scenario(
        orders_per_second=whole.per_second,
        single_per_second=single.per_second,
        outcome_ms=whole.outcome,
        rss_mb=whole.usage.resident(),
        orders=whole.payments,
        seconds=whole.seconds,
        cores=whole.usage.cores,
        cpu_us_per_order=whole.usage.per_order(whole.per_second),
        problems=whole.problems + single.problems,
    )


async def _run(stage: Stage, name: str, env: Mapping[str, str]) -> Paid:
    sizes = stage.sizes
    async with stage.scene(name) as scene:
        base_url = await start_with_io(scene, {**env, "PAYMENT_CONCURRENCY": str(sizes.connections)})
        orders = draw_orders(stage.goods, sizes.requests)
        requests = encode_requests(base_url, orders, stage.tokens, without_wait_every=0)
        paying = [_then_pays(base_url, r, stage.tokens[n % len(stage.tokens)]) for n, r in enumerate(requests)]
        load = ClosedLoop(base_url, endless(paying), connections=sizes.connections)
        measured = await measure(scene, load, sizes)
        problems = await checks.problems(scene.conn, load.accepted, jobs=JOBS)
        problems += unexpected_answers(load, {200, 202})
        confirmed = await scene.conn.fetchval(CONFIRMED, measured.began, measured.ended)
        unpaid = await scene.conn.fetchval(UNPAID)
        if unpaid:
            problems.append(f"{unpaid} orders were paid and aren't confirmed")
        seconds, outcome = measured.seconds, percentiles(load.outcome_seconds)
        return Paid(round(confirmed / seconds, 1), confirmed, round(seconds, 2), measured.usage, outcome, problems)


async def start_with_io(scene: Scene, env: Mapping[str, str]) -> str:
    base_url, *_ = await asyncio.gather(
        scene.start_web(), scene.start_workers(env=env), scene.start_io_worker(env), scene.start_scheduler()
    )
    return base_url


def _then_pays(base_url: str, request: Request, token: str) -> Request:
    """The request to place an order, followed by the one that pays it, on the same connection."""
    return Request(request.head, request.tail, request.waits, following(base_url, "payment", token, BODY))


def following(
    base_url: str, way: str, token: str, body: bytes, *, then: Request | None = None, part: int | None = None
) -> Request:
    """What is asked of an order that has been placed, or of a part of it, and waited for."""
    host = urlsplit(base_url).netloc
    kind = "Content-Type: application/json\r\n" if body else ""
    head = (
        f"/{way} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
        f"{kind}Content-Length: {len(body)}\r\nPrefer: wait={WAIT_SECONDS}\r\n"
        "Idempotency-Key: "
    )
    return Request(head.encode(), b"\r\n\r\n" + body, waits=True, then=then, part=part)
