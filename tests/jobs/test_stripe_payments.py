"""Orders paid by a gateway over HTTP: Stripe's part on loopback, there, slow and away."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest

from domain.payments.model import StartPayment
from domain.payments.refund_model import RefundLine, RefundOrder
from ops.processes import free_port
from tests import stripe_server as fake
from tests.builders import submit, write_offers
from tests.engine.parts import Rig, until
from tests.gateways import gateways_here
from tests.jobs.paying import Till
from tests.stripe_server import StripeServer

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def stripe_till(rig: Rig, server: StripeServer, port: int, **environment: str) -> AsyncIterator[Till]:
    server.http.port = port
    given = {
        "STRIPE_SECRET_KEY": fake.SECRET_KEY,
        "STRIPE_WEBHOOK_SECRET": fake.WEBHOOK_SECRET,
        "STRIPE_API_BASE": server.url,
        "PUBLIC_URL": "https://shop.example",
        "NO_PROXY": "127.0.0.1",
        **environment,
    }
    async with gateways_here(rig.settings, **given):
        (offer,) = await write_offers(rig.conn, units=100)
        try:
            yield Till(rig, offer)
        finally:
            await server.http.stop()


async def started(till: Till, count: int = 1) -> tuple[list[UUID], list[UUID]]:
    """Orders and their payments, queued."""
    orders = [await till.order() for _ in range(count)]
    return orders, await submit(till.conn, *(StartPayment(order, "stripe", fake.VISA) for order in orders))


async def waiting(till: Till) -> list[Any]:
    rows = await till.conn.fetch("SELECT attempts, generation, error FROM pending WHERE job = 'start_payments'")
    return sorted((row["attempts"], row["generation"], (row["error"] or "")[:26]) for row in rows)


async def test_an_order_is_paid_by_stripe(rig: Rig):
    server, port = StripeServer(), free_port()
    async with stripe_till(rig, server, port) as till:
        await server.http.start()
        (order,), (payment,) = await started(till)
        await till.run("start_payments")
        assert await till.payment(payment) == ("captured", 1000, 0)
        assert (await till.state(order))[0] == "paid"
    assert server.charges == 1


async def test_a_charge_whose_answer_was_lost_is_not_made_again(rig: Rig):
    server, port = StripeServer(), free_port()
    async with stripe_till(rig, server, port, PAYMENT_SECONDS="0.5") as till:
        await server.http.start()
        (order,), (payment,) = await started(till)
        server.faults = ["after", 503]
        for _ in range(3):
            await till.run("start_payments")
        assert await till.payment(payment) == ("captured", 1000, 0)
        assert (await till.state(order))[0] == "paid"
    assert server.charges == 1


async def test_a_refund_whose_answer_was_lost_isnt_made_again_after_its_key_was_forgotten(rig: Rig):
    server, port = StripeServer(), free_port()
    async with stripe_till(rig, server, port, PAYMENT_SECONDS="0.5") as till:
        await server.http.start()
        order = await till.order(quantity=2)
        (payment,) = await submit(till.conn, StartPayment(order, "stripe", fake.VISA))
        await till.run("start_payments", "snapshot_commissions")
        await submit(till.conn, RefundOrder(order, (RefundLine(0, 1),)))
        server.faults = ["after"]
        await till.run("refund_orders", "refund_payments")
        assert (len(server.refunds), await till.payment(payment)) == (1, ("captured", 2000, 0)), "nobody heard of it"
        server.forget_keys()
        await till.conn.execute(
            "UPDATE pending SET run_at = now(), first_tried_at = now() - interval '1 day' WHERE job = 'refund_payments'"
        )
        await till.run("refund_payments")
        assert await till.payment(payment) == ("captured", 2000, 1000)
    assert [refund["amount"] for refund in server.refunds] == [1000]


async def test_while_stripe_is_away_payments_wait_untried_and_are_made_once_when_it_is_back(rig: Rig):
    server, port = StripeServer(), free_port()
    bounds = {"BREAKER_FAILURES": "3", "BREAKER_SECONDS": "1", "PAYMENT_CONCURRENCY": "1"}
    async with stripe_till(rig, server, port, **bounds) as till:
        orders, payments = await started(till, 8)
        await till.run("start_payments")
        tried, held = [(1, 0, "stripe can't be reached")] * 3, [(0, 0, "the breaker of stripe is o")] * 5
        assert await waiting(till) == sorted(tried + held)
        await server.http.start()
        await till.run("start_payments")
        assert server.asked == [], "nothing is sent while it is open"
        assert [attempts for attempts, _, _ in await waiting(till)] == [0] * 5 + [1] * 3, "no try is counted"

        async def all_paid() -> bool:
            await till.run("start_payments")
            return {(await till.payment(payment))[0] for payment in payments} == {"captured"}

        await until(all_paid, 20.0)
        assert {(await till.state(order))[0] for order in orders} == {"paid"}
    assert server.charges == 8
