"""Sweep what is due while orders arrive at a steady pace; how fast it ends, and what it does to placing.

Both are measured in one run, on one database: first orders alone, with all that is due lying there and nobody sweeping,
then the same orders while the sweep runs. The scheduler stays off, so that nothing is swept before its time.
"""

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from domain.inventory.model import ExpireReservations
from domain.journal.model import SYSTEM, NewCommand
from domain.journal.sql import insert_commands
from infra.broker import Doorbell
from infra.clock import new_id
from infra.postgres import transaction
from ops.bench import checks
from ops.bench.expiry.due import LINES, write_due
from ops.bench.flow import now, tidy_memory
from ops.bench.loop import encode_requests
from ops.bench.model import Scenario, percentiles
from ops.bench.orders import draw_orders
from ops.bench.pace import place
from ops.bench.stage import Scene, Stage

WORKERS = 2
LOOK_SECONDS = 0.05
SWEEP_SECONDS_MAX = 300.0
QUEUED = "SELECT EXISTS (SELECT FROM pending WHERE job = $1)"
LEFT = "SELECT count(*) FROM reservations WHERE status = 'active' AND expires_at <= $1"
LAST = """
SELECT max(o.finished_at) FROM outcomes o JOIN commands c ON c.id = o.id WHERE c.job = $1 AND o.finished_at >= $2
"""


async def expiry(stage: Stage) -> Scenario:
    """Measure placing alone, then the sweep and placing together."""
    sizes = stage.sizes
    async with stage.scene("expiry") as scene:
        await write_due(scene.conn, sizes.due_reservations)
        base_url, _ = await asyncio.gather(scene.start_web(), scene.start_workers(WORKERS))
        orders = draw_orders(stage.goods, sizes.requests)
        requests = encode_requests(base_url, orders, stage.tokens, without_wait_every=0)
        await scene.calm()
        tidy_memory()
        alone = await place(stage, base_url, requests, asyncio.sleep(sizes.seconds))
        sweep = Sweep(scene, stage)
        meanwhile = await place(stage, base_url, requests, sweep.run())
        left = await scene.conn.fetchval(LEFT, sweep.began)
        problems = [*alone.problems, *meanwhile.problems, *([f"{left} due reservations are left"] if left else [])]
        problems += await checks.problems(
            scene.conn, [*alone.accepted, *meanwhile.accepted], orders_before=sizes.due_reservations // 2 // LINES
        )
    seconds = (sweep.ended - sweep.began).total_seconds()
    return Scenario(
        reservations_per_second=round(sizes.due_reservations / seconds, 1),
        undisturbed_ms=percentiles(alone.taken),
        outcome_ms=percentiles(meanwhile.taken),
        orders=len(meanwhile.taken),
        seconds=round(seconds, 2),
        cores=sweep.cores,
        note=f"half of the reservations are of unpaid orders of {LINES} lines, half free-standing;"
        f" {sizes.paced_orders_per_second} orders/s arrive meanwhile; {WORKERS} workers",
        problems=problems,
    )


class Sweep:
    """Has everything that is due swept, as a tick of the scheduler would; by the database's time."""

    def __init__(self, scene: Scene, stage: Stage) -> None:
        self._scene, self._stage = scene, stage
        self.began = self.ended = datetime(1970, 1, 1, tzinfo=UTC)
        self.cores: Mapping[str, float] = {}

    async def run(self) -> None:
        """Start it, and wait until nothing of it is queued any more."""
        conn, command = self._scene.conn, ExpireReservations()
        probe = self._scene.probe()
        probe.start()
        self.began = await now(self._scene)
        payload = msgspec.json.encode(command).decode()
        new = NewCommand(id=new_id(), principal=SYSTEM, command=command, payload=payload, correlation="bench")
        async with transaction(conn):
            await insert_commands(conn, [new])
        doorbell = Doorbell(self._stage.stack.urls.redis_url)
        try:
            doorbell.ring(command.job, command.lane.value)
        finally:
            doorbell.close()
        give_up_at = time.perf_counter() + SWEEP_SECONDS_MAX
        while await conn.fetchval(QUEUED, command.job):
            if time.perf_counter() > give_up_at:
                break
            await asyncio.sleep(LOOK_SECONDS)
        self.cores = probe.finish().cores
        self.ended = await conn.fetchval(LAST, command.job, self.began)
