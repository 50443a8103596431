"""``webhooks``: events told to a fast receiver by one io worker, beside an endpoint that never answers."""

import asyncio
import time
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

from domain.accounts.seller_edit import Actor
from domain.journal.model import SYSTEM, Event
from domain.journal.sql import insert_events
from domain.notifications import endpoints
from domain.notifications.webhook_model import NewEndpoint
from domain.notifications.webhook_sql import insert_endpoint
from infra.clock import new_id
from infra.encryption import Sealer
from infra.postgres import transaction
from infra.webhooks import SEALED_FOR
from ops.bench.model import Scenario
from ops.bench.stage import Scene, Stage

TOGETHER = 500
SECONDS_MAX = 300.0
NOTED_SECONDS_MAX = 60.0
SECRET = b"whsec_YmVuY2gtc2VjcmV0LW9mLXRoZS13ZWJob29rcw=="
DATA = '{"number":"7Z0K-93QM-1T8C","currency":"USD","total_minor":4200,"reason":"a webhook of the bench"}'
UNSENT = "SELECT count(*) FROM webhook_deliveries WHERE endpoint_id = $1 AND state <> 'succeeded'"
TWICE = "SELECT count(*) FROM webhook_deliveries WHERE endpoint_id = $1 AND attempts > 1"


class Taken:
    """When webhooks were taken, and whether all were."""

    def __init__(self, wanted: int) -> None:
        self.at: list[float] = []
        self.all = asyncio.Event()
        self._wanted = wanted

    def note(self) -> None:
        """One more was."""
        self.at.append(time.perf_counter())
        if len(self.at) >= self._wanted:
            self.all.set()


class Receiver(asyncio.Protocol):
    """Answers 204 to whatever comes, at once, over connections that stay open; without anywhere to note it, nothing."""

    def __init__(self, taken: Taken | None) -> None:
        self._taken = taken
        self._read = b""
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        """See asyncio."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        if self._taken is None:
            return
        self._read += data
        while (end := self._read.find(b"\r\n\r\n")) >= 0:
            head = self._read[:end].lower()
            length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
            if len(self._read) < end + 4 + length:
                return
            self._read = self._read[end + 4 + length :]
            self._taken.note()
            self._transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")


async def webhooks(stage: Stage) -> Scenario:
    """Have events happen while nobody tells them, then start the worker, and count what is taken."""
    count = stage.sizes.webhook_events
    loop = asyncio.get_running_loop()
    taken = Taken(count)
    servers = [await loop.create_server(partial(Receiver, it), "127.0.0.1", 0) for it in (taken, None)]
    try:
        async with stage.scene("webhooks", stocked=False) as scene:
            sealer = Sealer([stage.stack.secret_key])
            ids = [await _endpoint(scene, sealer, server.sockets[0].getsockname()[1]) for server in servers]
            # So that the subscription begins before the events.
            env = {"WEBHOOK_ALLOW_PRIVATE": "on"}
            await scene.start_io_worker(env)
            probe = scene.probe()
            await _happen(scene, count)
            probe.start()
            with suppress(TimeoutError):
                await asyncio.wait_for(taken.all.wait(), SECONDS_MAX)
            usage = probe.finish()
            problems = await _problems(scene, ids[0], count, len(taken.at))
    finally:
        for server in servers:
            server.close()
    seconds = taken.at[-1] - taken.at[0]
    return Scenario(
        webhooks_per_second=round((len(taken.at) - 1) / seconds, 1),
        seconds=round(seconds, 2),
        cores=usage.cores,
        note=f"{count} events, each to an endpoint that answers at once and to one that never does; one io worker",
        problems=problems,
    )


async def _endpoint(scene: Scene, sealer: Sealer, port: int) -> UUID:
    wish = NewEndpoint(f"http://127.0.0.1:{port}/", ("order.*",))
    made = endpoints.make(wish, new_id(), None, Actor(SYSTEM, "bench"), datetime.now(UTC)).endpoint
    await insert_endpoint(scene.conn, made, sealer.seal(SECRET, SEALED_FOR, made.id), SYSTEM)
    return made.id


async def _happen(scene: Scene, count: int) -> None:
    """Append events as a batch does, many at once."""
    for start in range(0, count, TOGETHER):
        events = [
            Event(new_id(), 1, "order.cancelled", DATA, SYSTEM, "bench") for _ in range(min(TOGETHER, count - start))
        ]
        async with transaction(scene.conn):
            await insert_events(scene.conn, events)


async def _problems(scene: Scene, endpoint: UUID, count: int, taken: int) -> list[str]:
    """What went wrong: each is taken once, and noted."""
    give_up_at = time.perf_counter() + NOTED_SECONDS_MAX
    while unsent := await scene.conn.fetchval(UNSENT, endpoint):
        if time.perf_counter() > give_up_at:
            break
        await asyncio.sleep(0.05)
    twice = await scene.conn.fetchval(TWICE, endpoint)
    problems = [f"{taken} of {count} webhooks were taken"] if taken != count else []
    problems += [f"{unsent} webhooks that were taken aren't noted so"] if unsent else []
    return problems + ([f"{twice} webhooks were sent more than once"] if twice else [])
