"""Waiting for jobs: whoever asked to wait hears of the outcome as soon as it is committed.

Invariant: PostgreSQL answers, Redis only hints. Notices say which ids to look up now; four times a second, and
after each reconnect, one query looks up all that are waited for, so a lost notice costs 250 ms.
"""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID

import redis.asyncio
import redis.exceptions

from domain.journal.reads import Ended, load_ended
from infra import notices, telemetry
from infra.tasks import end

log = telemetry.logger()
LOOK_SECONDS = 0.25
RECONNECT_SECONDS = 0.5


class Waiters:
    """The jobs that requests of this process wait for."""

    def __init__(self, pool: Any, redis_url: str, on_notice: Callable[[], None] = lambda: None) -> None:
        self._pool = pool
        self._on_notice = on_notice
        self._redis_url = redis_url
        self._waiting: dict[bytes, list[asyncio.Future[Ended | None]]] = {}
        self._noticed: set[bytes] = set()
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False

    def start(self) -> None:
        """Begin to listen."""
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._look())]

    async def stop(self) -> None:
        """Stop listening."""
        self.release()
        await end(*self._tasks)

    def release(self) -> None:
        """Let everyone who waits go without an answer, now and from now on."""
        self._stopping = True
        for futures in self._waiting.values():
            for future in futures:
                if not future.done():
                    future.set_result(None)

    def register(self, command_id: UUID) -> "asyncio.Future[Ended | None]":
        """Wait for a command; register before its insert, so that no notice is missed."""
        future: asyncio.Future[Ended | None] = asyncio.get_running_loop().create_future()
        if self._stopping:
            future.set_result(None)
        else:
            self._waiting.setdefault(command_id.bytes, []).append(future)
        return future

    def look_now(self, command_id: UUID) -> None:
        """Look a command up at once: it may have ended before anyone waited for it."""
        self._noticed.add(command_id.bytes)
        self._wake.set()

    def forget(self, command_id: UUID, future: "asyncio.Future[Ended | None]") -> None:
        """Stop waiting."""
        futures = self._waiting.get(command_id.bytes)
        if futures is not None:
            if future in futures:
                futures.remove(future)
            if not futures:
                del self._waiting[command_id.bytes]

    async def _listen(self) -> None:
        while True:
            connection: redis.asyncio.Redis = redis.asyncio.Redis.from_url(
                self._redis_url, socket_connect_timeout=1, socket_timeout=5, retry=None
            )
            try:
                async with connection.pubsub(ignore_subscribe_messages=True) as subscription:
                    await subscription.subscribe(notices.CHANNEL)
                    self._notice_all()
                    while True:
                        message = await subscription.get_message(timeout=1.0)
                        if message is not None:
                            self._notice(message["data"])
            except (redis.exceptions.RedisError, OSError, TimeoutError) as error:
                log.warning("notices_lost", error=repr(error))
            finally:
                await connection.aclose()
            await asyncio.sleep(RECONNECT_SECONDS)

    def _notice(self, message: bytes) -> None:
        self._on_notice()
        found = [identifier for identifier in notices.unpack(message) if identifier in self._waiting]
        if found:
            self._noticed.update(found)
            self._wake.set()

    def _notice_all(self) -> None:
        if self._waiting:
            self._noticed.update(self._waiting)
            self._wake.set()

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        look_at = loop.time() + LOOK_SECONDS
        while True:
            try:
                # Not wait_for: in Python 3.11 it loses a cancellation that comes together with the wake-up.
                async with asyncio.timeout(max(look_at - loop.time(), 0.001)):
                    await self._wake.wait()
            except TimeoutError:
                self._noticed.update(self._waiting)
            if loop.time() >= look_at:
                self._noticed.update(self._waiting)
                look_at = loop.time() + LOOK_SECONDS
            self._wake.clear()
            wanted, self._noticed = self._noticed, set()
            wanted &= self._waiting.keys()
            if wanted:
                try:
                    await self._answer([UUID(bytes=identifier) for identifier in wanted])
                except Exception as error:  # noqa: BLE001 - PostgreSQL may be away; the next look is 250 ms off
                    log.warning("look_failed", error=repr(error))

    async def _answer(self, ids: list[UUID]) -> None:
        async with self._pool.acquire(timeout=2) as conn:
            ended = await load_ended(conn, ids)
        for command_id, state in ended.items():
            for future in self._waiting.pop(command_id.bytes, ()):
                if not future.done():
                    future.set_result(state)
