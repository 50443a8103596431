"""Measure: throughput, latency and memory, with ratios from one run.

Starts a PostgreSQL, a Valkey and Ordermill's processes of its own, puts them under load and prints what it found.
Figures depend on the machine and on what else runs on it; ratios much less. Status 1 only when something was lost,
oversold or otherwise wrong: a figure that misses its target is said and no more.
"""

import sys
from typing import TYPE_CHECKING

import click

from infra.process import spare_collector
from ops.output import CommandError, Output, json_option

if TYPE_CHECKING:
    from ops.bench.model import Report

SECONDS = 30.0


@click.command(help=__doc__)
@click.option("--scenario", "scenarios", default="", metavar="A,B", help="Only these. Without it, all.")
@click.option(
    "--seconds",
    type=click.FloatRange(min=1, max=600),
    default=SECONDS,
    show_default=True,
    help="How long a sustained load lasts.",
)
@json_option
def command(scenarios: str, seconds: float, output: Output) -> None:
    """See the module."""
    import uvloop  # noqa: PLC0415 - help imports none of it

    from ops.bench.loop import LoadError  # noqa: PLC0415
    from ops.bench.model import Sizes  # noqa: PLC0415
    from ops.bench.run import NAMES, run  # noqa: PLC0415

    names = [name.strip() for name in scenarios.split(",") if name.strip()] or list(NAMES)
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        raise CommandError(f"no scenario {', '.join(unknown)}; there are {', '.join(NAMES)}")
    try:
        # The client's collector would be measured with the rest.
        spare_collector()
        done = uvloop.run(run(names, Sizes(seconds=seconds), lambda what: output.say(f"{what} ...")))
    except (LoadError, OSError, TimeoutError) as error:
        raise CommandError(f"the load broke off: {str(error) or type(error).__name__}") from None
    _show(output, done.report)
    for problem in done.problems:
        output.say(f"WRONG: {problem}")
    output.result(done.report)
    if done.problems:
        sys.exit(1)


def _show(output: Output, report: "Report") -> None:
    from ops.bench.verdict import figures, verdicts  # noqa: PLC0415 - see command

    machine = report.machine
    output.say()
    output.table(("scenario", "figures"), figures(report))
    if report.ratios:
        output.say()
        output.table(("ratio", "figure"), list(report.ratios.items()))
    judged = verdicts(report)
    if judged:
        output.say()
        output.table(
            ("target", "figure", "must", "aim", "verdict"), [(v.name, v.figure, v.must, v.aim, v.says) for v in judged]
        )
    output.say()
    output.say(
        f"{machine.cpus} cores ({machine.cpu_model}), {machine.memory_gb:g} GB, Python {machine.python},"
        f" {machine.postgres}, {machine.valkey}; load average before: {machine.load_average_before:g}"
    )
    output.say(f"Note: {machine.note}.")
