"""A real HTTP server on loopback, in the test's own event loop: a function answers each request."""

import asyncio
from collections.abc import Awaitable, Callable

import h11
from msgspec import Struct


class Asked(Struct, frozen=True):
    """A request, its header names in lower case."""

    method: str
    target: str
    fields: dict[str, str]
    body: bytes


class Answer(Struct, frozen=True):
    """An answer."""

    status: int
    body: bytes = b""
    fields: dict[str, str] = {}


Handler = Callable[[Asked], Awaitable[Answer | None]]
"""Answers, or hangs up with None."""


class HttpServer:
    """Listens on a port of this machine while it is started; each request has a connection of its own."""

    def __init__(self, handler: Handler, port: int = 0) -> None:
        self.port = port
        self._handler = handler
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
            for writer in self._open:
                writer.transport.abort()
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            connection = h11.Connection(h11.SERVER)
            asked = await _read(connection, reader)
            answer = None if asked is None else await self._handler(asked)
            if answer is not None:
                writer.write(_written(connection, answer))
                await writer.drain()
            writer.close()
            await writer.wait_closed()
        except (ConnectionError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            self._open.discard(writer)


async def _read(connection: h11.Connection, reader: asyncio.StreamReader) -> Asked | None:
    request: h11.Request | None = None
    body = b""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(65_536))
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        else:
            break
    if request is None:
        return None
    fields = {name.decode(): value.decode() for name, value in request.headers}
    return Asked(request.method.decode(), request.target.decode(), fields, body)


def _written(connection: h11.Connection, answer: Answer) -> bytes:
    fields = [*answer.fields.items(), ("content-length", str(len(answer.body))), ("connection", "close")]
    parts = [
        connection.send(h11.Response(status_code=answer.status, headers=fields)),
        connection.send(h11.Data(data=answer.body)),
        connection.send(h11.EndOfMessage()),
    ]
    return b"".join(part for part in parts if part)
