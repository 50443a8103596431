"""What a command says: text for a person, or one JSON object for a program.

Invariant: with ``--json`` the last line of stdout is the result and nothing else is on stdout, so a program reads
it without looking at the rest; everything said on the way goes to stderr. Progress bars are drawn on terminals
only: in a log they would be noise.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO, TypeVar

import click
import msgspec

F = TypeVar("F", bound=Callable[..., Any])


class CommandError(click.ClickException):
    """Ends the command with one clear line on stderr and status 1."""

    def show(self, file: Any = None) -> None:
        """Write the line."""
        click.echo(f"ordermill: {self.message}", file=file or sys.stderr)


class Progress:
    """How far something has come."""

    def __init__(self, advance: Callable[[float], None]) -> None:
        self._advance = advance

    def advance(self, n: float = 1) -> None:
        """Count ``n`` more as done."""
        self._advance(n)


class Output:
    """Where a command's text, progress and result go."""

    def __init__(self, *, json: bool) -> None:
        self.json = json

    @property
    def stream(self) -> TextIO:
        """Where text goes: stdout, or stderr when stdout belongs to the result."""
        return sys.stderr if self.json else sys.stdout

    def say(self, text: str = "") -> None:
        """Say a line to the person."""
        click.echo(text, file=self.stream)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Say rows under headings, numbers to the right; nothing is cut off, so that ids can be copied."""
        cells = [["-" if cell is None else str(cell) for cell in row] for row in rows]
        right = [bool(rows) and all(isinstance(row[n], int | float) for row in rows) for n in range(len(columns))]
        widths = [max(len(line[n]) for line in [list(columns), *cells]) for n in range(len(columns))]
        for line in [list(columns), *cells]:
            padded = [
                cell.rjust(width) if to_right else cell.ljust(width)
                for cell, width, to_right in zip(line, widths, right, strict=True)
            ]
            self.say("  ".join(padded).rstrip())

    @contextmanager
    def progress(self, label: str, total: float) -> Iterator[Progress]:
        """Show a bar while the body runs, on a terminal; elsewhere only say that it began."""
        if not sys.stderr.isatty():
            self.say(f"{label} ...")
            yield Progress(lambda _n: None)
            return
        # Imported when it is drawn: it takes longer than most commands.
        from rich.console import Console  # noqa: PLC0415
        from rich.progress import Progress as Bars  # noqa: PLC0415

        with Bars(console=Console(stderr=True), transient=True) as bars:
            task = bars.add_task(label, total=total)
            yield Progress(lambda n: bars.advance(task, n))

    def result(self, result: msgspec.Struct | dict[str, Any]) -> None:
        """Print the result as one line of JSON, last; says nothing to a person, who has been told already."""
        if self.json:
            sys.stdout.write(msgspec.json.encode(result).decode() + "\n")
            sys.stdout.flush()


def json_option(command: F) -> F:
    """Give a click command ``--json``; it gets an :class:`Output` named ``output``."""

    def make(context: click.Context, _parameter: click.Parameter, value: bool) -> Output:  # noqa: FBT001 - click's call
        # `ordermill lanes --json list` means the same as `ordermill lanes list --json`.
        outer = context.parent.params.get("output") if context.parent is not None else None
        return Output(json=value or (isinstance(outer, Output) and outer.json))

    option = click.option(
        "--json",
        "output",
        is_flag=True,
        callback=make,
        help="One JSON object as the last line of stdout, everything else on stderr.",
    )
    return option(command)
