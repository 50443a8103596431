"""What changed elsewhere a moment ago: tokens that were revoked, things of the catalog that are other ones now.

Invariant: nothing is answered from memory that is older than ``STALE_SECONDS``. A loop looks every quarter of a second
for what committed since its last look; who needs to be sure asks ``ensure``, which looks by itself when the loop is
late, and fails when PostgreSQL does. So a suspension holds in every process within a second of its commit, and so does
an edit of the catalog, without a message that could be lost.

Commits land out of the order of transaction numbers, so each look starts at the lowest transaction that was open at
the one before.
"""

import asyncio
import time
from typing import Any
from uuid import UUID

from domain.operation.reads import LOOK
from infra import telemetry
from infra.tasks import end

log = telemetry.logger()
LOOK_SECONDS = 0.25
STALE_SECONDS = 0.7
"""A look that began longer ago than this isn't believed; with the time it takes itself this stays below a second."""
RELOAD_SECONDS = 600.0
"""How often everything is read anew, which forgets what retention has dropped."""
CHANGES_MAX = 100_000


class Freshness:
    """One process's view of revocations and catalog changes."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._revoked: dict[UUID, int] = {}
        self._changed: dict[UUID, int] = {}
        self._floor = 0
        self.horizon = 0
        """Every transaction below this number has ended, and what it changed is known here."""
        self._looked_at = float("-inf")
        self._doubted_at = float("-inf")
        self._reload_at = float("-inf")
        self._looking: asyncio.Task[None] | None = None
        self._loop: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look."""
        self._loop = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Look no more."""
        await end(self._loop, self._looking)

    async def ensure(self) -> None:
        """Return when what is known here is fresh; raises what PostgreSQL raises when that can't be had."""
        asked_at, doubted_at = time.monotonic(), self._doubted_at
        # A look that is under way may have begun too early to see what is doubted.
        while self._looked_at < doubted_at or self._looked_at < asked_at - STALE_SECONDS:
            await asyncio.shield(self._look_once())

    def doubt(self) -> None:
        """Believe nothing that was known so far: something was changed here a moment ago."""
        self._doubted_at = time.monotonic()

    def is_revoked(self, subject: UUID, epoch: int) -> bool:
        """Whether what was made for a subject at an epoch is no longer good."""
        return self._revoked.get(subject, 0) > epoch

    def is_unchanged(self, horizon: int, things: tuple[UUID, ...]) -> bool:
        """Whether a read of these things still holds that began when every transaction below ``horizon`` had ended."""
        if horizon < self._floor:
            return False
        changed = self._changed
        return all(changed.get(thing, 0) < horizon for thing in things)

    def number_of(self, thing: UUID) -> int:
        """The number of a thing's last change, as far as it is remembered; 0 for one that is long past."""
        return self._changed.get(thing, 0)

    def _look_once(self) -> "asyncio.Task[None]":
        """The look that is under way, or a new one: who waits together waits for one."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        return self._looking

    async def _look(self) -> None:
        began = time.monotonic()
        whole = began >= self._reload_at
        async with self._pool.acquire(timeout=2) as conn:
            rows = await conn.fetch(LOOK, "0" if whole else str(self.horizon), timeout=2)
        if whole:
            self._revoked.clear()
            self._changed.clear()
            self._reload_at = began + RELOAD_SECONDS
        for row in rows:
            match row["kind"]:
                case "revoked":
                    self._revoked[row["thing"]] = row["number"]
                case "changed":
                    self._changed[row["thing"]] = row["number"]
                case _:
                    horizon = row["number"]
        if len(self._changed) > CHANGES_MAX:
            # Many changed at once: nothing that was read before this look is believed any more.
            self._changed.clear()
            self._floor = horizon
        self.horizon = horizon
        self._looked_at = began

    async def _run(self) -> None:
        while True:
            try:
                await asyncio.shield(self._look_once())
            except Exception as error:  # noqa: BLE001 - PostgreSQL may be away; who asks meanwhile is told so
                log.warning("freshness_unknown", error=repr(error))
            await asyncio.sleep(LOOK_SECONDS)
