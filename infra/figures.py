"""What the database knows, as metrics: read when somebody asks, and kept for a few seconds.

Invariant: however often and by however many this process is asked, it looks at the database once in ``KEPT_SECONDS`` at
most, on one connection and for two seconds at most. What doesn't answer is told as being away; the rest is told anyway.
"""

import asyncio
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector

from domain.operation.figure_reads import Standing, load_standing
from infra import metrics, postgres, telemetry
from infra.broker import Doorbell, Silent

log = telemetry.logger()

KEPT_SECONDS = 5.0
LOOK_SECONDS_MAX = 2.0
_BEGIN = f"{postgres.BEGIN_PLANNING}; SET LOCAL statement_timeout = '{LOOK_SECONDS_MAX:g}s'"


class Figures(Collector):
    """Looks, keeps what it saw, and tells it to the registry it is in."""

    def __init__(self, pool: Any, doorbell: Doorbell) -> None:
        self._pool = pool
        self._doorbell = doorbell
        self._lock = asyncio.Lock()
        self._looked_at = float("-inf")
        self._standing: Standing | None = None
        self._redis = False

    async def look(self) -> None:
        """See how things stand, unless that is known."""
        async with self._lock:
            if time.monotonic() - self._looked_at < KEPT_SECONDS:
                return
            self._standing, self._redis = await asyncio.gather(self._look_at_database(), self._look_at_redis())
            self._looked_at = time.monotonic()

    async def _look_at_database(self) -> Standing | None:
        try:
            async with (
                asyncio.timeout(LOOK_SECONDS_MAX),
                self._pool.acquire() as conn,
                postgres.transaction(conn, _BEGIN),
            ):
                return await load_standing(conn, datetime.now(UTC))
        except Exception as error:  # noqa: BLE001 - whatever it is, there are no figures; said here, and as up 0
            log.warning("figures_unknown", error=repr(error))
            return None

    async def _look_at_redis(self) -> bool:
        try:
            await asyncio.to_thread(self._doorbell.ping)
        except Silent:
            return False
        return True

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Tell what was seen last."""
        up = metrics.UP.family()
        up.add_metric(("postgresql",), float(self._standing is not None))
        up.add_metric(("redis",), float(self._redis))
        yield up
        if self._standing is not None:
            yield from _families(self._standing)


def _families(standing: Standing) -> Iterable[GaugeMetricFamily]:
    paused, workers = metrics.LANE_PAUSED.family(), metrics.LANE_WORKERS.family()
    depth, oldest = metrics.QUEUE_COMMANDS.family(), metrics.QUEUE_OLDEST_SECONDS.family()
    parked = metrics.PARKED_COMMANDS.family()
    for lane in standing.lanes:
        name = lane.lane.value
        paused.add_metric((name,), float(lane.paused))
        workers.add_metric((name,), lane.workers)
        for job in lane.jobs:
            depth.add_metric((job.job, name), job.depth)
            # What is put off has a time in the future: nothing of it is late.
            oldest.add_metric((job.job, name), max(job.oldest_seconds or 0.0, 0.0))
            parked.add_metric((job.job, name), job.parked)
    yield from (paused, workers, depth, oldest, parked)
    payments = metrics.PAYMENTS_OPEN.family()
    for state, number in sorted(standing.payments.items()):
        payments.add_metric((state,), number)
    yield payments
    for figure, value in (
        (metrics.PARTITION_DAYS_LEFT, standing.partition_days),
        (metrics.RESERVATIONS_ACTIVE, standing.reservations),
    ):
        family = figure.family()
        family.add_metric((), value)
        yield family
