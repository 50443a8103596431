"""The load: connections that send the next order as soon as the last one is answered.

Invariant: one order in flight per connection, so the client can't outrun what it measures; and as few instructions
as possible between an answer and the next request, because the client shares the cores. So there is no task per
request, no general parser and nothing to encode: a request is three byte strings put together, and of an answer
only the status, the length and the job's id are read.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import cast
from urllib.parse import urlsplit

from msgspec import Struct

from domain.ids import Kind
from domain.orders.model import PlaceOrder
from ops.bench.orders import body_of

KEY_DIGITS = 20
WAIT_SECONDS = 10
_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"
_ID = b'{"id":"'
_ID_LENGTH = 36


class LoadError(Exception):
    """The load couldn't be put on: a connection broke, or an answer isn't one."""


class Request(Struct, frozen=True):
    """A request in two pieces: each sending puts an Idempotency-Key of its own between them.

    ``then`` is sent next on the same connection, about the order that was placed, or about its ``part``, the number of
    a seller order: its head begins after the id.
    """

    head: bytes
    tail: bytes
    waits: bool
    then: "Request | None" = None
    part: int | None = None


def encode_requests(
    base_url: str, orders: Sequence[PlaceOrder], tokens: Sequence[str], *, without_wait_every: int = 10
) -> list[Request]:
    """Put orders into bytes, buyers in turn. One in ``without_wait_every`` asks for no outcome (0: none does)."""
    host = urlsplit(base_url).netloc
    requests: list[Request] = []
    for number, order in enumerate(orders):
        waits = not without_wait_every or number % without_wait_every != without_wait_every - 1
        body = body_of(order)
        prefer = f"Prefer: wait={WAIT_SECONDS}\r\n" if waits else ""
        head = (
            f"POST /orders HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {tokens[number % len(tokens)]}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n{prefer}Idempotency-Key: "
        )
        requests.append(Request(head.encode(), _HEAD_END + body, waits))
    return requests


def endless(requests: Sequence[Request]) -> Iterator[Request]:
    """Send requests in turn, over and over."""
    while True:
        yield from requests


class ClosedLoop:
    """Sends what ``source`` yields over ``connections`` connections until it ends or :meth:`stop`.

    Latencies, in seconds as the client sees them, are kept from :meth:`measure` on. ``accepted`` holds the ids, as
    text, of all jobs answered with 200 or 202 since the start. ``room`` is how many more requests may be sent;
    None means any number.
    """

    def __init__(self, base_url: str, source: Iterator[Request], *, connections: int) -> None:
        parts = urlsplit(base_url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._source = source
        self._connections = connections
        self._key = time.time_ns()
        self._open = 0
        self._held: list[_Connection] = []
        self._ended = asyncio.get_running_loop().create_future()
        self._stopping = False
        self._measured_from = float("inf")
        self.room: int | None = None
        self.outcome_seconds: list[float] = []
        self.accept_seconds: list[float] = []
        self.accepted: list[bytes] = []
        self.statuses: Counter[int] = Counter()
        self.sent = 0

    async def run(self) -> None:
        """Send until the source ends or someone stops it; raises LoadError or OSError."""
        loop = asyncio.get_running_loop()
        self._open = self._connections
        await asyncio.gather(
            *(loop.create_connection(lambda: _Connection(self), self._host, self._port) for _ in range(self._open))
        )
        await self._ended

    def measure(self) -> None:
        """Keep latencies of what is sent from now on."""
        self._measured_from = time.perf_counter()

    def stop(self) -> None:
        """Send nothing new; :meth:`run` returns when what is in flight is answered."""
        self._stopping = True
        self.allow(0)

    def allow(self, room: int) -> None:
        """Let ``room`` more requests go out."""
        self.room = room
        held, self._held = self._held, []
        for connection in held:
            connection.send_next()

    def take(self, connection: "_Connection") -> tuple[Request, bytes] | None:
        """The next request and its bytes; None when the connection must wait or is closed now."""
        if not self._stopping and self.room is not None:
            if self.room <= 0:
                self._held.append(connection)
                return None
            self.room -= 1
        request = None if self._stopping else next(self._source, None)
        if request is None:
            connection.close()
            return None
        return request, self._bytes_of(request, b"")

    def follow(self, request: Request, order_id: bytes) -> bytes:
        """The bytes of a request about an order, or a part of it."""
        if request.part is None:
            return self._bytes_of(request, b"POST /orders/" + order_id)
        # ``domain.ids.child``: the last twelve bits of an order's id are free.
        child = b"%03x" % (Kind.SELLER_ORDER << 10 | request.part)
        return self._bytes_of(request, b"POST /seller-orders/" + order_id[: -len(child)] + child)

    def _bytes_of(self, request: Request, start: bytes) -> bytes:
        self._key += 1
        self.sent += 1
        return b"%b%b%020d%b" % (start, request.head, self._key, request.tail)

    def answered(self, request: Request, sent_at: float, status: int, body: bytes) -> None:
        """Note an answer."""
        if sent_at >= self._measured_from:
            (self.outcome_seconds if request.waits else self.accept_seconds).append(time.perf_counter() - sent_at)
        self.statuses[status] += 1
        if status in {200, 202} and body.startswith(_ID):
            self.accepted.append(body[len(_ID) : len(_ID) + _ID_LENGTH])

    def closed(self, error: Exception | None) -> None:
        """Note that a connection is gone; an error ends the run."""
        self._open -= 1
        if self._ended.done():
            return
        if error is not None:
            self._stopping = True
            self._ended.set_exception(error)
        elif self._open == 0:
            self._ended.set_result(None)


class _Connection(asyncio.Protocol):
    def __init__(self, run: ClosedLoop) -> None:
        self._run = run
        self._transport: asyncio.Transport
        self._request: Request | None = None
        self._sent_at = 0.0
        self._received = b""
        self._order = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports speak the interface without inheriting it.
        self._transport = cast("asyncio.Transport", transport)
        self.send_next()

    def connection_lost(self, exc: Exception | None) -> None:
        lost = self._request is not None
        self._run.closed(LoadError(f"a connection was lost in the middle of a request: {exc!r}") if lost else None)

    def close(self) -> None:
        self._transport.close()

    def send_next(self) -> None:
        self._order = b""
        taken = self._run.take(self)
        if taken is not None:
            self._send(*taken)

    def _send(self, request: Request, data: bytes) -> None:
        self._request = request
        self._sent_at = time.perf_counter()
        self._transport.write(data)

    def data_received(self, data: bytes) -> None:
        if self._received:
            data = self._received + data
        head_end = data.find(_HEAD_END)
        if head_end < 0:
            self._received = data
            return
        start = data.find(_LENGTH, 0, head_end)
        if start < 0 or self._request is None:
            self._transport.abort()
            return
        body_at = head_end + len(_HEAD_END)
        length = int(data[start + len(_LENGTH) : data.index(b"\r", start)])
        if len(data) < body_at + length:
            self._received = data
            return
        self._received = b""
        request, self._request = self._request, None
        status, body = int(data[9:12]), data[body_at:]
        self._run.answered(request, self._sent_at, status, body)
        if request.then is not None and status == 200 and body.startswith(_ID):
            # The first request is the one that places.
            self._order = self._order or body[len(_ID) : len(_ID) + _ID_LENGTH]
            self._send(request.then, self._run.follow(request.then, self._order))
        else:
            self.send_next()
