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

from domain.operation.figure_reads import Seen, load_seen
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
        self._seen: Seen | None = None
        self._redis = False

    async def look(self) -> None:
        """See how things stand, unless that is known."""
        async with self._lock:
            if time.monotonic() - self._looked_at < KEPT_SECONDS:
                return
            self._seen, self._redis = await asyncio.gather(self._look_at_database(), self._look_at_redis())
            self._looked_at = time.monotonic()

    async def _look_at_database(self) -> Seen | None:
        try:
            async with (
                asyncio.timeout(LOOK_SECONDS_MAX),
                self._pool.acquire() as conn,
                postgres.transaction(conn, _BEGIN),
            ):
                return await load_seen(conn, datetime.now(UTC))
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
        up.add_metric(("postgresql",), float(self._seen is not None))
        up.add_metric(("redis",), float(self._redis))
        yield up
        if self._seen is not None:
            yield from _families(self._seen)


def _families(seen: Seen) -> Iterable[GaugeMetricFamily]:
    paused, workers = metrics.LANE_PAUSED.family(), metrics.LANE_WORKERS.family()
    depth, oldest = metrics.QUEUE_COMMANDS.family(), metrics.QUEUE_OLDEST_SECONDS.family()
    parked = metrics.PARKED_COMMANDS.family()
    for lane in seen.lanes:
        name = lane.lane.value
        paused.add_metric((name,), float(lane.paused))
        workers.add_metric((name,), lane.workers)
        for job in lane.jobs:
            depth.add_metric((job.job, name), job.depth)
            # What is put off has a time in the future: nothing of it is late.
            oldest.add_metric((job.job, name), max(job.oldest_seconds or 0.0, 0.0))
            parked.add_metric((job.job, name), job.parked)
    yield from (paused, workers, depth, oldest, parked)
    yield from _of_subscriptions(seen)
    yield from _of_sweeps(seen)
    yield from _of_the_audit(seen)
    payments = metrics.PAYMENTS_OPEN.family()
    for state, number in sorted(seen.payments.items()):
        payments.add_metric((state,), number)
    yield payments
    yield _only(metrics.PARTITION_DAYS_LEFT, seen.partition_days)
    yield _only(metrics.RESERVATIONS_ACTIVE, seen.reservations)


def _only(figure: metrics.Figure, value: float) -> GaugeMetricFamily:
    family = figure.family()
    family.add_metric((), value)
    return family


def _of_subscriptions(seen: Seen) -> Iterable[GaugeMetricFamily]:
    events, seconds = metrics.SUBSCRIPTION_LAG_EVENTS.family(), metrics.SUBSCRIPTION_LAG_SECONDS.family()
    failures = metrics.SUBSCRIPTION_FAILURES.family()
    for each in seen.subscriptions:
        events.add_metric((each.name,), each.lag)
        seconds.add_metric((each.name,), each.oldest_seconds or 0.0)
        failures.add_metric((each.name,), each.failures)
    yield from (events, seconds, failures)


def _of_sweeps(seen: Seen) -> Iterable[GaugeMetricFamily]:
    ages, late = metrics.SWEEP_TICK_AGE_SECONDS.family(), metrics.SWEEP_LATE.family()
    for tick in seen.sweeps:
        ages.add_metric((tick.job,), tick.age_seconds)
        late.add_metric((tick.job,), float(tick.is_late))
    yield from (ages, late)


def _of_the_audit(seen: Seen) -> Iterable[GaugeMetricFamily]:
    violations = metrics.AUDIT_VIOLATIONS.family()
    for check in seen.checks:
        violations.add_metric((check.name,), check.violations)
        if check.name == "nothing_oversold":
            yield _only(metrics.OVERSOLD_OFFERS, check.violations)
    yield violations
    yield _only(metrics.AUDIT_UNFINISHED, sum(not check.finished for check in seen.checks))
    if seen.checks:
        now = datetime.now(UTC)
        yield _only(metrics.AUDIT_OLDEST_SECONDS, max((now - check.at).total_seconds() for check in seen.checks))
