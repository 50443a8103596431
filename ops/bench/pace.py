"""Orders at a steady pace, while something else goes on."""

import asyncio
import time
from collections.abc import Awaitable, Sequence

from msgspec import Struct

from ops.bench.flow import DRAIN_SECONDS_MAX, unexpected_answers, while_running
from ops.bench.loop import ClosedLoop, Request, endless
from ops.bench.stage import Stage

PACE_SECONDS = 0.01


class Placed(Struct, frozen=True):
    """What came of orders that were sent: how long each took, the jobs, what went wrong."""

    taken: list[float]
    accepted: list[bytes]
    problems: list[str]


async def place(stage: Stage, base_url: str, requests: Sequence[Request], work: Awaitable[None]) -> Placed:
    """Send orders at a steady pace while something goes on; only what is sent then counts."""
    sizes = stage.sizes
    load = ClosedLoop(base_url, endless(requests), connections=sizes.paced_connections)
    load.room = 0
    running = asyncio.ensure_future(load.run())
    pacing = asyncio.ensure_future(_pace(load, sizes.paced_orders_per_second))
    try:
        await while_running(running, asyncio.sleep(sizes.warm_up_seconds))
        load.measure()
        await while_running(running, work)
    finally:
        pacing.cancel()
    load.stop()
    await asyncio.wait_for(running, DRAIN_SECONDS_MAX)
    return Placed(load.outcome_seconds, load.accepted, unexpected_answers(load, {200}))


async def _pace(load: ClosedLoop, per_second: float) -> None:
    """Let requests go out as they would arrive, whatever the answers do."""
    started, allowed = time.perf_counter(), 0
    while True:
        await asyncio.sleep(PACE_SECONDS)
        due = int((time.perf_counter() - started) * per_second)
        load.allow((load.room or 0) + due - allowed)
        allowed = due
