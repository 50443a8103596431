"""A stack of its own: here servers are killed, paused and emptied."""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.migrate import migrate
from ops.stack import EmbeddedStack
from tests.faults.site import Site


@pytest.fixture(scope="package")
def site() -> Iterator[Site]:
    """Processes on a stack that only the tests of this folder use."""
    # Not under pytest's own folder: that one is closed to the user PostgreSQL runs as when we are root.
    folder = Path(tempfile.mkdtemp(prefix="ordermill-faults-"))
    folder.chmod(0o755)
    try:
        with EmbeddedStack(folder, postgres_settings={"shared_buffers": "64MB"}) as stack:
            asyncio.run(migrate(stack.urls.database_url))
            running = Site(stack)
            try:
                yield running
            finally:
                running.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
