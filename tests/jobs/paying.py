"""Orders that are placed and paid, one step of a worker at a time, with the sandbox as their gateway."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

import jobs
from domain.journal.declare import EffectJob
from domain.journal.model import SYSTEM, Command
from domain.payments.model import StartPayment, TakeNotice
from domain.payments.news import Capture, DisputeNews, DisputeState, News, Notice
from infra.clock import new_id
from ops.goods import NewOffer
from tests.builders import place, submit, write_offers
from tests.engine.parts import Rig, due_now, run_due, until
from tests.gateways import gateways_here
from workers.effects import EffectRunner, Leased

JOBS = jobs.load()


class InHand(Struct, frozen=True):
    """A command a worker has acted on: the gateway has answered, and nothing of that is written yet."""

    rig: Rig
    runner: EffectRunner
    lease: UUID
    held: Leased
    answer: Any

    async def record(self) -> None:
        async with self.rig.pool.acquire() as conn:
            await self.runner.record(conn, self.lease, [(self.held, self.answer)])


class Till:
    """A shop with one offer and what its orders bring."""

    def __init__(self, rig: Rig, offer: NewOffer) -> None:
        self.rig = rig
        self.conn = rig.conn
        self.offer = offer

    def runner(self, name: str) -> EffectRunner:
        job = JOBS[name]
        assert isinstance(job, EffectJob)
        return EffectRunner(job, limits=self.rig.settings.limits())

    async def run(self, *names: str) -> None:
        """Run what is queued of some jobs, in this order, whether it is due or not."""
        for name in names:
            await due_now(self.rig)
            job = JOBS[name]
            if isinstance(job, EffectJob):
                await run_due(self.rig, self.runner(name))
            else:
                await self.rig.drain(self.rig.runner(job))

    async def run_all(self) -> None:
        """Run until nothing is queued."""
        while names := [r["job"] for r in await self.conn.fetch("SELECT DISTINCT job FROM pending ORDER BY job")]:
            await self.run(*names)

    async def order(self, *offers: NewOffer, quantity: int = 1, buyer: UUID | None = None) -> UUID:
        (order,) = await submit(self.conn, place(*(offers or (self.offer,)), quantity=quantity), principal=buyer)
        await self.run("place_orders")
        assert (await self.rig.statuses([order])) == ["succeeded"]
        return order

    async def start(self, order: UUID, token: str = "tok_ok", capture: Capture = Capture.NOW) -> UUID:
        (payment,) = await submit(self.conn, StartPayment(order, "sandbox", token, capture))
        return payment

    async def pay(self, order: UUID, token: str = "tok_ok", capture: Capture = Capture.NOW) -> UUID:
        payment = await self.start(order, token, capture)
        await self.run("start_payments")
        return payment

    async def asked(self, name: str = "start_payments") -> "InHand":
        """Let a job come as far as the gateway's answer; who records it may do so later, or never."""
        runner, lease = self.runner(name), new_id()
        await due_now(self.rig)
        async with self.rig.pool.acquire() as conn:
            (held,), _ = await runner.claim(conn, lease, 1)
        return InHand(self.rig, runner, lease, held, await runner.attempt(held))

    async def send(self, *commands: Command) -> list[UUID]:
        return await submit(self.conn, *commands, principal=SYSTEM)

    async def notice(self, payment: UUID, kind: str = "payment.succeeded", **news: Any) -> UUID:
        """A webhook of the sandbox about a payment, taken in."""
        said = Notice(f"msg_{new_id().hex}", kind, payment=News(payment_id=payment, **(news or {"succeeded": True})))
        (command,) = await self.send(TakeNotice("sandbox", said))
        await self.run("take_notices")
        return command

    async def notify(self, *notices: tuple[UUID, News]) -> list[UUID]:
        """Webhooks of the sandbox, queued together; nobody has taken them in yet."""
        said = [Notice(f"msg_{new_id().hex}", "payment.said", payment=replace(n, payment_id=p)) for p, n in notices]
        return await self.send(*(TakeNotice("sandbox", each) for each in said))

    async def dispute(
        self,
        payment: UUID,
        state: DisputeState,
        amount_minor: int | None = None,
        name: str = "d",
        *,
        fee_minor: int = 15,
        currency: str = "USD",
    ) -> UUID:
        """A webhook of the sandbox that a buyer's bank takes money back, taken in with what else is queued."""
        told = DisputeNews(f"{name}_{payment.hex}", state, amount_minor, fee_minor, currency, "fraudulent")
        kind = f"chargeback.{state.value}"
        said = Notice(f"msg_{new_id().hex}", kind, payment=News(payment_id=payment), dispute=told)
        (command,) = await self.send(TakeNotice("sandbox", said))
        await self.run("take_notices")
        return command

    async def step(self, name: str) -> None:
        """What a worker does with a job's due commands, on connections of its own: several may go on at once."""
        job = JOBS[name]
        if isinstance(job, EffectJob):
            await run_due(self.rig, self.runner(name))
        else:
            await self.rig.drain(self.rig.runner(job))

    async def in_line(self, order: UUID, *steps: Awaitable[None]) -> None:
        """Have steps run at once, each waiting for the order's lock before the next begins: they get it in turn."""
        await due_now(self.rig)
        async with self.rig.pool.acquire() as conn:
            await conn.execute("BEGIN")
            await conn.fetch("SELECT id FROM orders WHERE id = $1 FOR UPDATE", order)
            running = []
            for number, step in enumerate(steps, 1):
                running.append(asyncio.ensure_future(step))
                await until(lambda number=number: self._waiting(number))
            await conn.execute("COMMIT")
            await asyncio.gather(*running)

    async def _waiting(self, number: int) -> bool:
        blocked = "wait_event_type = 'Lock' AND datname = current_database()"
        return bool(await self.conn.fetchval(f"SELECT count(*) = $1 FROM pg_stat_activity WHERE {blocked}", number))

    async def expire(self, order: UUID) -> None:
        """Let the time of an order's hold pass, without anybody taking notice yet."""
        past = "now() - interval '1 second'"
        await self.conn.execute(f"UPDATE orders SET expires_at = {past} WHERE id = $1", order)
        await self.conn.execute(f"UPDATE reservations SET expires_at = {past} WHERE order_id = $1", order)

    async def payment(self, payment: UUID) -> tuple[str, int, int]:
        """State, captured and refunded."""
        row = await self.conn.fetchrow(
            "SELECT state, captured_minor, refunded_minor FROM payments WHERE id = $1", payment
        )
        return tuple(row)

    async def charged(self) -> int:
        """What buyers have paid and not got back, by the gateway's own books."""
        # The first call with this token leaves its row, but came to nothing.
        happened = "token <> 'tok_timeout_before' OR calls > 1"
        charged = f"SELECT coalesce(sum(captured_minor - refunded_minor), 0) FROM sandbox_intents WHERE {happened}"
        return int(await self.conn.fetchval(charged))

    async def state(self, order: UUID) -> tuple[str, str, bool]:
        """The order's payment, its first seller order's fulfilment, whether it expired."""
        row = await self.conn.fetchrow(
            "SELECT o.payment, s.fulfilment, o.expired_at IS NOT NULL AS expired FROM orders o"
            " JOIN seller_orders s ON s.order_id = o.id WHERE o.id = $1 LIMIT 1",
            order,
        )
        return tuple(row)

    async def stock(self) -> tuple[int, int]:
        row = await self.conn.fetchrow(
            "SELECT on_hand, reserved FROM stock WHERE variant_id = $1", self.offer.variant_id
        )
        return row["on_hand"], row["reserved"]

    async def events(self, order: UUID) -> list[str]:
        rows = await self.conn.fetch("SELECT type FROM events WHERE stream = $1 ORDER BY version", order)
        return [row["type"].removeprefix("order.") for row in rows]

    async def result(self, command: UUID) -> tuple[str, str | None]:
        """A command's status, and the problem's code."""
        row = await self.conn.fetchrow("SELECT status, problem ->> 'code' AS code FROM outcomes WHERE id = $1", command)
        return (row["status"], row["code"]) if row is not None else ("pending", None)


@asynccontextmanager
async def a_till(rig: Rig, *, units: int = 10, price: int = 1000) -> AsyncIterator[Till]:
    async with gateways_here(rig.settings):
        (offer,) = await write_offers(rig.conn, units=units, price=price)
        yield Till(rig, offer)
