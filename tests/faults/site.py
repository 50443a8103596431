"""Ordermill under load while its parts die: clients that keep trying, and what must be true afterwards."""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import psutil
from msgspec import Struct

from domain.accounts.model import Role
from domain.invariants import run_audit
from ops.goods import NewOffer
from ops.stack import EmbeddedStack
from tests.builders import token, write_offers
from tests.system import System, eventually

TRIES_SECONDS_MAX = 45.0
CLIENTS = 16
# What subscriptions made of events says what the table says, once they have caught up.
UNTOLD = """
SELECT count(*) FROM stock k FULL JOIN (
    SELECT variant_id, seller_id, location, sum(on_hand) AS on_hand, sum(reserved) AS reserved
    FROM stock_history GROUP BY variant_id, seller_id, location
) h USING (variant_id, seller_id, location)
WHERE (coalesce(k.on_hand, 0), coalesce(k.reserved, 0)) <> (coalesce(h.on_hand, 0), coalesce(h.reserved, 0))
"""


async def _nothing() -> None:
    """Nothing happens."""


class Order(Struct):
    """An order as its buyer sees it: one key however often it is sent."""

    buyer: UUID
    key: str
    body: bytes
    accepted: UUID | None = None
    refused: int = 0
    """Answers of 503."""


class Site:
    """An api, a worker and a scheduler on a stack of their own."""

    def __init__(self, stack: EmbeddedStack) -> None:
        self.stack = stack
        self.system = System(stack.urls.database_url, stack.urls.redis_url)
        self.url = self.system.web()
        self.system.worker()
        self.system.scheduler()
        self.offers: list[NewOffer] = []

    def stop(self) -> None:
        self.system.stop()

    def pid(self, name: str) -> int:
        pids = {**self.stack.supervisor.pids(), **self.system.supervisor.pids()}
        return pids[name]

    def process(self, name: str) -> psutil.Process:
        return psutil.Process(self.pid(name))

    def ready(self) -> tuple[int, str]:
        """Status and body of the readiness probe; 0 while nothing listens."""
        try:
            answer = httpx.get(f"{self.url}/health/ready", timeout=10)
        except httpx.HTTPError:
            return 0, ""
        return answer.status_code, answer.json()["status"]

    def query(self, query: str, *args: object) -> Any:
        async def run() -> Any:
            conn = await asyncpg.connect(self.stack.urls.database_url)
            try:
                return await conn.fetchval(query, *args)
            finally:
                await conn.close()

        return asyncio.run(run())

    def stock(self, *, offers: int, units: int) -> None:
        """Have offers to sell."""

        async def run() -> list[NewOffer]:
            conn = await asyncpg.connect(self.stack.urls.database_url)
            try:
                return await write_offers(conn, offers=offers, sellers=3, units=units)
            finally:
                await conn.close()

        self.offers = asyncio.run(run())

    def orders(self, count: int, seed: int) -> list[Order]:
        """Orders of one to three lines, the same for the same seed but for their keys."""
        choose = random.Random(seed)
        made = []
        for number in range(count):
            wanted = choose.sample(self.offers, choose.randint(1, 3))
            lines = [
                {"variant_id": str(o.variant_id), "seller_id": str(o.seller_id), "quantity": choose.randint(1, 2)}
                for o in wanted
            ]
            made.append(Order(uuid4(), f"{seed}-{number}", json.dumps({"currency": "USD", "lines": lines}).encode()))
        return made

    async def after(self, orders: list[Order], count: int) -> None:
        """Wait until so many of some orders have been accepted."""
        await asyncio.to_thread(eventually, lambda: sum(o.accepted is not None for o in orders) >= count)

    def submit(self, orders: list[Order], meanwhile: Callable[[], Awaitable[None]] = _nothing) -> None:
        """Send orders from several clients, each until it is accepted, while something happens to the processes."""

        async def run() -> None:
            queue = iter(orders)
            async with httpx.AsyncClient(base_url=self.url, timeout=10, verify=False) as client:

                async def work() -> None:
                    for order in queue:
                        await _send(client, order)

                await asyncio.gather(meanwhile(), *(work() for _ in range(CLIENTS)))

        asyncio.run(run())

    def outcomes(self) -> dict[UUID, str]:
        async def run() -> dict[UUID, str]:
            conn = await asyncpg.connect(self.stack.urls.database_url)
            try:
                return {row["id"]: row["status"] for row in await conn.fetch("SELECT id, status FROM outcomes")}
            finally:
                await conn.close()

        return asyncio.run(run())

    def assert_each_ended_once(self, orders: list[Order], seconds: float = 40) -> dict[UUID, str]:
        """Wait until every accepted order has its outcome; hold what is there against what must be true."""
        accepted = {order.accepted for order in orders}
        assert None not in accepted
        assert len(accepted) == len(orders)
        eventually(lambda: accepted <= self.outcomes().keys(), seconds)
        outcomes = self.outcomes()
        ended = {job: outcomes[job] for job in accepted}
        assert set(ended.values()) <= {"succeeded", "rejected"}
        # One command for each buyer, whatever was repeated; an order exactly when it succeeded.
        doubled = "SELECT count(*) - count(DISTINCT principal) FROM commands WHERE job = 'place_orders'"
        assert self.query(doubled) == 0
        assert self.query("SELECT count(*) FROM parked") == 0
        placed = self.query("SELECT count(*) FROM orders WHERE id = ANY ($1)", list(ended))
        assert placed == sum(status == "succeeded" for status in ended.values())
        self.assert_sound()
        eventually(lambda: self.query(UNTOLD) == 0, seconds)
        return ended

    def assert_sound(self) -> None:
        """Audit."""

        async def run() -> Any:
            conn = await asyncpg.connect(self.stack.urls.database_url)
            try:
                return await run_audit(conn)
            finally:
                await conn.close()

        audit = asyncio.run(run())
        assert [check for check in audit.checks if check.violations] == []


async def _send(client: httpx.AsyncClient, order: Order) -> None:
    headers = {
        "Authorization": f"Bearer {token(order.buyer, Role.BUYER)}",
        "Content-Type": "application/json",
        "Idempotency-Key": order.key,
    }
    deadline = asyncio.get_running_loop().time() + TRIES_SECONDS_MAX
    while True:
        assert asyncio.get_running_loop().time() < deadline, "never accepted"
        try:
            answer = await client.post("/orders", content=order.body, headers=headers)
        except httpx.TransportError:
            await asyncio.sleep(0.05)
            continue
        if answer.status_code == 202:
            order.accepted = UUID(answer.json()["id"])
            return
        # Nothing else may be the answer to a fault of a part.
        assert answer.status_code == 503, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert int(answer.headers["retry-after"]) >= 1
        order.refused += 1
        await asyncio.sleep(0.05)
