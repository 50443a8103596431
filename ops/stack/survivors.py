"""End the servers that an earlier owner of the data folder left behind.

An owner that was killed leaves its servers running for a moment (Linux) or for good (macOS), and a killed
postmaster leaves backends that finish what they are at. A new server beside them would destroy the
cluster, so `postmaster.pid` is removed only when no PostgreSQL process is on the folder *and* nothing is
attached to the shared memory it names. The caller holds the data folder's lock, so whatever is found here
has lost its owner.

Processes are told apart by a mark in their titles (cluster name, socket), by the folder among their
arguments, or by the folder they work in. The last alone would do, but in a container without
CAP_SYS_PTRACE not even root may read it of another user's process.
"""

import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGQUIT, SIGTERM, Signals

import psutil

from ops.stack.errors import StackError

# Fast shutdown may have to write a checkpoint; after SIGQUIT the postmaster itself kills what is left in 5 s.
FAST_SECONDS_MAX = 20.0
QUIT_SECONDS_MAX = 6.0
KILL_SECONDS_MAX = 10.0
POLL_SECONDS = 0.02  # another process's child: there is no portable way to be told of its end

SHARED_MEMORY_LINE = 6  # of postmaster.pid, from 0: "key id"
SYSV_SHARED_MEMORY = Path("/proc/sysvipc/shm")


def end_postgres(folder: Path, mark: str) -> None:
    """End every PostgreSQL process on `folder`, gently first. StackError when one cannot be ended."""
    stages = ((SIGINT, SIGQUIT, FAST_SECONDS_MAX), (SIGQUIT, SIGQUIT, QUIT_SECONDS_MAX))
    for postmaster_signal, backend_signal, seconds_max in stages:
        found = _survivors("postgres", mark, folder)
        recorded = _recorded_pid(folder)
        # A live postmaster ends its backends itself; without one each has to be told.
        if postmaster := [process for process in found if process.pid == recorded]:
            _signal(postmaster, postmaster_signal)
        else:
            _signal(found, backend_signal)
        if _all_ended(found, seconds_max):
            break
    _kill("postgres", mark, folder)


def end_initdb(folder: Path) -> None:
    """Kill an initdb on `folder` and its bootstrap process. StackError when one cannot be ended."""
    _kill("initdb", None, folder)
    _kill("postgres", None, folder)


def end_valkey(folder: Path, mark: str) -> None:
    """End every Valkey process on `folder`. StackError when one cannot be ended."""
    found = _survivors("valkey-server", mark, folder)
    _signal(found, SIGTERM)
    _all_ended(found, QUIT_SECONDS_MAX)
    _kill("valkey-server", mark, folder)


def remove_stale_files(folder: Path, socket_lock: Path) -> None:
    """Remove `postmaster.pid` and the socket's lock file of a PostgreSQL that has ended.

    PostgreSQL takes them for a live server's when their pid has since gone to another process of the same
    user, which is the rule in a container that starts over. Call `end_postgres` first.
    """
    pid_file = folder / "postmaster.pid"
    if pid_file.exists():
        shared_memory = _shared_memory_in_use(pid_file)
        if shared_memory is not None:
            raise StackError(
                f"{folder} is still in use: a process is attached to its shared memory block {shared_memory}"
            )
        pid_file.unlink()
    socket_lock.unlink(missing_ok=True)


def _survivors(program: str, mark: str | None, folder: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.name() == program and _is_on(process, mark, folder):
                found.append(process)
        except psutil.NoSuchProcess:
            continue  # ended between being listed and being looked at, or only waits to be reaped
    return found


def _is_on(process: psutil.Process, mark: str | None, folder: Path) -> bool:
    try:
        arguments = process.cmdline()
        # The mark must not be a mere path: one path can end with another.
        marked = mark is not None and any(mark in argument for argument in arguments)
        return marked or str(folder) in arguments or str(process.cwd()) == str(folder)
    except psutil.AccessDenied:
        return False  # another user's, and what can be seen of it says nothing of this folder


def _recorded_pid(folder: Path) -> int | None:
    try:
        return int((folder / "postmaster.pid").read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return None  # never started, or killed before it had written the line


def _shared_memory_in_use(pid_file: Path) -> int | None:
    """The id of the shared memory block named in `postmaster.pid`, if a process is attached to it.

    Looked up on Linux; elsewhere PostgreSQL's own check at start has to do.
    """
    lines = pid_file.read_text().splitlines()
    if sys.platform != "linux" or len(lines) <= SHARED_MEMORY_LINE or not SYSV_SHARED_MEMORY.exists():
        return None
    recorded = lines[SHARED_MEMORY_LINE].split()
    for row in SYSV_SHARED_MEMORY.read_text().splitlines()[1:]:
        key, identifier, _mode, _size, _creator, _last, attached = row.split()[:7]
        # The key is printed unsigned by one and signed by the other.
        if recorded and identifier == recorded[-1] and int(key) % 2**32 == int(recorded[0]) % 2**32:
            return int(identifier) if int(attached) else None
    return None


def _kill(program: str, mark: str | None, folder: Path) -> None:
    """Kill what is left. Nothing is in the usual case, and this only makes sure."""
    found = _survivors(program, mark, folder)
    _signal(found, SIGKILL)
    if not _all_ended(found, KILL_SECONDS_MAX):
        pids = ", ".join(str(process.pid) for process in found)
        raise StackError(f"{program} still runs on {folder} and cannot be ended: process {pids}")


def _signal(processes: Sequence[psutil.Process], signal: Signals) -> None:
    for process in processes:
        try:
            process.send_signal(signal)  # psutil makes sure that the pid is still the same process
        except psutil.NoSuchProcess:
            continue  # ended by itself, which is what was wanted


def _all_ended(processes: Sequence[psutil.Process], seconds_max: float) -> bool:
    deadline = time.monotonic() + seconds_max
    pause = threading.Event()
    while any(_runs(process) for process in processes):
        if time.monotonic() >= deadline:
            return False
        pause.wait(POLL_SECONDS)
    return True


def _runs(process: psutil.Process) -> bool:
    try:
        # A zombie holds nothing; in a container without a reaper it stays for ever.
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
