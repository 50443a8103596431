"""One batch: claim, run and finish in one transaction; a crash is a rollback.

Invariant: a command leaves the queue in the same commit that writes its outcome, parks it or puts it back.
What fails is told apart: a decision that raises parks its command alone; a data error halves the batch, claims
kept, until the culprit is alone; an infrastructure error costs no attempt, but three in a row on one batch make
its commands run alone.
"""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.journal import sql
from domain.journal.declare import Batch, BatchJob
from domain.journal.model import (
    BatchOutcome,
    Claimed,
    Command,
    Deferred,
    Faulted,
    Rejected,
    Succeeded,
)
from domain.journal.tally import sum_of
from domain.limits import Limits
from infra import postgres, telemetry
from infra.clock import new_id
from workers.endings import Ending, ending_of, found_by
from workers.halving import SAVEPOINT, Result, run_by_halves
from workers.meters import Counts, Meter

log = telemetry.logger()

CURSOR_MARGIN = timedelta(milliseconds=250)
"""How far behind its last claim a drainer looks: commits land a little out of order."""
CURSOR_SECONDS = 1.0
INFRASTRUCTURE_FAILURES_MAX = 3
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Cursor:
    """Where a drainer's next claim starts; reset each second, so that a late commit is seen."""

    def __init__(self) -> None:
        self.run_at = EPOCH
        self._reset_at = time.monotonic()

    def start(self) -> datetime:
        """Return the earliest ``run_at`` to look at."""
        if time.monotonic() - self._reset_at > CURSOR_SECONDS:
            self.reset()
        return self.run_at

    def reset(self) -> None:
        """Look from the beginning again."""
        self.run_at = EPOCH
        self._reset_at = time.monotonic()

    def advance(self, run_at: datetime) -> None:
        """Remember how far a claim came."""
        self.run_at = max(self.run_at, run_at - CURSOR_MARGIN)


class Report(Struct, frozen=True):
    """What a batch did: the ids that ended, the jobs to ring for, seconds until the soonest deferred one.

    ``full`` says that it took as many commands as it may, so there are probably more.
    """

    claimed: int
    ended: list[UUID]
    ring: set[type[Command]]
    look_again_seconds: float | None = None
    full: bool = False


class BatchRunner:
    """Runs batches of one job on one connection; remembers failures between them."""

    def __init__(
        self,
        job: BatchJob,
        *,
        limits: Limits,
        commands_max: int,
        rows_max: int,
        attempts_max: int,
        worker: UUID,
        control: Any,
    ) -> None:
        self.job = job
        self._limits = limits
        self._commands_max = min(job.commands_max, commands_max)
        self._rows_max = min(job.rows_max, rows_max)
        self._attempts_max = attempts_max
        self._worker = worker
        self._control = control
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(job.command)
        self._claim = sql.CLAIM_ORDERED if job.command.ordered else sql.CLAIM
        self._held: dict[str, Any] = {}
        self._meter = Meter(job)
        self._failures = 0
        self._failed_ids: frozenset[UUID] = frozenset()

    async def run(self, conn: Any, cursor: Cursor) -> Report:
        """Claim and finish one batch; an empty report means there was nothing to claim.

        Raises on infrastructure errors, after the rollback and its bookkeeping.
        """
        started = time.perf_counter()
        claimed_ids: list[UUID] = []
        try:
            await conn.execute(postgres.BEGIN)
            rows = await self._take(conn, cursor)
            if not rows:
                await conn.execute("COMMIT")
                return Report(claimed=0, ended=[], ring=set())
            claimed_ids = [row["id"] for row in rows]
            report, counts, by = await self._finish(conn, rows)
            await conn.execute("COMMIT")
        except BaseException as error:
            await self._roll_back(conn)
            if isinstance(error, Exception):
                await self._after_failure(conn, claimed_ids, error)
            raise
        self._failures = 0
        cursor.advance(max(row["run_at"] for row in rows))
        seconds = time.perf_counter() - started
        self._meter.batch(len(rows), seconds, counts)
        log.info(
            "batch",
            job=self.job.name,
            claimed=len(rows),
            **counts.outcomes,
            ms=round(seconds * 1000, 2),
            **by,
        )
        return report

    async def _take(self, conn: Any, cursor: Cursor) -> Sequence[Any]:
        name, lane = self.job.name, self.job.lane.value
        start = cursor.start()
        rows: Sequence[Any] = await conn.fetch(self._claim, name, start, self._commands_max, self._rows_max, lane)
        if not rows and start > EPOCH:
            cursor.reset()
            rows = await conn.fetch(self._claim, name, EPOCH, self._commands_max, self._rows_max, lane)
        return rows or await conn.fetch(sql.CLAIM_SOLO, name, lane)

    async def _finish(self, conn: Any, rows: Sequence[Any]) -> tuple[Report, Counts, dict[str, list[str]]]:
        ids = [row["id"] for row in rows]
        note = asyncio.ensure_future(self._note(rows[0]["xid"], ids))
        try:
            attempts = {row["id"]: row["attempts"] for row in rows}
            commands, outcomes = self._decode(await sql.load_claimed(conn, ids), attempts)
            await conn.execute(SAVEPOINT)
        finally:
            # Before the job runs: it may be what kills this process.
            await note
        worn_out = [c for c in commands if c.attempts >= self._attempts_max]
        outcomes += [(c, Faulted(error=f"its process died {c.attempts} times while it ran")) for c in worn_out]
        ready = [c for c in commands if c.attempts < self._attempts_max]
        now = datetime.now(UTC)
        follow_ups: list[Any] = []
        ran: list[Batch[Any]] = []
        if ready:
            settled, follow_ups = await run_by_halves(
                conn, ready, lambda some, lock_first: self._run(conn, some, now, ran, lock_first=lock_first)
            )
            outcomes += settled
        report, counts = await self._record(conn, outcomes, follow_ups)
        counts.tallies = sum_of(ran)
        return report, counts, found_by(claimed for claimed, _ in outcomes)

    async def _note(self, xid: int, ids: list[UUID]) -> None:
        # On another connection, so that the note outlives a crash of this process.
        async with self._control.acquire() as conn:
            await conn.execute(sql.NOTE_RUN, self._worker, self.job.name, xid, ids)

    def _decode(
        self, rows: Sequence[Any], attempts: dict[UUID, int]
    ) -> tuple[list[Claimed[Any]], list[tuple[Claimed[Any], BatchOutcome]]]:
        commands: list[Claimed[Any]] = []
        broken: list[tuple[Claimed[Any], BatchOutcome]] = []
        for row in rows:
            if row["finished"]:
                continue
            try:
                command, error = self._decoder.decode(row["payload"]), ""
            except msgspec.MsgspecError as e:
                command, error = None, f"its payload doesn't decode: {e}"
            claimed = Claimed(
                id=row["id"],
                principal=row["principal"],
                attempts=attempts[row["id"]],
                correlation=row["correlation"],
                created_at=row["created_at"],
                command=command,
                trace=row["trace"],
            )
            if error:
                broken.append((claimed, Faulted(error=error)))
            else:
                commands.append(claimed)
        return commands, broken

    async def _run(
        self,
        conn: Any,
        commands: Sequence[Claimed[Any]],
        now: datetime,
        ran: list[Batch[Any]],
        *,
        lock_first: bool,
    ) -> Result:
        batch = Batch(
            conn, commands, now=now, limits=self._limits, lock_first=lock_first, new_id=new_id, held=self._held
        )
        outcomes = await self.job.run(batch)
        ran.append(batch)
        return outcomes, batch.follow_ups

    async def _record(
        self, conn: Any, outcomes: list[tuple[Claimed[Any], BatchOutcome]], follow_ups: list[Any]
    ) -> tuple[Report, Counts]:
        finished: list[Ending] = []
        parked: list[tuple[UUID, int, int, datetime | None, str]] = []
        deferred: list[tuple[Claimed[Any], float]] = []
        counts = Counts()
        for claimed, outcome in outcomes:
            match outcome:
                case Succeeded() | Rejected():
                    finished.append(ending_of(claimed, outcome))
                    counts.end(outcome)
                case Faulted(error, cause):
                    counts.outcomes["failed"] += 1
                    parked.append((claimed.id, claimed.attempts, 0, None, error))
                    log.error(
                        "parked",
                        job=self.job.name,
                        job_id=str(claimed.id),
                        correlation=claimed.correlation,
                        error=error,
                    )
                    cause = cause or telemetry.ParkedError(error)
                    telemetry.report(cause, job_id=str(claimed.id), job=self.job.name)
                case Deferred(seconds):
                    counts.outcomes["deferred"] += 1
                    deferred.append((claimed, seconds))
        await sql.insert_outcomes(conn, finished)
        await sql.park(conn, self.job.name, parked)
        if deferred:
            await conn.execute(
                sql.PUT_BACK,
                [c.id for c, _ in deferred],
                [seconds for _, seconds in deferred],
                [c.attempts for c, _ in deferred],
                self.job.name,
                [c.command.aggregate() for c, _ in deferred],
                [min(c.command.weight(), 32_767) for c, _ in deferred],
            )
        if follow_ups:
            await sql.insert_commands(conn, follow_ups)
        report = Report(
            claimed=len(outcomes) or 1,
            ended=[row[0] for row in finished] + [row[0] for row in parked],
            ring={type(new.command) for new in follow_ups if not new.delay_seconds},
            look_again_seconds=min((seconds for _, seconds in deferred), default=None),
            full=len(outcomes) >= self._commands_max,
        )
        return report, counts

    async def _roll_back(self, conn: Any) -> None:
        if postgres.is_gone(conn):
            return
        try:
            await asyncio.wait_for(conn.execute("ROLLBACK"), timeout=2)
        except Exception as error:  # noqa: BLE001 - the connection is beyond use, so it goes; the cause is raised by the caller
            log.warning("rollback", job=self.job.name, error=repr(error))
            conn.terminate()

    async def _after_failure(self, conn: Any, ids: list[UUID], error: Exception) -> None:
        if postgres.classify(error) is postgres.Failure.DATA:
            # Nothing in the batch explains it (a job's own failure is settled inside): an operator must see it.
            telemetry.report(error, job=self.job.name)
        if not ids:
            return
        self._meter.failed(len(ids), postgres.classify(error))
        same = frozenset(ids)
        self._failures = self._failures + 1 if same & self._failed_ids else 1
        self._failed_ids = same
        log.warning("batch_failed", job=self.job.name, claimed=len(ids), failures=self._failures, error=repr(error))
        if self._failures >= INFRASTRUCTURE_FAILURES_MAX and not postgres.is_gone(conn):
            # Only now, after the rollback: on a second connection while the batch was open this would hang unseen.
            costs = 1 if postgres.classify(error) is postgres.Failure.DATA else 0
            async with postgres.transaction(conn):
                await conn.execute(sql.MARK_SOLO, ids, costs)
            self._failures = 0
