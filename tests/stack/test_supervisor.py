"""Children come back when they die, and stay away when they are told to."""

import os
import signal
import subprocess
import sys
import time
from itertools import pairwise

import psutil
import pytest

from ops.stack import Child, StackError, Supervisor


@pytest.fixture
def supervisor():
    running = Supervisor()
    yield running
    running.stop()


def shell(name, script, **options):
    return Child(name=name, argv=("/bin/sh", "-c", script), env=os.environ, **options)


def sleeper(name, **options):
    return shell(name, "exec sleep 60", **options)


def gone(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def written(path):
    """What a child has written, or nothing while there is no whole line."""
    text = path.read_text() if path.exists() else ""
    return text if text.endswith("\n") else ""


def test_a_dead_child_is_started_again(supervisor, eventually):
    supervisor.add(sleeper("one"))
    before = supervisor.pids()["one"]
    supervisor.kill("one", signal.SIGKILL)
    eventually(lambda: supervisor.pids().get("one", before) != before, 2)
    assert supervisor.last_exit("one") == -signal.SIGKILL


def test_a_child_that_keeps_dying_is_started_ever_more_rarely(supervisor, eventually, tmp_path):
    log = tmp_path / "starts"
    supervisor.add(shell("brief", "date +%s.%N", log=log))
    eventually(lambda: log.exists() and len(log.read_text().splitlines()) == 4)
    starts = [float(line) for line in log.read_text().splitlines()]
    first, second, third = (later - earlier for earlier, later in pairwise(starts))
    assert first >= 0.2
    assert first + 0.1 < second
    assert second + 0.2 < third


def test_stop_asks_the_latest_child_first(tmp_path, eventually):
    supervisor = Supervisor()
    log = tmp_path / "order"
    for name in ("first", "second", "third"):
        script = f"trap 'echo {name} stops; exit' TERM; echo ready; while :; do sleep 0.02; done"
        supervisor.add(shell(name, script, log=log))
    eventually(lambda: log.exists() and log.read_text().count("ready") == 3)
    supervisor.stop()
    assert log.read_text().splitlines()[3:] == ["third stops", "second stops", "first stops"]
    assert supervisor.pids() == {}
    with pytest.raises(RuntimeError):
        supervisor.add(sleeper("late"))


def test_a_child_that_will_not_stop_is_killed_with_its_offspring(supervisor, eventually, tmp_path):
    log = tmp_path / "offspring"
    script = "trap '' TERM; sleep 60 & echo $!; while :; do wait; done"
    supervisor.add(shell("deaf", script, log=log, stop_seconds=0.2))
    offspring = int(eventually(lambda: written(log)))
    supervisor.remove("deaf")
    eventually(lambda: gone(offspring))
    assert supervisor.pids() == {}


def test_offspring_of_a_dead_child_does_not_work_beside_its_successors(supervisor, eventually, tmp_path):
    log = tmp_path / "offspring"
    supervisor.add(shell("parent", "sleep 60 & echo $!; wait", log=log))
    offspring = int(eventually(lambda: written(log)))
    supervisor.kill("parent", signal.SIGKILL)
    eventually(lambda: gone(offspring))
    assert offspring not in supervisor.pids().values()


def test_a_paused_child_stops_gently(supervisor, eventually, tmp_path):
    log = tmp_path / "log"
    supervisor.add(shell("paused", "trap 'echo bye; exit' TERM; echo ready; while :; do sleep 0.02; done", log=log))
    eventually(lambda: written(log))
    supervisor.kill("paused", signal.SIGSTOP)
    supervisor.remove("paused")
    assert log.read_text() == "ready\nbye\n"


def test_restart_returns_with_a_new_process(supervisor):
    supervisor.add(sleeper("one"))
    before = supervisor.pids()["one"]
    began = time.monotonic()
    supervisor.restart("one")
    assert supervisor.pids()["one"] != before
    assert time.monotonic() - began < 2
    assert gone(before)


def test_a_removed_child_is_forgotten(supervisor):
    supervisor.add(sleeper("one"))
    pid = supervisor.pids()["one"]
    supervisor.remove("one")
    assert gone(pid)
    with pytest.raises(KeyError):
        supervisor.kill("one", signal.SIGTERM)
    supervisor.add(sleeper("one"))


def test_a_name_is_given_once(supervisor):
    supervisor.add(sleeper("one"))
    with pytest.raises(ValueError, match="one"):
        supervisor.add(sleeper("one"))


def test_what_keeps_the_first_process_from_starting_is_raised(supervisor):
    def refuse():
        raise RuntimeError("not today")

    with pytest.raises(RuntimeError, match="not today"):
        supervisor.add(sleeper("one", before_start=refuse))
    assert supervisor.pids() == {}
    supervisor.add(sleeper("one"))


def test_a_restart_that_fails_is_tried_again(supervisor, eventually, caplog):
    answers = iter([None, OSError("not yet"), None])

    def prepare():
        if (answer := next(answers)) is not None:
            raise answer

    supervisor.add(sleeper("one", before_start=prepare))
    before = supervisor.pids()["one"]
    supervisor.kill("one", signal.SIGKILL)
    eventually(lambda: supervisor.pids().get("one", before) != before, 3)
    assert "not yet" in caplog.text


def test_a_program_that_is_not_there_is_not_tried_again(supervisor):
    with pytest.raises(StackError, match="/no/such/program"):
        supervisor.add(Child(name="none", argv=("/no/such/program",), env=os.environ))
    assert supervisor.pids() == {}


def test_a_program_that_cannot_be_run_says_so_in_its_log(supervisor, eventually, tmp_path):
    broken, log = tmp_path / "broken", tmp_path / "log"
    broken.write_bytes(b"\x7fELF")
    broken.chmod(0o755)
    supervisor.add(Child(name="broken", argv=(str(broken),), env=os.environ, log=log))
    assert eventually(lambda: written(log)) == f"{broken} cannot be run: Exec format error\n"


def test_a_large_log_is_put_aside_at_the_next_start(supervisor, eventually, tmp_path, monkeypatch):
    monkeypatch.setattr("ops.stack.process.LOG_BYTES_MAX", 100)
    log = tmp_path / "log"
    log.write_text("old " * 100)
    supervisor.add(shell("new", "echo new; exec sleep 60", log=log))
    assert eventually(lambda: written(log)) == "new\n"
    assert (tmp_path / "log.1").read_text() == "old " * 100


def test_a_child_gets_signals_as_a_login_shell_would_give_them(supervisor, eventually, tmp_path):
    """Python ignores SIGPIPE, and ignored signals pass through exec."""
    log = tmp_path / "log"
    script = "import signal; print(signal.pthread_sigmask(signal.SIG_BLOCK, ()), flush=True); signal.pause()"
    child = shell("shell", "grep -E '^Sig(Ign|Blk)' /proc/self/status; exec sleep 60", log=log)
    if sys.platform != "linux":
        child = Child(name="python", argv=(sys.executable, "-c", script), env=os.environ, log=log)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    try:
        supervisor.add(child)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})
    shown = eventually(lambda: written(log))
    # Signals 32 and 33 are the C library's own; it may be in the middle of using them as it forks.
    own = 1 << 31 | 1 << 32
    assert {int(line.split(":")[1], 16) & ~own for line in shown.splitlines()} == {0}


def test_ctrl_c_in_the_terminal_does_not_reach_the_children(supervisor):
    supervisor.add(sleeper("one"))
    pid = supervisor.pids()["one"]
    assert os.getpgid(pid) == pid != os.getpgid(0)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a parent-death signal")
def test_children_die_with_a_process_that_ends_without_a_stop(eventually):
    script = (
        "import os; from ops.stack import Child, Supervisor; s = Supervisor();"
        "s.add(Child(name='one', argv=('sleep', '60'), env=os.environ)); print(s.pids()['one'])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=20)
    eventually(lambda: gone(int(done.stdout)))
