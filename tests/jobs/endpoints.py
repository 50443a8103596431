"""Webhook endpoints of tests: a receiver on loopback, and deliveries to it."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from domain.accounts.seller_edit import Actor
from domain.journal.events import BEGINNING, StoredEvent
from domain.journal.model import SYSTEM, Command
from domain.journal.sql import insert_events
from domain.notifications import endpoints, webhook_sql
from domain.notifications.webhook_model import NewEndpoint, SendWebhook
from domain.notifications.webhooks import Addressed, body_of
from infra import webhooks
from infra.clock import new_id
from infra.encryption import Sealer
from infra.settings import Settings
from infra.webhooks import SEALED_FOR
from ops.processes import free_port
from tests.engine.parts import Rig
from tests.gateways import Receiver

SECRET = "whsec_ZW5kcG9pbnQtc2VjcmV0LW9mLXRoZS10ZXN0cw=="
_receivers: list[Receiver] = []


@asynccontextmanager
async def listening(settings: Settings, **environment: str) -> AsyncIterator[Receiver]:
    """A receiver that takes what it is sent; the process's webhooks may go to loopback meanwhile."""
    receiver = Receiver(free_port())
    given = {"WEBHOOK_ALLOW_PRIVATE": "on", "BREAKER_FAILURES": "1000", **environment}
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DATABASE_URL", "REDIS_URL", "SECRET_KEY"):
            patch.setenv(name, getattr(settings, name.lower()))
        for name, value in given.items():
            patch.setenv(name, value)
        assert not {"LANES", "PAGE_SIZE"} & os.environ.keys(), "a test that sets these clears up after itself"
        webhooks.postman.cache_clear()
        _receivers.append(receiver)
        await receiver.start()
        try:
            yield receiver
        finally:
            await receiver.stop()
            await webhooks.postman().close()
            webhooks.postman.cache_clear()
            _receivers.remove(receiver)


async def an_endpoint(
    rig: Rig, *events: str, url: str = "", seller_id: UUID | None = None, enabled: bool = True
) -> UUID:
    """Write an endpoint; of the test's receiver unless another address is given."""
    wish = NewEndpoint(url or _receivers[-1].url, events or ("*",))
    edited = endpoints.make(wish, new_id(), seller_id, Actor(SYSTEM, "test"), datetime.now(UTC))
    sealed = Sealer(rig.settings.encryption_secrets()).seal(SECRET.encode(), SEALED_FOR, edited.endpoint.id)
    await webhook_sql.insert_endpoint(rig.conn, edited.endpoint, sealed, SYSTEM)
    await insert_events(rig.conn, [edited.event])
    if not enabled:
        change = "UPDATE webhook_endpoints SET enabled = false, disabled_reason = 'it was switched off' WHERE id = $1"
        await rig.conn.execute(change, edited.endpoint.id)
    return edited.endpoint.id


async def deliveries(rig: Rig, endpoint_id: UUID, count: int = 1) -> list[UUID]:
    """Write deliveries to an endpoint that are to be tried."""
    now = datetime.now(UTC)
    made: dict[UUID, Addressed] = {}
    for _ in range(count):
        event = StoredEvent(new_id(), 1, "order.placed", "{}", SYSTEM, "a-correlation", now, BEGINNING)
        made[new_id()] = Addressed(endpoint_id, None, event, body_of(event.type, now, '{"number":"1"}'))
    await webhook_sql.insert_deliveries(rig.conn, made, now)
    return list(made)


async def deliveries_to_try(rig: Rig) -> list[Command]:
    """Deliveries to an endpoint that takes them, to one that is switched off, and to one that is gone."""
    takes, off = await an_endpoint(rig), await an_endpoint(rig, enabled=False)
    tried = [*await deliveries(rig, takes, 3), *await deliveries(rig, off), *await deliveries(rig, new_id())]
    return [*(SendWebhook(delivery, 1) for delivery in tried), SendWebhook(new_id(), 1)]


async def log_of(rig: Rig, ids: Sequence[UUID]) -> list[tuple[Any, ...]]:
    """Where deliveries stand: state, tries, last status."""
    rows = await rig.conn.fetch(
        "SELECT state, attempts, status FROM webhook_deliveries WHERE id = ANY ($1) ORDER BY id", list(ids)
    )
    return [tuple(row) for row in rows]
