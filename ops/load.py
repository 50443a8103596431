"""A lean HTTP/1.1 client for load: keep-alive connections, httptools parses, nothing else.

It shares the machine with what it measures, so each microsecond it takes is missing from the figures. One request
at a time per connection; a connection that breaks is opened again for the next request.
"""

import asyncio
from typing import Any, Self, cast
from urllib.parse import urlsplit

import httptools
from msgspec import Struct

REQUEST_SECONDS_MAX = 60.0


class Answer(Struct, frozen=True):
    """Status, headers (names in lower case) and body of a response."""

    status: int
    headers: dict[str, str]
    body: bytes


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._parser: Any = None
        self._answer: asyncio.Future[Answer] | None = None
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports speak the interface without inheriting it.
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("the server closed the connection"))

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            if self._answer is not None and not self._answer.done():
                self._answer.set_exception(error)
            if self.transport is not None:
                self.transport.abort()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(Answer(self._parser.get_status_code(), self._headers, b"".join(self._body)))

    async def send(self, request: bytes) -> Answer:
        if self.transport is None:
            raise ConnectionResetError("the connection is closed")
        self._parser = httptools.HttpResponseParser(self)
        self._headers, self._body = {}, []
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self._answer


class Client:
    """A pool of ``connections`` to one server; :meth:`request` waits for a free one."""

    def __init__(self, base_url: str, *, connections: int) -> None:
        parts = urlsplit(base_url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._free: asyncio.LifoQueue[_Connection | None] = asyncio.LifoQueue()
        for _ in range(connections):
            self._free.put_nowait(None)
        self._connections = connections

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        for _ in range(self._connections):
            connection = self._free.get_nowait()
            if connection is not None and connection.transport is not None:
                connection.transport.close()

    def encode(self, method: str, path: str, *, token: str = "", body: bytes = b"", **headers: str) -> bytes:
        """Put a request into bytes; header names are keyword arguments with underscores for dashes."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._host}:{self._port}"]
        if token:
            lines.append(f"Authorization: Bearer {token}")
        if body or method in {"POST", "PUT"}:
            lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    async def send(self, request: bytes) -> Answer:
        """Send encoded bytes and return the answer; raises OSError or TimeoutError."""
        connection = await self._free.get()
        try:
            if connection is None or connection.transport is None:
                loop = asyncio.get_running_loop()
                _, connection = await loop.create_connection(_Connection, self._host, self._port)
            return await asyncio.wait_for(connection.send(request), REQUEST_SECONDS_MAX)
        except BaseException:
            if connection is not None and connection.transport is not None:
                connection.transport.abort()
            connection = None
            raise
        finally:
            self._free.put_nowait(connection)

    async def request(self, method: str, path: str, *, token: str = "", body: bytes = b"", **headers: str) -> Answer:
        """Encode and send a request."""
        return await self.send(self.encode(method, path, token=token, body=body, **headers))
