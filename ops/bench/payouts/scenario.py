"""Ask for a payout over HTTP, and wait until all that has settled is in it."""

import asyncio
import time
from typing import Any
from uuid import UUID, uuid4

import httpx

from domain.accounts.model import Role
from domain.invariants import run_check
from domain.payments.ledger_audit_sql import LEDGER
from infra.security import Tokens
from ops.bench.model import Scenario
from ops.bench.payouts.settled import CURRENCY, write_settled
from ops.bench.stage import Stage

LOOK_SECONDS = 0.02
COLLECT_SECONDS_MAX = 120.0
TOKEN_SECONDS = 3_600
STATE = "SELECT state FROM payouts WHERE id = $1"
LEFT = "SELECT count(*) FROM settlements WHERE balance_minor <> 0"


async def payouts(stage: Stage) -> Scenario:
    """Measure from the request to a payout that waits for approval, then hold it against the ledger."""
    sizes = stage.sizes
    async with stage.scene("payouts", stocked=False) as scene:
        conn = scene.conn
        await write_settled(conn, sizes.settled_orders, sizes.settled_sellers)
        base_url, _ = await asyncio.gather(scene.start_web(), scene.start_workers())
        token = Tokens(stage.stack.secret_key).sign(uuid4(), frozenset({Role.ADMIN}), TOKEN_SECONDS)
        await scene.calm()
        probe = scene.probe()
        probe.start()
        started = time.perf_counter()
        state = await _collect(conn, base_url, token)
        seconds = time.perf_counter() - started
        cores = probe.finish().cores
        problems = [] if state == "pending_approval" else [f"the payout is {state}"]
        left = await conn.fetchval(LEFT)
        problems += [f"{left} seller orders are left"] if left else []
        problems += [f"{check.name}: {check.sample}" for check in await _broken(conn)]
    return Scenario(
        settled_per_second=round(sizes.settled_orders / seconds, 1),
        seconds=round(seconds, 2),
        cores=cores,
        note=f"{sizes.settled_orders} seller orders of {sizes.settled_sellers} sellers, one worker",
        problems=problems,
    )


async def _collect(conn: Any, base_url: str, token: str) -> str:
    async with httpx.AsyncClient(base_url=base_url, timeout=30) as client:
        answer = await client.post(
            "/payouts", json={"currency": CURRENCY}, headers={"Authorization": f"Bearer {token}"}
        )
    answer.raise_for_status()
    payout = UUID(answer.json()["id"])
    give_up_at = time.perf_counter() + COLLECT_SECONDS_MAX
    while (state := await conn.fetchval(STATE, payout)) in {None, "collecting"}:
        if time.perf_counter() > give_up_at:
            break
        await asyncio.sleep(LOOK_SECONDS)
    return str(state)


async def _broken(conn: Any) -> list[Any]:
    checks = [await run_check(conn, name) for name in LEDGER]
    return [check for check in checks if check.violations]
