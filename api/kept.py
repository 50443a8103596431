"""Reads of the catalog that are kept: in this process, and in Redis for all of them.

Invariant: what is kept is answered only while everything it was made of is unchanged, as ``api.freshness`` knows it,
and that knowledge is never older than a second. So nothing that is kept has to be deleted, and no message that is lost
makes an answer old: an edit notes what it changed in its own transaction, and every read is held against those notes.

In Redis a read stands under the number of its thing's last change, so an edit is a new key and the old one expires.
Without Redis each process keeps what it read itself; what it doesn't have comes from PostgreSQL.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from api.freshness import Freshness
from infra import telemetry
from infra.scripts import Script, Scripts, Unanswered
from infra.tasks import end

log = telemetry.logger()
LOCAL_BYTES_MAX = 16 * 1024 * 1024
ENTRY_BYTES_MAX = 256 * 1024
"""A larger read isn't kept: it would push out a hundred others."""
REDIS_SECONDS = 300
"""How long Redis keeps a read. Shorter than changes are remembered, or an old one could come back unnoticed."""
_GET = Script("return redis.call('GET', KEYS[1])")
_SET = Script("return redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])")
HORIZON = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint"


class Read(Struct, frozen=True, array_like=True):
    """What was read of a thing, encoded: its version (0 for what has none), what it was made of, who may see it.

    ``owner`` is the only one who sees it, together with admins; None for what everybody may see.
    """

    body: bytes
    version: int
    things: tuple[UUID, ...]
    owner: UUID | None = None


class _Kept(Struct, frozen=True, array_like=True):
    horizon: int
    read: Read


Load = Callable[[Any], Awaitable[Read | None]]
"""Reads a thing with a connection; None when there is none."""


class KeptReads:
    """One process's kept reads, by kind and id."""

    def __init__(self, pool: Any, freshness: Freshness, redis_url: str) -> None:
        self._pool = pool
        self._freshness = freshness
        self._redis = Scripts(redis_url, asked_for="kept reads")
        self._local: OrderedDict[tuple[str, UUID], _Kept] = OrderedDict()
        self._bytes = 0
        self._loading: dict[tuple[str, UUID], asyncio.Task[_Kept | None]] = {}
        self._sending: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Let Redis go."""
        await end(*self._sending, *self._loading.values())
        await self._redis.close()

    async def get(self, kind: str, thing: UUID, load: Load, *, noted_as: UUID | None = None) -> Read | None:
        """A thing as it is or was less than a second ago; None when there is none. Raises what PostgreSQL raises.

        ``noted_as`` is what its own edits note, where that isn't its id.
        """
        await self._freshness.ensure()
        key = (kind, thing)
        kept = self._local.get(key)
        if kept is not None:
            if self._freshness.is_unchanged(kept.horizon, kept.read.things):
                self._local.move_to_end(key)
                return kept.read
            self._drop(key)
        loading = self._loading.get(key)
        if loading is not None:
            # Somebody else's read, which began before this request came: good if nothing has changed since.
            kept = await asyncio.shield(loading)
            await self._freshness.ensure()
            if kept is None or self._freshness.is_unchanged(kept.horizon, kept.read.things):
                return None if kept is None else kept.read
        kept = await asyncio.shield(self._begin(key, load, noted_as or thing))
        return None if kept is None else kept.read

    def _begin(self, key: tuple[str, UUID], load: Load, noted_as: UUID) -> "asyncio.Task[_Kept | None]":
        name = f"kept:{key[0]}:{key[1]}:{self._freshness.number_of(noted_as)}"
        loading = self._loading[key] = asyncio.create_task(self._find(key, name, load))

        def end(_: object) -> None:
            if self._loading.get(key) is loading:
                del self._loading[key]

        loading.add_done_callback(end)
        return loading

    async def _find(self, key: tuple[str, UUID], name: str, load: Load) -> _Kept | None:
        kept = await self._of_redis(name)
        if kept is None:
            async with self._pool.acquire(timeout=2) as conn:
                # First, so that every change the read could have missed is at or above it.
                horizon = await conn.fetchval(HORIZON)
                read = await load(conn)
            if read is None:
                return None
            kept = _Kept(horizon, read)
            self._keep(key, kept)
            self._send(name, kept)
            return kept
        self._keep(key, kept)
        return kept

    def _keep(self, key: tuple[str, UUID], kept: _Kept) -> None:
        if len(kept.read.body) > ENTRY_BYTES_MAX:
            return
        self._drop(key)
        self._local[key] = kept
        self._bytes += len(kept.read.body)
        while self._bytes > LOCAL_BYTES_MAX:
            self._drop(next(iter(self._local)))

    def _drop(self, key: tuple[str, UUID]) -> None:
        gone = self._local.pop(key, None)
        if gone is not None:
            self._bytes -= len(gone.read.body)

    async def _of_redis(self, name: str) -> _Kept | None:
        try:
            found = await self._redis.run(_GET, [name], [])
        except Unanswered:
            return None
        if found is None:
            return None
        try:
            kept = msgspec.msgpack.decode(found, type=_Kept)
        except msgspec.MsgspecError as error:
            # Another release wrote it, in a form of its own.
            log.info("kept_read_unreadable", error=str(error))
            return None
        return kept if self._freshness.is_unchanged(kept.horizon, kept.read.things) else None

    def _send(self, name: str, kept: _Kept) -> None:
        if len(kept.read.body) > ENTRY_BYTES_MAX:
            return
        task = asyncio.create_task(self._write(name, msgspec.msgpack.encode(kept)))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _write(self, name: str, body: bytes) -> None:
        try:
            await self._redis.run(_SET, [name], [body, REDIS_SECONDS])
        except Unanswered as error:
            log.debug("kept_read_not_shared", error=str(error))
