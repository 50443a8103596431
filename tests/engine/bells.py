"""A worker inside the test's own process: Dramatiq's threads, the engine's loop, and what they leave in Redis."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import dramatiq
import redis

from domain.journal.declare import Job
from infra import broker
from infra.settings import Settings
from workers.engine import Engine
from workers.entry import EngineLifecycle, declare_actors


@contextmanager
def worker_of(settings: Settings, jobs: Iterable[Job], *, threads: int = 2) -> Iterator[Any]:
    """A running worker, put together as its own process would; yields its broker, with the engine on it."""
    engine = Engine(settings, jobs)
    bells: Any = broker.BellBroker(
        settings.redis_url, threads=threads, middleware=[*broker.middleware(), EngineLifecycle(engine)]
    )
    bells.engine = engine
    declare_actors(bells, engine)
    worker = dramatiq.Worker(bells, worker_threads=threads)
    worker.start()
    bells.worker = worker
    try:
        yield bells
    finally:
        worker.stop(timeout=10_000)
        bells.client.close()
        bells.bell_client.close()


@contextmanager
def redis_of(settings: Settings) -> Iterator[Any]:
    client = redis.Redis.from_url(settings.redis_url)
    try:
        yield client
    finally:
        client.close()


def queued(client: Any, lane: str) -> int:
    """Messages in a lane's Dramatiq queue."""
    return int(client.llen(f"{broker.NAMESPACE}:{lane}"))


def took(call: Any, *args: Any) -> float:
    """Seconds a call took."""
    started = time.monotonic()
    call(*args)
    return time.monotonic() - started
