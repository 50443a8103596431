"""Check every invariant of the data; status 1 when any is violated."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import click

from domain.invariants import INVARIANTS, Audit, run_check
from ops import target
from ops.output import CommandError, Output, Progress, json_option


@click.command("audit", help=__doc__)
@target.data_option
@json_option
def command(data: Path | None, output: Output) -> None:
    """Run the checks while traffic goes on; nothing is locked or changed."""
    found = asyncio.run(_audit(target.find(data), output))
    say_audit(found, output)
    output.result(found)
    sys.exit(1 if found.violations else 0)


async def _audit(stack: target.Target, output: Output) -> Audit:
    with output.progress("checking", len(INVARIANTS)) as progress:
        async with target.connect(stack) as conn:
            return await _run_all(conn, progress)


async def _run_all(conn: Any, progress: Progress) -> Audit:
    import asyncpg  # noqa: PLC0415 - see ops.cli

    checks = []
    for name in INVARIANTS:
        try:
            checks.append(await run_check(conn, name))
        except asyncpg.QueryCanceledError:
            raise CommandError(f"the check {name} takes too long on this database; run it on a replica") from None
        progress.advance()
    return Audit(checks=checks, violations=sum(check.violations for check in checks))


def say_audit(found: Audit, output: Output) -> None:
    """Say the checks as a table."""
    output.table(
        ("check", "violations", "sample"),
        [(check.name, check.violations, ", ".join(check.sample)) for check in found.checks],
    )
    output.say(f"{len(found.checks)} checks, {found.violations} violation{'' if found.violations == 1 else 's'}")
