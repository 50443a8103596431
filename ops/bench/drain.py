"""``drain``: a backlog of accepted commands and no HTTP; how much faster two workers finish it than one.

The commands are in the journal before the clock starts, their lane paused and the workers up. The clock runs from
the lane's resumption to the last outcome, both by the database. The bell is rung as the api would ring it under
load, again and again until the first outcomes are there: so both workers hear of the work at once.
"""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from domain.journal.model import SYSTEM, NewCommand
from domain.journal.reads import PAUSE_LANE, RESUME_LANE
from domain.journal.sql import insert_commands
from domain.orders.model import PlaceOrder
from infra.broker import Doorbell
from infra.clock import new_id
from infra.postgres import transaction
from ops.bench import checks
from ops.bench.model import Scenario, Sizes
from ops.bench.orders import draw_orders
from ops.bench.probe import Usage
from ops.bench.stage import Scene, Stage

STEP_COMMANDS = 500
BELLS = 50
BELL_SECONDS = 0.01
WARM_UP_SHARE = 10
"""One command in so many is drained before the clock starts: the processes' first batches are slow."""


async def drain(stage: Stage) -> Scenario:
    """Drain the same backlog with one worker, then with two, each time from a fresh database."""
    rates: list[float] = []
    usages: list[Usage] = []
    problems: list[str] = []
    for workers in (1, 2):
        async with stage.scene(f"drain{workers}") as scene:
            rate, usage, found = await _drain(stage, scene, workers)
        rates.append(rate)
        usages.append(usage)
        problems += found
    return Scenario(
        one_worker_per_second=round(rates[0], 1),
        two_workers_per_second=round(rates[1], 1),
        orders=stage.sizes.drain_commands,
        saturates=usages[1].saturated(),
        cores_by_workers={"one": usages[0].cores, "two": usages[1].cores},
        problems=problems,
    )


async def _drain(stage: Stage, scene: Scene, workers: int) -> tuple[float, Usage, list[str]]:
    sizes = stage.sizes
    await scene.start_workers(workers)
    doorbell = Doorbell(stage.stack.urls.redis_url)
    try:
        problems = await _run(scene, doorbell, _commands(stage, sizes, sizes.drain_commands // WARM_UP_SHARE))
        commands = _commands(stage, sizes, sizes.drain_commands)
        await scene.conn.execute(PAUSE_LANE, PlaceOrder.lane.value, SYSTEM)
        await _write(scene, commands)
        await scene.conn.execute("ANALYZE commands, pending")
        await scene.calm()
        probe = scene.probe()
        probe.start()
        began: datetime = await scene.conn.fetchval("SELECT clock_timestamp()")
        await scene.conn.execute(RESUME_LANE, PlaceOrder.lane.value)
        await _ring(doorbell)
        problems += await checks.settle(scene.conn)
        usage = probe.finish()
        ended: datetime = await scene.conn.fetchval(
            "SELECT max(finished_at) FROM outcomes WHERE finished_at >= $1", began
        )
    finally:
        doorbell.close()
    problems += await checks.problems(scene.conn, [str(command.id).encode() for command in commands])
    return sizes.drain_commands / (ended - began).total_seconds(), usage, problems


async def _run(scene: Scene, doorbell: Doorbell, commands: Sequence[NewCommand]) -> list[str]:
    await _write(scene, commands)
    await _ring(doorbell)
    return await checks.settle(scene.conn)


async def _ring(doorbell: Doorbell) -> None:
    for _ in range(BELLS):
        doorbell.ring(PlaceOrder.job, PlaceOrder.lane.value)
        await asyncio.sleep(BELL_SECONDS)


async def _write(scene: Scene, commands: Sequence[NewCommand]) -> None:
    for start in range(0, len(commands), STEP_COMMANDS):
        async with transaction(scene.conn):
            await insert_commands(scene.conn, commands[start : start + STEP_COMMANDS])


def _commands(stage: Stage, sizes: Sizes, count: int) -> list[NewCommand]:
    buyers = [new_id() for _ in range(sizes.buyers)]
    orders = draw_orders(stage.goods, min(count, sizes.requests))
    return [_command(orders[number % len(orders)], buyers[number % len(buyers)], key) for number, key in _keys(count)]


def _keys(count: int) -> Iterator[tuple[int, bytes]]:
    return ((number, new_id().bytes) for number in range(count))


def _command(order: PlaceOrder, buyer: UUID, key: bytes) -> NewCommand:
    return NewCommand(
        id=new_id(),
        principal=buyer,
        command=order,
        payload=msgspec.json.encode(order).decode(),
        correlation="bench",
        key_hash=key,
        fingerprint=key,
    )
