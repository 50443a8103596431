"""The screen of ``ordermill status``: what is wrong first, then how everything stands; it fits 100 columns, 40 lines.

Lists are cut to what fits, and say how much more there is.
"""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from domain.operation.auditing import Checked
from domain.operation.health import Level
from domain.operation.reads import LaneView
from domain.operation.status_reads import Standing

if TYPE_CHECKING:
    from ops.commands.status import Reached, Status

WIDTH = 100
NAME_WIDTH, FIGURE_WIDTH = 36, 6
FINDINGS_MAX, FAILURES_MAX, WORKERS_MAX, SUBSCRIPTIONS_MAX = 5, 4, 4, 4
_WORDS = {
    Level.OK: ("all is well", "green"),
    Level.DEGRADED: ("degraded", "yellow"),
    Level.CRITICAL: ("critical", "red"),
}


def screen_of(status: "Status") -> RenderableType:
    """Draw it."""
    word, colour = _WORDS[status.level]
    head = Text.assemble(
        ("ORDERMILL  ", "bold"), (word.upper(), f"bold {colour}"), f"  {status.at:%Y-%m-%d %H:%M:%S} UTC"
    )
    servers = Text.assemble(
        "PostgreSQL ", _reached(status.postgresql), _server(status.standing), "   Redis ", _reached(status.redis)
    )
    findings = [Text(f"! {each.what}"[:WIDTH], style=_WORDS[each.level][1]) for each in status.findings]
    parts: list[RenderableType] = [head, servers, *_some(findings, FINDINGS_MAX)]
    if status.standing is not None:
        parts += [Text(), *_standing(status.standing)]
    return Group(*parts)


def _standing(standing: Standing) -> Iterable[RenderableType]:
    yield _lanes(standing.lanes)
    yield _failures(standing)
    yield _workers(standing)
    yield _subscriptions(standing)
    yield Text.assemble(("sweeps  ", "bold"), *chain.from_iterable(_sweeps(standing)))
    yield Text.assemble(("audit   ", "bold"), _audit(standing.checks))


def _some(lines: Sequence[Text], most: int) -> list[Text]:
    more = len(lines) - most
    return [*lines[:most], *([Text(f"  and {more} more")] if more > 0 else [])]


def _reached(reached: "Reached") -> Text:
    return Text(f"{reached.ms:.1f} ms", style="green") if reached.ok else Text("AWAY", style="bold red")


def _server(standing: Standing | None) -> str:
    if standing is None:
        return ""
    server = standing.server
    return f" ({server.version.split()[0]}, {server.connections}/{server.connections_max} connections)"


def _table(*columns: str, right: Iterable[str] = ()) -> Table:
    table = Table(box=None, pad_edge=False, show_edge=False, padding=(0, 2, 0, 0), width=WIDTH, header_style="bold")
    for column in columns:
        number, last = column in right, column == columns[-1]
        table.add_column(
            column,
            justify="right" if number else "left",
            no_wrap=True,
            overflow="ellipsis",
            min_width=FIGURE_WIDTH if number else None,
            max_width=None if last else NAME_WIDTH,
            # What is long stands last, and takes what is left.
            ratio=1 if last and not number else None,
        )
    return table


def _lanes(lanes: Sequence[LaneView]) -> Table:
    figures = ("workers", "waiting", "oldest", "failed")
    table = _table("lane", "state", *figures, "most wait for", right=figures)
    for lane in lanes:
        oldest = max((job.oldest_seconds or 0.0 for job in lane.jobs), default=0.0)
        most = max(lane.jobs, key=lambda job: job.depth, default=None)
        table.add_row(
            lane.lane.value,
            Text("paused", style="yellow") if lane.paused else "open",
            Text(str(lane.workers), style="" if lane.workers else "red"),
            str(sum(job.depth for job in lane.jobs)),
            _age(oldest) if oldest > 0 else "-",
            str(sum(job.parked for job in lane.jobs)),
            f"{most.job} ({most.depth})" if most is not None and most.depth else "-",
        )
    return table


def _failures(standing: Standing) -> RenderableType:
    if not standing.failures:
        return Text.assemble(("failed  ", "bold"), "nothing")
    table = _table("failed", "times", "last", "why", right=("times", "last"))
    for each in standing.failures[:FAILURES_MAX]:
        table.add_row(each.job, str(each.commands), _age(each.age_seconds), Text(each.reason))
    return _with_more(table, len(standing.failures) - FAILURES_MAX)


def _workers(standing: Standing) -> RenderableType:
    if not standing.workers:
        return Text.assemble(("workers ", "bold"), ("none", "red"))
    table = _table("worker", "version", "age", "heard", "lanes", right=("age", "heard"))
    # Whoever was silent longest first.
    for each in sorted(standing.workers, key=lambda worker: -worker.silent_seconds)[:WORKERS_MAX]:
        heard = Text(_age(each.silent_seconds), style="red" if each.silent_seconds > 5 else "")
        table.add_row(Text(each.name), each.version, _age(each.age_seconds), heard, ", ".join(each.lanes))
    return _with_more(table, len(standing.workers) - WORKERS_MAX)


def _subscriptions(standing: Standing) -> RenderableType:
    if not standing.subscriptions:
        return Text.assemble(("events  ", "bold"), "no subscriptions")
    table = _table("subscription", "behind", "oldest", "failed", right=("behind", "oldest", "failed"))
    worst = sorted(standing.subscriptions, key=lambda each: (-each.failures, -each.lag))
    for each in worst[:SUBSCRIPTIONS_MAX]:
        table.add_row(each.name, str(each.lag), _age(each.oldest_seconds or 0.0), str(each.failures))
    return _with_more(table, len(worst) - SUBSCRIPTIONS_MAX)


def _with_more(table: Table, more: int) -> RenderableType:
    return Group(table, Text(f"  and {more} more")) if more > 0 else table


def _sweeps(standing: Standing) -> Iterable[tuple[Text | str, ...]]:
    if not standing.sweeps:
        yield (Text("none yet", style="yellow"),)
    for tick in standing.sweeps:
        style = "red" if tick.is_late or tick.status in {"failed", "rejected"} else ""
        yield (Text(f"{tick.job} {_age(tick.age_seconds)}", style=style), "  ")


def _audit(checks: Sequence[Checked]) -> Text:
    if not checks:
        return Text("not yet run", style="yellow")
    unfinished = sum(not check.finished for check in checks)
    violated = [check for check in checks if check.violations]
    when = f"{len(checks)} checks, the last at {max(check.at for check in checks):%H:%M}: "
    if violated:
        names = ", ".join(f"{check.name} ({check.violations})" for check in violated)
        return Text.assemble(when, (f"VIOLATED {names}", "bold red"))
    return Text.assemble(when, ("no violations", "green"), f", {unfinished} not finished" if unfinished else "")


def _age(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:.0f}s" if seconds >= 10 else f"{seconds:.1f}s"
