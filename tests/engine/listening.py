"""A subscription of the tests' own, and ``python -m tests.engine.listening``: a worker that runs it."""

import asyncio
import signal
from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

from domain.journal.declare import EventBatch, Subscription
from domain.journal.model import SYSTEM, Event
from domain.journal.sql import insert_events
from infra import settings, telemetry
from infra.clock import new_id
from infra.process import die_with_parent
from tests.engine.parts import until
from workers.subscriptions import Subscriptions

# An event is heard once.
HEARD = "CREATE TABLE IF NOT EXISTS heard (text text PRIMARY KEY)"
WAIT = "SELECT pg_advisory_xact_lock(7)"
SLOW = "wait"


async def write_down(batch: EventBatch) -> None:
    """Write each event's stream down; one of the type that waits holds its transaction open until it may go on."""
    for event in batch.events:
        await batch.conn.execute("INSERT INTO heard (text) VALUES ($1)", f"{event.stream}-{event.version}")
    if any(event.type == SLOW for event in batch.events):
        await batch.conn.execute(WAIT)


def listening(
    run: Callable[[EventBatch], Any] = write_down,
    *,
    types: Iterable[str] | None = None,
    events_max: int = 100,
    from_now: bool = False,
    gather_seconds: float = 0.0,
) -> Subscription:
    """A subscription that isn't registered."""
    wanted = None if types is None else frozenset(types)
    return Subscription("listening", run, wanted, events_max, from_now, gather_seconds)


def happened(kind: str = "test.done", *, stream: UUID | None = None, version: int = 1, data: str = "{}") -> Event:
    """An event about to be written."""
    return Event(stream or new_id(), version, kind, data, SYSTEM, "test")


LAST = "SELECT coalesce(max(xid), '0') FROM events"


async def readable(conn: Any) -> None:
    """Wait until all that is committed now can be read: a transaction anywhere in the server holds readers up."""
    last = await conn.fetchval(LAST)
    await until(lambda: conn.fetchval("SELECT event_horizon() > $1", last))


async def happen(conn: Any, *kinds: str) -> list[str]:
    """Append an event of each type in a transaction of its own; return what is heard of them."""
    events = [happened(kind) for kind in kinds]
    for event in events:
        await insert_events(conn, [event])
    await readable(conn)
    return [f"{event.stream}-{event.version}" for event in events]


async def main() -> None:
    config = settings.load()
    telemetry.configure(config, "listening")
    running = Subscriptions(config, [listening(events_max=10)])
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await running.start()
    telemetry.logger().info("listening_ready")
    await stop.wait()
    telemetry.logger().info("listening_stopping")
    await running.stop()
    telemetry.logger().info("listening_stopped")


if __name__ == "__main__":
    die_with_parent()
    asyncio.run(main())
