"""Refunds that sellers and admins ask for: cumulative to the cent, and never more than was captured."""

import asyncio
from collections.abc import AsyncIterator
from itertools import permutations
from typing import Any
from uuid import UUID

import msgspec
import pytest

from domain.journal.model import Command
from domain.orders.fulfilment_model import AcceptSellerOrder, ShipSellerOrder, Units
from domain.orders.model import CancelOrder
from domain.payments.news import Capture, DisputeState
from domain.payments.refund_model import RefundLine, RefundOrder
from ops.goods import NewOffer
from tests.builders import write_offers
from tests.engine.parts import Rig
from tests.jobs.invariants import violations
from tests.jobs.paying import Till, a_till
from tests.pricing import write_rule

pytestmark = pytest.mark.anyio


@pytest.fixture
async def till(rig: Rig) -> AsyncIterator[Till]:
    async with a_till(rig) as till:
        await write_rule(rig.conn, rate_bp=1_234)
        yield till
        await till.run_all()
        assert await violations(rig.conn) == {}


async def paid(till: Till, *offers: NewOffer, quantity: int = 1, capture: Capture = Capture.NOW) -> UUID:
    """An order that is paid, with its commission worked out."""
    order = await till.order(*offers, quantity=quantity)
    await till.pay(order, capture=capture)
    await till.run_all()
    return order


async def refund(till: Till, order: UUID, *lines: RefundLine, **more: Any) -> Any:
    """What a refund comes to: its result, or the problem of its refusal."""
    return await ended(till, RefundOrder(order, lines or None, **more))


async def ended(till: Till, command: Command) -> Any:
    (asked,) = await till.send(command)
    await till.run(command.job)
    row = await till.conn.fetchrow("SELECT result, problem FROM outcomes WHERE id = $1", asked)
    return msgspec.json.decode(row["result"] or row["problem"])


async def balance(till: Till, account: str) -> int:
    query = "SELECT coalesce(sum(balance_minor), 0)::bigint FROM ledger_accounts WHERE account = $1"
    amount: int = await till.conn.fetchval(query, account)
    return amount


async def on_hand(till: Till, offer: NewOffer) -> int:
    query = "SELECT on_hand FROM stock WHERE variant_id = $1 AND seller_id = $2"
    units: int = await till.conn.fetchval(query, offer.variant_id, offer.seller_id)
    return units


async def ship(till: Till, order: UUID, *quantities: int) -> None:
    """Have units of the first lines be under way: their sellers accept and ship them."""
    query = """
    SELECT l.line_no, s.seller_no FROM order_lines l
    JOIN seller_orders s ON s.order_id = l.order_id AND s.seller_id = l.seller_id WHERE l.order_id = $1
    """
    sellers = {row["line_no"]: row["seller_no"] for row in await till.conn.fetch(query, order)}
    for seller_no in {sellers[n] for n in range(len(quantities))}:
        mine = tuple(Units(n, quantity) for n, quantity in enumerate(quantities) if sellers[n] == seller_no)
        await till.send(AcceptSellerOrder(order, seller_no))
        await till.run("accept_seller_orders")
        await till.send(ShipSellerOrder(order, seller_no, mine))
        await till.run("ship_seller_orders")


async def test_units_refunded_one_by_one_come_to_the_whole_and_take_back_all_commission(till: Till):
    (offer,) = await write_offers(till.conn, units=10, price=333)
    order = await paid(till, offer, till.offer, quantity=3)
    await ship(till, order, 3, 3)
    commission = await balance(till, "commission_revenue")
    assert commission < 0
    amounts = [(await refund(till, order, RefundLine(0, 1)))["refund"]["amount"] for _ in range(3)]
    assert sum(amounts) == 999
    assert (await refund(till, order))["refund"]["amount"] == 3_000
    await till.run_all()
    for account in ("commission_revenue", "seller_payable", "refunds", "gateway_clearing"):
        assert await balance(till, account) == 0, account
    assert await till.conn.fetchval("SELECT payment FROM orders WHERE id = $1", order) == "refunded"
    assert await on_hand(till, offer) == 7, "what was shipped stays with the buyer"


async def test_refunding_what_was_not_shipped_cancels_it_and_puts_it_back(till: Till):
    order = await paid(till, till.offer, quantity=2)
    before = await on_hand(till, till.offer)
    found = await refund(till, order)
    assert (found["refund"]["amount"], found["status"]) == (2_000, "cancelled")
    await till.run_all()
    assert await on_hand(till, till.offer) == before + 2
    assert await till.conn.fetchval("SELECT payment FROM orders WHERE id = $1", order) == "refunded"
    problem = await refund(till, order)
    assert (problem["status"], problem["code"]) == (409, "nothing_to_refund")


async def test_units_that_are_refunded_before_they_are_shipped_go_back_once(till: Till):
    order = await paid(till, till.offer, quantity=5)
    before = await on_hand(till, till.offer)
    await refund(till, order, RefundLine(0, 2))
    assert await on_hand(till, till.offer) == before + 2
    assert await ended(till, CancelOrder(order))
    await till.run_all()
    assert await on_hand(till, till.offer) == before + 5
    rows = await till.conn.fetch("SELECT amount_minor FROM refunds ORDER BY refund_no")
    assert [row["amount_minor"] for row in rows] == [2_000, 3_000]


async def test_a_seller_order_of_which_the_rest_is_refunded_has_been_shipped(till: Till):
    order = await paid(till, till.offer, quantity=5)
    await ship(till, order, 3)
    before = await on_hand(till, till.offer)
    await refund(till, order, RefundLine(0, 4))
    assert await on_hand(till, till.offer) == before + 1, "three of them are with the buyer"
    await refund(till, order)
    assert await on_hand(till, till.offer) == before + 2
    assert await till.conn.fetchval("SELECT fulfilment FROM seller_orders WHERE order_id = $1", order) == "shipped"


async def test_more_than_is_left_is_refused_and_says_how_much_that_is(till: Till):
    order = await paid(till, till.offer, quantity=3)
    await refund(till, order, RefundLine(0, 2))
    problem = await refund(till, order, RefundLine(0, 2))
    assert (problem["status"], problem["code"], problem["path"]) == (409, "nothing_to_refund", "lines[0]")
    assert "1 units" in problem["detail"]
    problem = await refund(till, order, RefundLine(0, 1), RefundLine(0, 1))
    assert problem["path"] == "lines[1]", "a line named twice is counted twice"
    assert (await refund(till, order, RefundLine(7)))["code"] == "unknown_line"


async def test_what_is_only_promised_is_not_refunded(till: Till):
    order = await paid(till, till.offer, capture=Capture.ON_SHIPMENT)
    problem = await refund(till, order)
    assert (problem["status"], problem["code"]) == (409, "order_state")
    assert "authorized" in problem["detail"]


async def test_a_seller_refunds_their_own_part(till: Till):
    (other,) = await write_offers(till.conn, units=10, price=250)
    order = await paid(till, till.offer, other)
    assert (await refund(till, order, RefundLine(0), seller_id=other.seller_id))["code"] == "unknown_line"
    found = await refund(till, order, seller_id=other.seller_id)
    assert [line["line_no"] for line in found["lines"]] == [1]
    assert found["refund"]["amount"] == 250


async def test_of_two_partial_refunds_at_once_one_finds_nothing_left(till: Till):
    order = await paid(till, till.offer, quantity=3)
    asked = await till.send(RefundOrder(order, (RefundLine(0, 2),)), RefundOrder(order, (RefundLine(0, 2),)))
    while "pending" in await till.rig.statuses(asked):
        await asyncio.gather(till.step("refund_orders"), till.step("refund_orders"))
    assert sorted(await till.rig.statuses(asked)) == ["rejected", "succeeded"]
    await till.run_all()
    assert await till.conn.fetchval("SELECT sum(refunded_minor) FROM payments WHERE order_id = $1", order) == 2_000


async def test_a_refund_racing_a_cancellation_gives_back_once(till: Till):
    order = await paid(till, till.offer, quantity=3)
    before = await on_hand(till, till.offer)
    asked = await till.send(RefundOrder(order, (RefundLine(0, 1),)), CancelOrder(order))
    while "pending" in await till.rig.statuses(asked):
        await asyncio.gather(till.step("refund_orders"), till.step("cancel_orders"))
    assert await till.rig.statuses(asked) == ["succeeded", "succeeded"]
    await till.run_all()
    assert await till.conn.fetchval("SELECT sum(refunded_minor) FROM payments WHERE order_id = $1", order) == 3_000
    assert await on_hand(till, till.offer) == before + 3


async def test_what_a_bank_took_back_is_not_refunded_besides(till: Till):
    order = await paid(till, till.offer)
    payment = await till.conn.fetchval("SELECT payment_id FROM orders WHERE id = $1", order)
    await till.dispute(payment, DisputeState.OPENED)
    problem = await refund(till, order)
    assert problem["code"] == "nothing_to_refund"
    assert await balance(till, "refunds") == 0


async def test_commission_that_is_worked_out_after_a_refund_leaves_that_out(till: Till):
    order = await till.order(till.offer, quantity=4)
    await till.pay(order)
    # The refund is accepted and runs before the snapshot that confirming asked for.
    await till.conn.execute("UPDATE pending SET aggregate = NULL WHERE job = 'snapshot_commissions'")
    await refund(till, order, RefundLine(0, 1))
    await till.run_all()
    whole = await till.conn.fetchval("SELECT amount_minor FROM commission_snapshots WHERE order_id = $1", order)
    assert await balance(till, "commission_revenue") == -round(whole * 3 / 4)


@pytest.mark.parametrize("order_of", list(permutations(range(3))))
async def test_a_unit_is_either_shipped_or_given_back_however_refund_cancellation_and_shipping_race(
    till: Till, order_of: tuple[int, ...]
):
    order = await paid(till, till.offer, quantity=3)
    await till.send(AcceptSellerOrder(order, 0))
    await till.run("accept_seller_orders")
    before = await on_hand(till, till.offer)
    racing: list[Command] = [RefundOrder(order, (RefundLine(0, 1),)), CancelOrder(order), ShipSellerOrder(order, 0)]
    asked = await till.send(*(racing[n] for n in order_of))
    steps = ("refund_orders", "cancel_orders", "ship_seller_orders")
    while "pending" in await till.rig.statuses(asked):
        await asyncio.gather(*(till.step(name) for name in steps))
    refunded, cancelled, shipped = (asked[order_of.index(n)] for n in range(3))
    statuses = dict(zip(asked, await till.rig.statuses(asked), strict=True))
    assert {statuses[cancelled], statuses[shipped]} == {"succeeded", "rejected"}, "what is cancelled isn't shipped"
    await till.run_all()
    back = await till.conn.fetchval("SELECT sum(refunded_minor)::bigint FROM payments WHERE order_id = $1", order)
    sent = await till.conn.fetchval("SELECT coalesce(sum(quantities[1]), 0) FROM shipments WHERE order_id = $1", order)
    assert await on_hand(till, till.offer) == before + 3 - sent
    if statuses[cancelled] == "succeeded":
        assert (sent, back) == (0, 3_000)
        assert (statuses[refunded] == "succeeded") == (order_of.index(0) < order_of.index(1))
    else:
        assert (statuses[refunded], back) == ("succeeded", 1_000)
        assert sent == (2 if order_of.index(0) < order_of.index(2) else 3)


async def test_a_line_that_costs_nothing_is_refunded_and_the_order_goes_on(till: Till):
    (free,) = await write_offers(till.conn, units=10, price=0)
    order = await paid(till, till.offer, free)
    found = await refund(till, order, RefundLine(1))
    assert found["refund"]["amount"] == 0
    assert (await refund(till, order))["status"] == "cancelled"


async def test_what_a_gateway_gave_back_of_it_is_not_given_back_again(till: Till):
    order = await paid(till, till.offer, quantity=2)
    payment = await till.conn.fetchval("SELECT payment_id FROM orders WHERE id = $1", order)
    await till.notice(payment, "refund.succeeded", refunded_minor=300)
    assert (await refund(till, order))["refund"]["amount"] == 1_700
    await till.run_all()
    assert await balance(till, "refunds") == 0
    assert await balance(till, "seller_payable") == 0


async def test_a_refund_that_failed_is_asked_for_anew_before_anything_else_is_given_back(till: Till):
    order = await paid(till, till.offer, quantity=2)
    await refund(till, order, RefundLine(0, 1))
    await till.conn.execute("UPDATE sandbox_intents SET refunded_minor = captured_minor")
    await till.run_all()
    assert await till.conn.fetchval("SELECT state FROM refunds") == "failed"
    await till.conn.execute("UPDATE sandbox_intents SET refunded_minor = 0")
    found = await refund(till, order)
    assert (found["refund"]["amount"], found["lines"], found["status"]) == (1_000, [], "confirmed")
    await till.run_all()
    assert await balance(till, "refunds") == 0


async def test_a_promised_order_of_which_only_free_lines_are_left_is_paid_for_and_sold(till: Till):
    (free,) = await write_offers(till.conn, units=10, price=0)
    order = await paid(till, till.offer, free, capture=Capture.ON_SHIPMENT)
    await till.send(CancelOrder(order, (0,)))
    await till.run_all()
    row = await till.conn.fetchrow("SELECT payment, sold_at IS NOT NULL AS sold FROM orders WHERE id = $1", order)
    assert tuple(row) == ("paid", True)
    assert await till.conn.fetchval("SELECT state FROM payments WHERE order_id = $1", order) == "voided"
