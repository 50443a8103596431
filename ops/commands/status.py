"""One screen on how everything stands; status 0 when all is well, 1 degraded, 2 critical."""

import asyncio
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from msgspec import Struct

from domain.operation.health import Finding, Level, judge, worst
from domain.operation.status_reads import Standing, load_standing
from infra.redaction import masked
from ops import target
from ops.output import CommandError, Output, json_option

LOOK_SECONDS_MAX = 5.0
WATCH_SECONDS = 2.0


class Reached(Struct, frozen=True):
    """Whether a server answers, and after how many milliseconds; else why not."""

    ok: bool
    ms: float | None = None
    error: str | None = None


class Status(Struct, frozen=True):
    """How everything stands, and what of it is wrong."""

    level: Level
    at: datetime
    findings: list[Finding]
    postgresql: Reached
    redis: Reached
    standing: Standing | None


@click.command("status", help=__doc__)
@click.option("--watch", is_flag=True, help="Look again every 2 seconds, until Ctrl-C.")
@target.data_option
@json_option
def command(watch: bool, data: Path | None, output: Output) -> None:  # noqa: FBT001 - click passes by name
    """Look, tell, and end with the level as status."""
    stack = target.find(data)
    if watch and not output.json:
        _watch(stack)
        return
    status = asyncio.run(look(stack))
    if not output.json:
        from rich.console import Console  # noqa: PLC0415 - it takes longer than most commands

        from ops.screen import screen_of  # noqa: PLC0415 - as above

        Console().print(screen_of(status))
    output.result(status)
    sys.exit(status.level.value)


def _watch(stack: target.Target) -> None:
    from rich.live import Live  # noqa: PLC0415 - see command

    from ops.screen import screen_of  # noqa: PLC0415 - see command

    async def follow() -> None:
        with Live(screen_of(await look(stack)), screen=True, auto_refresh=False) as live:
            while True:
                await asyncio.sleep(WATCH_SECONDS)
                live.update(screen_of(await look(stack)), refresh=True)

    try:
        asyncio.run(follow())
    except KeyboardInterrupt:
        return


async def look(stack: target.Target) -> Status:
    """See how everything stands. What doesn't answer is told; the rest is told anyway."""
    (postgresql, standing), redis = await asyncio.gather(_look_at_database(stack), _look_at_redis(stack))
    findings = [] if standing is None else judge(standing)
    if not redis.ok:
        findings.insert(0, Finding(Level.DEGRADED, f"Redis doesn't answer, so everything takes longer: {redis.error}"))
    if not postgresql.ok:
        findings.insert(0, Finding(Level.CRITICAL, f"PostgreSQL doesn't answer: {postgresql.error}"))
    return Status(worst(findings), datetime.now(UTC), findings, postgresql, redis, standing)


async def _look_at_database(stack: target.Target) -> tuple[Reached, Standing | None]:
    started = time.perf_counter()
    try:
        async with asyncio.timeout(LOOK_SECONDS_MAX), target.connect(stack) as conn:
            await conn.execute("SELECT 1")
            reached = Reached(ok=True, ms=_ms_since(started))
            return reached, await _read(conn)
    except TimeoutError:
        return Reached(ok=False, error=f"no answer in {LOOK_SECONDS_MAX:g} s"), None
    except CommandError as error:
        return Reached(ok=False, error=masked(error.message)), None


async def _read(conn: Any) -> Standing:
    # As whoever looks at large tables does: by their indexes, and not for long.
    await conn.execute(
        f"BEGIN READ ONLY; SET LOCAL enable_seqscan = off; SET LOCAL statement_timeout = '{LOOK_SECONDS_MAX:g}s'"
    )
    try:
        return await load_standing(conn, datetime.now(UTC))
    finally:
        await conn.execute("ROLLBACK")


async def _look_at_redis(stack: target.Target) -> Reached:
    if not stack.redis_url:
        return Reached(ok=False, error="REDIS_URL is not set")
    from infra.broker import Doorbell, Silent  # noqa: PLC0415 - help needs no driver

    doorbell = Doorbell(stack.redis_url)
    started = time.perf_counter()
    try:
        await asyncio.to_thread(doorbell.ping)
    except Silent as error:
        return Reached(ok=False, error=masked(str(error)) or "no answer")
    finally:
        doorbell.close()
    return Reached(ok=True, ms=_ms_since(started))


def _ms_since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 1)
