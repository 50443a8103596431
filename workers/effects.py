"""Effects: prepared, tried under a lease outside any transaction, settled and recorded once.

Invariant: only the holder of the lease records what happened. A holder that died leaves its rows to come due
again when the lease ends, and a holder that was too slow finds its token gone and records nothing.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct, field

from domain.journal import sql
from domain.journal.declare import Attempt, Batch, EffectJob, PrepareFunction
from domain.journal.model import (
    Answered,
    Claimed,
    Command,
    Deferred,
    EffectOutcome,
    Faulted,
    NewCommand,
    PutOff,
    Ready,
    Rejected,
    Succeeded,
    TryAgain,
)
from domain.journal.tally import sum_of
from domain.limits import Limits
from infra import postgres, telemetry, trace_context
from infra.clock import new_id
from workers.endings import Ending, ending_of
from workers.halving import SAVEPOINT, Result, Run, run_by_halves
from workers.meters import Counts, Meter, answer_of

log = telemetry.logger()

LOOK_SECONDS = 1.0
BACKOFF_SECONDS = 1.0
BACKOFF_SECONDS_MAX = 3_600.0


def backoff(attempts: int, spread: float) -> float:
    """Seconds until the next try: doubling from one second to an hour; ``spread`` (0 to 1) takes off up to half."""
    return float(min(BACKOFF_SECONDS_MAX, BACKOFF_SECONDS * 2 ** min(attempts - 1, 20)) * (1 - spread / 2))


class Leased(Struct, frozen=True):
    """A row an effect holds: the claimed command, where its tries stand, and what its preparation gave."""

    claimed: Claimed[Any]
    generation: int
    first_tried_at: datetime
    now: datetime
    given: Any = None


class Report(Struct, frozen=True):
    """The ids that ended, the jobs to ring for, and what is to be counted once it is committed."""

    ended: list[UUID]
    ring: set[type[Command]]
    counts: Counts = field(default_factory=Counts)


class EffectRunner:
    """Runs the effects of one job, up to its concurrency at a time."""

    def __init__(self, job: EffectJob, *, limits: Limits | None = None, commands_max: int = 10_000) -> None:
        self.job = job
        self.commands_max = commands_max
        self._limits = limits or Limits()
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(job.command)
        self._held: dict[str, Any] = {}
        self._meter = Meter(job)

    async def claim(self, conn: Any, lease: UUID, room: int) -> tuple[list[Leased], Report]:
        """Lease up to ``room`` due commands and prepare them; what ends there already is in the report.

        Those that used up their tries, or don't decode, are parked.
        """
        job = self.job
        async with postgres.transaction(conn):
            rows = await conn.fetch(
                sql.CLAIM_EFFECTS,
                job.name,
                min(room, self.commands_max),
                job.lease_seconds,
                job.lane.value,
                lease,
                job.prepare is not None,
            )
            if not rows:
                return [], Report([], set())
            held, gone, broken = self._decode(
                {row["id"]: row for row in rows}, await sql.load_claimed(conn, [row["id"] for row in rows])
            )
            if gone:
                await conn.fetch(sql.RELEASE_LEASES, gone, lease)
            parked = await self._park(await self._release(conn, broken, lease), conn, broken)
            report = Report(parked, set())
            if job.prepare is not None and held:
                held, report = await self._prepare(conn, lease, held, job.prepare)
                report.ended.extend(parked)
            report.counts.outcomes["failed"] += len(parked)
        self._meter.ended(report.counts)
        return held, report

    def _decode(
        self, leases: Mapping[UUID, Any], rows: Sequence[Any]
    ) -> tuple[list[Leased], list[UUID], dict[UUID, Faulted]]:
        held: list[Leased] = []
        gone: list[UUID] = []
        broken: dict[UUID, Faulted] = {}
        for row in rows:
            state = leases[row["id"]]
            if row["finished"]:
                gone.append(row["id"])
                continue
            try:
                command = self._decoder.decode(row["payload"])
            except msgspec.MsgspecError as error:
                broken[row["id"]] = Faulted(f"its payload doesn't decode: {error}")
                continue
            if state["attempts"] > self.job.attempts_max:
                broken[row["id"]] = Faulted(f"gave no answer in {state['attempts'] - 1} tries")
                continue
            claimed = Claimed(
                id=row["id"],
                principal=row["principal"],
                attempts=state["attempts"],
                correlation=row["correlation"],
                created_at=row["created_at"],
                command=command,
                trace=row["trace"],
            )
            held.append(Leased(claimed, state["generation"], state["first_tried_at"], state["now"]))
        return held, gone, broken

    async def _prepare(
        self, conn: Any, lease: UUID, held: list[Leased], prepare: PrepareFunction
    ) -> tuple[list[Leased], Report]:
        leases = {leased.claimed.id: leased for leased in held}
        await conn.execute(SAVEPOINT)
        ran: list[Batch[Any]] = []
        settled, follow_ups = await run_by_halves(
            conn, [leased.claimed for leased in held], self._running(conn, prepare, ran)
        )
        ready: list[Leased] = []
        others: list[tuple[Claimed[Any], Any]] = []
        for claimed, outcome in settled:
            match outcome:
                case Ready(given):
                    ready.append(msgspec.structs.replace(leases[claimed.id], given=given))
                case _:
                    others.append((claimed, outcome))
        report = await self._write(conn, lease, others, follow_ups)
        report.counts.tallies = sum_of(ran)
        return ready, report

    def _running(
        self, conn: Any, run: Callable[[Batch[Any]], Awaitable[Sequence[Any]]], ran: list[Batch[Any]]
    ) -> Run[Claimed[Any]]:
        async def run_some(commands: Sequence[Claimed[Any]], lock_first: bool) -> Result:  # noqa: FBT001 - Run's signature
            batch: Batch[Any] = Batch(
                conn,
                commands,
                now=datetime.now(UTC),
                limits=self._limits,
                lock_first=lock_first,
                new_id=new_id,
                held=self._held,
            )
            outcomes = await run(batch)
            ran.append(batch)
            return outcomes, batch.follow_ups

        return run_some

    async def attempt(self, leased: Leased) -> EffectOutcome:
        """Try once, with a deadline under half the lease; an exception or the deadline means: try again."""
        started = time.perf_counter()
        outcome = await self._try(leased)
        seconds = time.perf_counter() - started
        self._meter.tried(outcome, seconds)
        self._say(leased.claimed, outcome, seconds)
        return outcome

    def _say(self, claimed: Claimed[Any], outcome: EffectOutcome, seconds: float) -> None:
        """One line for each try."""
        trace = {} if claimed.trace is None else {"trace": trace_context.id_of(claimed.trace)}
        why = {"error": outcome.error} if isinstance(outcome, TryAgain | PutOff) else {}
        log.info(
            "effect",
            job=self.job.name,
            job_id=str(claimed.id),
            attempt=claimed.attempts,
            answer=answer_of(outcome),
            ms=round(seconds * 1000, 2),
            correlation=claimed.correlation,
            **trace,
            **why,
        )

    async def _try(self, leased: Leased) -> EffectOutcome:
        attempt = Attempt(
            leased.claimed,
            generation=leased.generation,
            waited_seconds=(leased.now - leased.first_tried_at).total_seconds(),
            deadline_seconds=self.job.deadline_seconds,
            given=leased.given,
        )
        try:
            async with asyncio.timeout(self.job.deadline_seconds):
                return await self.job.run(attempt)
        except TimeoutError:
            return TryAgain(error=f"no answer within {self.job.deadline_seconds:g} s")
        except Exception as error:  # noqa: BLE001 - whatever an effect raises, its answer is unknown: try again, on record
            telemetry.report(error, job_id=str(leased.claimed.id), job=self.job.name)
            return TryAgain(error=f"{type(error).__name__}: {error}"[:2000])

    async def record(self, conn: Any, lease: UUID, done: list[tuple[Leased, EffectOutcome]]) -> Report:
        """Write what happened to each, fenced by the lease, with what its answer means."""
        answers = {leased.claimed.id: outcome.answer for leased, outcome in done if isinstance(outcome, Answered)}
        if answers and self.job.settle is None:
            raise TypeError(f"{self.job.name} returns Answered, but has nothing to settle it with")
        others: list[tuple[Claimed[Any], Any]] = [
            (leased.claimed, self._worn_out(leased.claimed, outcome))
            for leased, outcome in done
            if not isinstance(outcome, Answered)
        ]
        async with postgres.transaction(conn):
            released = await self._release(conn, answers, lease)
            answered = [leased.claimed for leased, _ in done if leased.claimed.id in released]
            follow_ups: list[NewCommand] = []
            settle, ran = self.job.settle, list[Batch[Any]]()
            if answered and settle is not None:
                await conn.execute(SAVEPOINT)
                settled, follow_ups = await run_by_halves(
                    conn,
                    answered,
                    self._running(
                        conn, lambda batch: settle(batch, {c.id: answers[c.id] for c in batch.commands}), ran
                    ),
                )
                others += settled
            report = await self._write(conn, lease, others, follow_ups, released)
            report.counts.tallies = sum_of(ran)
        self._meter.ended(report.counts)
        return report

    def _worn_out(self, claimed: Claimed[Any], outcome: EffectOutcome) -> EffectOutcome | Faulted:
        if isinstance(outcome, TryAgain) and claimed.attempts >= self.job.attempts_max:
            return Faulted(outcome.error)
        return outcome

    async def _write(
        self,
        conn: Any,
        lease: UUID,
        outcomes: Sequence[tuple[Claimed[Any], Any]],
        follow_ups: Sequence[NewCommand],
        released: Mapping[UUID, Any] | None = None,
    ) -> Report:
        """Write outcomes; ``released`` are the rows that have left the queue already."""
        final = [c.id for c, outcome in outcomes if isinstance(outcome, Succeeded | Rejected | Faulted)]
        known = released or {}
        left = {**known, **await self._release(conn, [i for i in final if i not in known], lease)}
        finished: list[Ending] = []
        faults: dict[UUID, Faulted] = {}
        counts = Counts()
        for claimed, outcome in outcomes:
            match outcome:
                case Succeeded() | Rejected():
                    # Whose lease is gone, another one records.
                    if claimed.id in left:
                        finished.append(ending_of(claimed, outcome))
                        counts.end(outcome)
                case Faulted():
                    faults[claimed.id] = outcome
                # One statement for each that isn't over: they are the exception, and each has its own delay.
                case TryAgain(error, definite, after):
                    wait = backoff(claimed.attempts, random.random()) if after is None else after  # noqa: S311 - jitter
                    await conn.execute(sql.RETRY_EFFECT, claimed.id, lease, wait, error, definite)
                    counts.retries += 1
                case PutOff(error, after):
                    await conn.execute(sql.PUT_EFFECT_OFF, claimed.id, lease, after, error, None)
                case Deferred(seconds):
                    # Of a preparation: it hasn't begun, so whoever would wait for it waits.
                    again = claimed.command.aggregate()
                    await conn.execute(sql.PUT_EFFECT_OFF, claimed.id, lease, seconds, None, again)
                    counts.outcomes["deferred"] += 1
                case _:
                    raise TypeError(f"{self.job.name} ended in {type(outcome).__name__}, which no effect ends in")
        await sql.insert_outcomes(conn, finished)
        parked = await self._park({i: row for i, row in left.items() if i in faults}, conn, faults)
        counts.outcomes["failed"] += len(parked)
        if follow_ups:
            await sql.insert_commands(conn, follow_ups)
        return Report(
            [row[0] for row in finished] + parked,
            {type(new.command) for new in follow_ups if not new.delay_seconds},
            counts,
        )

    async def _release(self, conn: Any, ids: Collection[UUID], lease: UUID) -> dict[UUID, Any]:
        """Take rows that are still held off the queue."""
        if not ids:
            return {}
        return {row["id"]: row for row in await conn.fetch(sql.RELEASE_LEASES, list(ids), lease)}

    async def _park(self, rows: Mapping[UUID, Any], conn: Any, faults: Mapping[UUID, Faulted]) -> list[UUID]:
        await sql.park(
            conn,
            self.job.name,
            [(i, r["attempts"], r["generation"], r["first_tried_at"], faults[i].error) for i, r in rows.items()],
        )
        for command_id in rows:
            fault = faults[command_id]
            log.error("parked", job=self.job.name, job_id=str(command_id), error=fault.error)
            cause = fault.cause or telemetry.ParkedError(fault.error)
            telemetry.report(cause, job_id=str(command_id), job=self.job.name)
        return list(rows)


async def drain(
    runner: EffectRunner,
    pool: Any,
    *,
    stopping: asyncio.Event,
    tell: Callable[[Report], None],
    heard: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Run due effects until there are none, or the worker stops; tries in hand are always finished and recorded.

    While a slow one is under way, others are claimed as they come due: each second, and as soon as ``heard`` returns,
    which waits for a bell. ``tell`` hears what has ended as it does.
    """
    lease = new_id()
    running: dict[asyncio.Task[EffectOutcome], Leased] = {}
    bell: asyncio.Future[None] | None = None
    look = True
    try:
        while True:
            room = runner.job.concurrency - len(running)
            if look and room > 0 and not stopping.is_set():
                async with pool.acquire() as conn:
                    held, report = await runner.claim(conn, lease, room)
                look = bool(held or report.ended)
                tell(report)
                running.update({asyncio.create_task(runner.attempt(leased)): leased for leased in held})
            if not running:
                if look and not stopping.is_set():
                    continue
                return
            if bell is None and heard is not None:
                bell = asyncio.ensure_future(heard())
            waited: set[asyncio.Future[Any]] = {*running} if bell is None else {*running, bell}
            finished, _ = await asyncio.wait(waited, timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            rung = bell in finished
            look = look or rung or not finished
            bell = None if rung else bell
            outcomes = [(running.pop(task), task.result()) for task in list(running) if task.done()]
            if outcomes:
                async with pool.acquire() as conn:
                    for start in range(0, len(outcomes), runner.commands_max):
                        tell(await runner.record(conn, lease, outcomes[start : start + runner.commands_max]))
    finally:
        if bell is not None:
            bell.cancel()
