"""Put the baseline under load. Its client holds back when the broker's queue grows, so workers set the pace."""

import asyncio
import time
from datetime import datetime
from typing import Any

import redis.asyncio

from ops.bench import checks
from ops.bench.flow import DRAIN_SECONDS_MAX, now, tidy_memory, unexpected_answers, while_running
from ops.bench.loop import ClosedLoop, encode_requests, endless
from ops.bench.model import Scenario, percentiles
from ops.bench.orders import draw_orders
from ops.bench.probe import Usage
from ops.bench.stage import Scene, Stage
from ops.processes import free_port

QUEUE = "dramatiq:default"
LOOK_SECONDS = 0.02
NOTE = "Litestar and Granian, Dramatiq's stock broker, consumer and middleware, a process per core of 8 threads"
PLACED = "SELECT count(*) FROM orders WHERE placed_at >= $1 AND placed_at < $2"


async def per_message(stage: Stage) -> Scenario:
    """Measure the baseline with the same orders as ``spread``."""
    sizes = stage.sizes
    async with stage.scene("per_message") as scene:
        port = free_port()
        base_url = f"http://127.0.0.1:{port}"
        await scene.start_other("worker", "ops.bench.per_message.workers", "ready for action")
        await scene.start_other("api", "ops.bench.per_message.web", "Started worker-1", port=port)
        requests = encode_requests(base_url, draw_orders(stage.goods, sizes.requests), stage.tokens)
        load = ClosedLoop(base_url, endless(requests), connections=min(sizes.connections, sizes.queue_max))
        await scene.calm()
        tidy_memory()
        broker = redis.asyncio.Redis.from_url(stage.stack.urls.redis_url)
        running = asyncio.ensure_future(load.run())
        pacing = asyncio.ensure_future(_pace(load, broker, sizes.queue_max))
        try:
            await while_running(running, asyncio.sleep(sizes.warm_up_seconds))
            probe = scene.probe()
            probe.start()
            load.measure()
            began = await now(scene)
            await while_running(running, probe.watch(sizes.seconds))
            ended = await now(scene)
            usage = probe.finish()
            pacing.cancel()
            load.stop()
            await asyncio.wait_for(running, DRAIN_SECONDS_MAX)
            problems = unexpected_answers(load, {202}) + await _settle(scene, len(load.accepted))
        finally:
            pacing.cancel()
            await broker.aclose()
        return await _figures(scene, load, usage=usage, began=began, ended=ended, problems=problems)


async def _figures(
    scene: Scene, load: ClosedLoop, *, usage: Usage, began: datetime, ended: datetime, problems: list[str]
) -> Scenario:
    oversold = await scene.conn.fetchval(checks.OVERSOLD)
    if oversold:
        problems.append(f"{oversold} units oversold")
    placed = await scene.conn.fetchval(PLACED, began, ended)
    seconds = (ended - began).total_seconds()
    return Scenario(
        orders_per_second=round(placed / seconds, 1),
        accept_ms=percentiles(load.accept_seconds + load.outcome_seconds),
        rss_mb=usage.resident(),
        rss_mb_processes=usage.resident_mb,
        orders=placed,
        seconds=round(seconds, 2),
        cores=usage.cores,
        cpu_us_per_order=usage.per_order(placed / seconds),
        note=NOTE,
        problems=problems,
    )


async def _pace(load: ClosedLoop, broker: "redis.asyncio.Redis", queue_max: int) -> None:
    """Let requests go out only while few messages wait."""
    while True:
        waiting: Any = await broker.llen(QUEUE)
        load.allow(max(queue_max - int(waiting), 0))
        await asyncio.sleep(LOOK_SECONDS)


async def _settle(scene: Scene, accepted: int) -> list[str]:
    """Wait until every order accepted is placed."""
    give_up_at = time.perf_counter() + DRAIN_SECONDS_MAX
    while (placed := await scene.conn.fetchval("SELECT count(*) FROM orders")) < accepted:
        if time.perf_counter() > give_up_at:
            return [f"{accepted - placed} of {accepted} accepted orders were never placed"]
        await asyncio.sleep(LOOK_SECONDS)
    return [] if placed == accepted else [f"{placed} orders were placed for {accepted} accepted"]
