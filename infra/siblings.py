"""Processes that share a port count together: in files of a folder of their parent's (prometheus-client's multiprocess
mode), and only where there are several, because files cost more than memory.

Invariant: this imports nothing that counts. The library looks for the folder once, when it is imported, and children
are forked with what their parent has imported.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Where the library looks for the folder."""


@contextmanager
def counting_together(processes: int) -> Iterator[None]:
    """Have child processes that are started in the body count together; their figures go when it ends."""
    if processes == 1:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="ordermill-metrics-") as folder:
        os.environ[FOLDER] = folder
        yield
