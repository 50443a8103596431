"""Dramatiq's side of a worker: makes an actor of each job and runs until told to stop.

Invariant: an actor does no work of its own. It takes its job's bell down and has the engine drain; it has no
retries and no time limit, because what it is about is in the journal.
"""

import sys
from typing import Any

import dramatiq
from dramatiq.asyncio import get_event_loop_thread
from dramatiq.middleware import Middleware

import jobs
from domain.accounts.mail import SendAccountMail
from domain.journal.declare import Job
from domain.journal.model import Lane
from infra import broker, exposition, telemetry
from infra.boot import boot
from infra.process import spare_collector, stop_requested
from workers.engine import Engine
from workers.subscriptions import Subscriptions

log = telemetry.logger()
STOP_MS = 15_000
THREAD_IDLE_MS = 250
"""How long a thread without a message waits before it looks whether it should stop."""


class EngineLifecycle(Middleware):
    """Starts engine and subscriptions on Dramatiq's event loop before its threads, and stops them before the threads.

    A bell that hangs at a start is answered by the first thread there is: it must find the engine open.
    """

    def __init__(self, *parts: Engine | Subscriptions) -> None:
        self._parts = parts

    def before_worker_boot(self, _broker: Any, _worker: Any) -> None:
        """Open their pools; the loop's own middleware comes first."""
        for part in self._parts:
            _on_loop(part.start())

    def before_worker_shutdown(self, _broker: Any, _worker: Any) -> None:
        """Finish the batches in hand."""
        for part in self._parts:
            _on_loop(part.stop())


def _on_loop(work: Any) -> None:
    thread = get_event_loop_thread()
    if thread is None:
        raise RuntimeError("Dramatiq's event loop isn't running")
    thread.run_coroutine(work)


def declare_actors(bells: dramatiq.Broker, engine: Engine) -> None:
    """Make one actor of each of the engine's jobs."""
    for job in engine.jobs.values():
        _declare_actor(bells, engine, job)


def _declare_actor(bells: dramatiq.Broker, engine: Engine, job: Job) -> None:
    def answer() -> None:
        draining = engine.is_draining(job.name)
        if not draining:
            engine.doorbell.quietly(engine.doorbell.answered, job.name)
        _on_loop(engine.drain(job.name, answered=not draining))

    dramatiq.actor(broker=bells, actor_name=job.name, queue_name=job.lane.value)(answer)


def main() -> None:
    """Run a worker for the lanes in ``LANES`` until SIGTERM or SIGINT."""
    config = boot("worker")
    engine = Engine(config, broker.jobs_of(config.worker_lanes(), jobs.load().values()))
    if SendAccountMail.job in engine.jobs and config.relay() is None:
        log.warning("mail_goes_to_this_log", setting="MAIL_URL")
    parts: list[Engine | Subscriptions] = [engine]
    if Lane.IO in config.worker_lanes():
        parts.append(Subscriptions(config, jobs.load_subscriptions().values()))
    # A thread for each job: a job drains at most once in a process, and its bell must find a thread free.
    threads = max(len(engine.jobs), 1) + 1
    bells = broker.BellBroker(
        config.redis_url, threads=threads, middleware=[*broker.middleware(), EngineLifecycle(*parts)]
    )
    dramatiq.set_broker(bells)
    declare_actors(bells, engine)
    wait_for_stop = stop_requested()
    worker = dramatiq.Worker(bells, worker_threads=threads, worker_timeout=THREAD_IDLE_MS)
    with exposition.listening(config):
        worker.start()
        spare_collector()
        log.info("worker_ready", lanes=[lane.value for lane in config.worker_lanes()], jobs=sorted(engine.jobs))
        wait_for_stop()
        log.info("worker_stopping")
        worker.stop(timeout=STOP_MS)
    log.info("worker_stopped")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
