"""What of all that is known is wrong, and how badly.

Invariant: pure. ``CRITICAL`` is what keeps somebody's order or money waiting, or a figure wrong; ``DEGRADED`` is what
works, but not as it should, or won't for long.
"""

from collections.abc import Iterator, Sequence
from enum import IntEnum

from msgspec import Struct

from domain.journal.partitions import LEAD_DAYS_LOW
from domain.operation.auditing import worst_first
from domain.operation.reads import LaneView
from domain.operation.status_reads import Standing
from domain.operation.tick_sql import Tick

OLDEST_SECONDS_MAX = 60.0
"""How long a command that is due may wait in a lane that isn't paused."""
LAG_SECONDS_MAX = 60.0
TRANSACTION_SECONDS_MAX = 60.0


class Level(IntEnum):
    """How bad it is; the status with which ``ordermill status`` ends."""

    OK = 0
    DEGRADED = 1
    CRITICAL = 2


class Finding(Struct, frozen=True):
    """Something that isn't as it should be, in a sentence."""

    level: Level
    what: str


def worst(findings: Sequence[Finding]) -> Level:
    """How things stand in all."""
    return max((finding.level for finding in findings), default=Level.OK)


def unserved(lanes: Sequence[LaneView]) -> list[str]:
    """The lanes that no live worker serves."""
    return [lane.lane.value for lane in lanes if not lane.workers]


def late(sweeps: Sequence[Tick]) -> list[str]:
    """The sweeps whose next tick should have come long ago."""
    return [tick.job for tick in sweeps if tick.is_late]


def judge(standing: Standing) -> list[Finding]:
    """What is wrong with what PostgreSQL knows, the worst first."""
    found = [*_of_the_audit(standing), *_of_lanes(standing), *_of_sweeps(standing), *_of_the_rest(standing)]
    return sorted(found, key=lambda finding: -finding.level)


def _of_lanes(standing: Standing) -> Iterator[Finding]:
    for lane in standing.lanes:
        name = lane.lane.value
        oldest = max((job.oldest_seconds or 0.0 for job in lane.jobs), default=0.0)
        if lane.paused:
            yield Finding(Level.DEGRADED, f"lane {name} is paused")
        elif not lane.workers:
            waiting = sum(job.depth for job in lane.jobs)
            level = Level.CRITICAL if waiting else Level.DEGRADED
            yield Finding(level, f"no live worker serves lane {name}; {waiting} commands wait")
        elif oldest > OLDEST_SECONDS_MAX:
            yield Finding(Level.CRITICAL, f"a command of lane {name} has been waiting for {oldest:.0f} s")
    parked = sum(job.parked for lane in standing.lanes for job in lane.jobs)
    if parked:
        yield Finding(Level.DEGRADED, f"{parked} commands could not be run and wait for an operator")


def _of_sweeps(standing: Standing) -> Iterator[Finding]:
    if not standing.sweeps:
        yield Finding(Level.DEGRADED, "no scheduler has ever ticked here")
    elif names := late(standing.sweeps):
        yield Finding(Level.DEGRADED, f"sweeps are late: {', '.join(names)}; does the scheduler run?")


def _of_the_audit(standing: Standing) -> Iterator[Finding]:
    for check in worst_first(standing.checks):
        yield Finding(Level.CRITICAL, f"the audit found {check.violations} violations of {check.name}")
    unfinished = [check.name for check in standing.checks if not check.finished]
    if unfinished:
        yield Finding(Level.DEGRADED, f"checks of the audit took too long: {', '.join(unfinished)}")


def _of_the_rest(standing: Standing) -> Iterator[Finding]:
    for each in standing.subscriptions:
        if (each.oldest_seconds or 0.0) > LAG_SECONDS_MAX:
            yield Finding(Level.DEGRADED, f"subscription {each.name} is {each.oldest_seconds:.0f} s behind")
        if each.failures:
            yield Finding(Level.DEGRADED, f"subscription {each.name} passed over {each.failures} events")
    if standing.partition_days < LEAD_DAYS_LOW:
        days = standing.partition_days
        yield Finding(Level.CRITICAL if not days else Level.DEGRADED, f"the journal has days for {days} more")
    server = standing.server
    if server.transaction_seconds > TRANSACTION_SECONDS_MAX:
        yield Finding(Level.DEGRADED, f"a transaction has been open for {server.transaction_seconds:.0f} s")
    if server.connections >= server.connections_max * 0.9:
        yield Finding(Level.DEGRADED, f"{server.connections} of {server.connections_max} connections are in use")
