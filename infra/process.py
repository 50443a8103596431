"""What a process of ours does about its parent."""

import contextlib
import ctypes
import gc
import os
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Have the kernel end this process when its parent dies (Linux; elsewhere the parent's stop must do).

    Only when ``ORDERMILL_PARENT`` names the parent's pid: a process started by hand or by a service manager
    outlives whatever started it. If that parent has died already, the process ends here.
    """
    expected = os.environ.get("ORDERMILL_PARENT", "")
    if not expected or not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != int(expected):
        raise SystemExit(f"its parent, process {expected}, is gone")


def spare_collector() -> None:
    """Have the garbage collector look seldom, and never at what was there at start.

    Requests and batches make many objects that live for milliseconds and hold no cycles: reference counts free them.
    The default thresholds walk them thousands of times a second for nothing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def stop_requested() -> Callable[[], None]:
    """Take SIGTERM and SIGINT from now on; return a function that blocks until one of them has come.

    To be called in the main thread. Not with a threading.Event: its ``set`` holds a lock, and a second signal during
    the first one's handler would wait for it forever. Two come within microseconds when a parent with threads is
    killed, or on Ctrl-C under a supervisor.
    """
    heard, say = os.pipe()
    os.set_blocking(say, False)

    def handle(_signum: int, _frame: object) -> None:
        with contextlib.suppress(BlockingIOError):  # full of signals nobody needs to count
            os.write(say, b".")

    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, handle)

    def wait() -> None:
        os.read(heard, 1)

    return wait
