"""Orders that cost nothing, from placing to their commission: confirmed once, snapshotted once, by frozen terms."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest

from domain.journal.declare import Batch, BatchJob
from domain.journal.model import SYSTEM
from domain.orders.commission_reads import load_order_commission
from domain.orders.commission_sql import load_snapshots
from domain.orders.model import CancelOrder
from domain.pricing import commission_edit
from domain.pricing.commission import ConsideredRule, Loss
from domain.pricing.commission_sql import PART, Edit, lock_rules, write_rules
from domain.pricing.scope import Scope
from domain.pricing.version_sql import raise_version
from infra import postgres
from jobs.cancel_orders import cancel_orders
from jobs.confirm_orders import confirm_orders
from jobs.expire_reservations import expire_reservations
from jobs.place_orders import place_orders
from jobs.snapshot_commissions import snapshot_commissions
from ops.goods import NewOffer
from tests.builders import place, submit, write_offers
from tests.engine.parts import Rig, due_now
from tests.jobs.invariants import violations
from tests.pricing import write_discount, write_rule

pytestmark = pytest.mark.anyio

EVERYTHING = 10_000


async def placed(rig: Rig, *offers: NewOffer, quantity: int = 1) -> UUID:
    (order,) = await submit(rig.conn, place(*offers, quantity=quantity))
    await rig.drain(rig.runner(place_orders))
    return order


async def what_follows(rig: Rig) -> None:
    """Run what placing or cancelling had follow."""
    for job in (confirm_orders, snapshot_commissions):
        await due_now(rig)
        await rig.drain(rig.runner(job))


async def events_of(rig: Rig, order: UUID) -> list[str]:
    rows = await rig.conn.fetch("SELECT type FROM events WHERE stream = $1 ORDER BY version", order)
    return [row["type"] for row in rows]


async def stock_of(rig: Rig, offer: NewOffer) -> tuple[int, int]:
    row = await rig.conn.fetchrow("SELECT on_hand, reserved FROM stock WHERE variant_id = $1", offer.variant_id)
    return row["on_hand"], row["reserved"]


LIFE = ["order.placed", "order.confirmed", "order.commission_snapshotted"]


async def test_an_order_that_costs_nothing_is_confirmed_and_snapshotted(rig: Rig):
    offers = await write_offers(rig.conn, offers=2, sellers=2, units=10)
    rule = await write_rule(rig.conn, rate_bp=1250)
    await write_discount(rig.conn, EVERYTHING, *offers)
    order = await placed(rig, *offers, quantity=3)
    assert await stock_of(rig, offers[0]) == (10, 3)
    await what_follows(rig)
    assert await events_of(rig, order) == LIFE
    assert await stock_of(rig, offers[0]) == (7, 0)
    made = await load_snapshots(rig.conn, [order])
    # The platform bore it all, so the base is what the lines cost.
    told = [(each.line_no, each.rule_id, each.base_minor, each.amount_minor) for each in made]
    assert told == [(0, rule.id, 3_000, 375), (1, rule.id, 3_000, 375)]
    assert await violations(rig.conn) == {}


async def test_where_the_seller_gave_all_of_it_there_is_nothing_to_take_a_part_of(rig: Rig):
    offers = await write_offers(rig.conn, units=10, price=0)
    await write_rule(rig.conn, rate_bp=1250, minimum=None)
    order = await placed(rig, *offers)
    await what_follows(rig)
    assert [(each.base_minor, each.amount_minor) for each in await load_snapshots(rig.conn, [order])] == [(0, 0)]
    assert await violations(rig.conn) == {}


async def test_without_a_rule_there_is_a_snapshot_that_says_so(rig: Rig):
    offers = await write_offers(rig.conn, units=10)
    await write_discount(rig.conn, EVERYTHING, *offers)
    order = await placed(rig, *offers)
    await what_follows(rig)
    (made,) = await load_snapshots(rig.conn, [order])
    assert (made.rule_id, made.base_minor, made.amount_minor, made.considered) == (None, 1_000, 0, ())
    assert await violations(rig.conn) == {}


async def test_jobs_that_run_twice_confirm_and_snapshot_once(rig: Rig):
    offers = await write_offers(rig.conn, units=10)
    await write_rule(rig.conn, rate_bp=1250)
    await write_discount(rig.conn, EVERYTHING, *offers)
    order = await placed(rig, *offers)
    await what_follows(rig)
    before = await load_snapshots(rig.conn, [order])
    jobs = ["confirm_orders", "snapshot_commissions"]
    again = "SELECT id FROM commands WHERE job = ANY ($1)"
    await rig.conn.execute(f"DELETE FROM outcomes WHERE id IN ({again})", jobs)
    await rig.conn.execute(
        "INSERT INTO pending (id, job, aggregate) SELECT id, job, aggregate FROM commands WHERE job = ANY ($1)", jobs
    )
    await what_follows(rig)
    assert await load_snapshots(rig.conn, [order]) == before
    assert await events_of(rig, order) == LIFE
    assert await stock_of(rig, offers[0]) == (9, 0)
    assert await violations(rig.conn) == {}


@pytest.mark.parametrize("job", [place_orders, confirm_orders, snapshot_commissions], ids=lambda job: job.name)
async def test_a_process_that_dies_after_its_writes_confirms_and_snapshots_once(rig: Rig, job: BatchJob):
    offers = await write_offers(rig.conn, units=10)
    await write_rule(rig.conn, rate_bp=1250)
    await write_discount(rig.conn, EVERYTHING, *offers)
    (order,) = await submit(rig.conn, place(*offers))

    async def write_and_die(batch: Batch[Any]) -> Any:
        await job.run(batch)
        pid = await batch.conn.fetchval("SELECT pg_backend_pid()")
        await rig.conn.execute("SELECT pg_terminate_backend($1, 5000)", pid)
        return await batch.conn.fetchval("SELECT 1")

    lost = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
    for each in (place_orders, confirm_orders, snapshot_commissions):
        await due_now(rig)
        if each is job:
            with pytest.raises(lost):
                await rig.run(rig.runner(msgspec.structs.replace(job, run=write_and_die)))
        await rig.drain(rig.runner(each))
    assert await events_of(rig, order) == LIFE
    assert len(await load_snapshots(rig.conn, [order])) == 1
    assert await violations(rig.conn) == {}


async def test_what_becomes_of_the_rule_after_placing_changes_nothing(rig: Rig):
    offers = await write_offers(rig.conn, units=10)
    await write_discount(rig.conn, EVERYTHING, *offers)
    frozen = await write_rule(rig.conn, rate_bp=1000, priority=1)
    other = await write_rule(rig.conn, rate_bp=5000)
    order = await placed(rig, *offers)
    # Between placing and confirming the rule ends, another one changes, and one comes that would have won.
    async with postgres.transaction(rig.conn):
        version = await raise_version(rig.conn, PART)
        rules = await lock_rules(rig.conn, [frozen.id, other.id])
        now = datetime.now(UTC)
        changed = commission_edit.changed(
            rules[other.id], msgspec.structs.replace(other.content, rate_bp=1, priority=9)
        )
        ended = commission_edit.ended(rules[frozen.id], now)
        await write_rules(
            rig.conn,
            [("commission_rule.ended", ended), ("commission_rule.changed", changed)],
            Edit(version, now, SYSTEM, ""),
        )
    await write_rule(rig.conn, rate_bp=9000, priority=99)
    estimate = await load_order_commission(rig.conn, order, None)
    await what_follows(rig)
    (made,) = await load_snapshots(rig.conn, [order])
    assert (made.rule_id, made.amount_minor) == (frozen.id, 100)
    assert made.considered == (ConsideredRule(frozen.id, None), ConsideredRule(other.id, Loss.LOWER_PRIORITY))
    shown = await load_order_commission(rig.conn, order, None)
    assert estimate is not None
    assert shown is not None
    assert (estimate.estimate, shown.estimate) == (True, False)
    assert estimate.lines == shown.lines
    assert await violations(rig.conn) == {}


async def test_an_order_whose_holds_ran_out_before_it_was_confirmed_expires(rig: Rig):
    """Its units are another order's by then: sold twice otherwise."""
    offers = await write_offers(rig.conn, units=2)
    await write_discount(rig.conn, EVERYTHING, *offers)
    late = await placed(rig, *offers, quantity=2)
    for table, key in (("orders", "id"), ("reservations", "order_id")):
        await rig.conn.execute(f"UPDATE {table} SET expires_at = now() - interval '1 s' WHERE {key} = $1", late)
    other = await placed(rig, *offers, quantity=2)
    await what_follows(rig)
    await rig.drain(rig.runner(expire_reservations))
    assert await events_of(rig, late) == ["order.placed", "order.expired"]
    assert await events_of(rig, other) == LIFE
    assert await stock_of(rig, offers[0]) == (0, 0)
    assert await violations(rig.conn) == {}


async def test_cancelling_what_costs_something_confirms_what_is_left_for_nothing(rig: Rig):
    free, costly = await write_offers(rig.conn, offers=2, units=10)
    await write_discount(rig.conn, EVERYTHING, free)
    await write_rule(rig.conn, rate_bp=1000, scope=Scope(sellers=(free.seller_id,)))
    order = await placed(rig, free, costly)
    await what_follows(rig)
    assert await events_of(rig, order) == ["order.placed"]
    await submit(rig.conn, CancelOrder(order, lines=(1,)))
    await rig.drain(rig.runner(cancel_orders))
    await what_follows(rig)
    assert await events_of(rig, order) == ["order.placed", "order.lines_cancelled", *LIFE[1:]]
    assert [each.line_no for each in await load_snapshots(rig.conn, [order])] == [0]
    assert (await stock_of(rig, free), await stock_of(rig, costly)) == ((9, 0), (10, 0))
    assert await violations(rig.conn) == {}


async def test_cancelling_a_line_tells_what_promotions_take_off_the_others(rig: Rig):
    first, second = await write_offers(rig.conn, offers=2, units=10)
    await write_discount(rig.conn, 2_500, first, second)
    order = await placed(rig, first, second)
    amount = "SELECT amount_minor FROM redemptions WHERE order_id = $1 AND returned_at IS NULL"
    assert await rig.conn.fetchval(amount, order) == 500
    await submit(rig.conn, CancelOrder(order, lines=(0,)))
    await rig.drain(rig.runner(cancel_orders))
    assert await rig.conn.fetchval(amount, order) == 250
    assert await violations(rig.conn) == {}


async def test_an_order_that_is_cancelled_whole_is_not_confirmed(rig: Rig):
    free, costly = await write_offers(rig.conn, offers=2, units=10)
    await write_discount(rig.conn, EVERYTHING, free)
    order = await placed(rig, free, costly)
    await submit(rig.conn, CancelOrder(order))
    await rig.drain(rig.runner(cancel_orders))
    await what_follows(rig)
    assert await events_of(rig, order) == ["order.placed", "order.cancelled"]
    assert await violations(rig.conn) == {}
