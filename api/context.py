"""What every handler may use: pools, the accept loop, waiters, settings.

One object per api process, made at start-up and kept in Litestar's state.
"""

import asyncio
from typing import Any
from uuid import UUID

import msgspec
from litestar import Request
from litestar.datastructures import State
from msgspec import Struct

from api.accept import Accept
from api.freshness import Freshness
from api.kept import KeptReads
from api.known_keys import KnownKeys
from api.rates import Rates
from api.tail import Tail
from api.waiters import Waiters
from domain.pricing.book import empty_book
from infra import exposition, postgres, telemetry
from infra.broker import Doorbell
from infra.carriers.registry import carriers_of
from infra.encryption import Sealer
from infra.figures import Figures
from infra.gateways.registry import gateways_of
from infra.passwords import Passwords
from infra.recent import Recent
from infra.security import Tokens
from infra.settings import Settings

log = telemetry.logger()
encode = msgspec.json.Encoder().encode
ORDERS_REMEMBERED = 20_000
RING_PAUSE_SECONDS = 0.005


FIELDS = "fields"
"""Where a request's scope keeps its header fields, by name; of a field sent twice, the last one."""
CORRELATION = "correlation"
"""Where a request's scope keeps its correlation id; empty until it is known."""


TRACE = "trace"
"""Where a request's scope keeps the ``traceparent`` it came with; None without a well-formed one."""


HELD = "held"
"""Where a request's scope keeps the transaction it works in, when it came with an Idempotency-Key (``api.once``)."""


class Held(Struct, frozen=True):
    """A transaction that commits what a handler writes together with its answer, and the bells to ring then."""

    conn: Any
    bells: set[tuple[str, str]]


def field(request: Request[Any, Any, Any], name: bytes) -> str | None:
    """A header field by its name in lower case. Litestar's own headers cost each request a copy in another form."""
    scope: Any = request.scope
    value = scope[FIELDS].get(name)
    return None if value is None else value.decode("latin-1")


class Edge:
    """The api process's side of the engine."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.limits = settings.limits()
        self.sealer = Sealer(settings.encryption_secrets())
        self.tokens = Tokens(settings.secret_key, settings.signing_keys_file)
        self.doorbell = Doorbell(settings.redis_url)
        self.passwords = Passwords()
        self.rates = Rates(settings)
        self.gateways = gateways_of(settings)
        self.carriers = carriers_of(settings)
        self.buyers: Recent[UUID, UUID] = Recent(ORDERS_REMEMBERED)
        self.seller_orders: Recent[UUID, tuple[UUID, int, UUID]] = Recent(ORDERS_REMEMBERED)
        """Whose the orders are that were lately sent here: whoever pays one next needs no look-up. It never changes."""
        self.ready = False
        self._ringing: set[str] = set()
        self._again: set[str] = set()
        self._silent = False
        self.book = empty_book()
        """The rules that quotes are made by, as they were when one was last made."""
        self.pool: Any = None
        self.accept: Accept
        self.waiters: Waiters
        self.tail: Tail
        self.freshness: Freshness
        self.kept: KeptReads
        self.api_keys: KnownKeys
        self.teller: exposition.Teller

    async def start(self) -> None:
        """Open the pool and start the loops."""
        settings = self.settings
        self.pool = await postgres.create_pool(settings, size=settings.api_connections_max, name="api")
        self.accept = Accept(
            self.pool,
            buffer_max=settings.accept_buffer_max,
            group_max=settings.accept_batch_max,
            ring=self.ring,
        )
        self.tail = Tail(self.pool)
        self.waiters = Waiters(self.pool, settings.redis_url, self.tail.wake)
        self.freshness = Freshness(self.pool)
        self.kept = KeptReads(self.pool, self.freshness, settings.redis_url)
        self.api_keys = KnownKeys(self.pool, self.freshness)
        figures = Figures(self.pool, self.doorbell)
        self.teller = exposition.Teller(exposition.registry_of(figures), figures.look)
        self.accept.start()
        self.waiters.start()
        self.tail.start()
        self.freshness.start()
        self.api_keys.start()
        self.rates.start()
        self.ready = True

    def leave(self) -> None:
        """Be no longer ready, and answer who waits; what was accepted is still written."""
        self.ready = False
        self.waiters.release()
        self.tail.release()

    async def stop(self) -> None:
        """Answer who waits, write what is buffered, close."""
        self.ready = False
        await self.waiters.stop()
        await self.tail.stop()
        await self.accept.stop()
        await self.api_keys.stop()
        await self.freshness.stop()
        await self.rates.stop()
        await self.kept.close()
        self._silent = True
        self.doorbell.close()
        self.passwords.close()
        await asyncio.wait_for(self.pool.close(), timeout=5)

    def ring(self, jobs: set[tuple[str, str]]) -> None:
        """Ring for jobs without waiting: at once after silence, else with one bell for all that came meanwhile."""
        for job, lane in jobs:
            if job in self._ringing:
                self._again.add(job)
            else:
                self._ringing.add(job)
                self._ring(job, lane)

    def _ring(self, job: str, lane: str) -> None:
        if self._silent:
            # A bell that was to follow another: nobody is there to ring it now, and workers look by themselves.
            return
        loop = asyncio.get_running_loop()
        rung = self.doorbell.soon(self.doorbell.ring, job, lane)
        rung.add_done_callback(lambda _: loop.call_soon_threadsafe(self._rung, job, lane))

    def _rung(self, job: str, lane: str) -> None:
        if job not in self._again:
            self._ringing.discard(job)
            return
        # Under load a bell for each group would wake a worker that is busy with the last one.
        self._again.discard(job)
        asyncio.get_running_loop().call_later(RING_PAUSE_SECONDS, self._ring, job, lane)


def edge_of(state: State) -> Edge:
    """The process's edge."""
    edge: Edge = state.edge
    return edge
