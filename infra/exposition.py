"""How metrics are told: which processes' they are, and where they are asked for.

Several api processes share a port, so whoever is asked tells the figures of all of them (``infra.siblings``). What
processes counted that have died goes on being told, so that nothing that only grows shrinks; of what stands at a moment
(gauges), only the living count.

A worker and the scheduler listen on the first free port from ``METRICS_PORT`` on, so that several run on one machine
with the same settings. Who finds none works all the same, and says so in its log.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from prometheus_client import CollectorRegistry, multiprocess, start_http_server
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from infra import metrics, telemetry
from infra.settings import Settings
from infra.siblings import FOLDER

log = telemetry.logger()

PORTS = 20
"""How many ports are tried."""
LOOK_SECONDS_MAX = 5.0
KEPT_SECONDS = 2.0
_OPEN_METRICS = "application/openmetrics-text; version=1.0.0"


def registry_of(*collectors: Collector) -> CollectorRegistry:
    """What this process tells: what it and those that share its port count, and what else is there to tell."""
    registry = CollectorRegistry()
    if FOLDER in os.environ:
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    else:
        registry.register(metrics.REGISTRY)
        registry.register(metrics.about_this_process())
    for collector in collectors:
        registry.register(collector)
    return registry


class Teller:
    """Writes out what a registry tells, for all who ask within ``KEPT_SECONDS`` together: it takes a while."""

    def __init__(self, registry: CollectorRegistry, look: Callable[[], Awaitable[None]]) -> None:
        self._registry = registry
        self._look = look
        self._lock = asyncio.Lock()
        self._kept: dict[str, tuple[float, bytes]] = {}

    async def tell(self, accept: str) -> tuple[bytes, str]:
        """The text and its media type: OpenMetrics for who would take that, else Prometheus' own."""
        encode, media_type = choose_encoder(_OPEN_METRICS if "openmetrics" in accept else "")
        async with self._lock:
            at, text = self._kept.get(media_type, (float("-inf"), b""))
            if time.monotonic() - at >= KEPT_SECONDS:
                await self._look()
                text = await asyncio.to_thread(_write, self._registry, encode)
                self._kept[media_type] = (time.monotonic(), text)
        return text, media_type


def _write(registry: CollectorRegistry, encode: Callable[[Any], bytes]) -> bytes:
    if FOLDER in os.environ:
        _forget_the_dead(Path(os.environ[FOLDER]))
    return encode(registry)


def _forget_the_dead(folder: Path) -> None:
    for file in folder.glob("gauge_live*.db"):
        pid = int(file.stem.rpartition("_")[2])
        if not _is_sibling(pid):
            multiprocess.mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]


def _is_sibling(pid: int) -> bool:
    """Whether a process shares our parent: by the pid alone it may be another one by now."""
    try:
        return bool(psutil.Process(pid).ppid() == os.getppid())
    except psutil.NoSuchProcess:
        return False


class Looking(Collector):
    """Has a coroutine of an event loop run, from another thread, before it tells what a collector has seen."""

    def __init__(self, collector: Collector, look: Callable[[], Any], loop: asyncio.AbstractEventLoop) -> None:
        self._collector = collector
        self._look = look
        self._loop = loop

    def collect(self) -> Iterator[Any]:
        """Look, then tell."""
        asyncio.run_coroutine_threadsafe(self._look(), self._loop).result(LOOK_SECONDS_MAX)
        return iter(self._collector.collect())


@contextmanager
def listening(settings: Settings, *collectors: Collector) -> Iterator[None]:
    """Answer who asks for metrics while the body runs, if ``METRICS_PORT`` is set."""
    server = _listen(settings, registry_of(*collectors)) if settings.metrics_port else None
    try:
        yield
    finally:
        if server is not None:
            server.shutdown()
            server.server_close()


def _listen(settings: Settings, registry: CollectorRegistry) -> Any:
    ports = range(settings.metrics_port, min(settings.metrics_port + PORTS, 65_536))
    error: OSError | None = None
    for port in ports:
        try:
            server, _ = start_http_server(port, settings.metrics_host, registry)
        except OSError as raised:
            error = raised
        else:
            log.info("metrics_ready", host=settings.metrics_host, port=port)
            return server
    log.error("metrics_unheard", host=settings.metrics_host, ports=f"{ports[0]}-{ports[-1]}", error=repr(error))
    return None
