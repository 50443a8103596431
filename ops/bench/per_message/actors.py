"""The worker's side: an actor that places the one order its message carries."""

import os
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import dramatiq
import msgspec
from dramatiq.asyncio import get_event_loop_thread
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import AsyncIO, Middleware

from domain.catalog.sql import load_offers
from domain.inventory import sql as inventory
from domain.inventory.model import StockKey
from domain.journal.model import Claimed
from domain.orders import placement
from domain.orders.basket import no_pricing
from domain.orders.demand import offers_of
from domain.orders.model import PlaceOrder
from domain.orders.sql import placed_rows
from domain.writing import write

HOLD = timedelta(minutes=15)
LINE_QUANTITY_MAX = 10_000
THREADS = 8


class Refused(Exception):  # noqa: N818 - an outcome, reported the way such workers do
    """The order can't be placed."""


class Database(Middleware):
    """One pool per worker process, with a connection for each of its threads."""

    pool: Any = None

    def after_worker_boot(self, _broker: Any, _worker: Any) -> None:
        """Open the pool on the event loop that the actors run on."""
        self._on_loop(self._open())

    def before_worker_shutdown(self, _broker: Any, _worker: Any) -> None:
        """Close it."""
        self._on_loop(self.pool.close())

    async def _open(self) -> None:
        self.pool = await asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=THREADS, max_size=THREADS)

    def _on_loop(self, work: Any) -> None:
        thread = get_event_loop_thread()
        if thread is None:
            raise RuntimeError("Dramatiq's event loop isn't running")
        thread.run_coroutine(work)


database = Database()
broker = RedisBroker(  # type: ignore[no-untyped-call] # Dramatiq is typed only in part
    url=os.environ["REDIS_URL"]
)
broker.add_middleware(AsyncIO())
broker.add_middleware(database)
dramatiq.set_broker(broker)


# Refusals are final; everything else is tried again, as is Dramatiq's default.
@dramatiq.actor(throws=(Refused,))
async def place_order(order_id: str, buyer: str, created_at: float, order: dict[str, Any]) -> None:
    """Place the order in one transaction."""
    command = msgspec.convert(order, PlaceOrder)
    claimed = Claimed(UUID(order_id), UUID(buyer), 0, "", datetime.fromtimestamp(created_at, UTC), command)
    keys = offers_of([claimed.command])
    async with database.pool.acquire() as conn, conn.transaction():
        await inventory.lock_stock(conn, [StockKey(*key) for key in keys])
        offers = await load_offers(conn, keys)
        plan = placement.decide(
            [claimed], offers, no_pricing(), now=datetime.now(UTC), hold=HOLD, line_quantity_max=LINE_QUANTITY_MAX
        )
        if not plan.orders:
            raise Refused(repr(plan.outcomes[0]))
        for rows in placed_rows(plan):
            await write(conn, rows)
        await inventory.apply_stock(conn, plan.stock)
