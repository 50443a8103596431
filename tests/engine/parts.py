"""The engine's parts on a test's own database: jobs that do what a test says, and runners for them."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar
from uuid import UUID

from domain.journal.declare import Batch, BatchJob, EffectJob
from domain.journal.model import Command, Lane, Succeeded
from infra import postgres
from infra.clock import new_id
from infra.settings import Settings
from workers import effects
from workers.batches import BatchRunner, Cursor, Report
from workers.effects import EffectRunner

# What the test jobs write. A text "bad" is refused by a CHECK, the same text twice by the unique key.
WRITTEN = """
CREATE TABLE written (id uuid NOT NULL, text text NOT NULL UNIQUE CHECK (text <> 'bad'), batch int NOT NULL DEFAULT 0)
"""


class Note(Command, frozen=True):
    """Write a text down."""

    job: ClassVar[str] = "test_notes"
    lane: ClassVar[Lane] = Lane.ORDERS

    text: str = ""
    size: int = 1

    def weight(self) -> int:
        return self.size


class Step(Command, frozen=True):
    """One of several things that happen to something, in order."""

    job: ClassVar[str] = "test_steps"
    lane: ClassVar[Lane] = Lane.ORDERS
    ordered: ClassVar[bool] = True

    thing: UUID
    text: str = ""

    def aggregate(self) -> UUID:
        return self.thing


class Call(Command, frozen=True):
    """Call somebody outside."""

    job: ClassVar[str] = "test_calls"
    lane: ClassVar[Lane] = Lane.IO

    text: str = ""
    thing: UUID | None = None

    def aggregate(self) -> UUID | None:
        return self.thing


Run = Callable[[Batch[Any]], Awaitable[Sequence[Any]]]


async def write_texts(batch: Batch[Any]) -> list[Succeeded]:
    """Write the text of each command: what most test jobs do."""
    await batch.conn.copy_records_to_table(
        "written", records=[(c.id, c.command.text) for c in batch.commands], columns=("id", "text")
    )
    return [Succeeded({"text": c.command.text}) for c in batch.commands]


def batch_job(run: Run, command: type[Command] = Note, *, commands_max: int = 500, rows_max: int = 8_000) -> BatchJob:
    """A job that isn't registered: each test has its own."""
    return BatchJob(command=command, run=run, commands_max=commands_max, rows_max=rows_max)


def effect_job(run: Any, command: type[Command] = Call, **options: Any) -> EffectJob:
    """An effect that isn't registered, with short limits unless said otherwise."""
    given = {
        "lease_seconds": 10.0,
        "attempts_max": 5,
        "concurrency": 8,
        **options,
    }
    return EffectJob(command=command, run=run, **given)


class Rig:
    """A worker's pools, and what a worker does with them, one step at a time."""

    def __init__(self, settings: Settings, pool: Any, control: Any, conn: Any) -> None:
        self.settings = settings
        self.pool = pool
        self.control = control
        self.conn = conn

    def runner(
        self, job: BatchJob | Run, command: type[Command] = Note, *, attempts_max: int = 3, worker: UUID | None = None
    ) -> BatchRunner:
        """A runner of a job, or of a function that is made one."""
        return BatchRunner(
            job if isinstance(job, BatchJob) else batch_job(job, command),
            limits=self.settings.limits(),
            commands_max=self.settings.worker_batch_commands_max,
            rows_max=self.settings.worker_batch_rows_max,
            attempts_max=attempts_max,
            worker=worker or new_id(),
            control=self.control,
        )

    async def run(self, runner: BatchRunner, cursor: Cursor | None = None) -> Report:
        """Run one batch."""
        async with self.pool.acquire() as conn:
            return await runner.run(conn, cursor or Cursor())

    async def drain(self, runner: BatchRunner) -> list[Report]:
        """Run batches until nothing is claimed."""
        reports = []
        while (report := await self.run(runner)).claimed:
            reports.append(report)
        return reports

    async def statuses(self, ids: Sequence[UUID]) -> list[str]:
        """Where commands stand, in the order given: pending, failed, or how they ended."""
        rows = await self.pool.fetch(
            "SELECT coalesce(o.status, CASE WHEN k.id IS NOT NULL THEN 'failed' END,"
            " CASE WHEN p.id IS NOT NULL THEN 'pending' END, 'lost') AS status"
            " FROM unnest($1::uuid[]) WITH ORDINALITY AS t (id, n) LEFT JOIN outcomes o ON o.id = t.id"
            " LEFT JOIN parked k ON k.id = t.id LEFT JOIN pending p ON p.id = t.id ORDER BY n",
            ids,
        )
        return [row["status"] for row in rows]

    async def pending(self, command_id: UUID) -> Any:
        """A command's row in the queue, or None."""
        return await self.conn.fetchrow("SELECT * FROM pending WHERE id = $1", command_id)

    async def texts(self) -> list[str]:
        """What the jobs wrote."""
        return [row["text"] for row in await self.conn.fetch("SELECT text FROM written ORDER BY text")]


@asynccontextmanager
async def rig_of(settings: Settings, conn: Any) -> AsyncIterator[Rig]:
    """Open a worker's pools; close them whatever happens."""
    pool = await postgres.create_pool(settings, size=6, name="test")
    control = await postgres.create_pool(settings, size=2, name="test-control")
    try:
        yield Rig(settings, pool, control, conn)
    finally:
        pool.terminate()
        control.terminate()


async def run_due(rig: Rig, runner: EffectRunner, seconds: float = 30.0) -> list[UUID]:
    """Drain an effect's due commands, as the engine does."""
    ended: list[UUID] = []
    stopping = asyncio.Event()
    stop = asyncio.get_running_loop().call_later(seconds, stopping.set)
    await effects.drain(runner, rig.pool, stopping=stopping, tell=lambda report: ended.extend(report.ended))
    stop.cancel()
    return ended


async def due_now(rig: Rig) -> None:
    """Let the time pass that queued commands wait for."""
    await rig.conn.execute("UPDATE pending SET run_at = now() - interval '1 second'")


async def until(condition: Callable[[], Awaitable[Any]], seconds: float = 10.0) -> Any:
    """Wait until an awaited condition is truthy and return it; fail when it isn't by the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        value = await condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {condition}")
        await asyncio.sleep(0.01)


async def until_blocked(conn: Any, statement: str) -> int:
    """Wait until some backend waits for a lock in a statement that contains a text; return its pid."""

    async def blocked() -> Any:
        return await conn.fetchval(
            "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND position($1 IN query) > 0"
            " AND datname = current_database() AND pid <> pg_backend_pid()",
            statement,
        )

    return int(await until(blocked))


async def written_tables(conn: Any, pid: int) -> set[str]:
    """The tables a backend has written to in its open transaction."""
    rows = await conn.fetch(
        "SELECT c.relname FROM pg_locks l JOIN pg_class c ON c.oid = l.relation"
        " WHERE l.pid = $1 AND l.mode = 'RowExclusiveLock' AND c.relkind IN ('r', 'p')",
        pid,
    )
    return {row["relname"] for row in rows}
