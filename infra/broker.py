"""Doorbells: Dramatiq over Redis, with a consumer that wakes at once.

Invariant: a message carries no work, only "there is work for this job". Losing one, or all of Redis, costs
latency and never a command, so nothing here is retried and every call has a short time-out.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from typing import Any
from uuid import UUID, uuid4

import dramatiq
import redis
from dramatiq.asyncio import EventLoopThread, set_event_loop_thread
from dramatiq.brokers.redis import RedisBroker
from dramatiq.brokers.redis import _RedisConsumer as RedisConsumer
from dramatiq.errors import ConnectionClosed
from dramatiq.middleware import AsyncIO, Middleware

from domain.journal.declare import Job
from domain.journal.model import Lane
from infra import notices, telemetry

log = telemetry.logger()

NAMESPACE = "ordermill"
RING_SECONDS = 0.2
RING_KEY_MS = 1_000
_IDLE_SECONDS = 1.0
"""How long a consumer that hears nothing goes without looking."""
_STOP_SECONDS = 0.25
"""How long it listens at a time: how soon it notices that it should stop."""


# In one step, so that no bell hangs without its message: who died in between would keep the others silent for a
# second. What it writes is what Dramatiq's own script writes for "enqueue".
_RING = """
if not redis.call('SET', KEYS[1], '1', 'NX', 'PX', ARGV[1]) then return 0 end
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
redis.call('RPUSH', KEYS[3], ARGV[2])
redis.call('PUBLISH', KEYS[4], '1')
return 1
"""


_IDENTIFIER = "00000000-0000-4000-8000-000000000000"
_FAILURES_MAX = 3
"""After so many failures in a row nobody asks Redis for a second: each try may cost 0.2 s."""
_SILENT_SECONDS = 1.0


class Silent(Exception):  # noqa: N818 - a condition to carry on under, not an error
    """Redis didn't hear: latency is lost, nothing else."""


def client(url: str, *, seconds: float) -> "redis.Redis":
    """Connect to Redis with time-outs: without them a paused server hangs a caller for 20 seconds."""
    return redis.Redis.from_url(
        url,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        retry=None,
        health_check_interval=0,
    )


def bell_channel(lane: str) -> str:
    """The pub/sub channel on which a lane's consumers are woken."""
    return f"{NAMESPACE}:bell:{lane}"


def ring_key(job: str) -> str:
    """The key that stands while a bell of a job hangs unanswered."""
    return f"{NAMESPACE}:ring:{job}"


class BellConsumer(RedisConsumer):
    """Takes messages of one lane; waits on pub/sub when there are none and on an acknowledgement when full."""

    def __init__(self, broker: "BellBroker", queue_name: str, prefetch: int, timeout: int) -> None:
        super().__init__(broker, queue_name, min(prefetch, broker.threads), timeout)
        self._acknowledged = threading.Event()
        self._rung = True
        self._looked_at = 0.0
        # Subscribed before the first fetch: a bell rung in between is heard.
        self._subscription = broker.bell_client.pubsub(ignore_subscribe_messages=True)
        try:
            self._subscription.subscribe(bell_channel(queue_name))
        except redis.RedisError as error:
            self._subscription.close()
            raise ConnectionClosed(error) from None

    def ack(self, message: Any) -> None:
        """Acknowledge a message and wake the consumer if it was full."""
        self._answer(super().ack, message)

    def nack(self, message: Any) -> None:
        """Dead-letter a message and wake the consumer if it was full."""
        self._answer(super().nack, message)

    def requeue(self, messages: Iterable[Any]) -> None:
        """Give messages back that a stop left unanswered, as long as Redis hears it: they are bells, and no work."""
        try:
            super().requeue(messages)
        except redis.RedisError as error:
            log.debug("redis_silent", error=str(error))

    def _answer(self, answer: Callable[[Any], None], message: Any) -> None:
        try:
            answer(message)
        except (ConnectionClosed, redis.RedisError) as error:
            # Dramatiq would try until Redis is back, and hold this thread and the worker's stop as long. A bell
            # without an answer is put back some time: it rings once too often, and there is nothing to do.
            log.debug("redis_silent", error=str(error))
        finally:
            self._acknowledged.set()

    def __next__(self) -> Any:
        """Return the next message, or None after a quarter of a second without one."""
        try:
            if not self.message_cache:
                self._fill()
            if not self.message_cache:
                return None
            return super().__next__()
        except redis.RedisError as error:
            raise ConnectionClosed(error) from None

    def _fill(self) -> None:
        room = self.prefetch - self.outstanding_message_count
        if room <= 0:
            self._acknowledged.wait(_STOP_SECONDS)
            self._acknowledged.clear()
            return
        self._acknowledged.clear()
        if self._rung or time.monotonic() - self._looked_at >= _IDLE_SECONDS:
            self._looked_at = time.monotonic()
            self.message_cache = self.broker.do_fetch(self.queue_name, room)
            # Fewer than asked for: there are no more, and whoever sends one rings.
            self._rung = len(self.message_cache) >= room
        if not self.message_cache:
            # A bell heard means: look again. Bells that piled up meanwhile mean the same, once.
            self._rung = self._subscription.get_message(timeout=_STOP_SECONDS) is not None
            while self._rung and self._subscription.get_message(timeout=0) is not None:
                pass

    def close(self) -> None:
        """Give the subscription's connection back."""
        self._subscription.close()


class BellBroker(RedisBroker):
    """Dramatiq's Redis broker whose messages also wake their consumers by pub/sub."""

    def __init__(self, url: str, *, threads: int, middleware: Iterable[Middleware]) -> None:
        super().__init__(client=client(url, seconds=RING_SECONDS * 5), namespace=NAMESPACE, middleware=list(middleware))
        self.threads = threads
        # Listening blocks for up to a second on purpose; the time-out of commands must not cut it short.
        self.bell_client = client(url, seconds=_IDLE_SECONDS * 3)

    def declare_queue(self, queue_name: str) -> None:
        """Declare a lane's queue, without a delay queue: a later run is a column of the journal."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            self.emit_after("declare_queue", queue_name)

    @property
    def consumer_class(self) -> type[BellConsumer]:
        """The consumer that waits without sleeping."""
        return BellConsumer


class FastAsyncIO(AsyncIO):
    """Dramatiq's event-loop thread on uvloop, where there is one: batches are mostly socket traffic."""

    def before_worker_boot(self, broker: Any, worker: Any) -> None:  # noqa: ARG002 - Dramatiq's signature
        """Start the loop's thread."""
        thread = EventLoopThread(self.logger)
        if sys.platform != "win32":
            import uvloop  # noqa: PLC0415 - not there on every platform

            thread.loop.close()
            thread.loop = uvloop.new_event_loop()
        thread.start(timeout=1.0)
        set_event_loop_thread(thread)


def middleware() -> list[Middleware]:
    """Dramatiq's middleware, named one by one: no retries, no time or age limits, no results."""
    return [FastAsyncIO()]


@lru_cache
def _message(job: str, lane: str) -> str:
    """A bell's message as Dramatiq writes it, with ``_IDENTIFIER`` where its own id belongs."""
    message: dramatiq.Message[Any] = dramatiq.Message(
        queue_name=lane,
        actor_name=job,
        args=(),
        kwargs={},
        options={"redis_message_id": _IDENTIFIER},
        message_id=_IDENTIFIER,
        message_timestamp=0,
    )
    return message.encode().decode()


class Doorbell:
    """Everything a process says through Redis: rings bells, answers them, and tells of outcomes.

    Blocking; :meth:`soon` has the bell's own thread do it. Each step takes 0.2 s at most, and a circuit breaker keeps
    a Redis that is gone from costing more than a try a second. Raises :class:`Silent` when nothing could be said.
    """

    def __init__(self, url: str) -> None:
        # One connection, spoken to directly: after a pause each line of code costs several times its usual, and a
        # client's way through pool, retries and hooks is long (docs/performance.md).
        self._line = client(url, seconds=RING_SECONDS).connection_pool.make_connection()
        self._lock = threading.Lock()
        self._failures = 0
        self._silent_until = 0.0
        self._closed = False
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="doorbell")

    def ring(self, job: str, lane: str) -> bool:
        """Ring for a job unless its bell hangs already; returns whether a message was sent."""
        identifier = str(uuid4())
        queue = f"{NAMESPACE}:{lane}"
        keys = (ring_key(job), f"{queue}.msgs", queue, bell_channel(lane))
        message = _message(job, lane).replace(_IDENTIFIER, identifier)
        return bool(self._say("EVAL", _RING, len(keys), *keys, RING_KEY_MS, identifier, message))

    def answered(self, job: str) -> None:
        """Take the bell down, before the first claim, so that a commit after it rings again."""
        self._say("DEL", ring_key(job))

    def tell(self, ids: Iterable[UUID]) -> None:
        """Publish the ids of commands that have ended."""
        self._say("PUBLISH", notices.CHANNEL, notices.pack(ids))

    def ping(self) -> None:
        """Raise :class:`Silent` unless Redis answers."""
        self._say("PING")

    def quietly(self, call: Callable[..., object], *args: object) -> None:
        """Make a call of this bell; that nobody hears costs latency only."""
        try:
            call(*args)
        except Silent as error:
            log.debug("redis_silent", error=str(error))
        except Exception as error:
            log.error("doorbell_failed", error=repr(error))
            raise

    def soon(self, call: Callable[..., object], *args: object) -> "Future[None]":
        """Have the bell's thread make a call quietly, in the order asked for."""
        return self._thread.submit(self.quietly, call, *args)

    def _say(self, *command: str | bytes | int) -> object:
        with self._lock:
            if self._closed:
                raise Silent("the process is stopping")
            if time.monotonic() < self._silent_until:
                raise Silent("Redis has been silent; the next try is due within a second")
            try:
                answer = self._send(command)
            except (redis.RedisError, OSError) as error:
                self._failures += 1
                if self._failures >= _FAILURES_MAX:
                    self._silent_until = time.monotonic() + _SILENT_SECONDS
                raise Silent(str(error)) from error
            self._failures = 0
            return answer

    def _send(self, command: Sequence[str | bytes | int]) -> object:
        packed = self._line.pack_command(*command)
        try:
            return self._exchange(packed)
        except redis.ConnectionError:
            # Redis may have been started anew since the last word. Saying a thing twice does no harm.
            return self._exchange(packed)

    def _exchange(self, packed: Any) -> object:
        self._line.send_packed_command(packed, check_health=False)
        return self._line.read_response()

    def close(self) -> None:
        """Say what is left to say, then close the connection; what comes later isn't said."""
        self._thread.shutdown(wait=True)
        # Under the lock: a thread of Dramatiq's may be answering a bell right now.
        with self._lock:
            self._closed = True
            self._line.disconnect()


def jobs_of(lanes: Iterable[Lane], jobs: Iterable[Job]) -> list[Job]:
    """The jobs whose lanes a worker serves, by name."""
    served = set(lanes)
    return sorted((job for job in jobs if job.lane in served), key=lambda job: job.name)
