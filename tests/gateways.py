"""The payment gateways of this process, as a test sets them, and webhooks as gateways sign them."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from domain.payments.news import Capture, Intent
from infra.clock import new_id
from infra.gateways import registry, sandbox_webhooks
from infra.settings import Settings
from infra.standard_webhooks import Signer
from tests.builders import SANDBOX_SECRET
from tests.http_server import Answer, Asked, HttpServer


def an_intent(token: str = "tok_ok", **changes: Any) -> Intent:
    """What a payment of 19.99 asks for."""
    intent = Intent(new_id(), new_id(), "7Z0K-93QM-1T8C", 1999, "USD", token, Capture.NOW)
    return msgspec.structs.replace(intent, **changes)


def webhook(
    kind: str,
    payment_id: UUID,
    *,
    webhook_id: str = "",
    secret: str = SANDBOX_SECRET,
    late: timedelta = timedelta(),
    **data: Any,
) -> tuple[bytes, dict[str, str]]:
    """A webhook of the sandbox: its body and its header fields; signed ``late`` ago."""
    body = msgspec.json.encode({"type": kind, "data": {"payment_id": payment_id, **data}})
    fields = Signer(secret).headers(webhook_id or f"msg_{new_id().hex}", datetime.now(UTC) - late, body.decode())
    return body, {"content-type": "application/json", **fields}


@asynccontextmanager
async def gateways_here(settings: Settings, **environment: str) -> AsyncIterator[None]:
    """Have this process's gateways be those of these settings, as in a worker's environment."""
    names = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "SANDBOX_WEBHOOK_SECRET")
    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            patch.setenv(name, getattr(settings, name.lower()))
        for name, value in environment.items():
            patch.setenv(name, value)
        assert not {"LANES", "PAGE_SIZE"} & os.environ.keys(), "a test that sets these clears up after itself"
        _forget()
        try:
            yield
        finally:
            await registry.close()
            _forget()


def _forget() -> None:
    registry.gateways.cache_clear()
    sandbox_webhooks.courier.cache_clear()


class Receiver:
    """Takes webhooks over real HTTP: what came, and which ids it won't have."""

    def __init__(self, port: int) -> None:
        self.taken: list[tuple[dict[str, str], bytes]] = []
        self.refuse: dict[str, int] = {}
        self._server = HttpServer(self._answer, port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.port}/webhooks/sandbox"

    async def start(self) -> None:
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop()

    async def _answer(self, asked: Asked) -> Answer:
        status = self.refuse.get(asked.fields["webhook-id"], 202)
        if status == 202:
            self.taken.append((asked.fields, asked.body))
        return Answer(status)
