"""``python -m workers.scheduler``: writes each sweep into the journal when its time has come.

Invariant: a tick is a command with the key (system, sweep, slot), where a slot is one period of the wall clock. So
any number of schedulers submit each tick once, a restarted one does not repeat it, and nothing depends on which of
them is alive. A sweep looks at all that is due, so the next tick makes good for those that were missed.

Ticks fall in the middle of their slots: a timer that is a little early or late can't hit a neighbour's slot.
"""

import asyncio
import signal
import sys
import time
from datetime import UTC, datetime
from typing import Any

import msgspec
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from domain.catalog.listing import RelistProducts
from domain.commands import SWEEPS
from domain.inventory.model import ExpireReservations
from domain.journal.keys import digest
from domain.journal.model import SYSTEM, Command, NewCommand
from domain.journal.sql import insert_commands
from domain.journal.sweeps import PruneExpired, PruneJournal, RescueRuns
from domain.operation.auditing import SweepAudit
from domain.operation.tick_sql import note_tick
from domain.payments.reconciliation import SweepPayments
from domain.pricing.promotion_sweep import SweepPromotions
from infra import exposition, postgres, telemetry
from infra.boot import boot
from infra.broker import Doorbell
from infra.clock import new_id
from infra.figures import Figures
from infra.settings import Settings

log = telemetry.logger()

TICK_SECONDS_MAX = 10.0
"""PostgreSQL answers by then or the tick is left to the next one."""
CONNECTIONS_MAX = len(SWEEPS) + 1
"""One for each sweep, and one for who asks for metrics."""


def periods(config: Settings) -> dict[str, float]:
    """How often each sweep is due, in seconds, by job."""
    return {
        ExpireReservations.job: config.expiry_sweep_seconds,
        SweepPayments.job: config.payment_check_seconds,
        SweepPromotions.job: config.promotion_sweep_seconds,
        RelistProducts.job: config.relist_sweep_seconds,
        RescueRuns.job: config.rescue_sweep_seconds,
        PruneJournal.job: config.prune_sweep_seconds,
        PruneExpired.job: config.prune_sweep_seconds,
        SweepAudit.job: config.audit_sweep_seconds,
    }


def slot_of(now: float, period: float) -> int:
    """The number of the slot that a time (seconds since 1970) falls into."""
    return int(now // period)


def tick_of(job: str, command: Command, slot: int) -> NewCommand:
    """The command of a sweep's slot: the same key whoever makes it."""
    payload = msgspec.json.encode(command)
    return NewCommand(
        id=new_id(),
        principal=SYSTEM,
        command=command,
        payload=payload.decode(),
        correlation=f"{job}:{slot}",
        key_hash=digest(b"tick", job.encode(), str(slot).encode()),
        fingerprint=digest(b"tick", job.encode(), payload),
    )


class Ticker:
    """Submits ticks; a failure of one is reported and costs nothing but that tick."""

    def __init__(self, pool: Any, doorbell: Doorbell) -> None:
        self._pool = pool
        self._doorbell = doorbell

    async def tick(self, job: str, period: float) -> None:
        """Submit a sweep's tick of now, unless somebody has, and ring."""
        try:
            async with asyncio.timeout(TICK_SECONDS_MAX):
                await self._submit(job, slot_of(time.time(), period), period)
        except Exception as error:  # noqa: BLE001 - whatever failed, the process lives on and the next tick makes good
            log.error("tick_failed", job=job, error=repr(error))
            if postgres.classify(error) is postgres.Failure.DATA:
                telemetry.report(error, job=job)

    async def _submit(self, job: str, slot: int, period: float) -> None:
        new = tick_of(job, SWEEPS[job], slot)
        async with self._pool.acquire() as conn, postgres.transaction(conn):
            written = await insert_commands(conn, [new])
            if written:
                await note_tick(conn, job, slot, period, new.id)
        if not written:
            log.debug("tick_taken", job=job, slot=slot)
            return
        log.info("tick", job=job, slot=slot, job_id=str(new.id), correlation=new.correlation)
        await asyncio.wrap_future(self._doorbell.soon(self._doorbell.ring, job, new.command.lane.value))


def schedule(ticker: Ticker, config: Settings) -> AsyncIOScheduler:
    """Plan every sweep: in the middle of each of its slots, and once now, unless it is a lot of work."""
    scheduler = AsyncIOScheduler(
        timezone=UTC, job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
    )
    for job, period in periods(config).items():
        if job != SweepAudit.job:
            scheduler.add_job(ticker.tick, args=(job, period), id=f"{job}-at-start")
        middle = datetime.fromtimestamp(period / 2, UTC)
        scheduler.add_job(
            ticker.tick, IntervalTrigger(seconds=period, start_date=middle, timezone=UTC), args=(job, period), id=job
        )
    return scheduler


async def run(config: Settings) -> None:
    """Tick until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    pool = await postgres.create_pool(config, size=CONNECTIONS_MAX, name="scheduler")
    doorbell = Doorbell(config.redis_url)
    scheduler = schedule(Ticker(pool, doorbell), config)
    figures = Figures(pool, doorbell)
    with exposition.listening(config, exposition.Looking(figures, figures.look, asyncio.get_running_loop())):
        scheduler.start()
        log.info("scheduler_ready", seconds=periods(config))
        await stop.wait()
    scheduler.shutdown(wait=False)
    # A tick in hand is one small transaction: cut off it is rolled back, and its slot is still free.
    pool.terminate()
    doorbell.close()
    log.info("scheduler_stopped")


def main() -> None:
    """Run the scheduler of this process's environment."""
    asyncio.run(run(boot("scheduler")))
    sys.stderr.flush()


if __name__ == "__main__":
    main()
