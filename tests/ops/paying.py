"""Orders of a trade that are paid by the sandbox: what became of each, and nothing is left to be done for them."""

import asyncio
from typing import Any
from uuid import UUID

import asyncpg
from msgspec import Struct

import jobs
from domain import ids
from domain.journal.declare import EffectJob
from domain.journal.model import SYSTEM
from domain.orders.fulfilment_model import AcceptSellerOrder, DeliverSellerOrder, ShipSellerOrder, Units
from domain.orders.model import CancelOrder, OrderLine, PlaceOrder
from domain.orders.return_model import DecideReturn, ReceiveReturn, RequestReturn
from domain.payments.model import StartPayment, TakeNotice
from domain.payments.news import Capture, DisputeNews, DisputeState, News, Notice
from infra.clock import new_id
from infra.settings import read
from ops.goods import NewOffer
from tests.builders import SANDBOX_SECRET, SECRET_KEY, submit
from tests.gateways import gateways_here
from tests.ops.running import run_all
from workers import effects
from workers.effects import EffectRunner


class Paid(Struct, frozen=True):
    """Orders, each with its payment."""

    paid: tuple[UUID, UUID]
    promised: tuple[UUID, UUID]
    declined: tuple[UUID, UUID]
    repaid: tuple[UUID, UUID]
    """It was cancelled after it had been paid."""
    twice: tuple[UUID, UUID]
    """It was paid by another payment than this one, which brought money, too."""
    disputed: tuple[UUID, UUID]
    returned: tuple[UUID, UUID]
    """What its first seller sent came back."""


async def _run(conn: Any, database_url: str, *names: str) -> None:
    for name in names:
        job = jobs.load()[name]
        await conn.execute("UPDATE pending SET run_at = now() WHERE job = $1", name)
        if not isinstance(job, EffectJob):
            await run_all(conn, database_url, name)
            continue
        async with asyncpg.create_pool(database_url, min_size=0, max_size=2) as pool:
            await effects.drain(EffectRunner(job), pool, stopping=asyncio.Event(), tell=lambda _report: None)


async def _send_back(conn: Any, database_url: str, order: UUID) -> None:
    """Have an order's first unit delivered and sent back."""
    for step in (AcceptSellerOrder(order, 0), ShipSellerOrder(order, 0), DeliverSellerOrder(order, 0)):
        await submit(conn, step)
        await _run(conn, database_url, step.job)
    (asked,) = await submit(conn, RequestReturn(order, (Units(0, 1),), "Too small"))
    await _run(conn, database_url, "request_returns")
    made = ids.numbered(asked, 0)
    for answer in (DecideReturn(order, made, approve=True), ReceiveReturn(order, made)):
        await submit(conn, answer)
        await _run(conn, database_url, answer.job)


async def pay(conn: Any, database_url: str, *offers: NewOffer) -> Paid:
    """Place orders of one unit of each offer, and pay them in every way."""
    settings = read(
        {
            "DATABASE_URL": database_url,
            "REDIS_URL": "redis://127.0.0.1:1",
            "SECRET_KEY": SECRET_KEY,
            "SANDBOX_WEBHOOK_SECRET": SANDBOX_SECRET,
        }
    )
    command = PlaceOrder("USD", tuple(OrderLine(o.variant_id, o.seller_id, 1) for o in offers))
    orders = await submit(conn, *[command] * 7)
    await run_all(conn, database_url, "place_orders")
    paid, promised, declined, repaid, twice, disputed, returned = orders
    async with gateways_here(settings):
        payments = await submit(
            conn,
            StartPayment(paid, "sandbox", "tok_ok"),
            StartPayment(promised, "sandbox", "tok_ok", Capture.ON_SHIPMENT),
            StartPayment(declined, "sandbox", "tok_declined"),
            StartPayment(repaid, "sandbox", "tok_ok"),
            StartPayment(twice, "sandbox", "tok_late_webhook"),
            StartPayment(disputed, "sandbox", "tok_ok"),
            StartPayment(returned, "sandbox", "tok_ok"),
        )
        await _run(conn, database_url, "start_payments", "snapshot_commissions")
        await submit(conn, StartPayment(twice, "sandbox", "tok_ok"))
        await _run(conn, database_url, "start_payments", "snapshot_commissions", "void_payments")
        bank = DisputeNews(f"d_{new_id().hex}", DisputeState.OPENED, 100, 15)
        said = Notice(f"msg_{new_id().hex}", "chargeback.opened", payment=News(payment_id=payments[5]), dispute=bank)
        await submit(conn, CancelOrder(repaid), TakeNotice("sandbox", said), principal=SYSTEM)
        await _run(conn, database_url, "cancel_orders", "take_notices")
        await _send_back(conn, database_url, returned)
        await _run(conn, database_url, "refund_payments", "issue_invoices")
    return Paid(*zip(orders, payments, strict=True))
