"""One owner per data folder, for as long as the owner lives.

The kernel lets go of a flock when its holder dies, however it dies, so a lock is never stale and the
file is never removed: removing it would let a newcomer lock a fresh file while an older one is still
held. The pid inside is only for the message to whoever is refused.
"""

import fcntl
import os
from pathlib import Path

from ops.stack.errors import DataFolderInUseError

PID_BYTES_MAX = 32


class DataFolderLock:
    """An exclusive lock on `<data>/lock`. Children do not inherit it: the descriptor closes on exec."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock at once, or raise DataFolderInUseError naming the folder and its holder."""
        descriptor = os.open(self._data / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError:
            pid = os.pread(descriptor, PID_BYTES_MAX, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            # Between locking and writing its pid a holder's file is empty for an instant.
            raise DataFolderInUseError(self._data, f"process {pid}" if pid else "another process") from None
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def release(self) -> None:
        """Let go. Does nothing when the lock is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
