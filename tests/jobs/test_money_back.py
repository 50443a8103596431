"""Refunds and chargebacks: given back once, never more than is left, and told to a person where that fails."""

from collections.abc import AsyncIterator, Sequence
from itertools import permutations
from uuid import UUID

import pytest

from domain.orders.model import CancelOrder
from domain.payments.model import RefundPayment, TakeNotice
from domain.payments.news import Capture, DisputeState, News, Notice, RefundNews, RefundState
from infra.clock import new_id
from tests.builders import write_offers
from tests.engine.parts import Rig
from tests.jobs.invariants import violations
from tests.jobs.paying import Till, a_till
from tests.pricing import write_rule

pytestmark = pytest.mark.anyio

OPENED, WON, LOST = DisputeState.OPENED, DisputeState.WON, DisputeState.LOST


@pytest.fixture
async def till(rig: Rig) -> AsyncIterator[Till]:
    async with a_till(rig) as till:
        await write_rule(rig.conn, rate_bp=1_000)
        yield till
        await till.run_all()
        assert await violations(rig.conn) == {}


async def paid(till: Till, capture: Capture = Capture.NOW) -> tuple[UUID, UUID]:
    """An order of two lines, of 1000 and 250, and what paid it."""
    (other,) = await write_offers(till.conn, units=10, price=250)
    order = await till.order(till.offer, other)
    payment = await till.pay(order, capture=capture)
    await till.run_all()
    return order, payment


async def refunds(till: Till) -> list[tuple[int, int, str]]:
    rows = await till.conn.fetch("SELECT refund_no, amount_minor, state FROM refunds ORDER BY refund_no")
    return [tuple(row) for row in rows]


async def cancel(till: Till, order: UUID, *lines: int) -> None:
    await till.send(CancelOrder(order, lines or None))
    await till.run("cancel_orders")


async def refund_said(till: Till, payment: UUID, state: RefundState, *, refund_no: int | None = 1) -> UUID:
    """A webhook about one refund."""
    told = RefundNews(state, "re_1", refund_no, "closed_account" if state is RefundState.FAILED else None)
    said = Notice(f"msg_{new_id().hex}", f"refund.{state.value}", payment=News(payment_id=payment), refund=told)
    (command,) = await till.send(TakeNotice("sandbox", said))
    await till.run("take_notices")
    return command


# --- Refunds


async def test_a_refund_is_made_once_whether_its_answer_or_the_webhook_comes_first(till: Till):
    order, payment = await paid(till)
    await cancel(till, order, 1)
    asked = await till.asked("refund_payments")
    await till.notify((payment, News(refunded_minor=250)))
    await till.in_line(order, till.step("take_notices"), asked.record())
    await refund_said(till, payment, RefundState.SUCCEEDED)
    assert await refunds(till) == [(1, 250, "succeeded")]
    assert await till.payment(payment) == ("captured", 1250, 250)
    assert (await till.events(order)).count("refunded") == 1


async def test_a_worker_that_dies_after_refunding_refunds_under_the_same_key(till: Till):
    order, payment = await paid(till)
    await cancel(till, order)
    await till.asked("refund_payments")
    await till.run_all()
    assert await till.payment(payment) == ("captured", 1250, 1250)
    assert await till.charged() == 0
    assert await till.conn.fetchval("SELECT array_length(refunds, 1) FROM sandbox_intents") == 1


async def test_a_refund_that_its_gateway_refuses_is_told_and_the_order_keeps_its_state(
    till: Till, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
):
    order, payment = await paid(till)
    # By its own books the gateway has nothing left to give back.
    await till.conn.execute("UPDATE sandbox_intents SET refunded_minor = captured_minor")
    await cancel(till, order)
    await till.run_all()
    assert await refunds(till) == [(1, 1250, "failed")]
    assert (await till.state(order))[:2] == ("paid", "cancelled")
    assert (await till.events(order))[-2:] == ["refund_started", "refund_failed"]
    assert await till.payment(payment) == ("captured", 1250, 0)
    assert "refund_failed" in capsys.readouterr().out + caplog.text
    (refund,) = await till.conn.fetch("SELECT id FROM commands WHERE job = 'refund_payments'")
    assert await till.result(refund["id"]) == ("rejected", "payment_state")


async def test_a_refund_that_fails_later_is_told_once(till: Till):
    order, payment = await paid(till)
    await cancel(till, order, 1)
    for _ in range(2):
        await refund_said(till, payment, RefundState.FAILED)
    assert await refunds(till) == [(1, 250, "failed")]
    assert (await till.events(order)).count("refund_failed") == 1
    await till.run_all()
    assert await till.payment(payment) == ("captured", 1250, 0), "what has ended isn't made any more"


async def test_a_refund_that_failed_after_it_had_succeeded_is_for_a_person(
    till: Till, capsys: pytest.CaptureFixture[str]
):
    order, payment = await paid(till)
    await cancel(till, order, 1)
    await till.run_all()
    capsys.readouterr()
    await refund_said(till, payment, RefundState.FAILED)
    assert await refunds(till) == [(1, 250, "succeeded")]
    assert "refund_failed_late" in capsys.readouterr().out


async def test_a_refund_nobody_knows_is_asked_of_nobody(till: Till):
    _, payment = await paid(till)
    (unknown, nobody) = await till.send(RefundPayment(payment, 1), RefundPayment(new_id(), 1))
    await till.run("refund_payments")
    assert [await till.result(command) for command in (unknown, nobody)] == [("rejected", "not_found")] * 2


async def test_what_was_given_back_at_the_gateway_is_not_given_back_again(till: Till):
    order, payment = await paid(till)
    await till.notice(payment, "payment.refunded", refunded_minor=1100)
    await till.conn.execute("UPDATE sandbox_intents SET refunded_minor = 1100")
    await cancel(till, order)
    await till.run_all()
    assert await till.payment(payment) == ("captured", 1250, 1250)
    assert [(n, amount) for n, amount, _ in await refunds(till)] == [(1, 1100), (2, 150)]
    assert await till.charged() == 0


async def test_lines_cancelled_one_by_one_give_back_each_its_own(till: Till):
    order, payment = await paid(till)
    await cancel(till, order, 1)
    await cancel(till, order, 0)
    await till.run_all()
    assert await refunds(till) == [(1, 250, "succeeded"), (2, 1000, "succeeded")]
    assert await till.payment(payment) == ("captured", 1250, 1250)


# --- Chargebacks


async def chargebacks(till: Till) -> list[tuple[str, int, int, str]]:
    rows = await till.conn.fetch("SELECT state, amount_minor, fee_minor, liable FROM chargebacks ORDER BY reference")
    return [tuple(row) for row in rows]


@pytest.mark.parametrize(
    ("heard", "ends"),
    [
        *[(each, "won") for each in permutations([OPENED, WON])],
        *[(each, "lost") for each in permutations([OPENED, LOST])],
        *[(each, "won") for each in permutations([OPENED, LOST, WON])],
        ((OPENED, OPENED), "opened"),
        ((WON, WON, OPENED), "won"),
        ((LOST, LOST, OPENED), "lost"),
    ],
)
async def test_a_chargeback_ends_the_same_whatever_comes_twice_or_out_of_order(
    till: Till, heard: Sequence[DisputeState], ends: str
):
    order, payment = await paid(till)
    for state in heard:
        notice = await till.dispute(payment, state, 400)
        assert await till.result(notice) == ("succeeded", None)
    (found,) = await chargebacks(till)
    assert (found[0], found[1], found[2]) == (ends, 400, 15)
    told = [event for event in await till.events(order) if event.startswith("chargeback_")]
    assert len(told) == len(set(told))
    assert await till.payment(payment) == ("captured", 1250, 0), "it is no refund"


@pytest.mark.parametrize("state", [OPENED, LOST])
async def test_after_a_chargeback_no_more_is_given_back_than_is_left(till: Till, state: DisputeState):
    order, payment = await paid(till)
    await till.dispute(payment, state, 400)
    await cancel(till, order)
    await till.run_all()
    assert await refunds(till) == [(1, 850, "succeeded")]
    assert await till.payment(payment) == ("captured", 1250, 850)


async def test_a_chargeback_of_all_of_it_leaves_nothing_to_give_back(till: Till):
    order, payment = await paid(till)
    await till.dispute(payment, OPENED)
    assert (await chargebacks(till))[0][1] == 1250
    await cancel(till, order)
    await till.run_all()
    assert await refunds(till) == []


async def test_without_an_amount_a_chargeback_takes_what_was_not_refunded(till: Till):
    order, payment = await paid(till)
    await cancel(till, order, 1)
    await till.run_all()
    await till.dispute(payment, OPENED)
    assert (await chargebacks(till))[0][1] == 1000


async def test_a_chargeback_won_for_an_order_cancelled_meanwhile_is_given_back(till: Till):
    order, payment = await paid(till)
    await till.dispute(payment, OPENED)
    await cancel(till, order)
    for _ in range(2):
        await till.dispute(payment, WON)
        await till.run_all()
    assert await refunds(till) == [(1, 1250, "succeeded")]
    assert await till.state(order) == ("refunded", "cancelled", False)


async def test_a_chargeback_won_for_an_order_of_which_a_line_was_cancelled_gives_that_line_back(till: Till):
    order, payment = await paid(till)
    await till.dispute(payment, OPENED)
    await cancel(till, order, 1)
    await till.run_all()
    assert await refunds(till) == []
    await till.dispute(payment, WON)
    await till.run_all()
    assert await refunds(till) == [(1, 250, "succeeded")]


async def test_a_chargeback_won_for_an_order_that_stands_changes_nothing_of_it(till: Till):
    order, payment = await paid(till)
    await till.dispute(payment, OPENED)
    await till.dispute(payment, WON)
    await till.run_all()
    assert await refunds(till) == []
    assert await till.state(order) == ("paid", "awaiting", False)


async def test_a_chargeback_heard_of_before_the_money_it_takes_is_not_given_back_as_well(till: Till):
    order = await till.order()
    payment = await till.pay(order, "tok_late_webhook")
    await till.send(CancelOrder(order))
    await till.run("cancel_orders")
    await till.dispute(payment, OPENED)
    await till.notice(payment)
    await till.run_all()
    assert await till.payment(payment) == ("captured", 1000, 0)
    assert await refunds(till) == []


async def test_a_chargeback_won_in_the_batch_that_brings_the_money_is_counted_once(till: Till):
    order = await till.order()
    payment = await till.pay(order, "tok_late_webhook")
    await till.send(CancelOrder(order))
    await till.run("cancel_orders")
    await till.dispute(payment, OPENED, 300)
    await till.notify((payment, News(succeeded=True)))
    await till.dispute(payment, WON, 300)
    await till.run_all()
    assert await refunds(till) == [(1, 700, "succeeded"), (2, 300, "succeeded")]
    assert await till.charged() == 0


async def test_two_chargebacks_of_a_payment_are_two(till: Till):
    order, payment = await paid(till)
    await till.dispute(payment, OPENED, 400, "a")
    await till.dispute(payment, LOST, 300, "b")
    await till.dispute(payment, WON, 400, "a")
    assert [row[:2] for row in await chargebacks(till)] == [("won", 400), ("lost", 300)]
    await cancel(till, order)
    await till.run_all()
    assert await refunds(till) == [(1, 950, "succeeded")]


async def test_a_chargeback_of_nothing_takes_all_that_is_left(till: Till):
    _, payment = await paid(till)
    await till.dispute(payment, OPENED, 0)
    assert (await chargebacks(till))[0][1] == 1250


async def test_a_promise_that_was_cancelled_is_voided_not_refunded(till: Till):
    order, payment = await paid(till, Capture.ON_SHIPMENT)
    await cancel(till, order)
    await till.run_all()
    assert await till.payment(payment) == ("voided", 0, 0)
    assert await refunds(till) == []


@pytest.mark.parametrize("told", [(OPENED, LOST), (LOST,), (OPENED, WON), (LOST, WON)])
@pytest.mark.parametrize("cancelled_after", [1, 2])
async def test_a_seller_bears_a_line_once_whether_the_bank_or_the_platform_paid_the_buyer(
    till: Till, told: Sequence[DisputeState], cancelled_after: int
):
    order, payment = await paid(till)
    for number, state in enumerate(told):
        if number == cancelled_after:
            await cancel(till, order)
        await till.dispute(payment, state, 400)
    if cancelled_after >= len(told):
        await cancel(till, order)
    await till.run_all()
    rows = await till.conn.fetch("SELECT account, sum(amount_minor)::bigint FROM ledger_entries GROUP BY account")
    owed = dict(rows)
    fee = 0 if told[-1] is WON else 15
    assert owed["refunds"] == 0, "the buyer has it all, from one or the other"
    assert owed["seller_payable"] == fee, "the goods are back, so nobody is owed anything"
    assert owed["gateway_clearing"] == -fee


async def test_a_bank_that_pays_back_what_was_refunded_before_costs_the_platform(till: Till):
    order, payment = await paid(till)
    await cancel(till, order)
    await till.run_all()
    await till.dispute(payment, LOST, 400)
    rows = await till.conn.fetch("SELECT account, sum(amount_minor)::bigint FROM ledger_entries GROUP BY account")
    assert {k: v for k, v in rows if v} == {"chargebacks": 415, "gateway_clearing": -415}


async def test_an_order_whose_gateway_gave_all_back_by_itself_is_cancelled_and_owes_its_sellers_nothing(till: Till):
    order, payment = await paid(till)
    await till.notice(payment, "refund.succeeded", refunded_minor=1250)
    await till.run_all()
    assert await till.state(order) == ("refunded", "cancelled", False)
    rows = await till.conn.fetch("SELECT account, balance_minor FROM ledger_accounts WHERE balance_minor <> 0")
    assert [tuple(row) for row in rows] == []


async def test_what_a_bank_takes_back_before_its_refund_is_made_is_not_given_back_as_well(till: Till):
    order, payment = await paid(till)
    await cancel(till, order)
    await till.dispute(payment, OPENED)
    await till.run_all()
    assert await refunds(till) == [(1, 1250, "failed")]
    assert await till.charged() == 1250
    await till.dispute(payment, WON)
    await till.run_all()
    assert [row[2] for row in await refunds(till)] == ["failed", "succeeded"]
    rows = await till.conn.fetch("SELECT account, balance_minor FROM ledger_accounts WHERE balance_minor <> 0")
    assert [tuple(row) for row in rows] == []


@pytest.mark.parametrize("later", [OPENED, LOST])
@pytest.mark.parametrize("won", [False, True])
async def test_a_fee_that_is_heard_of_after_its_chargeback_is_charged_once_to_who_bears_it(
    till: Till, later: DisputeState, *, won: bool
):
    order, payment = await paid(till)
    await till.dispute(payment, OPENED, 400, fee_minor=0)
    for _ in range(2):
        await till.dispute(payment, later, 400)
    assert await till.conn.fetchval("SELECT fee_minor FROM chargebacks") == 15
    assert (await till.events(order)).count("chargeback_fee_charged") == 1
    if won:
        await till.dispute(payment, WON, 400)
    rows = await till.conn.fetch("SELECT sum(amount_minor) FROM ledger_entries WHERE account = 'gateway_clearing'")
    assert rows[0][0] == 1250 - (0 if won else 415)
    await cancel(till, order)


async def test_the_fee_of_a_chargeback_of_what_was_never_sold_is_the_platforms(till: Till):
    order, payment = await paid(till)
    await cancel(till, order)
    await till.run_all()
    await till.dispute(payment, OPENED, 400, fee_minor=0)
    await till.dispute(payment, LOST, 400)
    assert await till.conn.fetchval("SELECT balance_minor FROM ledger_accounts WHERE account = 'chargebacks'") == 415


async def test_a_chargeback_in_another_currency_is_for_a_person(till: Till, capsys: pytest.CaptureFixture[str]):
    _, payment = await paid(till)
    await till.dispute(payment, OPENED, 400, currency="JPY")
    assert await till.conn.fetchval("SELECT count(*) FROM chargebacks") == 0
    assert "chargeback_differs" in capsys.readouterr().out
