"""``ordermill``: the command that people run.

Invariant: a failure that a person can act on is one line on stderr and status 1 (2 for wrong usage); a traceback
means a defect. Subcommands are the modules of ``ops.commands``, found by their files: help reads the first line of
each docstring and imports none of them, so it is there at once.
"""

import ast
import importlib
import pkgutil
import sys
from pathlib import Path
from typing import Any

import click

import ops.commands
from ops.output import CommandError


class Commands(click.Group):
    """The modules of ``ops.commands`` as subcommands."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Name the modules."""
        return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(ops.commands.__path__))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of a subcommand."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command = importlib.import_module(f"ops.commands.{cmd_name.replace('-', '_')}").command
        if not isinstance(command, click.Command):
            raise TypeError(f"ops.commands.{cmd_name}.command is not a click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the subcommands by their docstrings."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, _first_line(name)) for name in self.list_commands(ctx)])


def _first_line(name: str) -> str:
    source = Path(ops.commands.__path__[0], f"{name.replace('-', '_')}.py").read_text("utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
def _group() -> None:
    """An order engine for marketplaces: run it, look into it, put it to the test.

    Without DATABASE_URL and REDIS_URL, `ordermill up` runs PostgreSQL and Valkey itself; the other commands find
    its stack by --data or these variables.
    """


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and end the process with its status."""
    try:
        _group(arguments, prog_name="ordermill")
    except _expected() as error:
        CommandError(_one_line(error)).show()
        sys.exit(1)


def _expected() -> tuple[type[BaseException], ...]:
    """What a person can act on. Looked up when something has been raised, so that help needs none of it."""
    expected: list[type[BaseException]] = []
    for module, names in (
        ("ops.stack.errors", ("StackError",)),
        ("infra.settings", ("SettingError",)),
        ("asyncpg", ("PostgresConnectionError", "InsufficientPrivilegeError", "TooManyConnectionsError")),
    ):
        loaded: Any = sys.modules.get(module)
        if loaded is not None:
            expected += [getattr(loaded, name) for name in names]
    return tuple(expected)


def _one_line(error: BaseException) -> str:
    return str(error).strip() or type(error).__name__


if __name__ == "__main__":
    main()
