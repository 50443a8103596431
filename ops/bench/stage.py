"""Where scenarios play: one temporary stack, and for each scenario a fresh database and fresh processes.

A fresh database is a copy of a template that holds the assortment, vacuumed and analysed, and a checkpoint is made
before any load: so no scenario pays for the dead rows, the caches or the unwritten pages of the one before it.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import asyncpg
import redis

from domain.journal.model import Lane
from infra.migrate import migrate
from ops.bench.model import Sizes
from ops.bench.orders import Assortment, assortment, draw_buyers, write_assortment
from ops.bench.probe import Probe
from ops.processes import CORE_LANES, Fleet
from ops.stack import EmbeddedStack, Supervisor
from ops.temporary import DEFAULTS, temporary_folder

TEMPLATE = "bench_template"


class Scene:
    """A fresh database and the processes started on it. ``conn`` is the bench's own connection to it."""

    def __init__(self, stack: EmbeddedStack, fleet: Fleet, url: str, conn: Any) -> None:
        self.database_url = url
        self.fleet = fleet
        self.conn = conn
        self._stack = stack
        self._roles: dict[str, list[str]] = {}

    async def start_web(self) -> str:
        """Start an api process; return its base URL."""
        self._roles.setdefault("api", []).append("web")
        return await asyncio.to_thread(self.fleet.web)

    async def start_workers(self, count: int = 1, env: Mapping[str, str] | None = None) -> None:
        """Start worker processes for the core lanes."""
        await asyncio.gather(*(self._start_worker(f"worker-{number}", CORE_LANES, env) for number in range(count)))

    async def start_io_worker(self, env: Mapping[str, str] | None = None) -> None:
        """Start a worker process for what talks to the outside world."""
        await self._start_worker("worker-io", Lane.IO.value, env)

    async def _start_worker(self, name: str, lanes: str, env: Mapping[str, str] | None) -> None:
        await asyncio.to_thread(lambda: self.fleet.worker(name, lanes=lanes, **(env or {})))
        self._roles.setdefault("worker", []).append(name)

    async def start_scheduler(self) -> None:
        """Start the scheduler, as in production."""
        await asyncio.to_thread(self.fleet.scheduler)
        self._roles.setdefault("scheduler", []).append("scheduler")

    async def start_other(self, role: str, module: str, ready: str, *, port: int = 0, **env: str) -> None:
        """Start a process that isn't one of Ordermill's and wait until its log says ``ready``."""
        await asyncio.to_thread(lambda: self.fleet.start(role, module, ready, HTTP_PORT=str(port), **env))
        self._roles.setdefault(role, []).append(role)

    async def calm(self) -> None:
        """Write out what earlier work left in the caches, so that no checkpoint of it falls into a measurement."""
        await self.conn.execute("CHECKPOINT")

    def probe(self) -> Probe:
        """Look at the processes of this scene and at the servers."""
        servers = self._stack.supervisor.pids()
        roots = {role: [self.fleet.pid(name) for name in names] for role, names in self._roles.items()}
        return Probe({**roots, "postgres": [servers["postgres"]], "valkey": [servers["valkey"]]})


class Stage:
    """The stack of a run, its assortment and its buyers' tokens."""

    def __init__(self, stack: EmbeddedStack, sizes: Sizes) -> None:
        self.stack = stack
        self.sizes = sizes
        self.goods: Assortment = assortment(sizes.offers, sizes.sellers)
        self.tokens = draw_buyers(stack.secret_key, sizes.buyers)
        self._scenes = 0

    async def prepare(self) -> None:
        """Make the template: migrated, stocked, vacuumed."""
        await self._administer(f"CREATE DATABASE {TEMPLATE}")
        url = self.url_of(TEMPLATE)
        await migrate(url)
        conn = await asyncpg.connect(url)
        try:
            await write_assortment(conn, self.goods)
            await conn.execute("VACUUM ANALYZE")
        finally:
            await conn.close()

    def url_of(self, database: str) -> str:
        """The address of a database of the stack."""
        return self.stack.urls.database_url.replace("/ordermill?", f"/{database}?")

    @asynccontextmanager
    async def scene(self, name: str, *, stocked: bool = True) -> AsyncIterator[Scene]:
        """Open a fresh database, with the assortment or empty; its processes end and it goes when the body ends."""
        self._scenes += 1
        database = f"bench_{self._scenes}_{name}"
        await self._administer(
            f"CREATE DATABASE {database} TEMPLATE {TEMPLATE if stocked else 'template1'} STRATEGY file_copy"
        )
        if not stocked:
            await migrate(self.url_of(database))
        with redis.Redis.from_url(self.stack.urls.redis_url) as client:
            client.flushall()
        supervisor = Supervisor()
        env = {
            **DEFAULTS,
            "DATABASE_URL": self.url_of(database),
            "REDIS_URL": self.stack.urls.redis_url,
            "SECRET_KEY": self.stack.secret_key,
            "SANDBOX_WEBHOOK_SECRET": self.stack.sandbox_webhook_secret,
        }
        try:
            fleet = Fleet(supervisor, logs=self.stack.data / "logs" / database, env=env)
            conn = await asyncpg.connect(self.url_of(database))
            try:
                yield Scene(self.stack, fleet, self.url_of(database), conn)
            finally:
                await conn.close()
        finally:
            # All at once: each takes a second or so to end, and they don't need each other for it.
            await asyncio.gather(*(asyncio.to_thread(supervisor.remove, name) for name in supervisor.pids()))
            await asyncio.to_thread(supervisor.stop)
            # Without FORCE: that may not end an autovacuum worker, which PostgreSQL itself sends away otherwise.
            await self._administer(f"DROP DATABASE {database}")

    async def _administer(self, statement: str) -> None:
        connection = await asyncpg.connect(self.url_of("postgres"))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


@contextmanager
def temporary_stack() -> Iterator[EmbeddedStack]:
    """Run PostgreSQL and Valkey in a folder that goes when the body ends."""
    with temporary_folder() as folder, EmbeddedStack(folder / "data") as stack:
        yield stack
