"""Workers and the scheduler, asked for their metrics as Prometheus asks."""

import asyncio
from typing import Any

import asyncpg
import httpx
import msgspec

from tests.builders import place, submit, write_offers
from tests.counting import Series, of, series
from tests.infra.test_metrics import free_ports
from tests.system import System, eventually


def port_of(system: System, name: str) -> int:
    lines = [msgspec.json.decode(line, type=dict[str, Any]) for line in system.log(name).splitlines()]
    (port,) = [line["port"] for line in lines if line["event"] == "metrics_ready"]
    return int(port)


def scraped(port: int) -> Series:
    answer = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=20)
    assert answer.status_code == 200
    return series(answer.text)


async def _order(database_url: str) -> None:
    conn = await asyncpg.connect(database_url)
    await submit(conn, place(*await write_offers(conn)))
    await conn.close()


def test_a_worker_and_a_scheduler_with_one_setting_tell_what_each_knows(system: System, database_url: str):
    port = str(free_ports())
    system.worker(METRICS_PORT=port)
    system.scheduler(METRICS_PORT=port)
    worker, scheduler = port_of(system, "worker"), port_of(system, "scheduler")
    assert worker != scheduler
    asyncio.run(_order(database_url))
    eventually(lambda: of(scraped(worker), "ordermill_orders_placed_total", currency="USD") == 1)
    placed = {"job": "place_orders", "lane": "orders"}
    assert of(scraped(worker), "ordermill_commands_total", outcome="succeeded", **placed) == 1
    assert (of(scraped(worker), "process_resident_memory_bytes") or 0) > 1_000_000

    def told() -> bool:
        found = scraped(scheduler)
        return (
            of(found, "ordermill_lane_workers", lane="orders") == 1
            and of(found, "ordermill_queue_commands", **placed) == 0
            and of(found, "ordermill_sweep_late", job="rescue_runs") == 0
        )

    eventually(told)
