"""A rule that a line pays by says for good what it says, however placing and editing meet."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from domain.journal.declare import Batch
from domain.journal.model import SYSTEM
from domain.orders.commission_sql import load_frozen_lines
from domain.pricing import commission_edit
from domain.pricing.commission_edit import StoredRule
from domain.pricing.commission_sql import PART, Edit, lock_rules, write_rules
from domain.pricing.version_sql import raise_version
from infra import postgres
from jobs.place_orders import place_orders
from tests.builders import place, submit, write_offers
from tests.engine.parts import Rig, until_blocked
from tests.jobs.invariants import violations
from tests.pricing import write_rule

pytestmark = pytest.mark.anyio


async def change_rule(conn: Any, rule: StoredRule, **content: Any) -> bool:
    """Change a rule as the route does; False when it is in use. ``conn`` is in a transaction."""
    version = await raise_version(conn, PART)
    standing = (await lock_rules(conn, [rule.id]))[rule.id]
    if commission_edit.check_change(standing, datetime.now(UTC)) is not None:
        return False
    after = commission_edit.changed(standing, msgspec.structs.replace(standing.content, **content))
    await write_rules(conn, [("commission_rule.changed", after)], Edit(version, datetime.now(UTC), SYSTEM, ""))
    return True


async def rates(rig: Rig, *orders: Any) -> list[int]:
    return [line.terms.rate_bp for line in await load_frozen_lines(rig.conn, orders)]


async def test_an_order_whose_rule_changes_while_it_is_placed_pays_by_what_the_rule_says_then(rig: Rig):
    offers = await write_offers(rig.conn)
    rule = await write_rule(rig.conn, rate_bp=100)
    (order,) = await submit(rig.conn, place(*offers))
    placing = rig.runner(place_orders)
    async with rig.pool.acquire() as other:
        await other.execute("BEGIN")
        assert await change_rule(other, rule, rate_bp=900)
        # It decides by the rule as it was, and waits where it marks it.
        placed = asyncio.create_task(rig.drain(placing))
        await until_blocked(rig.conn, "SET used = true")
        await other.execute("COMMIT")
        await placed
    assert await rates(rig, order) == [900]
    assert await violations(rig.conn) == {}


async def test_a_rule_is_not_changed_while_the_first_order_that_pays_by_it_is_placed(rig: Rig):
    offers = await write_offers(rig.conn)
    rule = await write_rule(rig.conn, rate_bp=100)
    (order,) = await submit(rig.conn, place(*offers))
    changing: list[asyncio.Task[bool]] = []

    async with rig.pool.acquire() as other:

        async def change_and_commit() -> bool:
            async with postgres.transaction(other):
                return await change_rule(other, rule, rate_bp=900)

        async def place_and_let_them_change(batch: Batch[Any]) -> Any:
            outcomes = await place_orders.run(batch)
            changing.append(asyncio.create_task(change_and_commit()))
            await until_blocked(rig.conn, "FOR NO KEY UPDATE")
            return outcomes

        await rig.drain(rig.runner(msgspec.structs.replace(place_orders, run=place_and_let_them_change)))
        assert await changing[0] is False
    assert await rates(rig, order) == [100]
    assert await violations(rig.conn) == {}


async def test_a_worker_that_holds_older_rules_takes_the_new_ones_after_its_claim(rig: Rig):
    offers = await write_offers(rig.conn)
    placing = rig.runner(place_orders)
    orders = []
    for rate in (100, 200, 300):
        await write_rule(rig.conn, rate_bp=rate, priority=rate)
        orders += await submit(rig.conn, place(*offers))
        await rig.drain(placing)
    assert await rates(rig, *orders) == [100, 200, 300]
    assert [line.version for line in await load_frozen_lines(rig.conn, orders)] == [1, 2, 3]


async def test_a_rule_that_others_have_marked_is_known_as_used_from_then_on(rig: Rig):
    offers = await write_offers(rig.conn)
    rule = await write_rule(rig.conn, rate_bp=100)
    workers = [rig.runner(place_orders) for _ in range(2)]
    # Both hold the rule from before any line paid by it.
    for worker in (*workers, *workers):
        await submit(rig.conn, place(*offers))
        await rig.drain(worker)
    assert all(rule.id in worker._held["book"].commission.noted for worker in workers[1:])
    assert await violations(rig.conn) == {}
