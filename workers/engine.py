"""The engine of one worker process: drains jobs when their bells ring, and looks by itself when none does.

Invariant: at most one drain per job runs in a process, and no bell is lost: one that rings during a drain makes
that drain look again. A job that heard no bell for a second is looked into anyway, which is what makes Redis
optional for safety.
"""

import asyncio
import os
import socket
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

from domain.journal import sql
from domain.journal.declare import BatchJob, EffectJob, Job
from domain.journal.rescue import mark_dead_runs
from infra import postgres, telemetry
from infra.broker import Doorbell
from infra.clock import new_id
from infra.gateways import registry
from infra.settings import Settings
from infra.tasks import end
from workers import effects
from workers.batches import BatchRunner, Cursor, Report

log = telemetry.logger()

DRAIN_BATCHES_MAX = 200
DRAIN_SECONDS_MAX = 2.0
CALL_SECONDS = 0.1
"""How often a worker that finds full batches calls for others."""
LOOK_SECONDS = 1.0
VERSION = version("ordermill")
RETRY_SECONDS = 0.1
RETRY_SECONDS_MAX = 2.0


class Engine:
    """Runs the jobs of some lanes in this process."""

    def __init__(self, settings: Settings, jobs: Iterable[Job]) -> None:
        self.settings = settings
        self.jobs = {job.name: job for job in jobs}
        self.worker = new_id()
        self.stopping = asyncio.Event()
        self.doorbell = Doorbell(settings.redis_url)
        self._drains: dict[str, asyncio.Task[None]] = {}
        self._heard: set[str] = set()
        self._bells: dict[str, asyncio.Event] = {}
        self._drained_at: dict[str, float] = {}
        self._failures: dict[str, int] = {}
        self._runners: dict[str, BatchRunner | effects.EffectRunner] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._pool: Any = None
        self._control: Any = None

    async def start(self) -> None:
        """Open the pools, rescue what a dead process left, and begin to look."""
        size = self.settings.worker_connections_max
        self._pool = await postgres.create_pool(self.settings, size=size - 2, name="worker")
        self._control = await postgres.create_pool(self.settings, size=2, name="worker-control")
        for job in self.jobs.values():
            self._runners[job.name] = self._runner(job)
            self._bells[job.name] = asyncio.Event()
        self._spawn(self._watch())

    def _runner(self, job: Job) -> BatchRunner | effects.EffectRunner:
        match job:
            case BatchJob():
                return BatchRunner(
                    job,
                    limits=self.settings.limits(),
                    commands_max=self.settings.worker_batch_commands_max,
                    rows_max=self.settings.worker_batch_rows_max,
                    attempts_max=self.settings.worker_attempts_max,
                    worker=self.worker,
                    control=self._control,
                )
            case EffectJob():
                return effects.EffectRunner(
                    job, limits=self.settings.limits(), commands_max=self.settings.worker_batch_commands_max
                )

    async def stop(self) -> None:
        """Take no new batch, finish those in hand, say what is left to say, and close."""
        self.stopping.set()
        drains = list(self._drains.values())
        if drains:
            await asyncio.wait(drains)
        await end(*self._tasks)
        self.doorbell.close()
        await registry.close()
        for pool in (self._pool, self._control):
            if pool is not None:
                await asyncio.wait_for(pool.close(), timeout=5)

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def is_draining(self, name: str) -> bool:
        """Whether a drain of a job is under way; another thread's answer may be out of date as it arrives."""
        return name in self._drains

    async def drain(self, name: str, *, answered: bool = True) -> None:
        """Run a job's due commands; returns at once when a drain of it is under way, which then looks again.

        It returns after a while in any case: effects that take long go on by themselves.

        ``answered`` says that the job's bell was taken down already. Under load it isn't: left hanging, it keeps
        everybody from ringing for what the drain under way will find anyway.
        """
        if self.stopping.is_set():
            return
        self._heard.add(name)
        if name in self._drains:
            self._bells[name].set()
            return
        self._drains[name] = asyncio.ensure_future(self._drain_while_heard(name, answered=answered))
        await asyncio.wait({self._drains[name]}, timeout=DRAIN_SECONDS_MAX * 2)

    async def _drain_while_heard(self, name: str, *, answered: bool) -> None:
        loop = asyncio.get_running_loop()
        try:
            while name in self._heard and not self.stopping.is_set():
                self._heard.discard(name)
                if not answered:
                    # Before the claim: whatever is committed after it must be able to ring.
                    await asyncio.wrap_future(self.doorbell.soon(self.doorbell.answered, name))
                answered = False
                await self._drain(name)
        finally:
            # No await since the last look at what was heard: no bell is lost in between.
            del self._drains[name]
            self._drained_at[name] = loop.time()

    async def _drain(self, name: str) -> None:
        runner = self._runners[name]
        try:
            match runner:
                case BatchRunner():
                    await self._drain_batches(name, runner)
                case effects.EffectRunner():
                    await self._drain_effects(name, runner)
            self._failures[name] = 0
        except Exception as error:  # noqa: BLE001 - reported; the commands are still in the queue and are looked at again
            failures = self._failures[name] = self._failures.get(name, 0) + 1
            log.error("drain_failed", job=name, failures=failures, error=repr(error))
            if postgres.classify(error) is postgres.Failure.DATA:
                telemetry.report(error, job=name)
            self._heard.discard(name)
            self._look_again(name, min(RETRY_SECONDS * 2 ** min(failures - 1, 10), RETRY_SECONDS_MAX))

    async def _drain_batches(self, name: str, runner: BatchRunner) -> None:
        loop = asyncio.get_running_loop()
        stop_at = loop.time() + DRAIN_SECONDS_MAX
        call_at = 0.0
        cursor = Cursor()
        async with self._pool.acquire() as conn:
            for _ in range(DRAIN_BATCHES_MAX):
                if self.stopping.is_set():
                    return
                report = await runner.run(conn, cursor)
                self._tell(report)
                if report.look_again_seconds is not None:
                    self._look_again(name, report.look_again_seconds)
                if report.full and loop.time() > call_at:
                    # There is more than one batch of it: have another worker come, if one is free.
                    call_at = loop.time() + CALL_SECONDS
                    self._ring_anew(name)
                if not report.claimed:
                    if runner.job.command.ordered:
                        await self._look_when_due(conn, name)
                    return
                if loop.time() > stop_at:
                    break
        self._hand_on(name)

    async def _drain_effects(self, name: str, runner: effects.EffectRunner) -> None:
        bell = self._bells[name]

        async def heard() -> None:
            await bell.wait()
            bell.clear()
            self._heard.discard(name)
            # Before the claim that follows: whatever is committed after it must be able to ring.
            await asyncio.wrap_future(self.doorbell.soon(self.doorbell.answered, name))

        bell.clear()
        await effects.drain(runner, self._pool, stopping=self.stopping, tell=self._tell, heard=heard)
        async with self._pool.acquire() as conn:
            await self._look_when_due(conn, name)

    def _tell(self, report: Report | effects.Report) -> None:
        """Tell who waits what has ended, and ring for what follows."""
        if report.ended:
            self.doorbell.soon(self.doorbell.tell, report.ended)
        for command in report.ring:
            self.doorbell.soon(self.doorbell.ring, command.job, command.lane.value)

    def _hand_on(self, name: str) -> None:
        """Enough for one bell: ring again, so that others get their turn first."""
        self._heard.discard(name)
        self._ring_anew(name)
        # Should nobody hear it: this process goes on by itself.
        self._look_again(name, LOOK_SECONDS / 4)

    def _ring_anew(self, name: str) -> None:
        self.doorbell.soon(self.doorbell.answered, name)
        self.doorbell.soon(self.doorbell.ring, name, self.jobs[name].lane.value)

    async def _look_when_due(self, conn: Any, name: str) -> None:
        wait = await conn.fetchval(sql.NEXT_RUN, name)
        if wait is not None and wait < LOOK_SECONDS:
            self._look_again(name, max(wait, 0.01))

    def _look_again(self, name: str, seconds: float) -> None:
        asyncio.get_running_loop().call_later(seconds, lambda: self._spawn(self.drain(name)))

    async def _watch(self) -> None:
        """Once a second: beat, and look into every job that heard no bell for a second."""
        rescued = False
        while not self.stopping.is_set():
            try:
                async with self._control.acquire() as conn:
                    await conn.execute(
                        sql.HEARTBEAT,
                        self.worker,
                        f"{socket.gethostname()}:{os.getpid()}",
                        # Also those that have no job yet: an operator counts who serves a lane.
                        [lane.value for lane in self.settings.worker_lanes()],
                        VERSION,
                    )
                    if not rescued:
                        # Before the first claim of this process: a command that killed the last one must not kill
                        # this one too, before any sweep gets its turn.
                        silence = self.settings.worker_silence_seconds
                        async with postgres.transaction(conn):
                            dead = await mark_dead_runs(conn, silence_seconds=silence)
                        if dead:
                            log.warning("dead_runs", commands=len(dead))
                        rescued = True
                    quiet = self._quiet_jobs()
                    due = [row["j"] for row in await conn.fetch(sql.DUE_JOBS, quiet)] if quiet else []
                for name in due:
                    self._spawn(self.drain(name))
            except Exception as error:  # noqa: BLE001 - PostgreSQL may be away; said each second until it is back
                log.error("watch_failed", error=repr(error))
            try:
                await asyncio.wait_for(self.stopping.wait(), timeout=LOOK_SECONDS)
            except TimeoutError:
                continue

    def _quiet_jobs(self) -> list[str]:
        now = asyncio.get_running_loop().time()
        return [
            name
            for name in self.jobs
            if name not in self._drains and now - self._drained_at.get(name, 0.0) >= LOOK_SECONDS * 0.9
        ]
