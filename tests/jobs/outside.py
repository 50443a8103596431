"""The outside world of each effect, as the contract needs it: it keeps what was done to it, and can be away.

A new effect needs one of these; the contract test says so when it has none.
"""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any, Protocol

import pytest

from infra import inspection, mail
from infra.settings import Settings
from ops.processes import free_port
from tests.gateways import Receiver, gateways_here
from tests.jobs.endpoints import listening
from tests.jobs.gateway_outside import STEPS, at
from tests.smtp import SENDER, MailServer, mail_server

UNKNOWN = "unknown@example.com"
"""Somebody the mail server doesn't know."""
REFUSED_WEBHOOK = "msg_refused"
"""A webhook that its receiver won't have."""


class Outside(Protocol):
    """What an effect acts on."""

    def acts(self) -> list[str]:
        """The key of everything that was done to it, in order: a repeat has the same one."""

    async def leave(self) -> None:
        """Be away until ``come_back``."""

    async def come_back(self) -> None:
        """Be there again."""


@contextmanager
def mail_settings(settings: Settings, url: str, **environment: str) -> Iterator[None]:
    """Have this process send its mail to a server, as a worker's environment does."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DATABASE_URL", "REDIS_URL", "SECRET_KEY"):
            patch.setenv(name, getattr(settings, name.lower()))
        patch.setenv("MAIL_URL", url)
        patch.setenv("MAIL_FROM", f"The Shop <{SENDER}>")
        patch.setenv("PUBLIC_URL", "https://shop.example")
        for name, value in environment.items():
            patch.setenv(name, value)
        assert not {"LANES", "PAGE_SIZE"} & os.environ.keys(), "a test that sets these clears up after itself"
        mail.post.cache_clear()
        try:
            yield
        finally:
            mail.post.cache_clear()


class MailOutside:
    """A mail server that comes and goes on one port."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._servers: list[MailServer] = []
        self._running = AsyncExitStack()

    def acts(self) -> list[str]:
        return [taken.message_id for server in self._servers for taken in server.taken]

    async def come_back(self) -> None:
        server = await self._running.enter_async_context(mail_server(port=self.port))
        server.to[UNKNOWN, "RCPT"] = "550 5.1.1 unknown"
        self._servers.append(server)

    async def leave(self) -> None:
        await self._running.aclose()


@asynccontextmanager
async def mail_outside(settings: Settings) -> AsyncIterator[MailOutside]:
    outside = MailOutside(free_port())
    # What a breaker does is shown elsewhere: here each command meets the outside itself.
    with mail_settings(settings, f"smtp://127.0.0.1:{outside.port}?starttls=off", BREAKER_FAILURES="1000"):
        await outside.come_back()
        try:
            yield outside
        finally:
            await outside.leave()


class WebhookOutside:
    """Who receives the sandbox's webhooks: a server that comes and goes on one port."""

    def __init__(self) -> None:
        self.receiver = Receiver(free_port())
        self.receiver.refuse[REFUSED_WEBHOOK] = 400

    def acts(self) -> list[str]:
        return [fields["x-request-id"] for fields, _ in self.receiver.taken]

    async def come_back(self) -> None:
        await self.receiver.start()

    async def leave(self) -> None:
        await self.receiver.stop()


@asynccontextmanager
async def webhook_outside(settings: Settings) -> AsyncIterator[WebhookOutside]:
    outside = WebhookOutside()
    async with gateways_here(settings, SANDBOX_WEBHOOK_URL=outside.receiver.url):
        await outside.come_back()
        try:
            yield outside
        finally:
            await outside.leave()


class DatabaseOutside:
    """What the audit looks at: the database, over connections of its own."""

    def __init__(self, connect: Any) -> None:
        self._connect = connect
        self._names: list[str] = []
        self._away = False

    def acts(self) -> list[str]:
        return list(self._names)

    async def connect(self, name: str) -> Any:
        if self._away:
            raise ConnectionRefusedError("nobody listens there")
        self._names.append(name)
        return await self._connect(name)

    async def come_back(self) -> None:
        self._away = False

    async def leave(self) -> None:
        self._away = True


@asynccontextmanager
async def database_outside(settings: Settings) -> AsyncIterator[DatabaseOutside]:
    outside = DatabaseOutside(inspection.connect)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DATABASE_URL", "REDIS_URL", "SECRET_KEY"):
            patch.setenv(name, getattr(settings, name.lower()))
        patch.setattr(inspection, "connect", outside.connect)
        yield outside


class EndpointOutside:
    """Whoever listens to webhooks."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver

    def acts(self) -> list[str]:
        return [fields["webhook-id"] for fields, _ in self._receiver.taken]

    async def come_back(self) -> None:
        await self._receiver.start()

    async def leave(self) -> None:
        await self._receiver.stop()


@asynccontextmanager
async def endpoint_outside(settings: Settings) -> AsyncIterator[EndpointOutside]:
    async with listening(settings) as receiver:
        yield EndpointOutside(receiver)


OUTSIDES: dict[str, Callable[[Settings], AbstractAsyncContextManager[Outside]]] = {
    "send_account_mail": mail_outside,
    "send_notifications": mail_outside,
    "send_sandbox_webhooks": webhook_outside,
    "audit_checks": database_outside,
    "send_webhooks": endpoint_outside,
    **{name: at(*steps) for name, steps in STEPS.items()},
}
