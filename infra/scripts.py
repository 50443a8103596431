"""Small Lua scripts on Redis: one call each, answered within 200 ms or not at all.

Invariant: a script decides by the time in ARGV[1], which is the server's own unless a clock was handed in; so processes
whose clocks differ agree. Keys expire to free memory, and no decision rests on that. Redis that is gone costs a try a
second, not a wait for each call; who asks goes on by itself then.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import redis.asyncio
from redis.exceptions import NoScriptError, RedisError

from infra import telemetry

log = telemetry.logger()

ANSWER_SECONDS_MAX = 0.2
_FAILURES_MAX = 3
"""After so many failures in a row nobody asks Redis for a second."""
_SILENT_SECONDS = 1.0
_BY_THE_SERVER = -1
_NOW = """
local now = tonumber(ARGV[1])
if now < 0 then
    local time = redis.call('TIME')
    now = time[1] * 1000000 + time[2]
end
"""
"""Microseconds since 1970: a double holds them exactly."""


class Unanswered(Exception):  # noqa: N818 - a condition to carry on under, not an error
    """Redis didn't answer in time; whether it did what was asked isn't known."""


class Script:
    """A script; ``now`` is there for it, in microseconds, and its own arguments begin at ``ARGV[2]``."""

    def __init__(self, text: str) -> None:
        self.text = _NOW + text
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


class Scripts:
    """Runs scripts on one Redis; ``asked_for`` says in the log what for.

    ``clock`` tells microseconds in place of the server's time and of this process's.
    """

    def __init__(
        self,
        url: str,
        *,
        asked_for: str = "limits",
        clock: Callable[[], int] | None = None,
        answer_seconds_max: float = ANSWER_SECONDS_MAX,
    ) -> None:
        self._client = redis.asyncio.Redis.from_url(
            url, socket_timeout=answer_seconds_max, socket_connect_timeout=answer_seconds_max, retry=None
        )
        self._asked_for = asked_for
        self._clock = clock
        self._answer_seconds_max = answer_seconds_max
        self._failures = 0
        self._silent_until = 0.0
        self.now: Callable[[], int] = clock or _own_clock
        """The time of this process, for what it decides by itself; not to be compared with a script's."""

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[int | str | bytes]) -> Any:
        """Run a script and return its answer; raises Unanswered."""
        if time.monotonic() < self._silent_until:
            raise Unanswered("Redis has been silent; the next try is due within a second")
        if self._failures >= _FAILURES_MAX:
            # One caller tries; the others go on without an answer until it has one.
            self._silent_until = time.monotonic() + _SILENT_SECONDS
        now = self._clock() if self._clock is not None else _BY_THE_SERVER
        try:
            async with asyncio.timeout(self._answer_seconds_max):
                answer = await self._send(script, keys, [now, *args])
        except (RedisError, OSError, TimeoutError) as error:
            self._failed(error)
            raise Unanswered(str(error)) from error
        if self._failures:
            self._answered()
        return answer

    async def _send(self, script: Script, keys: Sequence[str], args: Sequence[int | str | bytes]) -> Any:
        client: Any = self._client
        try:
            return await client.evalsha(script.sha, len(keys), *keys, *args)
        except NoScriptError:
            return await client.eval(script.text, len(keys), *keys, *args)

    def _failed(self, error: Exception) -> None:
        if self._failures == 0:
            log.warning("redis_silent", asked_for=self._asked_for, error=f"{type(error).__name__}: {error}")
        self._failures += 1
        if self._failures >= _FAILURES_MAX:
            self._silent_until = time.monotonic() + _SILENT_SECONDS

    def _answered(self) -> None:
        log.info("redis_answers", asked_for=self._asked_for, failures=self._failures)
        self._failures = 0
        self._silent_until = 0.0

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def _own_clock() -> int:
    return time.monotonic_ns() // 1000
