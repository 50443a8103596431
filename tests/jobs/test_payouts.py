"""Payouts from what has settled to what is paid, one step of a worker at a time; the audit finds nothing after each."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

import jobs
from domain.journal.model import Command
from domain.payments import payouts
from domain.payments.payouts import (
    ApprovePayout,
    CollectPayout,
    FailedPayout,
    MarkPayoutFailed,
    MarkPayoutPaid,
)
from infra.clock import new_id
from ops.goods import NewOffer
from tests.builders import submit, write_offers
from tests.engine.parts import Rig
from tests.jobs.invariants import violations
from tests.settled import give_details, owe, settle, settled

pytestmark = pytest.mark.anyio
JOBS = jobs.load()
ADMIN = UUID(int=5)
OUTCOME = "SELECT status, problem ->> 'detail' AS detail FROM outcomes WHERE id = $1"
ITEMS = "SELECT seller_id, state, amount_minor FROM payout_items WHERE payout_id = $1"
EVENTS = "SELECT type FROM events WHERE stream = $1 ORDER BY version"
CANCEL_LATER = "INSERT INTO outcomes (id, status) SELECT id, 'cancelled' FROM commands WHERE id > $1"
MANY_OF_A_CURRENCY = "SELECT count(*) FROM payouts WHERE state <> 'empty'"


class Desk:
    """An admin's desk: commands that are run at once, and what the books say."""

    def __init__(self, rig: Rig, offers: list[NewOffer]) -> None:
        self.rig, self.conn, self.offers = rig, rig.conn, offers

    async def run(self, command: Command) -> tuple[UUID, str, str | None]:
        (made,) = await submit(self.conn, command, principal=ADMIN)
        await self.rig.drain(self.rig.runner(JOBS[command.job]))
        row = await self.conn.fetchrow(OUTCOME, made)
        assert await violations(self.conn) == {}
        return made, row["status"], row["detail"]

    async def does(self, command: Command) -> UUID:
        made, status, detail = await self.run(command)
        assert status == "succeeded", detail
        return made

    async def collected(self, currency: str = "USD", minimum: int | None = 1) -> UUID:
        return await self.does(CollectPayout(currency, minimum))

    async def state(self, payout: UUID) -> tuple[str, int, int, int]:
        return tuple(
            await self.conn.fetchrow("SELECT state, sellers, orders, total_minor FROM payouts WHERE id = $1", payout)
        )

    async def items(self, payout: UUID) -> dict[UUID, tuple[str, int]]:
        rows = await self.conn.fetch(ITEMS, payout)
        return {row["seller_id"]: (row["state"], row["amount_minor"]) for row in rows}

    async def balance(self, account: str, owner: object = "") -> int:
        found = "SELECT coalesce(sum(balance_minor), 0) FROM ledger_accounts WHERE account = $1 AND owner = $2"
        return int(await self.conn.fetchval(found, account, str(owner)))

    async def settlement(self, order: UUID) -> int:
        return int(await self.conn.fetchval("SELECT balance_minor FROM settlements WHERE order_id = $1", order))

    async def events(self, payout: UUID) -> list[str]:
        return [r["type"] for r in await self.conn.fetch(EVENTS, payout)]


@pytest.fixture
async def desk(rig: Rig) -> Desk:
    return Desk(rig, await write_offers(rig.conn, offers=3, sellers=3, units=1_000))


async def test_what_has_settled_is_taken_approved_and_paid(desk: Desk):
    ann, bert, _ = desk.offers
    orders = await settled(desk.rig, ann, 700, 300)
    await settled(desk.rig, bert, 50)
    payout = await desk.collected()
    assert await desk.state(payout) == ("pending_approval", 2, 3, 1050)
    assert await desk.items(payout) == {ann.seller_id: ("included", 1000), bert.seller_id: ("included", 50)}
    assert [await desk.settlement(order) for order in orders] == [0, 0]
    assert await desk.balance("seller_payable", ann.seller_id) == 0
    assert await desk.balance("payouts") == -1050
    await desk.does(ApprovePayout(payout))
    await desk.does(MarkPayoutPaid(payout))
    assert (await desk.state(payout))[0] == "paid"
    assert {state for state, _ in (await desk.items(payout)).values()} == {"paid"}
    assert (await desk.balance("payouts"), await desk.balance("bank")) == (0, -1050)
    assert await desk.events(payout) == ["payout.collected", "payout.approved", "payout.paid"]


async def test_what_has_not_settled_yet_stays(desk: Desk):
    ann = desk.offers[0]
    (early,) = await settled(desk.rig, ann, 700)
    (late,) = await settled(desk.rig, ann, 300)
    await desk.conn.execute("UPDATE settlements SET settles_at = now() + interval '1 hour' WHERE order_id = $1", late)
    payout = await desk.collected()
    assert (await desk.state(payout))[3] == 700
    assert (await desk.settlement(early), await desk.settlement(late)) == (0, 300)


async def test_below_the_minimum_of_the_deployment_is_carried_over(desk: Desk):
    (order,) = await settled(desk.rig, desk.offers[0], 99)
    payout = await desk.collected(minimum=None)
    assert await desk.state(payout) == ("empty", 0, 0, 0)
    assert await desk.settlement(order) == 99


async def test_a_suspended_seller_and_one_without_details_are_carried_over(desk: Desk):
    ann, bert, cleo = desk.offers
    for offer in desk.offers:
        await settled(desk.rig, offer, 500)
    await desk.conn.execute("UPDATE sellers SET payout = NULL, payout_shown = '' WHERE id = $1", ann.seller_id)
    await desk.conn.execute("UPDATE sellers SET status = 'suspended' WHERE id = $1", bert.seller_id)
    (payout,) = await submit(desk.conn, CollectPayout("USD", 1))
    await desk.rig.drain(desk.rig.runner(JOBS["collect_payouts"]))
    assert set(await desk.items(payout)) == {cleo.seller_id}
    await give_details(desk.conn, ann.seller_id)
    (following,) = await submit(desk.conn, CollectPayout("USD", 1))
    await desk.rig.drain(desk.rig.runner(JOBS["collect_payouts"]))
    assert set(await desk.items(following)) == {ann.seller_id}


async def test_a_payout_is_of_one_currency(desk: Desk):
    (yen,) = await write_offers(desk.conn, currency="JPY")
    await settled(desk.rig, yen, 80)
    await settled(desk.rig, desk.offers[0], 500)
    payout = await desk.collected("JPY")
    assert await desk.items(payout) == {yen.seller_id: ("included", 80)}


async def test_steps_take_all_of_it_whatever_their_size(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    for offer in desk.offers:
        await settled(desk.rig, offer, 10, 20, 30)
    monkeypatch.setattr("jobs.collect_payouts.STEP_ORDERS", 4)
    payout = await desk.collected()
    assert await desk.state(payout) == ("pending_approval", 3, 9, 180)
    assert await desk.conn.fetchval("SELECT count(*) FROM commands WHERE job = 'collect_payouts'") == 3
    assert await desk.events(payout) == ["payout.collected"]


async def test_paying_and_failing_go_in_steps_and_end_once(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    for offer in desk.offers:
        await settled(desk.rig, offer, 10)
    monkeypatch.setattr("jobs.mark_payouts_paid.STEP_SELLERS", 2)
    monkeypatch.setattr("jobs.mark_payouts_failed.STEP_SELLERS", 2)
    first = await desk.collected()
    await desk.does(MarkPayoutFailed(first, FailedPayout("the file was refused")))
    assert (await desk.state(first))[0] == "failed"
    second = await desk.collected()
    assert (await desk.state(second))[3] == 30
    await desk.does(ApprovePayout(second))
    await desk.does(MarkPayoutPaid(second))
    assert (await desk.balance("payouts"), await desk.balance("bank")) == (0, -30)
    assert await desk.events(first) == ["payout.collected", "payout.failed"]


async def test_a_second_payout_of_a_currency_waits_for_the_first_to_be_collected(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    for offer in desk.offers:
        await settled(desk.rig, offer, 10, 20)
    monkeypatch.setattr("jobs.collect_payouts.STEP_ORDERS", 3)
    runner = desk.rig.runner(JOBS["collect_payouts"])
    await submit(desk.conn, CollectPayout("USD", 1))
    await desk.rig.run(runner)
    (second,) = await submit(desk.conn, CollectPayout("USD", 1))
    await desk.conn.execute("UPDATE pending SET run_at = now() - interval '1 hour' WHERE id = $1", second)
    await desk.rig.run(runner)
    assert await desk.rig.statuses([second]) == ["rejected"]
    await desk.rig.drain(runner)
    assert await desk.conn.fetchval(MANY_OF_A_CURRENCY) == 1
    assert await violations(desk.conn) == {}


async def test_a_refund_after_the_payout_is_a_negative_entry_in_the_next_one(desk: Desk):
    ann = desk.offers[0]
    (order,) = await settled(desk.rig, ann, 700)
    first = await desk.collected()
    await desk.does(ApprovePayout(first))
    await desk.does(MarkPayoutPaid(first))
    await owe(desk.conn, order, -200)
    empty = await desk.collected()
    assert (await desk.state(empty))[0] == "empty"
    await settled(desk.rig, ann, 500)
    following = await desk.collected()
    assert await desk.items(following) == {ann.seller_id: ("included", 300)}
    amounts = await desk.conn.fetch("SELECT amount_minor FROM payout_orders WHERE payout_id = $1 ORDER BY 1", following)
    assert [row["amount_minor"] for row in amounts] == [-200, 500]


async def test_a_chargeback_before_the_approval_withdraws_the_seller(desk: Desk):
    ann, bert, _ = desk.offers
    (order, _) = await settled(desk.rig, ann, 700, 100)
    await settled(desk.rig, bert, 50)
    payout = await desk.collected()
    await desk.conn.execute("UPDATE settlements SET disputes = disputes + 1 WHERE order_id = $1", order)
    await desk.does(ApprovePayout(payout))
    assert await desk.items(payout) == {ann.seller_id: ("withdrawn", 800), bert.seller_id: ("included", 50)}
    assert await desk.settlement(order) == 700
    assert await desk.balance("payouts") == -50
    # What isn't disputed is in the next one.
    following = await desk.collected()
    assert await desk.items(following) == {ann.seller_id: ("included", 100)}


async def test_a_chargeback_after_the_approval_is_a_negative_entry_in_the_next_one(desk: Desk):
    ann = desk.offers[0]
    (order,) = await settled(desk.rig, ann, 700)
    payout = await desk.collected()
    await desk.does(ApprovePayout(payout))
    await desk.conn.execute("UPDATE settlements SET disputes = disputes + 1 WHERE order_id = $1", order)
    await owe(desk.conn, order, -700)
    await desk.does(MarkPayoutPaid(payout))
    assert await desk.settlement(order) == -700
    # While it is open it is held; lost, it is owed.
    await desk.conn.execute("UPDATE settlements SET disputes = disputes - 1 WHERE order_id = $1", order)
    await settled(desk.rig, ann, 1_000)
    assert await desk.items(await desk.collected()) == {ann.seller_id: ("included", 300)}


async def test_a_payout_of_which_everybody_is_withdrawn_has_failed(desk: Desk):
    (order,) = await settled(desk.rig, desk.offers[0], 700)
    payout = await desk.collected()
    await desk.conn.execute("UPDATE settlements SET disputes = 1 WHERE order_id = $1", order)
    await desk.does(ApprovePayout(payout))
    assert (await desk.state(payout))[0] == "failed"
    assert await desk.events(payout) == ["payout.collected", "payout.failed"]


async def test_an_approval_withdraws_very_many_in_steps(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    orders = [(await settled(desk.rig, offer, 10))[0] for offer in desk.offers]
    payout = await desk.collected()
    await desk.conn.execute("UPDATE settlements SET disputes = 1 WHERE order_id = ANY ($1)", orders[:2])
    monkeypatch.setattr("jobs.approve_payouts.first_of", lambda items: payouts.first_of(items, sellers=1))
    await desk.does(ApprovePayout(payout))
    assert (await desk.state(payout))[0] == "approved"
    assert sorted(state for state, _ in (await desk.items(payout)).values()) == ["included", "withdrawn", "withdrawn"]


async def test_what_failed_for_some_sellers_is_in_the_next_payout_again(desk: Desk):
    ann, bert, _ = desk.offers
    await settled(desk.rig, ann, 700)
    await settled(desk.rig, bert, 50)
    payout = await desk.collected()
    await desk.does(ApprovePayout(payout))
    await desk.does(MarkPayoutFailed(payout, FailedPayout("no such account", (bert.seller_id,))))
    assert (await desk.state(payout))[0] == "approved"
    await desk.does(MarkPayoutPaid(payout))
    assert await desk.items(payout) == {ann.seller_id: ("paid", 700), bert.seller_id: ("failed", 50)}
    assert await desk.items(await desk.collected()) == {bert.seller_id: ("included", 50)}


async def test_money_that_bounces_after_it_was_paid_is_the_sellers_again(desk: Desk):
    ann = desk.offers[0]
    await settled(desk.rig, ann, 700)
    payout = await desk.collected()
    await desk.does(ApprovePayout(payout))
    await desk.does(MarkPayoutPaid(payout))
    await desk.does(MarkPayoutFailed(payout, FailedPayout("account closed", (ann.seller_id,))))
    assert (await desk.state(payout))[0] == "paid"
    assert (await desk.balance("bank"), await desk.balance("seller_payable", ann.seller_id)) == (0, -700)


async def test_a_payout_that_fails_for_its_last_seller_has_failed(desk: Desk):
    ann = desk.offers[0]
    await settled(desk.rig, ann, 700)
    payout = await desk.collected()
    await desk.does(MarkPayoutFailed(payout, FailedPayout("no such account", (ann.seller_id,))))
    assert (await desk.state(payout))[0] == "failed"


async def test_what_failed_is_given_back_beside_what_came_meanwhile(desk: Desk):
    (order,) = await settled(desk.rig, desk.offers[0], 700)
    payout = await desk.collected()
    await owe(desk.conn, order, -200)
    await desk.does(MarkPayoutFailed(payout, FailedPayout("the file was refused")))
    assert await desk.settlement(order) == 500


async def test_what_may_not_happen_is_refused_and_changes_nothing(desk: Desk):
    await settled(desk.rig, desk.offers[0], 700)
    payout = await desk.collected()
    for command, said in (
        (MarkPayoutPaid(payout), "pending approval"),
        (ApprovePayout(new_id()), "no such payout"),
        (MarkPayoutFailed(payout, FailedPayout("x", (new_id(),))), "not in the payout"),
    ):
        _, status, detail = await desk.run(command)
        assert status == "rejected"
        assert said in (detail or "")
    assert (await desk.state(payout))[0] == "pending_approval"


async def test_a_payout_that_is_given_up_while_it_is_collected_stays_given_up(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    for offer in desk.offers:
        await settled(desk.rig, offer, 10, 20)
    monkeypatch.setattr("jobs.collect_payouts.STEP_ORDERS", 3)
    runner = desk.rig.runner(JOBS["collect_payouts"])
    (payout,) = await submit(desk.conn, CollectPayout("USD", 1))
    await desk.rig.run(runner)
    # A step to come doesn't stand in the way: it names the payout, but is no order to wait for.
    await desk.conn.execute("DELETE FROM pending")
    await desk.conn.execute(CANCEL_LATER, payout)
    await desk.does(MarkPayoutFailed(payout, FailedPayout("not today")))
    (again,) = await submit(desk.conn, CollectPayout("USD", 1, payout, desk.offers[0].seller_id))
    await desk.rig.drain(runner)
    assert await desk.rig.statuses([again]) == ["succeeded"]
    assert (await desk.state(payout))[0] == "failed"
    assert await desk.balance("payouts") == 0


async def test_what_somebody_holds_is_left_for_the_next_payout(desk: Desk):
    held, free = await settled(desk.rig, desk.offers[0], 700, 50)
    async with desk.rig.pool.acquire() as conn:
        await conn.execute("BEGIN")
        await conn.fetch("SELECT order_id FROM settlements WHERE order_id = $1 FOR UPDATE", held)
        payout = await desk.collected()
        await conn.execute("ROLLBACK")
    assert (await desk.state(payout))[3] == 50
    assert (await desk.settlement(held), await desk.settlement(free)) == (700, 0)
    assert (await desk.state(await desk.collected()))[3] == 700


async def test_a_payout_whose_next_step_was_cancelled_goes_on_when_it_is_asked_for_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    for offer in desk.offers:
        await settled(desk.rig, offer, 10)
    payout = await desk.collected()
    await desk.does(ApprovePayout(payout))
    monkeypatch.setattr("jobs.mark_payouts_paid.STEP_SELLERS", 2)
    (paying,) = await submit(desk.conn, MarkPayoutPaid(payout))
    await desk.rig.run(desk.rig.runner(JOBS["mark_payouts_paid"]))
    await desk.conn.execute("DELETE FROM pending")
    await desk.conn.execute(CANCEL_LATER, paying)
    assert (await desk.state(payout))[0] == "paying"
    await desk.does(MarkPayoutPaid(payout))
    assert (await desk.state(payout))[0] == "paid"
    assert (await desk.balance("payouts"), await desk.balance("bank")) == (0, -30)


async def test_a_payout_is_exact_while_orders_keep_coming(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("jobs.collect_payouts.STEP_ORDERS", 2)
    orders = [order for offer in desk.offers for order in await settled(desk.rig, offer, 10, 20, 30)]
    (payout,) = await submit(desk.conn, CollectPayout("USD", 1))

    async def more_comes() -> int:
        async with desk.rig.pool.acquire() as conn:
            for order in orders * 3:
                await owe(conn, order, 7)
        return len(orders) * 3 * 7

    _, came = await asyncio.gather(desk.rig.drain(desk.rig.runner(JOBS["collect_payouts"])), more_comes())
    (_, _, _, taken) = await desk.state(payout)
    left = sum([await desk.settlement(order) for order in orders])
    assert taken + left == 3 * 60 + came
    assert await violations(desk.conn) == {}


async def test_settling_counts_from_the_earliest_time(desk: Desk):
    (order,) = await settled(desk.rig, desk.offers[0], 700)
    await settle(desk.conn, order, ago=timedelta(hours=-2))
    assert (await desk.state(await desk.collected()))[3] == 700


def test_all_jobs_of_payouts_have_a_lane_of_their_own():
    found: Any = {name for name, job in JOBS.items() if job.lane.value == "payouts"}
    assert found == {"collect_payouts", "approve_payouts", "mark_payouts_paid", "mark_payouts_failed"}
