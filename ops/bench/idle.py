"""``idle``: one order at a time with pauses in between; how long from the request to its outcome.

Nothing is warm here but the processes: each order finds the worker asleep, so what is measured is the whole path of
a bell, not the engine's throughput. The pauses are random, so that no timer of the engine can fall into step.
"""

import asyncio
import random
import time

from ops.bench import checks
from ops.bench.flow import start_as_in_production
from ops.bench.loop import KEY_DIGITS, encode_requests
from ops.bench.model import Scenario, percentiles
from ops.bench.orders import SEED, draw_orders
from ops.bench.stage import Stage
from ops.load import Client

WARM_UP_ORDERS = 10


async def idle(stage: Stage) -> Scenario:
    """Measure one order after the other."""
    sizes = stage.sizes
    draw = random.Random(SEED)  # noqa: S311 - a seeded draw, so that two runs pause alike
    orders = draw_orders(stage.goods, sizes.idle_orders + WARM_UP_ORDERS)
    taken: list[float] = []
    accepted: list[bytes] = []
    problems: list[str] = []
    async with stage.scene("idle") as scene:
        base_url = await start_as_in_production(scene)
        requests = encode_requests(base_url, orders, stage.tokens, without_wait_every=0)
        await scene.calm()
        async with Client(base_url, connections=1) as client:
            for number, request in enumerate(requests):
                await asyncio.sleep(draw.uniform(*sizes.idle_pause_ms) / 1000)
                started = time.perf_counter()
                answer = await client.send(request.head + str(number).zfill(KEY_DIGITS).encode() + request.tail)
                if number >= WARM_UP_ORDERS:
                    taken.append(time.perf_counter() - started)
                if answer.status != 200:
                    problems.append(f"an order was answered with {answer.status}")
                accepted.append(answer.headers["location"].removeprefix("/jobs/").encode())
        problems += await checks.problems(scene.conn, accepted)
    measured = percentiles(taken)
    return Scenario(
        outcome_ms=measured,
        p50_ms=None if measured is None else measured.p50,
        p99_ms=None if measured is None else measured.p99,
        orders=len(taken),
        problems=problems,
    )
