"""``spread`` and ``hot``: the full path over HTTP, sustained; and what both share with other HTTP scenarios."""

import asyncio
import gc
from collections.abc import Awaitable, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

from domain.orders.model import PlaceOrder
from ops.bench import checks
from ops.bench.loop import ClosedLoop, encode_requests, endless
from ops.bench.model import Scenario, Sizes, percentiles
from ops.bench.orders import draw_orders
from ops.bench.probe import Usage
from ops.bench.stage import Scene, Stage

DRAIN_SECONDS_MAX = 60.0

# Only what the engine itself has finished within the measured time counts, whatever clients have seen by then.
PLACED = """
SELECT count(*) FROM outcomes WHERE status = 'succeeded' AND finished_at >= $1 AND finished_at < $2
"""


async def spread(stage: Stage) -> Scenario:
    """Every order takes other offers."""
    async with stage.scene("spread") as scene:
        return await flow(stage, scene, draw_orders(stage.goods, stage.sizes.requests))


async def hot(stage: Stage) -> Scenario:
    """Every order takes the same offer as its first line; its other lines are as in ``spread``."""
    async with stage.scene("hot") as scene:
        return await flow(stage, scene, draw_orders(stage.goods, stage.sizes.requests, hot=stage.goods.offers[0]))


async def flow(stage: Stage, scene: Scene, orders: Sequence[PlaceOrder]) -> Scenario:
    """Send orders in turn, in a closed loop, and measure what comes of them."""
    sizes = stage.sizes
    base_url = await start_as_in_production(scene)
    load = ClosedLoop(base_url, endless(encode_requests(base_url, orders, stage.tokens)), connections=sizes.connections)
    measured = await measure(scene, load, sizes)
    problems = await checks.problems(scene.conn, load.accepted)
    problems += unexpected_answers(load, {200, 202})
    placed = await scene.conn.fetchval(PLACED, measured.began, measured.ended)
    seconds, usage = measured.seconds, measured.usage
    return Scenario(
        orders_per_second=round(placed / seconds, 1),
        accept_ms=percentiles(load.accept_seconds),
        outcome_ms=percentiles(load.outcome_seconds),
        rss_mb=usage.resident(),
        rss_mb_processes=usage.resident_mb,
        orders=placed,
        seconds=round(seconds, 2),
        cores=usage.cores,
        cpu_us_per_order=usage.per_order(placed / seconds),
        problems=problems,
    )


class Measured(Struct, frozen=True):
    """When a load was measured, by the database's clock, and what it used of the machine."""

    began: datetime
    ended: datetime
    usage: Usage

    @property
    def seconds(self) -> float:
        """How long that was."""
        return (self.ended - self.began).total_seconds()


async def measure(scene: Scene, load: ClosedLoop, sizes: Sizes) -> Measured:
    """Run a load warm, measure it, and let it come to its end."""
    await scene.calm()
    tidy_memory()
    running = asyncio.ensure_future(load.run())
    await while_running(running, asyncio.sleep(sizes.warm_up_seconds))
    probe = scene.probe()
    probe.start()
    load.measure()
    began = await now(scene)
    await while_running(running, probe.watch(sizes.seconds))
    ended = await now(scene)
    usage = probe.finish()
    load.stop()
    await asyncio.wait_for(running, DRAIN_SECONDS_MAX)
    return Measured(began, ended, usage)


async def start_as_in_production(scene: Scene) -> str:
    """Start one api, one core worker and the scheduler; return the api's base URL."""
    base_url, _, _ = await asyncio.gather(scene.start_web(), scene.start_workers(), scene.start_scheduler())
    return base_url


async def while_running(running: "asyncio.Future[None]", work: Awaitable[None]) -> None:
    """Await ``work`` unless the load fails first, which raises what it failed with."""
    task = asyncio.ensure_future(work)
    await asyncio.wait({running, task}, return_when=asyncio.FIRST_COMPLETED)
    if running.done() and running.exception() is not None:
        task.cancel()
        running.result()
    await task


async def now(scene: Scene) -> datetime:
    """The database's time, which stamps outcomes."""
    moment: Any = await scene.conn.fetchval("SELECT clock_timestamp()")
    assert isinstance(moment, datetime)  # noqa: S101 - the driver's type of a timestamptz
    return moment


def tidy_memory() -> None:
    """Keep the collector from walking the prepared requests again and again while a clock runs."""
    gc.collect()
    gc.freeze()


def unexpected_answers(load: ClosedLoop, expected: set[int]) -> list[str]:
    """Name the statuses that a healthy run doesn't answer with."""
    return [f"{count} requests were answered with {s}" for s, count in load.statuses.items() if s not in expected]
