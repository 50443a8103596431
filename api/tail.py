"""What happens, as it happens, for who listens to ``GET /stream`` in this process: read once for all of them.

Invariant: PostgreSQL tells, in an order that nobody can commit into any more; Redis only hints that there is something
to read. Nobody is sent what isn't for them, and who is too slow is sent away with their place, never waited for. While
nobody listens nothing is read.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.journal.event_reads import load_end, read_events
from domain.journal.events import EventCursor, StoredEvent
from domain.notifications.hearing import HEARD_BY_SELLERS, Ear, Known, heard_by_sellers
from domain.notifications.hearing_sql import load_known
from infra import telemetry
from infra.tasks import end

log = telemetry.logger()
LOOK_SECONDS = 0.25
GATHER_SECONDS = 0.02
"""How soon it looks again at the earliest: under load events gather meanwhile, and are read together."""
PORTION = 500
BEHIND_MAX = 1_000
"""So many messages may wait for a listener."""
_encode = msgspec.json.Encoder().encode


class Told(Struct, frozen=True):
    """An event as it is streamed; ``actor`` is for the platform alone."""

    stream: UUID
    version: int
    type: str
    at: datetime
    correlation: str
    data: msgspec.Raw
    actor: UUID | msgspec.UnsetType = msgspec.UNSET


class Message(Struct, frozen=True):
    """A message of the stream and its place."""

    cursor: EventCursor
    text: bytes


class Listening:
    """Somebody who listens."""

    def __init__(self, ear: Ear) -> None:
        self.ear = ear
        self.messages: asyncio.Queue[Message | None] = asyncio.Queue()
        self._gone = False

    def tell(self, message: Message) -> None:
        """Have a message wait for them; who has too many waiting is sent away."""
        if self._gone:
            return
        if self.messages.qsize() >= BEHIND_MAX:
            self.send_away()
            return
        self.messages.put_nowait(message)

    def send_away(self) -> None:
        """Say that nothing more comes."""
        self._gone = True
        self.messages.put_nowait(None)


class Tail:
    """Reads what happens for all who listen."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._listening: set[Listening] = set()
        self._cursor: EventCursor | None = None
        self._wake = asyncio.Event()
        self._needed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    def __len__(self) -> int:
        """How many listen."""
        return len(self._listening)

    def start(self) -> None:
        """Begin to read when somebody listens."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Send everybody away and stop."""
        self.release()
        if self._task is not None:
            await end(self._task)

    def release(self) -> None:
        """Send everybody away, now and from now on."""
        self._stopping = True
        for each in list(self._listening):
            each.send_away()

    def wake(self) -> None:
        """Look soon: something was committed."""
        self._wake.set()

    async def join(self, listening: Listening) -> EventCursor:
        """Begin to tell somebody; return the place behind which they are told everything."""
        async with self._pool.acquire(timeout=2) as conn:
            place = await load_end(conn)
        # No await from here on: the loop reads on from where they begin, or from before it.
        if self._cursor is None or not self._listening:
            self._cursor = place
        if self._stopping:
            listening.send_away()
        self._listening.add(listening)
        self._needed.set()
        return self._cursor

    def leave(self, listening: Listening) -> None:
        """Tell somebody no more."""
        self._listening.discard(listening)
        if not self._listening:
            self._needed.clear()
            self._cursor = None

    async def _run(self) -> None:
        while True:
            await self._needed.wait()
            self._wake.clear()
            try:
                full = await self._read()
            except Exception as error:  # noqa: BLE001 - PostgreSQL may be away; the next look is a moment off
                log.warning("tail_failed", error=repr(error))
                full = False
            await asyncio.sleep(GATHER_SECONDS)
            if full:
                continue
            try:
                # Not wait_for: in Python 3.11 it loses a cancellation that comes together with the wake-up.
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _read(self) -> bool:
        place = self._cursor
        if place is None:
            return False
        async with self._pool.acquire(timeout=2) as conn:
            portion = await read_events(conn, place, PORTION)
            known = await load_known(conn, portion.events, [each.ear for each in self._listening])
        if self._cursor == place:
            self._cursor = portion.cursor
            for each in list(self._listening):
                for message in messages_of(portion.events, each.ear, known):
                    each.tell(message)
        return portion.full


def messages_of(events: Sequence[StoredEvent], ear: Ear, known: Known) -> list[Message]:
    """What a listener is told of events."""
    found: list[Message] = []
    for event in events:
        if not ear.wants(event.type):
            continue
        if ear.seller_id is None:
            found.append(_message(event, event.data, actor=event.actor))
        elif event.type in HEARD_BY_SELLERS:
            part = heard_by_sellers(event, known).get(ear.seller_id)
            if part is not None:
                found.append(_message(event, part))
    return found


def _message(event: StoredEvent, data: str, actor: UUID | msgspec.UnsetType = msgspec.UNSET) -> Message:
    told = Told(event.stream, event.version, event.type, event.at, event.correlation, msgspec.Raw(data.encode()), actor)
    text = f"id: {event.cursor}\nevent: {event.type}\ndata: ".encode() + _encode(told) + b"\n\n"
    return Message(event.cursor, text)
