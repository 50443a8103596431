"""Sample commands of the jobs of payments; whoever asks for them has set up the gateways of this process."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from msgspec.structs import replace

from domain.journal.model import Command
from domain.orders.model import CancelOrder
from domain.payments.invoice_model import IssueInvoices
from domain.payments.model import (
    CapturePayment,
    CheckPayment,
    ConfirmPayment,
    RefundPayment,
    StartPayment,
    TakeNotice,
    VoidPayment,
)
from domain.payments.news import AttemptState, Capture, DisputeNews, DisputeState, News, Notice, RefundNews, RefundState
from domain.payments.reconciliation import ReconcileCharges, RefundOrphan, SweepPayments
from domain.payments.reconciliation_sql import insert_orphans
from domain.payments.refund_model import RefundLine, RefundOrder
from infra.clock import new_id
from infra.gateways import registry
from jobs.cancel_orders import cancel_orders
from jobs.place_orders import place_orders
from jobs.snapshot_commissions import snapshot_commissions
from tests.builders import place, submit, write_offers
from tests.engine.parts import Rig, run_due
from tests.gateways import an_intent
from tests.jobs.paying import Till

NOTHING = News()


async def _till(rig: Rig) -> Till:
    (offer,) = await write_offers(rig.conn, units=1_000)
    return Till(rig, offer)


async def _orders(till: Till, count: int, *, lines: int = 1) -> list[UUID]:
    offers = [till.offer, *(await write_offers(till.conn, offers=lines - 1) if lines > 1 else [])]
    ids = await submit(till.conn, *[place(*offers, quantity=2) for _ in range(count)])
    await till.rig.drain(till.rig.runner(place_orders))
    return ids


async def _paid(till: Till, *tokens: str, capture: Capture = Capture.NOW) -> list[tuple[UUID, UUID]]:
    """Orders of two lines that were paid with these tokens: (order, payment), and nothing of them is queued."""
    orders = await _orders(till, len(tokens), lines=2)
    payments = await submit(
        till.conn, *(StartPayment(o, "sandbox", token, capture) for o, token in zip(orders, tokens, strict=True))
    )
    await run_due(till.rig, till.runner("start_payments"))
    await till.rig.drain(till.rig.runner(snapshot_commissions))
    return list(zip(orders, payments, strict=True))


async def _withdraw(till: Till, job: str) -> None:
    """Take back the commands of a job that nothing has come of: they are what is submitted."""
    gone = "WITH gone AS (DELETE FROM pending WHERE job = $1 RETURNING id)"
    await till.conn.execute(f"{gone} DELETE FROM commands WHERE id IN (SELECT id FROM gone)", job)


async def payments_to_start(rig: Rig) -> list[Command]:
    """Payments that go well, now or on shipment, that don't, that nobody knows of yet, and that can't be begun."""
    till = await _till(rig)
    ok, later, declined, acting, silent, nobody, cancelled = await _orders(till, 7)
    await submit(rig.conn, CancelOrder(cancelled))
    await rig.drain(rig.runner(cancel_orders))
    (refused,) = await submit(rig.conn, place(till.offer, quantity=5_000))
    await rig.drain(rig.runner(place_orders))
    return [
        StartPayment(ok, "sandbox", "tok_ok"),
        StartPayment(later, "sandbox", "tok_ok", Capture.ON_SHIPMENT),
        StartPayment(declined, "sandbox", "tok_declined"),
        StartPayment(acting, "sandbox", "tok_action_required"),
        StartPayment(silent, "sandbox", "tok_late_webhook"),
        StartPayment(nobody, "nobody", "tok_ok"),
        StartPayment(cancelled, "sandbox", "tok_ok"),
        StartPayment(refused, "sandbox", "tok_ok"),
    ]


async def payments_to_confirm(rig: Rig) -> list[Command]:
    """Payments whose buyers have acted, one that went well before, one that failed, none at all."""
    till = await _till(rig)
    paid = await _paid(till, "tok_action_required", "tok_action_required", "tok_ok", "tok_declined")
    (unpaid,) = await _orders(till, 1)
    return [ConfirmPayment(order) for order in (*(order for order, _ in paid), unpaid)]


async def payments_to_capture(rig: Rig) -> list[Command]:
    """What was authorized, with a line cancelled since; what was taken before; what was never promised."""
    till = await _till(rig)
    (whole, _), (part, _) = await _paid(till, "tok_ok", "tok_ok", capture=Capture.ON_SHIPMENT)
    (taken, _), (declined, _) = await _paid(till, "tok_ok", "tok_declined")
    await submit(rig.conn, CancelOrder(part, lines=(1,)))
    await rig.drain(rig.runner(cancel_orders))
    return [CapturePayment(order) for order in (whole, part, taken, declined)]


async def payments_to_void(rig: Rig) -> list[Command]:
    """Payments of orders that were cancelled, promised, begun and taken; one that is wanted; one nobody knows."""
    till = await _till(rig)
    ((promised, first),) = await _paid(till, "tok_ok", capture=Capture.ON_SHIPMENT)
    (begun, second), (taken, third), (_, wanted) = await _paid(
        till, "tok_action_required", "tok_ok", "tok_late_webhook"
    )
    await submit(rig.conn, *(CancelOrder(order) for order in (promised, begun, taken)))
    await rig.drain(rig.runner(cancel_orders))
    await _withdraw(till, "void_payments")
    return [VoidPayment(payment) for payment in (first, second, third, wanted, new_id())]


async def payments_to_check(rig: Rig) -> list[Command]:
    """Payments of which the gateway knows more than is known here, or as much; one that nobody knows."""
    till = await _till(rig)
    payments = [payment for _, payment in await _paid(till, "tok_late_webhook", "tok_ok", "tok_action_required")]
    return [CheckPayment(payment) for payment in (*payments, new_id())]


async def payments_to_refund(rig: Rig) -> list[Command]:
    """Refunds of orders that were cancelled, whole and by line; one that nobody asked for."""
    till = await _till(rig)
    (whole, first), (part, second) = await _paid(till, "tok_ok", "tok_ok")
    await submit(rig.conn, CancelOrder(whole), CancelOrder(part, lines=(0,)))
    await rig.drain(rig.runner(cancel_orders))
    await _withdraw(till, "refund_payments")
    return [RefundPayment(first, 1), RefundPayment(second, 1), RefundPayment(second, 2)]


async def orders_to_refund(rig: Rig) -> list[Command]:
    """Refunds of paid orders: whole, units of a line, of none that is there; of one that is only authorized."""
    till = await _till(rig)
    (whole, _), (units, _), (none, _) = await _paid(till, "tok_ok", "tok_ok", "tok_ok")
    ((promised, _),) = await _paid(till, "tok_ok", capture=Capture.ON_SHIPMENT)
    return [
        RefundOrder(whole),
        RefundOrder(units, lines=(RefundLine(0, 1), RefundLine(1)), reason="broken"),
        RefundOrder(none, lines=(RefundLine(7),)),
        RefundOrder(promised),
    ]


async def _orphan(rig: Rig, capture: Capture = Capture.NOW) -> str:
    """A charge at the gateway that is for no payment of ours; its reference."""
    gateway = registry.gateways()["sandbox"]
    news = await gateway.create(an_intent(capture=capture), key=new_id().hex, seconds=5)
    assert news.reference is not None
    await insert_orphans(rig.conn, "sandbox", [news], datetime.now(UTC))
    return news.reference


async def books_to_compare(rig: Rig) -> list[Command]:
    """The last hour's: charges that are further than is known here, and one that is nobody's."""
    till = await _till(rig)
    await _paid(till, "tok_late_webhook", "tok_ok", "tok_late_webhook")
    await registry.gateways()["sandbox"].create(an_intent(capture=Capture.ON_SHIPMENT), key=new_id().hex, seconds=5)
    now = datetime.now(UTC)
    return [ReconcileCharges("sandbox", now - timedelta(hours=1), now)]


async def orphans_to_refund(rig: Rig) -> list[Command]:
    """Charges that are nobody's, taken and only promised."""
    taken, promised = await _orphan(rig), await _orphan(rig, Capture.ON_SHIPMENT)
    return [RefundOrphan("sandbox", taken, 1999, "USD"), RefundOrphan("sandbox", promised, 1999, "USD", captured=False)]


async def payments_to_sweep(rig: Rig) -> list[Command]:
    """Payments of which nothing was heard for an hour, some that ended, and one that has just begun."""
    till = await _till(rig)
    await _paid(till, "tok_late_webhook", "tok_action_required", "tok_ok", "tok_declined")
    await rig.conn.execute("UPDATE payments SET updated_at = now() - interval '1 hour'")
    await _paid(till, "tok_late_webhook")
    return [SweepPayments(), SweepPayments()]


async def notices_to_take(rig: Rig) -> list[Command]:
    """Webhooks: of payments that went well, failed, were given back; of a refund; of a bank; about nothing of ours."""
    till = await _till(rig)
    begun = [payment for _, payment in await _paid(till, *["tok_late_webhook"] * 4)]
    (_, disputed), (cancelled, refunded), (_, returned) = await _paid(till, "tok_ok", "tok_ok", "tok_ok")
    await submit(rig.conn, CancelOrder(cancelled))
    await rig.drain(rig.runner(cancel_orders))
    await _withdraw(till, "refund_payments")
    well, acting, failed, other = begun

    def said(payment: UUID, news: News = NOTHING, **parts: Any) -> Notice:
        return Notice(f"msg_{new_id().hex}", "said", payment=replace(news, payment_id=payment), **parts)

    return [
        TakeNotice("sandbox", notice)
        for notice in (
            said(well, News(succeeded=True)),
            said(acting, News(state=AttemptState.ACTION_REQUIRED, action_url="https://bank.example")),
            said(failed, News(state=AttemptState.FAILED, reason="card_declined")),
            said(other, News(succeeded=True, currency="EUR")),
            said(disputed, dispute=DisputeNews(f"d_{new_id().hex}", DisputeState.OPENED, 300, 15)),
            said(refunded, refund=RefundNews(RefundState.SUCCEEDED, "re_1", 1)),
            said(returned, News(refunded_minor=500)),
            said(new_id(), News(succeeded=True)),
            Notice(f"msg_{new_id().hex}", "balance.available"),
        )
    ]


async def documents_to_issue(rig: Rig) -> list[Command]:
    """Of orders that were paid, one with a line cancelled since; of one that wasn't; of one that isn't there."""
    till = await _till(rig)
    (whole, _), (part, _), (declined, _) = await _paid(till, "tok_ok", "tok_ok", "tok_declined")
    await submit(rig.conn, CancelOrder(part, lines=(1,)))
    await rig.drain(rig.runner(cancel_orders))
    await _withdraw(till, "issue_invoices")
    return [IssueInvoices(order) for order in (whole, part, declined, new_id())]


BUILDERS = {
    "issue_invoices": documents_to_issue,
    "start_payments": payments_to_start,
    "confirm_payments": payments_to_confirm,
    "capture_payments": payments_to_capture,
    "void_payments": payments_to_void,
    "check_payments": payments_to_check,
    "refund_payments": payments_to_refund,
    "refund_orders": orders_to_refund,
    "take_notices": notices_to_take,
    "reconcile_charges": books_to_compare,
    "refund_orphans": orphans_to_refund,
    "sweep_payments": payments_to_sweep,
}
