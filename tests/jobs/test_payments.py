"""Paying orders: what is charged, what the order becomes, and what its goods become with it."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from domain.orders.model import CancelOrder
from domain.payments.model import CapturePayment, ConfirmPayment, StartPayment
from domain.payments.news import AttemptState, Capture
from ops.goods import NewOffer
from tests.builders import place, submit, write_offers
from tests.engine.parts import Rig
from tests.jobs.invariants import violations
from tests.jobs.paying import Till, a_till

pytestmark = pytest.mark.anyio


@pytest.fixture
async def till(rig: Rig) -> AsyncIterator[Till]:
    async with a_till(rig) as till:
        yield till
        assert await violations(rig.conn) == {}


async def test_a_paid_order_is_confirmed_and_its_goods_are_sold(till: Till):
    order = await till.order(quantity=3)
    payment = await till.pay(order)
    assert await till.result(payment) == ("succeeded", None)
    assert await till.payment(payment) == ("captured", 3000, 0)
    assert await till.state(order) == ("paid", "awaiting", False)
    assert await till.stock() == (7, 0)
    assert await till.events(order) == ["placed", "payment_started", "payment_captured", "confirmed"]
    assert await till.charged() == 3000
    await till.run_all()
    assert (await till.events(order))[-1] == "commission_snapshotted"


async def test_a_declined_payment_leaves_the_order_to_be_paid_anew(till: Till):
    order = await till.order()
    declined = await till.pay(order, "tok_declined")
    assert await till.result(declined) == ("rejected", "payment_declined")
    assert await till.state(order) == ("failed", "awaiting", False)
    assert await till.stock() == (10, 1)
    paid = await till.pay(order)
    assert await till.result(paid) == ("succeeded", None)
    assert await till.state(order) == ("paid", "awaiting", False)
    assert await till.conn.fetch("SELECT attempt_no, state FROM payments ORDER BY attempt_no") == [
        (1, "failed"),
        (2, "captured"),
    ]


async def test_what_requires_action_goes_on_when_the_buyer_has_acted(till: Till):
    order = await till.order()
    payment = await till.pay(order, "tok_action_required")
    assert await till.result(payment) == ("succeeded", None)
    assert await till.state(order) == ("action_required", "awaiting", False)
    assert await till.conn.fetchval("SELECT action_url FROM payments") is not None
    (confirmed,) = await till.send(ConfirmPayment(order))
    await till.run("confirm_payments")
    assert await till.result(confirmed) == ("succeeded", None)
    assert await till.state(order) == ("paid", "awaiting", False)
    assert await till.conn.fetchval("SELECT action_url FROM payments") is None


@pytest.mark.parametrize("token", ["tok_timeout_before", "tok_timeout_after"])
async def test_after_a_time_out_the_same_charge_is_asked_for_again(till: Till, token: str):
    order = await till.order()
    payment = await till.pay(order, token)
    assert await till.result(payment) == ("pending", None)
    assert await till.state(order) == ("pending", "awaiting", False)
    await till.run("start_payments")
    assert await till.result(payment) == ("succeeded", None)
    assert await till.state(order) == ("paid", "awaiting", False)
    assert await till.charged() == 1000


async def test_a_late_webhook_brings_what_the_answer_left_open(till: Till):
    order = await till.order()
    payment = await till.pay(order, "tok_late_webhook")
    assert await till.result(payment) == ("succeeded", None)
    assert await till.state(order) == ("pending", "awaiting", False)
    await till.notice(payment)
    assert await till.state(order) == ("paid", "awaiting", False)
    assert await till.stock() == (9, 0)


async def test_what_is_captured_on_shipment_is_only_promised_at_first(till: Till):
    order = await till.order(quantity=2)
    payment = await till.pay(order, capture=Capture.ON_SHIPMENT)
    assert await till.payment(payment) == ("authorized", 0, 0)
    assert await till.state(order) == ("authorized", "awaiting", False)
    assert await till.stock() == (8, 0), "confirmed: its goods are sold"
    await till.run_all()
    for _ in range(2):
        (captured,) = await till.send(CapturePayment(order))
        await till.run("capture_payments")
        assert await till.result(captured) == ("succeeded", None)
    assert await till.payment(payment) == ("captured", 2000, 0)
    assert await till.state(order) == ("paid", "awaiting", False)


async def test_a_capture_that_its_gateway_refuses_is_for_a_person(till: Till, capsys: pytest.CaptureFixture[str]):
    order = await till.order()
    payment = await till.pay(order, capture=Capture.ON_SHIPMENT)
    await till.run_all()
    await till.conn.execute("UPDATE sandbox_intents SET amount_minor = 1")
    (captured,) = await till.send(CapturePayment(order))
    await till.run("capture_payments")
    assert await till.result(captured) == ("rejected", "payment_state")
    assert await till.payment(payment) == ("authorized", 0, 0)
    told = capsys.readouterr().out
    assert ("capture_refused" in told, str(payment) in told, str(order) in told) == (True, True, True)
    await till.conn.execute("UPDATE sandbox_intents SET amount_minor = 1000")


async def test_starting_a_payment_extends_the_hold(till: Till):
    order = await till.order()
    await till.conn.execute("UPDATE orders SET expires_at = now() + interval '5 seconds' WHERE id = $1", order)
    await till.conn.execute("UPDATE reservations SET expires_at = now() + interval '5 seconds'")
    await till.pay(order, "tok_action_required")
    for table in ("orders", "reservations"):
        left = await till.conn.fetchval(f"SELECT extract(epoch FROM expires_at - now())::float8 FROM {table}")
        assert left > 800, table


async def test_an_order_waits_for_its_placing_and_one_that_was_refused_is_not_paid(till: Till):

    (order,) = await submit(till.conn, place(till.offer, quantity=11))
    payment = await till.pay(order)
    assert await till.result(payment) == ("pending", None)
    await till.run("place_orders", "start_payments")
    assert await till.result(payment) == ("rejected", "order_not_placed")
    assert await till.charged() == 0


async def test_cancelling_a_paid_order_gives_money_and_goods_back_once(till: Till):
    order = await till.order(quantity=4)
    payment = await till.pay(order)
    await till.run_all()
    first, second = await till.send(CancelOrder(order), CancelOrder(order))
    await till.run_all()
    assert await till.result(first) == ("succeeded", None)
    assert await till.result(second) == ("rejected", "order_state")
    assert await till.payment(payment) == ("captured", 4000, 4000)
    assert await till.state(order) == ("refunded", "cancelled", False)
    assert await till.stock() == (10, 0)
    assert await till.charged() == 0


async def test_cancelling_what_is_only_authorized_voids_the_payment(till: Till):
    order = await till.order(quantity=4)
    payment = await till.pay(order, capture=Capture.ON_SHIPMENT)
    await till.run_all()
    await till.send(CancelOrder(order))
    await till.run_all()
    assert await till.payment(payment) == ("voided", 0, 0)
    assert await till.state(order) == ("voided", "cancelled", False)
    assert await till.stock() == (10, 0)


async def two_lines(till: Till) -> tuple[UUID, NewOffer]:
    """An order of two lines, one of another seller, paid."""
    (other,) = await write_offers(till.conn, units=10, price=250)
    order = await till.order(till.offer, other, quantity=2)
    return order, other


async def test_cancelling_a_line_of_a_paid_order_refunds_that_line(till: Till):
    order, other = await two_lines(till)
    payment = await till.pay(order)
    await till.run_all()
    (cancelled,) = await till.send(CancelOrder(order, (1,)))
    await till.run_all()
    assert await till.result(cancelled) == ("succeeded", None)
    assert await till.payment(payment) == ("captured", 2500, 500)
    assert (await till.state(order))[0] == "partially_refunded"
    assert await till.conn.fetchval("SELECT max(version) FROM price_versions") == 1, "what was paid keeps its price"
    assert await till.stock() == (8, 0)
    on_hand = await till.conn.fetchval("SELECT on_hand FROM stock WHERE variant_id = $1", other.variant_id)
    assert on_hand == 10
    await till.send(CancelOrder(order, (0,)))
    await till.run_all()
    assert await till.payment(payment) == ("captured", 2500, 2500)
    assert (await till.state(order))[0] == "refunded"


async def test_cancelling_a_line_of_an_authorized_order_leaves_less_to_capture(till: Till):
    order, _ = await two_lines(till)
    payment = await till.pay(order, capture=Capture.ON_SHIPMENT)
    await till.run_all()
    await till.send(CancelOrder(order, (1,)))
    await till.run_all()
    await till.send(CapturePayment(order))
    await till.run_all()
    assert await till.payment(payment) == ("captured", 2000, 0)
    assert (await till.state(order))[0] == "paid"


async def test_while_a_payment_is_under_way_only_the_whole_order_is_cancelled(till: Till):
    order, _ = await two_lines(till)
    payment = await till.pay(order, "tok_action_required")
    (part,) = await till.send(CancelOrder(order, (1,)))
    await till.run("cancel_orders")
    assert await till.result(part) == ("rejected", "order_state")
    (whole,) = await till.send(CancelOrder(order))
    await till.run_all()
    assert await till.result(whole) == ("succeeded", None)
    assert (await till.payment(payment))[0] == "voided"
    assert await till.state(order) == ("failed", "cancelled", False)


async def test_a_line_cancelled_after_a_decline_makes_the_next_attempt_cheaper(till: Till):
    order, _ = await two_lines(till)
    declined = await till.pay(order, "tok_declined")
    await till.send(CancelOrder(order, (1,)))
    await till.run_all()
    paid = await till.pay(order)
    assert await till.payment(paid) == ("captured", 2000, 0)
    await till.notice(declined)
    await till.run_all()
    assert await till.payment(declined) == ("captured", 2500, 2500), "it was about another amount"
    assert (await till.state(order))[0] == "paid"


async def test_a_new_attempt_counts_and_the_one_before_is_cancelled(till: Till):
    order = await till.order()
    first = await till.pay(order, "tok_action_required")
    second = await till.pay(order)
    await till.run_all()
    assert (await till.payment(first))[0] == "voided"
    assert await till.payment(second) == ("captured", 1000, 0)
    assert await till.state(order) == ("paid", "awaiting", False)


async def test_a_confirmed_or_cancelled_order_is_not_paid_again(till: Till):
    order = await till.order()
    await till.pay(order)
    await till.run_all()
    again = await till.pay(order)
    assert await till.result(again) == ("rejected", "order_state")
    await till.send(CancelOrder(order))
    await till.run_all()
    assert await till.result(await till.pay(order)) == ("rejected", "order_state")
    assert await till.charged() == 0


async def test_a_gateway_that_is_not_there_is_a_refusal(till: Till):
    order = await till.order()
    (payment,) = await till.send(StartPayment(order, "nobody", "tok_ok"))
    await till.run("start_payments")
    assert await till.result(payment) == ("rejected", "unknown_gateway")
    assert await till.state(order) == ("unpaid", "awaiting", False)


async def test_refunding_at_the_gateway_itself_is_taken_in(till: Till):
    order = await till.order()
    payment = await till.pay(order)
    await till.run_all()
    await till.notice(payment, "payment.refunded", refunded_minor=400)
    assert await till.payment(payment) == ("captured", 1000, 400)
    assert (await till.state(order))[0] == "partially_refunded"
    await till.notice(payment, "payment.refunded", refunded_minor=400)
    assert await till.payment(payment) == ("captured", 1000, 400)


async def test_an_authorization_that_its_gateway_takes_back_cancels_the_order(till: Till):
    order = await till.order(quantity=2)
    payment = await till.pay(order, capture=Capture.ON_SHIPMENT)
    await till.run_all()
    await till.notice(payment, "payment.voided", state=AttemptState.VOIDED)
    assert await till.state(order) == ("voided", "cancelled", False)
    assert await till.stock() == (10, 0)
    assert (await till.events(order))[-2:] == ["payment_voided", "cancelled"]


async def test_a_part_given_back_before_the_capture_was_heard_of_leaves_the_rest_paid(till: Till):
    order = await till.order()
    payment = await till.pay(order, capture=Capture.ON_SHIPMENT)
    await till.run_all()
    await till.notice(payment, "payment.refunded", refunded_minor=400)
    assert await till.payment(payment) == ("captured", 400, 400)
    for _ in range(2):
        await till.notice(payment, "payment.captured", captured_minor=1000)
        assert await till.payment(payment) == ("captured", 1000, 400)
        assert await till.state(order) == ("partially_refunded", "awaiting", False)
