"""One run: the chosen scenarios one after the other on one stack, then the ratios between them."""

import os
import platform
import subprocess
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import psutil
from msgspec import Struct

from ops.bench.catalog import catalog
from ops.bench.drain import drain
from ops.bench.expiry import expiry
from ops.bench.flow import hot, spread
from ops.bench.idle import idle
from ops.bench.lifecycle import lifecycle
from ops.bench.limit import limit
from ops.bench.listeners import listeners
from ops.bench.model import Machine, Percentiles, Report, Scenario, Sizes
from ops.bench.payment import payment
from ops.bench.payouts import payouts
from ops.bench.per_message import per_message
from ops.bench.pricing import pricing
from ops.bench.sellout import sellout
from ops.bench.stage import Stage, temporary_stack
from ops.bench.webhooks import webhooks
from ops.stack import postgres_binary, valkey_binary

LIMIT = "limit"
SCENARIOS: Mapping[str, Callable[[Stage], Awaitable[Scenario]]] = {
    "spread": spread,
    "hot": hot,
    "per_message": per_message,
    "idle": idle,
    "drain": drain,
    "sellout": sellout,
    "catalog": catalog,
    "pricing": pricing,
    "payment": payment,
    "lifecycle": lifecycle,
    "expiry": expiry,
    "payouts": payouts,
    "webhooks": webhooks,
    "listeners": listeners,
}
NAMES = (*SCENARIOS, LIMIT)
NOTE = (
    "the load client, PostgreSQL and Valkey share the cores with the api, the worker and the scheduler;"
    " fsync and synchronous_commit are on"
)


class Run(Struct, frozen=True):
    """A report, and what went wrong in it: sentences that each name their scenario."""

    report: Report
    problems: list[str]


async def run(names: Sequence[str], sizes: Sizes, starts: Callable[[str], None]) -> Run:
    """Run scenarios; ``starts`` hears the name of each before it begins."""
    report = Report(machine=describe_machine(), scenarios={}, ratios={})
    problems: list[str] = []
    with temporary_stack() as stack:
        stage = Stage(stack, sizes)
        starts("a stack, and the assortment")
        await stage.prepare()
        for name in [known for known in NAMES if known in names]:
            starts(name)
            if name == LIMIT:
                report.limit, found = await limit(stage)
            else:
                scenario = report.scenarios[name] = await SCENARIOS[name](stage)
                found = scenario.problems
            problems += [f"{name}: {problem}" for problem in found]
    report.ratios = ratios(report)
    return Run(report, problems)


def ratios(report: Report) -> dict[str, float]:
    """Put figures of the same run into proportion; a ratio both parts of which weren't measured is left out."""
    figures = {name: scenario.orders_per_second for name, scenario in report.scenarios.items()}
    sold_out, drained = report.scenarios.get("sellout"), report.scenarios.get("drain")
    paid = report.scenarios.get("payment") or Scenario()
    limits, listed = report.limit, report.scenarios.get("catalog") or Scenario()
    pairs = {
        "spread_over_per_message": (figures.get("spread"), figures.get("per_message")),
        "hot_over_spread": (figures.get("hot"), figures.get("spread")),
        "hot_over_limit": (figures.get("hot"), limits and limits.hot_per_second),
        "spread_over_limit": (figures.get("spread"), limits and limits.spread_per_second),
        "sellout_over_hot": (sold_out and sold_out.outcomes_per_second, figures.get("hot")),
        "drain_two_over_one": (
            drained and drained.two_workers_per_second,
            drained and drained.one_worker_per_second,
        ),
        "first_page_large_over_small": _large_and_small(listed.first_page_ms),
        "filtered_page_large_over_small": _large_and_small(listed.filtered_page_ms),
        "payment_over_single": (paid.orders_per_second, paid.single_per_second),
        "pricing_over_spread": (figures.get("pricing"), figures.get("spread")),
        "placing_p99_expiring_over_alone": _p99s(report.scenarios.get("expiry")),
        "placing_p99_listened_to_over_alone": _p99s(report.scenarios.get("listeners")),
        "product_over_constant": (listed.product_per_second, listed.constant_per_second),
    }
    return {name: round(over / under, 2) for name, (over, under) in pairs.items() if over and under}


def _p99s(scenario: Scenario | None) -> tuple[float | None, float | None]:
    """The 99th percentiles of outcomes with other work going on, and without."""
    with_it = scenario.outcome_ms if scenario else None
    without = scenario.undisturbed_ms if scenario else None
    return with_it.p99 if with_it else None, without.p99 if without else None


def _large_and_small(pages: Mapping[str, Percentiles] | None) -> tuple[float | None, float | None]:
    """The 99th percentiles of the largest catalog and of the smallest."""
    by_size = sorted((int(variants), figures.p99) for variants, figures in (pages or {}).items())
    return (by_size[-1][1], by_size[0][1]) if by_size else (None, None)


def describe_machine() -> Machine:
    """Say what the figures were measured on."""
    return Machine(
        cpus=os.cpu_count() or 1,
        cpu_model=_cpu_model(),
        memory_gb=round(psutil.virtual_memory().total / 1024**3, 1),
        python=platform.python_version(),
        postgres=_version(postgres_binary("postgres")),
        valkey=_version(valkey_binary()),
        load_average_before=round(os.getloadavg()[0], 2),
        note=NOTE,
    )


def _cpu_model() -> str:
    about = Path("/proc/cpuinfo")
    if about.exists():
        for line in about.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(program: Path) -> str:
    done = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=True)  # noqa: S603 - ours
    return done.stdout.strip()
