"""Subscriptions: each event of the types one wants, handed to it once, by whichever worker comes first.

Invariant: a subscription's place moves in the transaction that writes what it made of the events, so a crash is a
rollback. What it can't take is told apart by halving, noted, reported and passed over; infrastructure errors only
retry, with fewer events at a time. Redis hints that there is something to read: whoever hears nothing looks once a
second.
"""

import asyncio
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import redis.asyncio
import redis.exceptions
from msgspec import Struct

from domain.journal.declare import EventBatch, Subscription
from domain.journal.event_reads import load_due, load_events, read_events
from domain.journal.event_sql import (
    found_subscriptions,
    lock_subscription,
    move_subscription,
    note_failures,
    take_failures,
)
from domain.journal.events import StoredEvent
from domain.journal.model import Command, Faulted, Lane, NewCommand
from domain.journal.sql import insert_commands
from domain.limits import Limits
from infra import notices, postgres, telemetry
from infra.broker import Doorbell
from infra.clock import new_id
from infra.settings import Settings
from infra.tasks import end
from workers.halving import SAVEPOINT, Result, run_by_halves

log = telemetry.logger()

LOOK_SECONDS = 1.0
GATHER_SECONDS = 0.05
"""How soon it looks again at the earliest: under load events gather meanwhile, and are taken together."""
RETRY_SECONDS = 0.1
RETRY_SECONDS_MAX = 2.0
RECONNECT_SECONDS = 0.5


class Report(Struct, frozen=True):
    """What one transaction of a subscription did.

    ``taken`` and ``failed`` count events of its types; ``full`` says that there is probably more.
    """

    taken: int
    failed: int
    ring: set[type[Command]]
    full: bool


async def deliver(conn: Any, subscription: Subscription, limits: Limits, *, events_max: int) -> Report | None:
    """Hand a subscription its next events in one transaction; None when somebody else is at it."""
    started = time.perf_counter()
    async with postgres.transaction(conn):
        place = await lock_subscription(conn, subscription.name)
        if place is None:
            return None
        portion = await read_events(conn, place, events_max, subscription.types)
        failed, follow_ups = await hand_over(conn, subscription, limits, portion.events)
        if portion.cursor != place:
            await move_subscription(conn, subscription.name, portion.cursor)
    if portion.events:
        log.info(
            "subscription",
            subscription=subscription.name,
            events=len(portion.events),
            failed=len(failed),
            ms=round((time.perf_counter() - started) * 1000, 2),
            correlations=[event.correlation for event in portion.events],
        )
    for event, fault in failed:
        _report(subscription, event, fault)
    return Report(
        taken=len(portion.events) - len(failed),
        failed=len(failed),
        ring={type(new.command) for new in follow_ups if not new.delay_seconds},
        full=portion.full,
    )


async def play_again(conn: Any, subscription: Subscription, limits: Limits, keys: Sequence[tuple[UUID, int]]) -> Report:
    """Hand a subscription events once more that it could not take; those that fail again stay noted."""
    async with postgres.transaction(conn):
        taken = await take_failures(conn, subscription.name, keys)
        events = await load_events(conn, taken)
        failed, follow_ups = await hand_over(conn, subscription, limits, events)
    return Report(
        taken=len(events) - len(failed),
        failed=len(failed),
        ring={type(new.command) for new in follow_ups if not new.delay_seconds},
        full=False,
    )


async def hand_over(
    conn: Any, subscription: Subscription, limits: Limits, events: Sequence[StoredEvent]
) -> tuple[list[tuple[StoredEvent, Faulted]], list[NewCommand]]:
    """Call a subscription with events in the transaction that is open; return what it couldn't take, and what follows.

    Both are written by then.
    """
    if not events:
        return [], []
    now = datetime.now(UTC)

    async def run(some: Sequence[StoredEvent], _lock_first: bool) -> Result:  # noqa: FBT001 - as halving calls it
        batch = EventBatch(conn, some, now=now, limits=limits, new_id=new_id)
        await subscription.run(batch)
        return [None] * len(some), batch.follow_ups

    await conn.execute(SAVEPOINT)
    settled, follow_ups = await run_by_halves(conn, events, run)
    failed = [(event, outcome) for event, outcome in settled if isinstance(outcome, Faulted)]
    await note_failures(
        conn, subscription.name, [(e.stream, e.version, e.cursor.position, fault.error) for e, fault in failed]
    )
    if follow_ups:
        await insert_commands(conn, follow_ups)
    return failed, follow_ups


def _report(subscription: Subscription, event: StoredEvent, fault: Faulted) -> None:
    log.error(
        "event_passed_over",
        subscription=subscription.name,
        stream=str(event.stream),
        version=event.version,
        type=event.type,
        error=fault.error,
    )
    telemetry.report(fault.cause or telemetry.ParkedError(fault.error), job=subscription.name)


class Subscriptions:
    """Runs subscriptions in this process, on connections of its own."""

    def __init__(self, settings: Settings, subscriptions: Iterable[Subscription]) -> None:
        self._settings = settings
        self._subscriptions = {each.name: each for each in subscriptions}
        self._doorbell = Doorbell(settings.redis_url)
        self._wake = asyncio.Event()
        self._stopping = False
        self._founded = False
        self._drains: dict[str, asyncio.Task[None]] = {}
        self._sizes: dict[str, int] = {}
        self._failures: dict[str, int] = {}
        self._look_at: dict[str, float] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._pool: Any = None

    async def start(self) -> None:
        """Begin to look."""
        size = postgres.SUBSCRIPTION_CONNECTIONS
        self._pool = await postgres.create_pool(self._settings, size=size, name="subscriptions")
        if self._subscriptions:
            self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._watch())]

    async def stop(self) -> None:
        """Take no more events, finish what is in hand, and close."""
        self._stopping = True
        self._wake.set()
        if self._drains:
            await asyncio.wait(list(self._drains.values()))
        await end(*self._tasks)
        self._doorbell.close()
        if self._pool is not None:
            await asyncio.wait_for(self._pool.close(), timeout=5)

    async def _watch(self) -> None:
        while not self._stopping:
            wait = LOOK_SECONDS
            self._wake.clear()
            try:
                if await self._look():
                    wait = GATHER_SECONDS
            except Exception as error:  # noqa: BLE001 - PostgreSQL may be away; said each second until it is back
                log.error("subscriptions_look_failed", error=repr(error))
            await self._pause(GATHER_SECONDS)
            # Not wait_for: in Python 3.11 it loses a cancellation that comes together with the wake-up.
            try:
                async with asyncio.timeout(wait - GATHER_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _pause(self, seconds: float) -> None:
        if not self._stopping:
            await asyncio.sleep(seconds)

    async def _look(self) -> bool:
        """Begin to read where there is something to read; tell whether there is what can't be read just yet."""
        now = asyncio.get_running_loop().time()
        idle = [n for n in self._subscriptions if n not in self._drains and self._look_at.get(n, 0.0) <= now]
        async with self._pool.acquire(timeout=LOOK_SECONDS) as conn:
            if not self._founded:
                await found_subscriptions(conn, [(s.name, s.from_now) for s in self._subscriptions.values()])
                self._founded = True
            due, held_back = await load_due(conn, idle, Lane.IO.value)
        for name in due:
            if not self._stopping:
                self._drains[name] = asyncio.ensure_future(self._drain(self._subscriptions[name]))
        return held_back

    async def _drain(self, subscription: Subscription) -> None:
        name = subscription.name
        size = self._sizes.get(name, subscription.events_max)
        self._look_at[name] = asyncio.get_running_loop().time() + subscription.gather_seconds
        try:
            async with self._pool.acquire() as conn:
                report = await deliver(conn, subscription, self._settings.limits(), events_max=size)
            while report is not None:
                self._failures[name] = 0
                self._sizes[name] = size = min(size * 2, subscription.events_max)
                for command in report.ring:
                    self._doorbell.soon(self._doorbell.ring, command.job, command.lane.value)
                if self._stopping or not report.full:
                    break
                # Between two of its turns the others get theirs.
                async with self._pool.acquire() as conn:
                    report = await deliver(conn, subscription, self._settings.limits(), events_max=size)
        except Exception as error:  # noqa: BLE001 - reported; the events are still there and are read again
            self._put_off(subscription, size, error)
        finally:
            del self._drains[name]
            self._wake.set()

    def _put_off(self, subscription: Subscription, size: int, error: Exception) -> None:
        name = subscription.name
        failures = self._failures[name] = self._failures.get(name, 0) + 1
        self._sizes[name] = max(size // 2, 1)
        wait = min(RETRY_SECONDS * 2 ** min(failures - 1, 10), RETRY_SECONDS_MAX)
        self._look_at[name] = asyncio.get_running_loop().time() + wait
        log.error("subscription_failed", subscription=name, failures=failures, events_max=size, error=repr(error))
        if postgres.classify(error) is postgres.Failure.DATA:
            telemetry.report(error, job=name)

    async def _listen(self) -> None:
        while True:
            connection: redis.asyncio.Redis = redis.asyncio.Redis.from_url(
                self._settings.redis_url, socket_connect_timeout=1, socket_timeout=5, retry=None
            )
            try:
                async with connection.pubsub(ignore_subscribe_messages=True) as hints:
                    await hints.subscribe(notices.CHANNEL)
                    self._wake.set()
                    while True:
                        if await hints.get_message(timeout=1.0) is not None:
                            self._wake.set()
            except (redis.exceptions.RedisError, OSError, TimeoutError) as error:
                log.warning("notices_lost", error=repr(error))
            finally:
                await connection.aclose()
            await asyncio.sleep(RECONNECT_SECONDS)
