"""The ``ordermill`` command over a real stack: what it prints, what it ends with."""

import asyncio
import subprocess
import sys
import threading
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest

from domain.accounts.model import Role
from domain.commands import COMMANDS
from domain.journal.model import Lane
from infra.security import Tokens
from tests import databases
from tests.builders import SECRET_KEY, place, submit, write_offers
from tests.ops.console import environment, ordermill, result_of
from tests.ops.database import fetch
from tests.system import ROOT, System, eventually

HEAVY = {"asyncpg", "piccolo", "litestar", "redis", "dramatiq", "rich", "ops.stack"}


@pytest.fixture
def env(database_url: str, redis_url: str) -> dict[str, str]:
    return environment(DATABASE_URL=database_url, REDIS_URL=redis_url, SECRET_KEY=SECRET_KEY)


def _one_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr.removesuffix("\n")


def _order(database_url: str) -> UUID:
    """Submit an order for a new offer."""

    async def run() -> UUID:
        conn = await asyncpg.connect(database_url)
        (identifier,) = await submit(conn, place(*await write_offers(conn)))
        await conn.close()
        return identifier

    return asyncio.run(run())


def _has_outcome(database_url: str, command: UUID) -> bool:
    return bool(fetch(database_url, "SELECT FROM outcomes WHERE id = $1", command))


def test_help_lists_every_command_and_imports_none():
    code = (
        "import sys\nfrom ops.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        f"sys.exit(','.join({HEAVY!r} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment())
    assert done.returncode == 0, done.stderr
    listed = {line.split()[0] for line in done.stdout.partition("Commands:")[2].splitlines() if line[2:3].strip()}
    assert {"up", "migrate", "token", "audit", "jobs", "lanes", "sweep"} <= listed


def test_a_command_without_a_stack_says_what_to_do(tmp_path):
    told = _one_line(ordermill("audit", "--data", str(tmp_path / "none"), env=environment(), status=1))
    assert "ordermill up --data" in told
    assert "DATABASE_URL" in told


def test_a_database_that_is_away_is_one_line():
    told = _one_line(ordermill("lanes", env=environment(DATABASE_URL="postgresql://x@127.0.0.1:1/x"), status=1))
    assert told.startswith("ordermill: PostgreSQL can't be reached: ")


def test_a_database_without_tables_says_to_migrate(stack):
    told = _one_line(ordermill("lanes", env=environment(DATABASE_URL=stack.urls.database_url), status=1))
    assert "ordermill migrate" in told


def test_wrong_usage_ends_with_2(env):
    for wrong in (("sweep", "no_such_sweep"), ("token",), ("jobs", "retry"), ("no-such-command",)):
        done = ordermill(*wrong, env=env, status=2)
        assert done.stdout == ""
        assert "Usage: ordermill" in done.stderr


def test_a_token_carries_its_roles_and_its_subject():
    subject = uuid4()
    printed = ordermill(
        *("token", "--role", "ADMIN", "--role", "buyer", "--subject", str(subject), "--seconds", "60"),
        env=environment(SECRET_KEY=SECRET_KEY),
    ).stdout
    principal = Tokens(SECRET_KEY).verify(printed.removesuffix("\n"))
    assert (principal.id, principal.roles) == (subject, {Role.ADMIN, Role.BUYER})


def test_a_token_as_json_tells_whom_it_stands_for():
    signed = result_of("token", "--role", "SELLER", env=environment(SECRET_KEY=SECRET_KEY))
    assert str(Tokens(SECRET_KEY).verify(signed["token"]).id) == signed["subject"]
    assert (signed["roles"], signed["seconds"]) == (["SELLER"], 900)


def test_a_short_key_signs_nothing():
    assert "SECRET_KEY" in _one_line(ordermill("token", "--role", "ADMIN", env=environment(SECRET_KEY="x"), status=1))


def test_migrating_twice_and_at_once_runs_each_migration_once(stack):
    name = f"unmigrated_{uuid4().hex}"
    url = databases.create(stack, name)
    try:
        done: list[int] = []
        env = environment(DATABASE_URL=url)
        both = [threading.Thread(target=lambda: done.append(result_of("migrate", env=env)["migrations"])) for _ in "ab"]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join()
        assert sorted(done) == [0, len(list(ROOT.glob("domain/migrations/ordermill_*.py")))]
        assert "0 migrations run" in ordermill("migrate", env=env).stdout
    finally:
        databases.drop(stack, name)


def test_lanes_show_what_waits_who_serves_and_what_failed(traded_once):
    url, _ = traded_once
    lanes = {lane["lane"]: lane for lane in result_of("lanes", env=environment(DATABASE_URL=url))["items"]}
    assert set(lanes) == {lane.value for lane in Lane}
    placing = next(job for job in lanes["orders"]["jobs"] if job["job"] == "place_orders")
    assert (placing["depth"], placing["parked"]) == (1, 1)
    assert placing["oldest_seconds"] > 0
    jobs = [command.job for command in COMMANDS if command.lane is Lane.PRICING]
    idle = [{"job": job, "depth": 0, "oldest_seconds": None, "parked": 0} for job in jobs]
    assert lanes["pricing"] == {"lane": "pricing", "paused": False, "paused_at": None, "workers": 0, "jobs": idle}


def test_a_worker_of_a_lane_without_jobs_runs_and_is_counted(system: System, env):
    system.worker(LANES="pricing")
    assert eventually(lambda: [v["lane"] for v in result_of("lanes", env=env)["items"] if v["workers"]]) == ["pricing"]


def test_a_paused_lane_stays_paused_across_a_restart_of_its_worker(system: System, database_url: str, env):
    system.worker()
    assert result_of("lanes", "pause", "orders", env=env)["paused"] is True
    order = _order(database_url)
    system.kill("worker")
    eventually(lambda: system.log("worker").count("worker_ready") == 2)
    # Another lane is served meanwhile, so the worker is at work and leaves this one alone.
    assert result_of("sweep", "prune_journal", "--wait", env=env)["status"] == "succeeded"
    assert not _has_outcome(database_url, order)
    assert result_of("lanes", "resume", "orders", env=env)["paused"] is False
    eventually(lambda: _has_outcome(database_url, order))


def test_a_sweep_tells_how_it_ended(system: System, env):
    system.worker()
    swept = result_of("sweep", "expire_reservations", "--wait", env=env)
    assert (swept["job"], swept["status"]) == ("expire_reservations", "succeeded")
    assert swept["result"] == {"reservations": 0, "orders": 0, "more": False}


def test_a_sweep_that_nobody_runs_is_queued_and_waiting_for_it_fails(env):
    assert result_of("sweep", "rescue_runs", env=env)["status"] == "queued"
    done = ordermill("sweep", "rescue_runs", "--wait", "--seconds", "0.2", env=env, status=1)
    assert "sweeps" in done.stderr


def test_jobs_are_listed_newest_first(traded_once):
    url, trade = traded_once
    env = environment(DATABASE_URL=url)
    listed = result_of("jobs", "list", "--limit", "2", env=env)["items"]
    assert (listed[0]["id"], len(listed)) == (str(trade.queued), 2)
    failed = result_of("jobs", "list", "--failed", env=env)["items"]
    assert [(job["id"], job["status"]) for job in failed] == [(str(trade.parked), "failed")]
    assert str(trade.parked) in ordermill("jobs", "list", "--failed", env=env).stdout


def test_a_job_is_shown_with_its_result_its_problem_or_its_error(traded_once):
    url, trade = traded_once
    env = environment(DATABASE_URL=url)
    assert result_of("jobs", "show", str(trade.placed), env=env)["result"]["order_id"] == str(trade.placed)
    assert result_of("jobs", "show", str(trade.rejected), env=env)["problem"]["code"] == "out_of_stock"
    assert "decode" in result_of("jobs", "show", str(trade.parked), env=env)["error"]
    assert "there is no job" in _one_line(ordermill("jobs", "show", str(uuid4()), env=env, status=1))


def test_a_failed_job_is_sent_back_to_the_queue_and_no_other(traded, redis_url):
    url, trade = traded
    env = environment(DATABASE_URL=url, REDIS_URL=redis_url)
    assert "succeeded" in _one_line(ordermill("jobs", "retry", str(trade.placed), env=env, status=1))
    assert result_of("jobs", "retry", str(trade.parked), env=env) == {"retried": [str(trade.parked)]}
    assert result_of("jobs", "list", "--failed", env=env) == {"items": []}
    assert result_of("jobs", "retry", "--all-failed", env=env) == {"retried": []}


def test_all_failed_jobs_are_sent_back(traded):
    url, trade = traded
    assert result_of("jobs", "retry", "--all-failed", env=environment(DATABASE_URL=url))["retried"] == [
        str(trade.parked)
    ]
    (row,) = fetch(url, "SELECT solo FROM pending WHERE id = $1", trade.parked)
    assert row["solo"]


def test_the_json_switch_may_stand_before_or_after_a_subcommand(traded_once):
    url, _ = traded_once
    env = environment(DATABASE_URL=url)
    before = ordermill("lanes", "--json", "list", env=env).stdout
    assert set(msgspec.json.decode(before)) == {"items"}


def test_a_reader_that_goes_away_ends_no_command_with_a_traceback(traded_once):
    url, _ = traded_once
    env = environment(DATABASE_URL=url)
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m ops.cli jobs list | true"],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
