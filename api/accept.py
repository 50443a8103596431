"""Accept: requests that arrive together are written to the journal together.

Invariant: an answer of 202 is given only after the command's row is durable. One statement writes the keys,
commands and queue rows of a group; a second one reads back who holds the keys that were lost. The loop never
awaits Redis, its buffer is bounded, and its death ends the process.
"""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import asyncpg
from msgspec import Struct

from api.problems import key_reused, refuse
from domain.journal import sql
from domain.journal.model import Command, NewCommand
from domain.rejections import Code
from infra import metrics, postgres, telemetry

log = telemetry.logger()

GROUPS_IN_FLIGHT = 1
"""While one group is written the next one gathers; two at a time are more and smaller ones for the same work."""
WRITE_SECONDS_MAX = 3.0
RETRY_SECONDS = 0.05


class Accepted(Struct, frozen=True):
    """Which command a request became; ``replayed`` when an earlier request with the same key made it."""

    id: UUID
    replayed: bool


class _Entry:
    __slots__ = ("answer", "lookup_only", "new")

    def __init__(self, new: NewCommand, answer: "asyncio.Future[Accepted]", *, lookup_only: bool) -> None:
        self.new = new
        self.answer = answer
        self.lookup_only = lookup_only

    def succeed(self, accepted: Accepted) -> None:
        # The request may have gone away meanwhile; its command stays.
        if not self.answer.done():
            self.answer.set_result(accepted)

    def fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


class Accept:
    """Writes commands in groups; one per api process."""

    def __init__(
        self, pool: Any, *, buffer_max: int, group_max: int, ring: Callable[[set[tuple[str, str]]], None]
    ) -> None:
        self._pool = pool
        self._buffer_max = buffer_max
        self._group_max = group_max
        self._ring = ring
        self._buffer: list[_Entry] = []
        self._wake = asyncio.Event()
        self._flights: set[asyncio.Task[None]] = set()
        self._room = asyncio.Semaphore(GROUPS_IN_FLIGHT)
        self._loop_task: asyncio.Task[None] | None = None
        self.overloaded: frozenset[str] = frozenset()
        """Jobs whose backlog has passed its limit: only replays of known keys are answered."""

    def start(self) -> None:
        """Begin to write."""
        self._loop_task = asyncio.create_task(self._run())
        self._loop_task.add_done_callback(_die)

    async def stop(self) -> None:
        """Write what is buffered, then end."""
        while self._buffer or self._flights:
            self._wake.set()
            await asyncio.sleep(0)
            if self._flights:
                await asyncio.wait(self._flights)
        if self._loop_task is not None:
            self._loop_task.remove_done_callback(_die)
            self._loop_task.cancel()

    async def submit(self, new: NewCommand) -> Accepted:
        """Have a command written; returns once it is durable. Raises a problem: 409, 422 or 503."""
        lookup_only = new.command.job in self.overloaded
        if lookup_only and new.key_hash is None:
            raise _too_much()
        if len(self._buffer) >= self._buffer_max:
            raise _too_much()
        answer: asyncio.Future[Accepted] = asyncio.get_running_loop().create_future()
        self._buffer.append(_Entry(new, answer, lookup_only=lookup_only))
        self._wake.set()
        return await answer

    def check(self, command: type[Command]) -> None:
        """Raise a problem of status 503 while too many commands of this kind are queued."""
        if command.job in self.overloaded:
            raise _too_much()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            await self._room.acquire()
            group, self._buffer = self._buffer[: self._group_max], self._buffer[self._group_max :]
            if not self._buffer:
                self._wake.clear()
            if not group:
                self._room.release()
                continue
            if len(group) == 1 and not group[0].lookup_only:
                # Waking an idle worker takes as long as the insert, so it begins now. The bell that counts is the one
                # after the commit: this one may find nothing.
                self._ring(_jobs_of(group))
            flight = asyncio.create_task(self._write(group))
            self._flights.add(flight)
            flight.add_done_callback(self._landed)

    def _landed(self, flight: "asyncio.Task[None]") -> None:
        self._flights.discard(flight)
        self._room.release()
        if not flight.cancelled() and flight.exception() is not None:
            # _write answers every error to its entries; one it didn't expect must not leave requests hanging.
            _die(flight)

    async def _write(self, group: list[_Entry]) -> None:
        started = time.perf_counter()
        deadline = asyncio.get_running_loop().time() + WRITE_SECONDS_MAX
        retry = RETRY_SECONDS
        while True:
            try:
                async with self._pool.acquire(timeout=WRITE_SECONDS_MAX) as conn:
                    await self._write_once(conn, group)
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError, ValueError) as error:
                if postgres.classify(error) is postgres.Failure.DATA:
                    await self._bisect(group, error)
                    return
                if asyncio.get_running_loop().time() + retry > deadline:
                    log.error("accept_failed", commands=len(group), error=repr(error))
                    for entry in group:
                        entry.fail(refuse(503, Code.UNAVAILABLE, "the journal can't be written now", Retry_After="1"))
                    return
                # The same ids again: what did land the first time is recognised.
                await asyncio.sleep(retry)
                retry *= 2
            else:
                metrics.ACCEPT_COMMANDS.observe(len(group))
                metrics.ACCEPT_SECONDS.observe(time.perf_counter() - started)
                return

    async def _bisect(self, group: list[_Entry], error: Exception) -> None:
        if len(group) == 1:
            log.error("accept_refused", job=group[0].new.command.job, error=repr(error))
            telemetry.report(error, job_id=str(group[0].new.id), job=group[0].new.command.job)
            group[0].fail(refuse(400, Code.INVALID_REQUEST, "the request can't be stored"))
            return
        middle = len(group) // 2
        await self._write(group[:middle])
        await self._write(group[middle:])

    async def _write_once(self, conn: Any, group: list[_Entry]) -> None:
        fresh, doubles = _deduplicate([entry for entry in group if not entry.lookup_only])
        lookups = doubles + [entry for entry in group if entry.lookup_only]
        written = await sql.insert_commands(conn, [entry.new for entry in fresh]) if fresh else set()
        lost: list[_Entry] = []
        for entry in fresh:
            if entry.new.id in written or entry.new.key_hash is None:
                entry.succeed(Accepted(entry.new.id, replayed=False))
            else:
                lost.append(entry)
        if written:
            new = [entry for entry in fresh if entry.new.id in written]
            self._ring(_jobs_of(new))
            for job, number in Counter(entry.new.command.job for entry in new).items():
                metrics.ACCEPTED.labels(job).inc(number)
        if lost or lookups:
            await _answer_from_keys(conn, lost + lookups)


def _jobs_of(entries: Sequence[_Entry]) -> set[tuple[str, str]]:
    return {(entry.new.command.job, entry.new.command.lane.value) for entry in entries}


def _deduplicate(entries: Sequence[_Entry]) -> tuple[list[_Entry], list[_Entry]]:
    """Split off entries whose key another entry of the same group brings already."""
    fresh: list[_Entry] = []
    doubles: list[_Entry] = []
    seen: set[tuple[UUID, bytes]] = set()
    for entry in entries:
        if entry.new.key_hash is not None:
            key = (entry.new.principal, entry.new.key_hash)
            if key in seen:
                doubles.append(entry)
                continue
            seen.add(key)
        fresh.append(entry)
    return fresh, doubles


async def _answer_from_keys(conn: Any, entries: Sequence[_Entry]) -> None:
    keys = [(entry.new.principal, entry.new.key_hash or b"") for entry in entries]
    holders = await sql.load_keys(conn, list(dict.fromkeys(keys)))
    for entry, key in zip(entries, keys, strict=True):
        holder = holders.get(key)
        if holder is None:
            # Looked up under overload and unknown, or pruned this very moment: the client may try again.
            entry.fail(_too_much())
        elif holder[0] == entry.new.id:
            entry.succeed(Accepted(entry.new.id, replayed=False))
        elif holder[0] is None or holder[1] != entry.new.fingerprint:
            entry.fail(key_reused())
        else:
            entry.succeed(Accepted(holder[0], replayed=True))


def _too_much() -> Exception:
    return refuse(503, Code.OVERLOADED, "too much is queued; try again", Retry_After="2")


def _die(task: "asyncio.Task[None]") -> None:
    """End the process: one that can't write commands must not go on taking requests."""
    if task.cancelled():
        return
    error = task.exception()
    log.critical("accept_died", error=repr(error))
    if error is not None:
        telemetry.report(error)
    os.kill(os.getpid(), signal.SIGTERM)
