"""The sandbox's webhooks through real processes: from its books over a worker and HTTP into the journal."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from domain.payments.news import AttemptState
from infra.clock import new_id
from infra.gateways.sandbox import Sandbox
from infra.settings import Settings
from ops.processes import free_port, sandbox_address
from tests.engine.parts import until
from tests.gateways import an_intent
from tests.system import System

pytestmark = pytest.mark.anyio

SENT = "SELECT count(*) FROM outcomes o JOIN commands c USING (id) WHERE c.job = 'send_sandbox_webhooks'"
TAKEN = "SELECT id, payload::jsonb -> 'notice' ->> 'type' AS type, correlation FROM commands WHERE job = 'take_notices'"


@pytest.fixture
async def sandbox(settings: Settings) -> AsyncIterator[Sandbox]:
    """The gateway as a worker has it: it knows where its webhooks go."""
    config = msgspec.structs.replace(settings, sandbox_webhook_url="http://set", sandbox_late_seconds=0.5)
    signer = config.sandbox_signer()
    assert signer is not None
    gateway = Sandbox(config, signer)
    yield gateway
    await gateway.close()


async def sent(conn: Any, count: int) -> None:
    async def so_many() -> bool:
        return int(await conn.fetchval(SENT)) == count

    await until(so_many, 30.0)


async def test_a_duplicate_webhook_is_sent_twice_and_kept_once_and_a_late_one_comes(
    system: System, conn: Any, sandbox: Sandbox
):
    url = await asyncio.to_thread(system.web)
    await asyncio.to_thread(system.worker, LANES="io", SANDBOX_WEBHOOK_URL=f"{url}/webhooks/sandbox")
    await sandbox.create(an_intent("tok_duplicate_webhook"), key=new_id().hex, seconds=5)
    late = await sandbox.create(an_intent("tok_late_webhook"), key=new_id().hex, seconds=5)
    assert late.state is AttemptState.PENDING
    await sent(conn, 3)
    assert [row["type"] for row in await conn.fetch(TAKEN)] == ["payment.succeeded"] * 2
    ids = {row["correlation"] for row in await conn.fetch(TAKEN)}
    senders = {
        str(row["id"]) for row in await conn.fetch("SELECT id FROM commands WHERE job = 'send_sandbox_webhooks'")
    }
    assert ids <= senders, "who looks for one finds the other"


async def test_while_the_api_is_away_a_webhook_waits(system: System, conn: Any, sandbox: Sandbox):
    port = free_port()
    await asyncio.to_thread(system.worker, LANES="io", SANDBOX_WEBHOOK_URL=sandbox_address(port))
    await sandbox.create(an_intent("tok_duplicate_webhook"), key=new_id().hex, seconds=5)

    async def tried() -> bool:
        rows = await conn.fetch("SELECT attempts, error FROM pending WHERE job = 'send_sandbox_webhooks'")
        return len(rows) == 2 and all(row["error"] for row in rows)

    await until(tried, 30.0)
    await asyncio.to_thread(system.fleet.web, port=port)
    await conn.execute("UPDATE pending SET run_at = now()")
    await sent(conn, 2)
    assert len(await conn.fetch(TAKEN)) == 1
