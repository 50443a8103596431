"""Money that comes after its order has expired: the goods are taken again if all is as it was, or it is given back."""

from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest
from msgspec.structs import replace

from domain.inventory.model import ExpireReservations
from domain.orders.model import CancelOrder
from domain.payments.news import AttemptState, Capture, News
from domain.pricing.promotion_model import Level, PercentOff
from tests.builders import place, submit, write_offers
from tests.engine.parts import Rig, due_now
from tests.jobs.invariants import violations
from tests.jobs.paying import Till, a_till
from tests.pricing import write_rule
from tests.promotions import write_promotion

pytestmark = pytest.mark.anyio

TAKEN_AGAIN = ["expired", "payment_captured", "taken_up_again", "confirmed", "commission_snapshotted"]
GIVEN_BACK = ["expired", "payment_captured", "refund_started", "refunded"]
REFUNDED = ("refunded", "awaiting", True)
PAID = ("paid", "awaiting", False)


@pytest.fixture
async def till(rig: Rig) -> AsyncIterator[Till]:
    async with a_till(rig) as till:
        await write_rule(rig.conn, rate_bp=1_000)
        yield till
        await till.run_all()
        assert await violations(rig.conn) == {}


async def expired(till: Till, order: UUID) -> None:
    """Let an order expire, and don't ask its gateway: the payment is cancelled there only when it is too late."""
    await till.expire(order)
    await till.send(ExpireReservations((order,)))
    await till.run("expire_reservations")
    assert (await till.state(order))[2]
    await till.conn.execute("UPDATE pending SET run_at = now() + interval '10 minutes' WHERE job = 'void_payments'")


async def late(till: Till, payment: UUID) -> None:
    """The webhook that says it went well, ten minutes late; then everything that follows."""
    await till.notify((payment, News(succeeded=True)))
    await till.step("take_notices")
    await till.run_all()


async def buy(till: Till, *, quantity: int, code: str | None = None, buyer: UUID | None = None) -> UUID:
    """Somebody's order, placed."""
    command = replace(place(till.offer, quantity=quantity), codes=() if code is None else (code,))
    (order,) = await submit(till.conn, command, principal=buyer)
    await due_now(till.rig)
    await till.step("place_orders")
    assert (await till.rig.statuses([order])) == ["succeeded"]
    return order


async def waiting(
    till: Till, *, quantity: int = 6, code: str | None = None, buyer: UUID | None = None
) -> tuple[UUID, UUID]:
    """An order whose payment is under way, and that payment."""
    order = await buy(till, quantity=quantity, code=code, buyer=buyer)
    return order, await till.pay(order, "tok_late_webhook")


async def test_stock_that_is_still_there_is_taken_again(till: Till):
    order, payment = await waiting(till)
    await expired(till, order)
    assert await till.stock() == (10, 0)
    await late(till, payment)
    assert await till.state(order) == PAID
    assert await till.stock() == (4, 0)
    assert (await till.events(order))[-len(TAKEN_AGAIN) :] == TAKEN_AGAIN
    await late(till, payment)
    assert await till.stock() == (4, 0), "once, however often it is heard"


async def test_what_was_taken_again_can_be_cancelled_like_any_order(till: Till):
    order, payment = await waiting(till)
    await expired(till, order)
    await late(till, payment)
    await till.send(CancelOrder(order))
    await till.run_all()
    assert await till.state(order) == ("refunded", "cancelled", False)
    assert await till.stock() == (10, 0)
    assert await till.charged() == 0


async def given_back(till: Till, order: UUID, payment: UUID) -> None:
    assert await till.state(order) == REFUNDED
    state, captured, refunded = await till.payment(payment)
    assert (state, captured) == ("captured", refunded)
    assert (await till.events(order))[-len(GIVEN_BACK) :] == GIVEN_BACK
    assert await till.conn.fetchval("SELECT count(*) FROM refunds WHERE order_id = $1", order) == 1


async def test_stock_that_is_gone_has_the_money_given_back(till: Till):
    order, payment = await waiting(till)
    await expired(till, order)
    await buy(till, quantity=5)
    await late(till, payment)
    await given_back(till, order, payment)
    await late(till, payment)
    await given_back(till, order, payment)
    assert await till.stock() == (10, 5)
    assert await till.charged() == 0


async def test_all_lines_are_taken_again_or_none(till: Till):
    (other,) = await write_offers(till.conn, units=1)
    order = await till.order(till.offer, other)
    payment = await till.pay(order, "tok_late_webhook")
    await expired(till, order)
    await till.order(other)
    await late(till, payment)
    await given_back(till, order, payment)
    assert await till.stock() == (10, 0)


async def test_of_two_late_payments_at_once_one_gets_the_last_units(till: Till):
    orders = [await waiting(till, quantity=5) for _ in range(2)]
    for order, _ in orders:
        await expired(till, order)
    await buy(till, quantity=4)
    await till.notify(*((payment, News(succeeded=True)) for _, payment in orders))
    await till.step("take_notices")
    await till.run_all()
    assert [await till.state(order) for order, _ in orders] == [PAID, REFUNDED]
    assert await till.stock() == (5, 4)


async def test_a_hold_that_another_order_took_back_is_taken_again_or_the_order_expires_with_its_money_back(till: Till):
    there, paid_there = await waiting(till, quantity=3)
    gone, paid_gone = await waiting(till, quantity=6)
    for order in (there, gone):
        await till.expire(order)
    # Nobody has swept yet: this one takes back what is due, because it would be refused otherwise.
    await buy(till, quantity=6)
    assert not (await till.state(there))[2]
    assert not (await till.state(gone))[2]
    await till.notify((paid_there, News(succeeded=True)), (paid_gone, News(succeeded=True)))
    await till.step("take_notices")
    await till.run_all()
    assert await till.state(there) == PAID
    assert await till.state(gone) == REFUNDED
    assert await till.stock() == (7, 6)


async def test_a_hold_that_is_due_and_that_nobody_took_is_simply_sold(till: Till):
    order, payment = await waiting(till)
    await till.expire(order)
    await late(till, payment)
    assert await till.state(order) == PAID
    assert "taken_up_again" not in await till.events(order)


async def test_a_seller_who_may_not_sell_any_more_has_the_money_given_back(till: Till):
    order, payment = await waiting(till)
    await expired(till, order)
    seller = till.offer.seller_id
    await till.conn.execute("UPDATE sellers SET status = 'suspended' WHERE id = $1", seller)
    await late(till, payment)
    await given_back(till, order, payment)
    assert await till.state(order) == REFUNDED
    await till.conn.execute("UPDATE sellers SET status = 'approved' WHERE id = $1", seller)


async def uses(till: Till, promotion: UUID) -> int:
    stands = "promotion_id = $1 AND returned_at IS NULL"
    return int(await till.conn.fetchval(f"SELECT count(*) FROM redemptions WHERE {stands}", promotion))


@pytest.mark.parametrize("limits", [{"uses_max": 1}, {"uses_per_user_max": 1}, {"first_order": True}])
async def test_a_use_that_is_free_is_taken_again(till: Till, limits: dict[str, int]):
    promotion = await write_promotion(till.conn, "half", **limits)
    order, payment = await waiting(till, code="half")
    await expired(till, order)
    assert await uses(till, promotion.id) == 0
    await late(till, payment)
    assert await till.state(order) == PAID
    assert await till.payment(payment) == ("captured", 3000, 0)
    assert await uses(till, promotion.id) == 1


@pytest.mark.parametrize("limits", [{"uses_max": 1}, {"uses_per_user_max": 1}, {"first_order": True}])
async def test_a_last_use_that_is_somebody_elses_has_the_money_given_back(till: Till, limits: dict[str, int]):
    buyer = uuid4()
    promotion = await write_promotion(till.conn, "half", **limits)
    order, payment = await waiting(till, quantity=2, code="half", buyer=buyer)
    await expired(till, order)
    await buy(till, quantity=2, code="half", buyer=buyer)
    await late(till, payment)
    await given_back(till, order, payment)
    assert await till.stock() == (10, 2)
    assert await uses(till, promotion.id) == 1


async def test_a_promotion_without_limits_is_no_obstacle(till: Till):
    promotion = await write_promotion(till.conn, "tenth", benefit=PercentOff(Level.ORDER, 1_000))
    order, payment = await waiting(till, code="tenth")
    await expired(till, order)
    await late(till, payment)
    assert await till.payment(payment) == ("captured", 5400, 0)
    assert await uses(till, promotion.id) == 1


@pytest.mark.parametrize("there", [True, False])
async def test_a_gateway_that_timed_out_after_it_charged_is_asked_again_after_the_order_has_expired(
    till: Till, there: bool
):
    order = await buy(till, quantity=6)
    payment = await till.pay(order, "tok_timeout_after")
    assert await till.result(payment) == ("pending", None)
    await expired(till, order)
    if not there:
        await buy(till, quantity=5)
    await till.run("start_payments")
    await till.run_all()
    assert await till.charged() == (6000 if there else 0)
    assert await till.state(order) == (PAID if there else REFUNDED)
    assert await till.result(payment) == (("succeeded", None) if there else ("rejected", "order_state"))


async def test_a_gateway_that_timed_out_after_it_charged_is_asked_again_after_the_order_was_cancelled(till: Till):
    order = await buy(till, quantity=6)
    payment = await till.pay(order, "tok_timeout_after")
    await till.send(CancelOrder(order))
    await till.run("cancel_orders", "start_payments")
    await till.run_all()
    assert await till.payment(payment) == ("captured", 6000, 6000)
    assert await till.charged() == 0
    assert await till.state(order) == ("refunded", "cancelled", False)


async def test_a_gateway_that_timed_out_before_it_charged_is_not_asked_to_charge_an_expired_order(till: Till):
    order = await buy(till, quantity=6)
    payment = await till.pay(order, "tok_timeout_before")
    await expired(till, order)
    await till.run("start_payments")
    assert await till.result(payment) == ("rejected", "payment_declined")
    assert await till.charged() == 0
    assert await till.state(order) == ("failed", "awaiting", True)


@pytest.mark.parametrize("there", [True, False])
async def test_a_late_promise_is_taken_up_or_given_back(till: Till, there: bool):
    order = await buy(till, quantity=6)
    payment = await till.pay(order, "tok_late_webhook", Capture.ON_SHIPMENT)
    await expired(till, order)
    if not there:
        await buy(till, quantity=5)
    await late(till, payment)
    if there:
        assert await till.payment(payment) == ("authorized", 0, 0)
        assert await till.state(order) == ("authorized", "awaiting", False)
        return
    assert await till.payment(payment) == ("voided", 0, 0)
    assert await till.state(order) == ("voided", "awaiting", True)
    assert "cancelled" not in await till.events(order)


async def test_a_payment_that_failed_before_the_order_expired_may_still_bring_money(till: Till):
    order = await buy(till, quantity=6)
    payment = await till.pay(order, "tok_declined")
    await expired(till, order)
    await late(till, payment)
    assert await till.state(order) == PAID


async def test_money_for_an_expired_order_that_is_not_its_current_payment_is_given_back(till: Till):
    order, first = await waiting(till)
    await till.pay(order, "tok_declined")
    await expired(till, order)
    await late(till, first)
    assert await till.payment(first) == ("captured", 6000, 6000)
    assert await till.state(order) == ("failed", "awaiting", True)
    assert await till.stock() == (10, 0)


async def test_a_refund_heard_of_before_the_late_payment_leaves_the_order_expired(till: Till):
    order, payment = await waiting(till)
    await expired(till, order)
    for news in (News(refunded_minor=6000), News(state=AttemptState.CAPTURED, captured_minor=6000)):
        await till.notify((payment, news))
        await till.step("take_notices")
    await till.run_all()
    assert await till.state(order) == ("failed", "awaiting", True)
    assert await till.stock() == (10, 0)
    assert "refund_started" not in await till.events(order)
