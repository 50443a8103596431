"""The scheduler: each tick once, however many run; missed ones made good; nothing that is away ends it."""

import time
from collections import Counter
from signal import SIGCONT, SIGSTOP, SIGTERM

import msgspec
import psutil
import pytest

from domain.commands import SWEEPS
from domain.journal.model import SYSTEM
from infra.settings import Settings
from tests.ops.database import execute, fetch
from tests.system import System, eventually
from workers.scheduler import periods, slot_of, tick_of

OFTEN = {
    "EXPIRY_SWEEP_SECONDS": "0.5",
    "PROMOTION_SWEEP_SECONDS": "0.5",
    "RESCUE_SWEEP_SECONDS": "0.5",
    "PRUNE_SWEEP_SECONDS": "0.5",
    "AUDIT_SWEEP_SECONDS": "0.5",
}
AT_START = set(SWEEPS) - {"sweep_audit"}
# Every sweep there is: one that is left out begins another slot in the middle of a test.
_PERIODS = [name for name in Settings.__struct_fields__ if name.endswith(("_sweep_seconds", "_check_seconds"))]
SELDOM = {name.upper(): "86400" for name in _PERIODS}


def _ticks(database_url: str) -> list[str]:
    """The ticks in the journal, ``job:slot`` each."""
    return [row["correlation"] for row in fetch(database_url, "SELECT correlation FROM commands ORDER BY id")]


def _logged(system: System, name: str, event: str) -> list[dict[str, object]]:
    lines = [msgspec.json.decode(line) for line in system.log(name).splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == event]


def test_every_sweep_has_a_period(settings: Settings):
    assert set(periods(settings)) == set(SWEEPS)


@pytest.mark.parametrize(("now", "slot"), [(0.0, 0), (4.999, 0), (5.0, 1), (14.0, 2)])
def test_a_slot_is_a_period_of_the_wall_clock(now, slot):
    assert slot_of(now, 5.0) == slot


def test_a_slot_has_the_same_key_whoever_makes_its_command():
    one, other = (tick_of("rescue_runs", SWEEPS["rescue_runs"], 7) for _ in range(2))
    assert one.id != other.id
    assert (one.principal, one.key_hash, one.fingerprint) == (SYSTEM, other.key_hash, other.fingerprint)
    assert one.key_hash != tick_of("rescue_runs", SWEEPS["rescue_runs"], 8).key_hash
    assert one.key_hash != tick_of("prune_journal", SWEEPS["prune_journal"], 7).key_hash


def test_two_schedulers_submit_each_tick_once(system: System, database_url: str):
    system.scheduler("one", LOG_LEVEL="debug", **OFTEN)
    system.scheduler("two", LOG_LEVEL="debug", **OFTEN)
    eventually(lambda: len(_ticks(database_url)) >= 4 * len(SWEEPS))
    # Both were at it: each found slots that the other had taken, or took some itself.
    assert eventually(lambda: _logged(system, "one", "tick_taken") + _logged(system, "two", "tick_taken"))
    ticks = _ticks(database_url)
    assert Counter(ticks).most_common(1)[0][1] == 1
    assert {tick.partition(":")[0] for tick in ticks} == set(SWEEPS)


def test_a_tick_is_due_at_once_after_a_start_and_only_once_in_its_slot(system: System, database_url: str):
    system.scheduler("first", **SELDOM)
    eventually(lambda: len(_ticks(database_url)) == len(AT_START))
    system.scheduler("again", LOG_LEVEL="debug", **SELDOM)
    eventually(lambda: len(_logged(system, "again", "tick_taken")) == len(AT_START))
    ticks = _ticks(database_url)
    assert {tick.partition(":")[0] for tick in ticks} == AT_START, "a lot of work waits for its time"
    assert len(ticks) == len(AT_START)


def test_the_last_tick_of_each_sweep_is_noted_with_its_command(system: System, database_url: str):
    system.scheduler(**SELDOM)
    eventually(lambda: len(_ticks(database_url)) == len(AT_START))
    noted = fetch(
        database_url,
        "SELECT t.job || ':' || t.slot AS tick, c.correlation"
        " FROM sweep_ticks t JOIN commands c ON c.id = t.command_id",
    )
    assert {row["tick"] for row in noted} == {row["correlation"] for row in noted} == set(_ticks(database_url))


def test_missed_ticks_are_made_good_by_one(system: System, database_url: str):
    system.scheduler(**(SELDOM | {"RESCUE_SWEEP_SECONDS": "0.5"}))
    eventually(lambda: len(_ticks(database_url)) > len(AT_START))
    system.supervisor.kill("scheduler", SIGSTOP)
    stopped_at = time.time()
    eventually(lambda: time.time() > stopped_at + 3)
    asleep = len(_ticks(database_url))
    system.supervisor.kill("scheduler", SIGCONT)
    woken_at = time.time()
    eventually(lambda: len(_ticks(database_url)) > asleep)
    slots = [int(tick.partition(":")[2]) for tick in _ticks(database_url) if tick.startswith("rescue_runs:")]
    missed = range(slot_of(stopped_at, 0.5) + 1, slot_of(woken_at, 0.5))
    assert len(missed) >= 4
    assert set(slots).isdisjoint(missed)


def test_it_lives_on_while_postgresql_is_away(system: System, database_url: str):
    system.scheduler(**OFTEN)
    eventually(lambda: _ticks(database_url))
    pid = system.supervisor.pids()["scheduler"]
    name = database_url.partition("?")[0].rpartition("/")[2]
    elsewhere = database_url.replace(f"/{name}?", "/postgres?")
    execute(elsewhere, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    execute(elsewhere, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
    eventually(lambda: _logged(system, "scheduler", "tick_failed"))
    execute(elsewhere, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    before = len(_ticks(database_url))
    eventually(lambda: len(_ticks(database_url)) > before)
    assert system.supervisor.pids()["scheduler"] == pid


def test_it_ticks_without_redis(system: System, database_url: str):
    system.scheduler(REDIS_URL="unix:///nowhere/at/all.sock", **OFTEN)
    eventually(lambda: len(_ticks(database_url)) > 2 * len(SWEEPS))
    assert not _logged(system, "scheduler", "tick_failed"), "Redis is no reason for a tick to fail"


def test_it_stops_at_once_when_told_to(system: System):
    system.scheduler(**OFTEN)
    process = psutil.Process(system.supervisor.pids()["scheduler"])
    process.send_signal(SIGTERM)
    eventually(lambda: system.supervisor.last_exit("scheduler") == 0, seconds=5)
    assert "scheduler_stopped" in system.log("scheduler")
