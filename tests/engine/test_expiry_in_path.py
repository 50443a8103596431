"""Expiry in the path of an order: an expired hold never makes a later order fail."""

import asyncio
from typing import Any

import asyncpg
import msgspec
import pytest

from domain.inventory import sql as inventory
from domain.journal.declare import Batch
from jobs.expire_reservations import expire_reservations
from jobs.place_orders import place_orders
from tests.builders import place, submit, write_offers
from tests.engine.parts import Rig
from tests.jobs.invariants import violations

pytestmark = pytest.mark.anyio


async def order(rig: Rig, *offers: Any, quantity: int = 1, times: int = 1) -> list[Any]:
    """Place orders, one after the other so that their holds end in this order; return their ids."""
    ids = []
    for _ in range(times):
        ids += await submit(rig.conn, place(*offers, quantity=quantity))
        await rig.drain(rig.runner(place_orders))
    return ids


async def let_expire(rig: Rig, *orders: Any) -> None:
    """Make holds due, the first the longest."""
    for n, order_id in enumerate(orders):
        for table, key in (("orders", "id"), ("reservations", "order_id")):
            await rig.conn.execute(
                f"UPDATE {table} SET expires_at = now() - make_interval(secs => $2) WHERE {key} = $1",
                order_id,
                float(60 - n),
            )


async def holds(rig: Rig, *orders: Any) -> list[str]:
    rows = await rig.conn.fetch(
        "SELECT r.status FROM unnest($1::uuid[]) WITH ORDINALITY AS t (id, n)"
        " JOIN reservations r ON r.order_id = t.id ORDER BY n",
        orders,
    )
    return [row["status"] for row in rows]


async def violations_at_rest(rig: Rig) -> Any:
    """What doesn't hold once the orders have expired whose holds were taken back."""
    await rig.drain(rig.runner(expire_reservations))
    return await violations(rig.conn)


async def test_an_order_that_would_be_refused_takes_back_what_is_due_first(rig: Rig):
    (offer,) = await write_offers(rig.conn, units=3)
    old = await order(rig, offer, quantity=3)
    await let_expire(rig, *old)
    (new,) = await order(rig, offer, quantity=2)
    assert await rig.statuses([new]) == ["succeeded"]
    assert await holds(rig, *old, new) == ["expired", "active"]
    assert await violations_at_rest(rig) == {}


async def test_holds_that_are_not_due_stay(rig: Rig):
    (offer,) = await write_offers(rig.conn, units=3)
    old = await order(rig, offer, quantity=3)
    (new,) = await order(rig, offer, quantity=1)
    assert await rig.statuses([new]) == ["rejected"]
    assert await holds(rig, *old) == ["active"]


async def test_while_there_is_stock_due_holds_are_left_to_the_sweep(rig: Rig):
    (offer,) = await write_offers(rig.conn, units=100)
    old = await order(rig, offer, quantity=3)
    await let_expire(rig, *old)
    await order(rig, offer, quantity=1)
    assert await holds(rig, *old) == ["active"]


async def test_only_the_holds_of_that_offer_are_taken_back(rig: Rig):
    one, other = await write_offers(rig.conn, offers=2, units=2)
    held = await order(rig, one, quantity=2) + await order(rig, other, quantity=2)
    await let_expire(rig, *held)
    (new,) = await order(rig, one, quantity=1)
    assert await rig.statuses([new]) == ["succeeded"]
    assert await holds(rig, *held) == ["expired", "active"]


async def test_the_oldest_are_taken_back_and_at_most_so_many(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    assert inventory.DUE_PER_OFFER_MAX == 500
    monkeypatch.setattr(inventory, "DUE_PER_OFFER_MAX", 2)
    (offer,) = await write_offers(rig.conn, units=4)
    old = await order(rig, offer, times=4)
    await let_expire(rig, *old)
    (new,) = await order(rig, offer, quantity=2)
    assert await rig.statuses([new]) == ["succeeded"]
    assert await holds(rig, *old) == ["expired", "expired", "active", "active"]
    (new,) = await order(rig, offer, quantity=3)
    assert await rig.statuses([new]) == ["rejected"]
    assert await violations_at_rest(rig) == {}


async def test_a_hold_somebody_else_is_ending_is_skipped(rig: Rig):
    (offer,) = await write_offers(rig.conn, units=2)
    first, second = await order(rig, offer, times=2)
    await let_expire(rig, first, second)
    async with rig.pool.acquire() as other:
        await other.execute("BEGIN")
        await other.execute("SELECT FROM reservations WHERE order_id = $1 FOR UPDATE", first)
        (new,) = await asyncio.wait_for(order(rig, offer, quantity=1), 2)
        await other.execute("ROLLBACK")
    assert await rig.statuses([new]) == ["succeeded"]
    assert await holds(rig, first, second) == ["active", "expired"]


async def test_what_follows_for_their_orders_is_a_command_of_the_same_transaction(rig: Rig):
    (offer,) = await write_offers(rig.conn, units=2)
    (old,) = await order(rig, offer, quantity=2)
    await let_expire(rig, old)
    (new,) = await submit(rig.conn, place(offer))

    async def write_and_crash(batch: Batch[Any]) -> Any:
        await place_orders.run(batch)
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await rig.run(rig.runner(msgspec.structs.replace(place_orders, run=write_and_crash)))
    assert await rig.conn.fetchval("SELECT count(*) FROM commands WHERE job = 'expire_reservations'") == 0
    assert await holds(rig, old) == ["active"]

    (report,) = await rig.drain(rig.runner(place_orders))
    assert report.ring == {expire_reservations.command}
    payload = await rig.conn.fetchval("SELECT payload FROM commands WHERE job = 'expire_reservations'")
    assert msgspec.json.decode(payload, type=expire_reservations.command).orders == (old,)
    await rig.drain(rig.runner(expire_reservations))
    assert await rig.conn.fetchval("SELECT expired_at IS NOT NULL FROM orders WHERE id = $1", old)
    assert await rig.statuses([new]) == ["succeeded"]
    assert await violations(rig.conn) == {}


async def test_two_batches_that_need_the_same_expired_holds_sell_them_once(rig: Rig):
    (offer,) = await write_offers(rig.conn, units=5)
    old = await order(rig, offer, times=5)
    await let_expire(rig, *old)
    ids = await submit(rig.conn, *[place(offer) for _ in range(20)])
    job = msgspec.structs.replace(place_orders, commands_max=5)

    async def drain() -> None:
        runner = rig.runner(job)
        while "pending" in await rig.statuses(ids):
            try:
                await rig.drain(runner)
            except asyncpg.DeadlockDetectedError:
                pytest.fail("locks were taken in different orders")

    await asyncio.gather(drain(), drain(), drain())
    statuses = await rig.statuses(ids)
    assert statuses.count("succeeded") <= 5
    assert await rig.conn.fetchval("SELECT reserved <= on_hand FROM stock")
    assert await violations_at_rest(rig) == {}
