"""Payments while something else happens to their orders: each interleaving is forced, and the money is right."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import permutations

import pytest

from domain.inventory.model import ExpireReservations
from domain.orders.model import CancelOrder
from domain.payments.model import CapturePayment, ConfirmPayment, StartPayment, VoidPayment
from domain.payments.news import AttemptState, Capture, News
from tests.builders import submit, write_offers
from tests.engine.parts import Rig, due_now
from tests.jobs.invariants import violations
from tests.jobs.paying import Till, a_till

pytestmark = pytest.mark.anyio

PAID = ("paid", "awaiting", False)
SUCCEEDED = News(succeeded=True)


@pytest.fixture
async def till(rig: Rig) -> AsyncIterator[Till]:
    async with a_till(rig) as till:
        yield till
        await till.run_all()
        assert await violations(rig.conn) == {}


async def paid_once(till: Till) -> None:
    """What holds whoever came first: one sale, one charge, confirmed once."""
    assert await till.stock() == (9, 0)
    assert await till.charged() == 1000
    (order,) = [row["id"] for row in await till.conn.fetch("SELECT id FROM orders")]
    assert await till.state(order) == PAID
    told = await till.events(order)
    assert (told.count("payment_captured"), told.count("confirmed")) == (1, 1), told


# --- Two confirmations


async def test_a_client_that_confirms_twice_at_once_pays_once(till: Till):
    order = await till.order()
    await till.pay(order, "tok_action_required")
    commands = await till.send(ConfirmPayment(order), ConfirmPayment(order))
    await due_now(till.rig)
    await asyncio.gather(*(till.step("confirm_payments") for _ in range(2)))
    await till.run_all()
    assert [await till.result(command) for command in commands] == [("succeeded", None)] * 2
    await paid_once(till)


@pytest.mark.parametrize("webhook_first", [True, False])
async def test_a_confirmation_and_the_webhook_race(till: Till, webhook_first: bool):
    order = await till.order()
    payment = await till.pay(order, "tok_action_required")
    (confirming,) = await till.send(ConfirmPayment(order))
    asked = await till.asked("confirm_payments")
    await till.notify((payment, SUCCEEDED))
    steps = [till.step("take_notices"), asked.record()]
    await till.in_line(order, *(steps if webhook_first else reversed(steps)))
    assert await till.result(confirming) == ("succeeded", None)
    await paid_once(till)


async def test_a_confirmation_after_the_webhook_asks_nobody(till: Till):
    order = await till.order()
    payment = await till.pay(order, "tok_late_webhook")
    await till.notice(payment)
    await till.run_all()
    (confirming,) = await till.send(ConfirmPayment(order))
    await till.run("confirm_payments")
    assert await till.result(confirming) == ("succeeded", None)
    await paid_once(till)


@pytest.mark.parametrize("webhook_first", [True, False])
async def test_the_answer_to_a_payment_and_its_webhook_race(till: Till, webhook_first: bool):
    order = await till.order()
    payment = await till.start(order)
    asked = await till.asked()
    await till.notify((payment, SUCCEEDED))
    steps = [till.step("take_notices"), asked.record()]
    await till.in_line(order, *(steps if webhook_first else reversed(steps)))
    assert await till.result(payment) == ("succeeded", None)
    await paid_once(till)


# --- A webhook twice, out of order


async def test_a_webhook_that_comes_twice_at_once_counts_once(till: Till):
    order = await till.order()
    payment = await till.pay(order, "tok_late_webhook")
    notices = await till.notify((payment, SUCCEEDED), (payment, SUCCEEDED))
    await till.run("take_notices")
    assert [await till.result(notice) for notice in notices] == [("succeeded", None)] * 2
    await paid_once(till)
    await till.notice(payment)
    await paid_once(till)


OUT_OF_ORDER = [
    [News(state=AttemptState.FAILED, reason="card_declined"), News(state=AttemptState.CAPTURED, captured_minor=1000)],
    [News(state=AttemptState.ACTION_REQUIRED), SUCCEEDED],
    [News(state=AttemptState.ACTION_REQUIRED), News(state=AttemptState.FAILED), SUCCEEDED],
    [News(state=AttemptState.AUTHORIZED), SUCCEEDED, News(state=AttemptState.FAILED)],
]


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("told", [order for news in OUT_OF_ORDER for order in permutations(news)])
async def test_what_a_gateway_says_comes_to_the_same_in_any_order(till: Till, told: Sequence[News], together: bool):
    order = await till.order()
    payment = await till.pay(order, "tok_late_webhook")
    if together:
        await till.notify(*((payment, news) for news in told))
        await till.run("take_notices")
    else:
        for news in told:
            await till.notify((payment, news))
            await till.run("take_notices")
    assert await till.payment(payment) == ("captured", 1000, 0)
    await paid_once(till)


@pytest.mark.parametrize("refunded", [400, 1000])
@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("captured", [SUCCEEDED, News(state=AttemptState.CAPTURED, captured_minor=1000)])
async def test_a_refund_may_be_heard_of_before_the_payment(till: Till, refunded: int, together: bool, captured: News):
    order = await till.order()
    payment = await till.pay(order, "tok_late_webhook")
    for told in (News(refunded_minor=refunded), captured, captured):
        await till.notify((payment, told))
        if not together:
            await till.run("take_notices")
    await till.run("take_notices")
    assert await till.payment(payment) == ("captured", 1000, refunded)
    if refunded == 1000:
        assert (await till.state(order))[0] == "failed", "it brought nothing, and another payment may"
        assert await till.stock() == (10, 1)
        assert "confirmed" not in await till.events(order)
    else:
        assert await till.state(order) == ("partially_refunded", "awaiting", False)
        assert await till.stock() == (9, 0)


async def test_news_that_cannot_be_true_of_a_payment_change_nothing(till: Till):
    order = await till.order()
    payment = await till.pay(order, "tok_late_webhook")
    for news in (
        News(succeeded=True, currency="EUR"),
        News(succeeded=True, amount_minor=999),
        News(captured_minor=1001),
        News(succeeded=True, reference="somebody_elses"),
    ):
        (notice,) = await till.notify((payment, news))
        await till.run("take_notices")
        assert await till.result(notice) == ("rejected", "payment_state")
    assert await till.payment(payment) == ("pending", 0, 0)


# --- Expiry and cancelling while a payment is under way


@pytest.mark.parametrize("expiry_first", [True, False])
async def test_expiry_and_the_payment_race_for_the_order(till: Till, expiry_first: bool):
    order = await till.order()
    payment = await till.start(order)
    asked = await till.asked()
    await till.expire(order)
    await till.send(ExpireReservations((order,)))
    steps = [till.step("expire_reservations"), asked.record()]
    await till.in_line(order, *(steps if expiry_first else reversed(steps)))
    await till.run_all()
    assert await till.result(payment) == ("succeeded", None)
    assert ("taken_up_again" in await till.events(order)) is expiry_first
    await paid_once(till)


@pytest.mark.parametrize("cancelled_first", [True, False])
@pytest.mark.parametrize("capture", Capture)
async def test_cancelling_and_the_payment_race_and_the_money_is_given_back_once(
    till: Till, cancelled_first: bool, capture: Capture
):
    order = await till.order()
    await till.start(order, capture=capture)
    asked = await till.asked()
    (cancelling,) = await till.send(CancelOrder(order))
    if cancelled_first:
        await till.in_line(order, till.step("cancel_orders"), asked.record())
    else:
        await asked.record()
        await till.run("cancel_orders")
    await till.run_all()
    assert await till.result(cancelling) == ("succeeded", None)
    assert await till.state(order) == (
        "refunded" if capture is Capture.NOW else "voided",
        "cancelled",
        False,
    )
    assert await till.charged() == 0
    assert await till.stock() == (10, 0)
    refunds = await till.conn.fetchval("SELECT count(*) FROM refunds")
    assert refunds == (1 if capture is Capture.NOW else 0)


async def test_voiding_a_payment_that_was_captured_meanwhile_gives_it_back(till: Till):
    order = await till.order()
    payment = await till.start(order)
    asked = await till.asked()
    await till.send(CancelOrder(order))
    await till.run("cancel_orders", "void_payments")
    assert (await till.payment(payment))[0] == "captured", "the gateway said so when it was told to void"
    await asked.record()
    await till.run_all()
    assert await till.payment(payment) == ("captured", 1000, 1000)
    assert await till.result(payment) == ("rejected", "order_state")
    assert await till.charged() == 0


async def test_a_charge_made_after_it_was_given_up_is_looked_for_though_the_worker_died(till: Till):
    order = await till.order()
    payment = await till.start(order)
    runner, lease = till.runner("start_payments"), payment
    await due_now(till.rig)
    async with till.rig.pool.acquire() as conn:
        (held,), _ = await runner.claim(conn, lease, 1)
    await till.send(CancelOrder(order))
    # The gateway hasn't heard of the payment when it is told to void it; then the call that was under way arrives.
    await till.conn.execute("UPDATE pending SET run_at = now() + interval '1 hour' WHERE job = 'start_payments'")
    await till.step("cancel_orders")
    await till.step("void_payments")
    assert (await till.payment(payment))[0] == "failed"
    await runner.attempt(held)
    assert await till.charged() == 1000
    await till.run_all()
    assert await till.payment(payment) == ("captured", 1000, 1000)
    assert await till.charged() == 0


@pytest.mark.parametrize("lines", [None, (1,)])
async def test_cancelling_while_a_capture_is_under_way_gives_back_what_is_not_owed(
    till: Till, lines: tuple[int, ...] | None
):
    (other,) = await write_offers(till.conn, units=10, price=250)
    order = await till.order(till.offer, other)
    payment = await till.pay(order, capture=Capture.ON_SHIPMENT)
    await till.run_all()
    await till.send(CapturePayment(order))
    asked = await till.asked("capture_payments")
    await submit(till.conn, CancelOrder(order, lines))
    await till.in_line(order, till.step("cancel_orders"), asked.record())
    await till.run_all()
    given = 1250 if lines is None else 250
    assert await till.payment(payment) == ("captured", 1250, given)
    assert (await till.state(order))[0] == ("refunded" if lines is None else "partially_refunded")
    assert await till.charged() == 1250 - given


async def test_a_payment_taken_after_it_was_voided_is_given_back(till: Till):
    order = await till.order()
    payment = await till.pay(order, capture=Capture.ON_SHIPMENT)
    await till.run_all()
    await till.notify((payment, News(state=AttemptState.VOIDED)), (payment, News(captured_minor=1000)))
    await till.run_all()
    assert await till.payment(payment) == ("captured", 1000, 1000)
    assert await till.state(order) == ("refunded", "cancelled", False)
    assert await till.stock() == (10, 0)


async def test_a_payment_that_is_wanted_is_not_voided(till: Till):
    order = await till.order()
    payment = await till.pay(order, "tok_action_required")
    await till.send(VoidPayment(payment))
    await till.run("void_payments")
    assert (await till.payment(payment))[0] == "action_required"


# --- Two payments of one order


async def test_an_earlier_payment_that_succeeds_after_all_is_refunded(till: Till):
    order = await till.order()
    first = await till.pay(order, "tok_late_webhook")
    second = await till.pay(order)
    await till.notice(first)
    await till.run_all()
    assert await till.payment(first) == ("captured", 1000, 1000)
    assert await till.payment(second) == ("captured", 1000, 0)
    await paid_still(till, order)


async def paid_still(till: Till, order: object) -> None:
    assert (await till.conn.fetchval("SELECT payment FROM orders WHERE id = $1", order)) == "paid"
    assert await till.stock() == (9, 0)
    assert await till.charged() == 1000


@pytest.mark.parametrize("first_recorded_first", [True, False])
async def test_of_two_payments_that_both_succeed_the_later_counts(till: Till, first_recorded_first: bool):
    order = await till.order()
    first = await till.pay(order, "tok_late_webhook")
    second = await till.start(order)
    asked = await till.asked()
    await till.notify((first, SUCCEEDED))
    steps = [till.step("take_notices"), asked.record()]
    await till.in_line(order, *(steps if first_recorded_first else reversed(steps)))
    await till.run_all()
    assert await till.payment(first) == ("captured", 1000, 1000)
    assert await till.payment(second) == ("captured", 1000, 0)
    await paid_still(till, order)


async def test_a_payment_declined_after_an_earlier_one_succeeded_leaves_the_order_unpaid(till: Till):
    order = await till.order()
    first = await till.pay(order, "tok_late_webhook")
    declined = await till.pay(order, "tok_declined")
    await till.notice(first)
    await till.run_all()
    assert await till.payment(first) == ("captured", 1000, 1000), "it didn't count any more"
    assert await till.result(declined) == ("rejected", "payment_declined")
    assert await till.state(order) == ("failed", "awaiting", False)
    third = await till.pay(order)
    assert await till.payment(third) == ("captured", 1000, 0)
    await till.run_all()
    await paid_still(till, order)


async def test_a_payment_begun_after_the_order_was_paid_is_refused(till: Till):
    order = await till.order()
    first = await till.pay(order, "tok_late_webhook")
    (second,) = await till.send(StartPayment(order, "sandbox", "tok_ok"))
    await till.notify((first, SUCCEEDED))
    await due_now(till.rig)
    await till.step("take_notices")
    await till.step("start_payments")
    assert await till.result(second) == ("rejected", "order_state")
    await paid_once(till)


# --- A worker that dies between the gateway's answer and its record


@pytest.mark.parametrize("name", ["start_payments", "confirm_payments", "capture_payments"])
async def test_a_worker_that_dies_before_it_records_leaves_one_charge_for_the_next_to_record(till: Till, name: str):
    order = await till.order()
    if name == "start_payments":
        command = await till.start(order)
    elif name == "confirm_payments":
        await till.pay(order, "tok_action_required")
        (command,) = await till.send(ConfirmPayment(order))
    else:
        await till.pay(order, capture=Capture.ON_SHIPMENT)
        await till.run_all()
        (command,) = await till.send(CapturePayment(order))
    dead = await till.asked(name)
    assert await till.charged() == 1000
    await till.run(name)
    assert await till.result(command) == ("succeeded", None)
    await dead.record()
    await paid_once(till)
    assert await till.conn.fetchval("SELECT count(*) FROM sandbox_intents") == 1
