"""What a process does about signals: one is heard, and a second one harms nothing."""

import os
import signal
import subprocess
import sys

import pytest

from api.__main__ import Server

TWICE = """
import os, signal, sys
from infra.process import stop_requested

wait = stop_requested()
inner = os.write

def write(*args):
    # The second signal comes while the first one is handled.
    os.write = inner
    os.kill(os.getpid(), signal.SIGINT)
    return inner(*args)

os.write = write
os.kill(os.getpid(), signal.SIGTERM)
wait()
print("stopped")
"""


def test_a_second_signal_during_the_first_does_not_hang_a_worker():
    done = subprocess.run([sys.executable, "-c", TWICE], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "stopped\n", "")


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_one_signal_is_heard(signum: signal.Signals):
    lines = "import os", "from infra.process import stop_requested", "wait = stop_requested()"
    code = "; ".join([*lines, f"os.kill(os.getpid(), {int(signum)})", "wait()"])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_second_signal_during_the_first_does_not_hang_the_api():
    server = Server("api.app:application", factory=True)
    interrupt = server.main_loop_interrupt
    heard = []

    def set_interrupted() -> None:
        heard.append(os.getpid())
        # As the second signal does, which comes while the Event holds its lock.
        server.signal_handler_interrupt()
        type(interrupt).set(interrupt)

    interrupt.set = set_interrupted
    server.signal_handler_interrupt()
    assert interrupt.is_set()
    assert len(heard) == 1
