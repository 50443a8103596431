"""What each role takes of the machine while a scenario runs: cores kept busy, memory resident.

Processes are read as trees, because a role is what its process has started too: an api server's own children,
PostgreSQL's backends.
"""

import asyncio
import os
import time
from collections.abc import Mapping

import psutil
from msgspec import Struct

from ops.bench.model import Resident

SAMPLE_SECONDS = 0.5
ELSEWHERE = "elsewhere"
_MB = 1024 * 1024


class Usage(Struct, frozen=True):
    """Cores kept busy per role, and the highest resident memory of each process of a role in MB.

    The role ``elsewhere`` is what the rest of the machine took meanwhile, other virtual machines on it included: a
    run with much of it says little.
    """

    cores: Mapping[str, float]
    resident_mb: Mapping[str, list[float]]

    def resident(self) -> Resident:
        """Memory of the api's and the workers' processes, added up."""
        return Resident(
            api=round(sum(self.resident_mb.get("api", ())), 1), worker=round(sum(self.resident_mb.get("worker", ())), 1)
        )

    def per_order(self, orders_per_second: float) -> Mapping[str, float]:
        """Microseconds of processor time that each role took for an order."""
        return {
            role: round(share / orders_per_second * 1e6, 1)
            for role, share in self.cores.items()
            if orders_per_second and role != ELSEWHERE
        }

    def saturated(self) -> str:
        """Say in words where the cores went, the busiest role first."""
        cpus = os.cpu_count() or 1
        busy = sum(self.cores.values())
        shares = ", ".join(f"{role} {share:.2f}" for role, share in sorted(self.cores.items(), key=lambda i: -i[1]))
        what = f"all {cpus} cores" if busy > 0.9 * cpus else f"{busy:.2f} of {cpus} cores busy"
        return f"{what}: {shares}"


class Probe:
    """Reads the processes of roles: ``roots`` maps a role to the pids its trees start at."""

    def __init__(self, roots: Mapping[str, list[int]]) -> None:
        self._roots = {**roots, "client": [os.getpid()]}
        self._trees: dict[str, list[psutil.Process]] = {}
        self._before: dict[str, float] = {}
        self._machine_before = 0.0
        self._started_at = 0.0
        self._peaks: dict[str, dict[int, int]] = {}

    def start(self) -> None:
        """Begin to count."""
        self._trees = {role: _tree(role, pids) for role, pids in self._roots.items()}
        self._before = {role: _cpu_seconds(tree) for role, tree in self._trees.items()}
        self._machine_before = _machine_seconds()
        self._started_at = time.perf_counter()
        self._peaks = {role: {} for role in self._roots}
        self._look()

    async def watch(self, seconds: float) -> None:
        """Look at the memory twice a second, for that long."""
        ends_at = time.perf_counter() + seconds
        while (left := ends_at - time.perf_counter()) > 0:
            await asyncio.sleep(min(left, SAMPLE_SECONDS))
            self._look()

    def finish(self) -> Usage:
        """Say what was used since the start."""
        elapsed = time.perf_counter() - self._started_at
        machine = _machine_seconds() - self._machine_before
        cores: dict[str, float] = {}
        for role, pids in self._roots.items():
            # Read anew: what came since has used all it used within the time, what went is in its parent's account.
            cores[role] = _cpu_seconds(_tree(role, pids)) - self._before[role]
        cores[ELSEWHERE] = machine - sum(cores.values())
        return Usage(
            cores={role: round(max(seconds, 0.0) / elapsed, 2) for role, seconds in cores.items()},
            resident_mb={
                role: [round(peak / _MB, 1) for peak in peaks.values()]
                for role, peaks in self._peaks.items()
                if role in {"api", "worker"}
            },
        )

    def _look(self) -> None:
        for role, tree in self._trees.items():
            if role not in {"api", "worker"}:
                continue
            for process in tree:
                try:
                    resident = process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue  # ended meanwhile; its peak stands
                peaks = self._peaks[role]
                peaks[process.pid] = max(peaks.get(process.pid, 0), resident)


def _machine_seconds() -> float:
    """Processor time that all of the machine has used, and that other machines on the same hardware took from it."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0))


def _tree(role: str, pids: list[int]) -> list[psutil.Process]:
    found: list[psutil.Process] = []
    for pid in pids:
        root = psutil.Process(pid)
        found.append(root)
        # The client's children are what it measures.
        if role != "client":
            found += root.children(recursive=True)
    return found


def _cpu_seconds(tree: list[psutil.Process]) -> float:
    """Processor time of processes, and of their children that have ended, which only the parents still know of."""
    total = 0.0
    for process in tree:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue  # what it used is its parent's by now
        total += times.user + times.system + times.children_user + times.children_system
    if tree and tree[0].pid == os.getpid():
        own = tree[0].cpu_times()
        total -= own.children_user + own.children_system
    return total
