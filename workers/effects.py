"""Effects: one try each, under a lease, outside any transaction; recorded once.

Invariant: only the holder of the lease records what happened. A holder that died leaves its rows to come due
again when the lease ends, and a holder that was too slow finds its token gone and records nothing.
"""

import asyncio
import random
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.journal import sql
from domain.journal.declare import Attempt, EffectJob
from domain.journal.model import Claimed, EffectOutcome, Rejected, Succeeded, TryAgain
from infra import postgres, telemetry
from infra.clock import new_id
from workers.endings import Ending, ending_of

log = telemetry.logger()

BACKOFF_SECONDS = 1.0
BACKOFF_SECONDS_MAX = 3_600.0


def backoff(attempts: int, spread: float) -> float:
    """Seconds until the next try: doubling from one second to an hour; ``spread`` (0 to 1) takes off up to half."""
    return float(min(BACKOFF_SECONDS_MAX, BACKOFF_SECONDS * 2 ** min(attempts - 1, 20)) * (1 - spread / 2))


class Leased(Struct, frozen=True):
    """A row an effect holds: the claimed command and where its tries stand."""

    claimed: Claimed[Any]
    generation: int
    first_tried_at: datetime
    now: datetime


class EffectRunner:
    """Runs the effects of one job, up to its concurrency at a time."""

    def __init__(self, job: EffectJob) -> None:
        self.job = job
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(job.command)

    async def claim(self, conn: Any, lease: UUID, room: int) -> list[Leased]:
        """Lease up to ``room`` due commands; those that used up their tries, or don't decode, are parked."""
        async with postgres.transaction(conn):
            rows = await conn.fetch(
                sql.CLAIM_EFFECTS, self.job.name, room, self.job.lease_seconds, self.job.lane.value, lease
            )
            if not rows:
                return []
            leases = {row["id"]: row for row in rows}
            held: list[Leased] = []
            gone: list[UUID] = []
            broken: list[tuple[UUID, str]] = []
            for row in await sql.load_claimed(conn, list(leases)):
                state = leases[row["id"]]
                if row["finished"]:
                    gone.append(row["id"])
                    continue
                try:
                    command = self._decoder.decode(row["payload"])
                except msgspec.MsgspecError as error:
                    broken.append((row["id"], f"its payload doesn't decode: {error}"))
                    continue
                if state["attempts"] > self.job.attempts_max:
                    broken.append((row["id"], f"gave no answer in {state['attempts'] - 1} tries"))
                    continue
                claimed = Claimed(
                    id=row["id"],
                    principal=row["principal"],
                    attempts=state["attempts"],
                    correlation=row["correlation"],
                    created_at=row["created_at"],
                    command=command,
                )
                held.append(
                    Leased(
                        claimed=claimed,
                        generation=state["generation"],
                        first_tried_at=state["first_tried_at"],
                        now=state["now"],
                    )
                )
            if gone:
                await conn.fetch(sql.RELEASE_LEASES, gone, lease)
            await self._park(conn, lease, broken)
        return held

    async def attempt(self, leased: Leased) -> EffectOutcome:
        """Try once, with a deadline under half the lease; an exception or the deadline means: try again."""
        waited = (leased.now - leased.first_tried_at).total_seconds()
        attempt = Attempt(
            leased.claimed,
            generation=leased.generation,
            look_up_first=waited > self.job.key_window_seconds,
            deadline_seconds=self.job.deadline_seconds,
        )
        try:
            async with asyncio.timeout(self.job.deadline_seconds):
                return await self.job.run(attempt)
        except TimeoutError:
            return TryAgain(error=f"no answer within {self.job.deadline_seconds:g} s")
        except Exception as error:  # noqa: BLE001 - whatever an effect raises, its answer is unknown: try again, on record
            telemetry.report(error, job_id=str(leased.claimed.id), job=self.job.name)
            return TryAgain(error=f"{type(error).__name__}: {error}"[:2000])

    async def record(self, conn: Any, lease: UUID, done: list[tuple[Leased, EffectOutcome]]) -> list[UUID]:
        """Write what happened to each, fenced by the lease; return the ids that ended."""
        final = [leased.claimed.id for leased, outcome in done if not isinstance(outcome, TryAgain)]
        async with postgres.transaction(conn):
            held = {row["id"] for row in await conn.fetch(sql.RELEASE_LEASES, final, lease)}
            finished: list[Ending] = []
            worn_out: list[tuple[UUID, str]] = []
            for leased, outcome in done:
                claimed = leased.claimed
                match outcome:
                    case Succeeded() | Rejected():
                        finished.append(ending_of(claimed, outcome))
                    case TryAgain(error) if claimed.attempts >= self.job.attempts_max:
                        worn_out.append((claimed.id, error))
                    case TryAgain(error, definite, after):
                        # One statement per retry: retries are the exception, and each has its own delay.
                        wait = backoff(claimed.attempts, random.random()) if after is None else after  # noqa: S311 - jitter
                        await conn.execute(sql.RETRY_EFFECT, claimed.id, lease, wait, error, definite)
            finished = [row for row in finished if row[0] in held]
            await sql.insert_outcomes(conn, finished)
            parked = await self._park(conn, lease, worn_out)
        log.info(
            "effects",
            job=self.job.name,
            ended=len(finished),
            failed=len(parked),
            again=len(done) - len(finished) - len(parked),
            correlations=[leased.claimed.correlation for leased, _ in done],
        )
        return [row[0] for row in finished] + parked

    async def _park(self, conn: Any, lease: UUID, broken: list[tuple[UUID, str]]) -> list[UUID]:
        if not broken:
            return []
        errors = dict(broken)
        rows = await conn.fetch(sql.RELEASE_LEASES, list(errors), lease)
        await sql.park(
            conn,
            self.job.name,
            [(r["id"], r["attempts"], r["generation"], r["first_tried_at"], errors[r["id"]]) for r in rows],
        )
        for row in rows:
            log.error("parked", job=self.job.name, job_id=str(row["id"]), error=errors[row["id"]])
            telemetry.report(telemetry.ParkedError(errors[row["id"]]), job_id=str(row["id"]), job=self.job.name)
        return [row["id"] for row in rows]


async def drain(runner: EffectRunner, pool: Any, *, stop_at: float, stopping: "asyncio.Event") -> list[UUID]:
    """Run due effects until there are none, ``stop_at`` (loop time) has come or the worker stops.

    Tries in hand are always finished and recorded. Returns the ids that ended.
    """
    loop = asyncio.get_running_loop()
    lease = new_id()
    running: dict[asyncio.Task[EffectOutcome], Leased] = {}
    ended: list[UUID] = []
    exhausted = False
    while True:
        more = not exhausted and not stopping.is_set() and loop.time() < stop_at
        if more and len(running) < runner.job.concurrency:
            async with pool.acquire() as conn:
                held = await runner.claim(conn, lease, runner.job.concurrency - len(running))
            exhausted = not held
            running.update({asyncio.create_task(runner.attempt(leased)): leased for leased in held})
        if not running:
            return ended
        done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        outcomes = [(running.pop(task), task.result()) for task in done]
        async with pool.acquire() as conn:
            ended += await runner.record(conn, lease, outcomes)
