"""Failures of the stack, each one sentence that a person at a terminal can act on."""

from pathlib import Path


class StackError(Exception):
    """The stack cannot start or stop. The message says what to do; a log's tail may follow it."""


class DataFolderInUseError(StackError):
    """Another live process holds the data folder."""

    def __init__(self, data: Path, holder: str) -> None:
        super().__init__(f"the data folder {data} is in use by {holder}; stop it or choose another folder")
