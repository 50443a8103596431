"""Keep named children running until they are no longer wanted.

Each child has a thread that forks it, waits for its exit and forks it again: so the thread that forked a
child always outlives it, which the parent-death signal needs (`ops.stack.process`), and nothing polls.

A process is signalled only while the supervisor holds its lock and the process has not been reaped: a
reaped pid may by then be another program's.
"""

import contextlib
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGTERM, Signals

import msgspec

from ops.stack.folders import ServerUser
from ops.stack.process import spawn

BACKOFF_SECONDS_MIN = 0.2
BACKOFF_SECONDS_MAX = 10.0
STEADY_SECONDS = 30.0  # a child that lived this long starts again without a history
KILL_SECONDS_MAX = 10.0  # a killed process is gone at once unless the kernel is stuck in its I/O
RESTART_SECONDS_MAX = 60.0

logger = logging.getLogger(__name__)


class Child(msgspec.Struct, frozen=True, kw_only=True):
    """A program to keep running.

    `log` None sends its output to this process's stderr. `stop_signal` asks it to end, and after
    `stop_seconds` it is killed with its process group. `orphan_signal` is what it gets when this process
    dies (Linux). `before_start` runs before each start, also before a restart; when it raises, the child is
    not started and the next attempt follows after the back-off.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    stop_signal: Signals = SIGTERM
    stop_seconds: float = 10.0
    log: Path | None = None
    cwd: Path | None = None
    user: ServerUser | None = None
    orphan_signal: Signals = SIGTERM
    before_start: Callable[[], None] | None = None


class Supervisor:
    """Thread-safe. Children stop in the reverse of the order in which they were added."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._children: dict[str, _Supervised] = {}
        self._closed = False

    def add(self, child: Child) -> None:
        """Start a child and keep it running. Raises what kept its first process from being started."""
        supervised = _Supervised(child)
        with self._lock:
            if self._closed:
                raise RuntimeError(f"{child.name} cannot be added: the supervisor has stopped")
            if child.name in self._children:
                raise ValueError(f"there is a child named {child.name} already")
            self._children[child.name] = supervised
        try:
            supervised.start()
        except BaseException:
            self.remove(child.name)
            raise

    def remove(self, name: str) -> None:
        """Stop a child and forget it. KeyError when there is none of that name."""
        self._named(name).stop()
        with self._lock:
            self._children.pop(name, None)

    def restart(self, name: str) -> None:
        """Stop a child's process and start a new one without back-off; returns when that one runs."""
        self._named(name).restart()

    def kill(self, name: str, signal: Signals) -> None:
        """Send a signal to a child's process. ProcessLookupError when none is running just now."""
        self._named(name).send(signal)

    def pids(self) -> dict[str, int]:
        """The process id of each child that is running just now."""
        with self._lock:
            children = list(self._children.items())
        return {name: pid for name, child in children if (pid := child.pid()) is not None}

    def last_exit(self, name: str) -> int | None:
        """How the child's latest ended process ended (negative: by that signal); None if none has."""
        return self._named(name).last_exit

    def stop(self) -> None:
        """Stop all children, latest first. Safe to call again; no child can be added afterwards."""
        with self._lock:
            self._closed = True
            names = list(reversed(self._children))
        for name in names:
            with contextlib.suppress(KeyError):  # removed by another thread meanwhile
                self.remove(name)

    def _named(self, name: str) -> "_Supervised":
        with self._lock:
            return self._children[name]


class _Supervised:
    """One child and the thread that keeps it running."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.last_exit: int | None = None
        self._changed = threading.Condition()  # guards all below
        self._process: subprocess.Popen[bytes] | None = None
        self._starts = 0
        self._wanted = True
        self._skip_backoff = False
        self._first_failure: Exception | None = None
        # A daemon: when the program ends without a stop, this thread's end is what tells the child.
        self._thread = threading.Thread(target=self._keep_running, name=f"child-{child.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._starts or self._first_failure or not self._wanted)
            if self._first_failure is not None:
                raise self._first_failure

    def stop(self) -> None:
        with self._changed:
            self._wanted = False
            self._changed.notify_all()
            self._end_process()
        if self._thread.ident is not None:
            self._thread.join(KILL_SECONDS_MAX)

    def restart(self) -> None:
        with self._changed:
            starts = self._starts
            self._skip_backoff = True
            self._changed.notify_all()
            self._end_process()
            done = self._changed.wait_for(lambda: self._starts > starts or not self._wanted, RESTART_SECONDS_MAX)
            if not done:
                raise TimeoutError(f"{self.child.name} did not start again within {RESTART_SECONDS_MAX:g} s")

    def send(self, signal: Signals) -> None:
        with self._changed:
            if self._process is None:
                raise ProcessLookupError(f"{self.child.name} is not running just now")
            os.kill(self._process.pid, signal)

    def pid(self) -> int | None:
        with self._changed:
            return None if self._process is None else self._process.pid

    def _end_process(self) -> None:
        """Ask the running process, if any, to end; kill it if it does not. The lock is let go to wait."""
        process, child = self._process, self.child
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):  # where waiting reaps it may be gone before it is None
            os.kill(process.pid, child.stop_signal)
            os.kill(process.pid, SIGCONT)  # a paused process would see the signal only when it goes on
        if self._changed.wait_for(lambda: self._process is not process, child.stop_seconds):
            return
        logger.warning("%s did not stop within %g s and is killed", child.name, child.stop_seconds)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, SIGKILL)
        if not self._changed.wait_for(lambda: self._process is not process, KILL_SECONDS_MAX):
            logger.error("%s (process %d) outlives its SIGKILL", child.name, process.pid)

    def _keep_running(self) -> None:
        backoff_seconds = BACKOFF_SECONDS_MIN
        while True:
            began = time.monotonic()
            try:
                process = self._start_process()
            except Exception as error:
                if self._starts == 0:
                    with self._changed:
                        self._first_failure = error
                        self._changed.notify_all()
                    return
                logger.exception("%s could not be started again", self.child.name)
            else:
                if process is None:
                    return
                self._wait_for_exit(process)
            if time.monotonic() - began >= STEADY_SECONDS:
                backoff_seconds = BACKOFF_SECONDS_MIN
            with self._changed:
                if not self._wanted:
                    return
                if not self._skip_backoff:
                    logger.warning("%s starts again in %g s", self.child.name, backoff_seconds)
                if self._changed.wait_for(lambda: self._skip_backoff or not self._wanted, backoff_seconds):
                    self._skip_backoff = False
                    backoff_seconds = BACKOFF_SECONDS_MIN
                else:
                    backoff_seconds = min(2 * backoff_seconds, BACKOFF_SECONDS_MAX)

    def _start_process(self) -> subprocess.Popen[bytes] | None:
        """Start the process, or return None when it is no longer wanted."""
        child = self.child
        if child.before_start is not None:
            child.before_start()
        with self._changed:
            if not self._wanted:
                return None
            self._process = spawn(
                child.argv,
                env=child.env,
                cwd=child.cwd,
                log=child.log,
                user=child.user,
                orphan_signal=child.orphan_signal,
            )
            self._starts += 1
            self._changed.notify_all()
            return self._process

    def _wait_for_exit(self, process: subprocess.Popen[bytes]) -> None:
        if sys.platform == "darwin":
            process.wait()  # Python has no waitid for macOS before 3.13
        else:
            # Wait without reaping: the pid stays taken until the lock is held. When SIGCHLD is ignored the
            # kernel reaps by itself, and that the child is gone is all there is to know.
            with contextlib.suppress(ChildProcessError):
                os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        with self._changed:
            # Offspring that outlived the child would work beside its successor's.
            with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: only the dead one is left
                os.killpg(process.pid, SIGKILL)
            self.last_exit = process.wait()
            self._process = None
            self._changed.notify_all()
            if self._wanted and not self._skip_backoff:
                logger.warning("%s (process %d) ended with %d", self.child.name, process.pid, self.last_exit)
