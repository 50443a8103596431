"""Orders that are placed and paid, one step of a worker at a time, with the sandbox as their gateway."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import jobs
from domain.journal.declare import EffectJob
from domain.journal.model import SYSTEM, Command
from domain.payments.model import StartPayment, TakeNotice
from domain.payments.news import Capture, News, Notice
from infra.clock import new_id
from ops.goods import NewOffer
from tests.builders import place, submit, write_offers
from tests.engine.parts import Rig, due_now, run_due
from tests.gateways import gateways_here
from workers.effects import EffectRunner, Leased

JOBS = jobs.load()


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

    async def asked(self, payment: UUID, token: str = "tok_ok") -> tuple[EffectRunner, UUID, Leased, Any]:
        """Let a payment come as far as the gateway's answer; who records it may do so later, or never."""
        del payment, token
        runner, lease = self.runner("start_payments"), new_id()
        await due_now(self.rig)
        (held,), _ = await runner.claim(self.conn, lease, 1)
        return runner, lease, held, await runner.attempt(held)

    async def send(self, *commands: Command) -> list[UUID]:
        return await submit(self.conn, *commands, principal=SYSTEM)

    async def notice(self, payment: UUID, kind: str = "payment.succeeded", **news: Any) -> UUID:
        """A webhook of the sandbox about a payment, taken in."""
        said = Notice(f"msg_{new_id().hex}", kind, payment=News(payment_id=payment, **(news or {"succeeded": True})))
        (command,) = await self.send(TakeNotice("sandbox", said))
        await self.run("take_notices")
        return command

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
        return int(
            await self.conn.fetchval("SELECT coalesce(sum(captured_minor - refunded_minor), 0) FROM sandbox_intents")
        )

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
