"""``ordermill status``: what is wrong first, on one screen; its status says how bad it is."""

import asyncio
import os
import pty
import signal
import subprocess
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from rich.console import Console

from domain.commands import SWEEPS
from domain.invariants import INVARIANTS
from domain.journal.event_reads import SubscriptionFigures
from domain.journal.model import Lane
from domain.operation.auditing import Checked
from domain.operation.health import Level, judge
from domain.operation.reads import JobFigures, LaneView
from domain.operation.status_reads import FailureReason, ServerState, Standing, WorkerState
from domain.operation.tick_sql import Tick
from ops.commands.status import Reached, Status
from ops.screen import screen_of
from tests.builders import SECRET_KEY, place, submit, write_offers
from tests.ops.console import ORDERMILL, environment, ordermill, result_of
from tests.ops.database import execute
from tests.system import System, eventually

NOBODY = "postgresql://ordermill:a-password@127.0.0.1:1/nowhere"


@pytest.fixture
def env(database_url: str, redis_url: str) -> dict[str, str]:
    return environment(DATABASE_URL=database_url, REDIS_URL=redis_url, SECRET_KEY=SECRET_KEY, COLUMNS="100")


def found(result: Any) -> str:
    return "\n".join(finding["what"] for finding in result["findings"])


def use(database_url: str, work: Any) -> Any:
    async def run() -> Any:
        conn = await asyncpg.connect(database_url)
        try:
            return await work(conn)
        finally:
            await conn.close()

    return asyncio.run(run())


async def _order(conn: Any) -> None:
    await submit(conn, place(*await write_offers(conn)))


def test_where_everything_runs_all_is_well(system: System, env: dict[str, str]):
    system.worker()
    system.scheduler()

    def well() -> Any:
        done = subprocess.run(
            [str(ORDERMILL), "status"], env=env, capture_output=True, text=True, check=False, timeout=60
        )
        return done if done.returncode == 0 else None

    said = eventually(well).stdout
    assert "ALL IS WELL" in said
    for lane in Lane:
        assert lane.value in said
    assert "rescue_runs" in said


def test_without_workers_and_scheduler_it_is_degraded_and_says_so(env: dict[str, str]):
    result = result_of("status", env=env, status=1)
    assert "no live worker serves lane orders; 0 commands wait" in found(result)
    assert "no scheduler has ever ticked here" in found(result)
    assert (result["postgresql"]["ok"], result["redis"]["ok"], result["level"]) == (True, True, 1)


def test_an_order_that_nobody_will_place_is_critical(env: dict[str, str], database_url: str):
    use(database_url, _order)
    result = result_of("status", env=env, status=2)
    assert result["findings"][0] == {"level": 2, "what": "no live worker serves lane orders; 1 commands wait"}


def test_failures_are_told_by_job_and_reason(env: dict[str, str], database_url: str):
    for n in range(3):
        execute(
            database_url,
            "INSERT INTO parked (id, job, attempts, error)"
            f" VALUES ('{uuid4()}', 'place_orders', 1, 'KeyError: \"thing {n}\" of {uuid4()}\nTraceback')",
        )
    execute(database_url, f"INSERT INTO parked (id, job, attempts, error) VALUES ('{uuid4()}', 'a', 1, 'gone')")
    reasons = result_of("status", env=env, status=1)["standing"]["failures"]
    assert [(each["job"], each["reason"], each["commands"]) for each in reasons] == [
        ("place_orders", "KeyError: … of …", 3),
        ("a", "gone", 1),
    ]
    assert "KeyError: … of …" in ordermill("status", env=env, status=1).stdout


def test_what_the_audit_found_is_critical(env: dict[str, str], database_url: str):
    execute(
        database_url,
        "INSERT INTO audit_checks (name, at, took_ms, finished, violations, sample)"
        " VALUES ('ledger_sums_to_zero', now(), 5, true, 2, '{USD}')",
    )
    assert "the audit found 2 violations of ledger_sums_to_zero" in found(result_of("status", env=env, status=2))
    assert "VIOLATED ledger_sums_to_zero (2)" in ordermill("status", env=env, status=2).stdout


def test_while_redis_is_away_the_rest_is_told(env: dict[str, str]):
    result = result_of("status", env=env | {"REDIS_URL": "redis://127.0.0.1:1"}, status=1)
    assert result["redis"]["ok"] is False
    assert "Redis doesn't answer" in found(result)
    assert result["standing"]["lanes"]


def test_while_postgresql_is_away_it_says_so_and_no_password(env: dict[str, str]):
    away = env | {"DATABASE_URL": NOBODY}
    result = result_of("status", env=away, status=2)
    assert (result["postgresql"]["ok"], result["standing"], result["redis"]["ok"]) == (False, None, True)
    said = ordermill("status", env=away, status=2).stdout
    assert "CRITICAL" in said
    assert "PostgreSQL AWAY" in said
    assert "a-password" not in said + str(result)


def test_watching_looks_again_and_ends_at_ctrl_c(env: dict[str, str]):
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [str(ORDERMILL), "status", "--watch"], env=env | {"TERM": "xterm"}, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    try:
        shown = b""
        while shown.count(b"PostgreSQL") < 2:
            shown += os.read(ours, 65_536)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0
    finally:
        process.kill()
        os.close(ours)


def _much() -> Standing:
    """More of everything than fits."""
    long = "a_name_that_is_longer_than_most_names_are"
    return Standing(
        server=ServerState("18.0 (Debian 18.0-1)", 99, 100, 500.0),
        partition_days=1,
        lanes=[
            LaneView(lane, lane is Lane.IO, None, n % 2, [JobFigures(long, 100_001, 9_999.0, 12_345)])
            for n, lane in enumerate(Lane)
        ],
        workers=[WorkerState(f"{long}:{n}", list(Lane), "0.1.0", 1e6, 300.0 * n) for n in range(20)],
        failures=[FailureReason(long, "CheckViolationError: " + "x" * 80, 1_000, 5.0) for _ in range(9)],
        subscriptions=[SubscriptionFigures(f"{long}{n}", 10_001, 1e5, 3) for n in range(12)],
        sweeps=[Tick(job, 1e5, 5.0, "failed") for job in SWEEPS],
        checks=[Checked(name, datetime.now(UTC), 9_000, False, 3, ["x"]) for name in list(INVARIANTS)[:2]],
    )


def test_it_fits_a_screen_however_much_is_wrong():
    standing = _much()
    findings = judge(standing)
    status = Status(
        Level.CRITICAL, datetime.now(UTC), findings, Reached(ok=True, ms=1.0), Reached(ok=False, error="away"), standing
    )
    console = Console(width=100, height=40, force_terminal=False)
    with console.capture() as captured:
        console.print(screen_of(status))
    lines = captured.get().splitlines()
    assert len(lines) <= 40
    assert max(len(line) for line in lines) <= 100
    assert findings[0].what.startswith("the audit found 3 violations")
    for figure in ("100001", "12345", " 1000 ", " 95m ", " 10001 "):
        assert figure in captured.get()
    assert f"and {len(findings) - 5} more" in captured.get()
