"""Who stands behind an API key: looked up in PostgreSQL, and remembered for a short while.

Invariant: what is remembered is dropped as soon as the key was replaced or revoked, or its account's rights changed
(``api.freshness``), so neither outlives its end by a second. What an account gains a remembered key gains within
``REMEMBERED_SECONDS``.

Anybody can make up keys, so one that is unknown must not be a cheap way to load the database: all keys that wait are
looked up together, one query at a time in each process, however many there are.
"""

import asyncio
import hmac
import time
from collections import OrderedDict
from typing import Any
from uuid import UUID

from msgspec import Struct

from api.freshness import Freshness
from domain.accounts import key_sql
from domain.accounts.key_model import GOOD, REPLACED, REVOKED
from domain.accounts.key_sql import KeyHolder
from infra import api_keys, telemetry
from infra.security import BadTokenError, Principal
from infra.tasks import end

log = telemetry.logger()
REMEMBERED_SECONDS = 60.0
REMEMBERED_MAX = 20_000
LOOK_KEYS_MAX = 500
NOTE_SECONDS = 2.0
"""How often the uses of keys are noted."""


class _Known(Struct):
    """A key that was looked up; ``fault`` says why nobody comes in with it, empty if they may."""

    hash: bytes
    principal: Principal
    expires_at: float
    state: int
    fault: str
    until: float
    used: bool = False


class KnownKeys:
    """One process's view of API keys."""

    def __init__(self, pool: Any, freshness: Freshness) -> None:
        self._pool = pool
        self._freshness = freshness
        self._known: OrderedDict[UUID, _Known] = OrderedDict()
        # Apart from the others, so that made-up keys push no real one out. An id that isn't there never comes.
        self._unknown: OrderedDict[UUID, float] = OrderedDict()
        self._asked: dict[UUID, asyncio.Future[_Known | None]] = {}
        self._looking: asyncio.Task[None] | None = None
        self._used: set[UUID] = set()
        self._loop: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to note uses."""
        self._loop = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Note what is left to note, and look nothing up any more."""
        await end(self._loop, self._looking)
        await self._note()

    async def verify(self, text: str) -> Principal:
        """Return the principal of a key; raises BadTokenError. ``freshness`` must be fresh."""
        presented = api_keys.read(text)
        if presented is None:
            raise BadTokenError("this is no API key of ours")
        known = self._remembered(presented.id)
        if known is None and not self._is_unknown(presented.id):
            known = await self._look_up(presented.id)
        if known is None or not hmac.compare_digest(known.hash, presented.hash):
            raise BadTokenError("this is no API key of ours")
        if known.fault:
            raise BadTokenError(known.fault)
        if known.expires_at <= time.time():
            raise BadTokenError("the API key has expired")
        if not known.used:
            # Once for each look-up, so about once in ``REMEMBERED_SECONDS``.
            known.used = True
            self._used.add(presented.id)
        return known.principal

    def _remembered(self, key_id: UUID) -> _Known | None:
        known = self._known.get(key_id)
        if known is None:
            return None
        revoked, principal = self._freshness.is_revoked, known.principal
        if known.until <= time.monotonic() or revoked(key_id, known.state) or revoked(principal.id, principal.epoch):
            del self._known[key_id]
            return None
        return known

    def _is_unknown(self, key_id: UUID) -> bool:
        return self._unknown.get(key_id, 0.0) > time.monotonic()

    async def _look_up(self, key_id: UUID) -> _Known | None:
        """Wait for the next look, which begins after now: what it finds is no older than this request."""
        future = self._asked.get(key_id)
        if future is None:
            future = self._asked[key_id] = asyncio.get_running_loop().create_future()
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        # Others may wait for the same key: one that goes away takes nothing from them.
        return await asyncio.shield(future)

    async def _look(self) -> None:
        while self._asked:
            asked = {key_id: self._asked.pop(key_id) for key_id in list(self._asked)[:LOOK_KEYS_MAX]}
            began = time.monotonic()
            try:
                async with self._pool.acquire(timeout=2) as conn:
                    holders = await key_sql.look_up(conn, list(asked))
            except Exception as error:  # noqa: BLE001 - those who wait are told, the next look may succeed
                for future in asked.values():
                    future.set_exception(error)
                continue
            for key_id, future in asked.items():
                holder = holders.get(key_id)
                future.set_result(self._remember(key_id, holder, began + REMEMBERED_SECONDS))

    def _remember(self, key_id: UUID, holder: KeyHolder | None, until: float) -> _Known | None:
        if holder is None:
            self._unknown[key_id] = until
            if len(self._unknown) > REMEMBERED_MAX:
                self._unknown.popitem(last=False)
            return None
        fault = "the API key was revoked" if holder.revoked else ""
        known = self._known[key_id] = _Known(
            hash=holder.hash,
            principal=Principal(holder.account_id, holder.roles, holder.epoch, key_id, holder.scopes),
            expires_at=holder.expires_at.timestamp(),
            state=REVOKED if holder.revoked else REPLACED if holder.replaced else GOOD,
            fault=fault or ("the account is suspended" if holder.suspended else ""),
            until=until,
        )
        if len(self._known) > REMEMBERED_MAX:
            self._known.popitem(last=False)
        return known

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(NOTE_SECONDS)
            await self._note()

    async def _note(self) -> None:
        """Note the uses since the last time; they are worth a try each few seconds, and no request waits for it."""
        if not self._used:
            return
        noted = sorted(self._used)
        try:
            async with self._pool.acquire(timeout=2) as conn:
                await key_sql.note_used(conn, noted)
        except Exception as error:  # noqa: BLE001 - PostgreSQL may be away; they are noted when it is back
            log.warning("key_uses_unnoted", keys=len(noted), error=repr(error))
            return
        self._used.difference_update(noted)
