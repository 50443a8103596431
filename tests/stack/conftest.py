import os
import shutil
import tempfile
import threading
import time
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def eventually():
    """Wait until a condition holds, and return what it gave; fail when it does not in time."""

    def wait(condition, seconds_max=10.0):
        deadline = time.monotonic() + seconds_max
        pause = threading.Event()
        while not (value := condition()):
            if time.monotonic() >= deadline:
                raise AssertionError(f"not within {seconds_max:g} s: {condition}")
            pause.wait(0.02)
        return value

    return wait


@pytest.fixture(scope="session")
def make_folder():
    """Make folders that every user may pass through. As root, pytest's own shut out the servers' user."""
    made = []

    def make(owner=None):
        folder = Path(tempfile.mkdtemp(prefix="ordermill-test-")).resolve()
        made.append(folder)
        folder.chmod(0o755)
        if owner is not None:
            os.chown(folder, owner.uid, owner.gid)
        return folder

    yield make
    for folder in made:
        shutil.rmtree(folder)


@pytest.fixture
def data(make_folder):
    """A data folder that is not there yet."""
    return make_folder() / "data"
