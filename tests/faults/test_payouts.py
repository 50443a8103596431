"""A worker killed in the middle of collecting a payout, and several payouts of a currency asked for at once."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import asyncpg

from domain.payments.payouts import CollectPayout
from tests.builders import submit
from tests.faults.site import Site
from tests.settled import give_details, owe, settle
from tests.system import eventually

OWED_MINOR = 700
WAITING_FOR_ACCOUNTS = """
SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name = 'ordermill-worker' AND wait_event_type = 'Lock'
"""
TAKEN = "SELECT coalesce(sum(amount_minor), 0) FROM payout_items WHERE state = 'included'"
DUE = "SELECT coalesce(sum(balance_minor), 0) FROM settlements WHERE settles_at IS NOT NULL"
QUEUED = "SELECT count(*) FROM pending WHERE job = 'collect_payouts'"
STATE = "SELECT state FROM payouts WHERE id = $1"


def _run(site: Site, work: Callable[[Any], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        conn = await asyncpg.connect(site.stack.urls.database_url)
        try:
            return await work(conn)
        finally:
            await conn.close()

    return asyncio.run(run())


def _settle_some(site: Site, count: int, seed: int) -> int:
    """Have orders be placed and settle; return what their sellers are owed of them."""
    site.stock(offers=6, units=10_000)
    orders = site.orders(count, seed=seed)
    site.submit(orders)
    placed = [order for order, status in site.assert_each_ended_once(orders).items() if status == "succeeded"]

    async def work(conn: Any) -> None:
        for order in placed:
            await owe(conn, order, OWED_MINOR)
        await settle(conn, *placed)
        await give_details(conn, *{offer.seller_id for offer in site.offers})

    _run(site, work)
    return len(placed) * OWED_MINOR


def test_a_worker_killed_in_a_step_of_a_payout_leaves_it_to_be_done_once(site: Site):
    before = int(site.query(TAKEN))
    owed = _settle_some(site, 40, seed=31)
    assert int(site.query(DUE)) == owed

    async def kill_while_it_has_a_step_in_hand(conn: Any) -> UUID:
        # The step has moved balances and written its entries, and waits for the accounts, which it takes last.
        async with conn.transaction():
            await conn.execute("LOCK TABLE ledger_accounts IN EXCLUSIVE MODE")
            other = await asyncpg.connect(site.stack.urls.database_url)
            (payout,) = await submit(other, CollectPayout("USD", 1))
            await other.close()
            await asyncio.to_thread(eventually, lambda: site.query(WAITING_FOR_ACCOUNTS))
            site.system.kill("worker")
            await asyncio.to_thread(eventually, lambda: not site.query(WAITING_FOR_ACCOUNTS))
            assert await conn.fetchval(STATE, payout) is None
        return payout

    payout = _run(site, kill_while_it_has_a_step_in_hand)
    eventually(lambda: site.query(STATE, payout) == "pending_approval", 40)
    assert (int(site.query(TAKEN)) - before, int(site.query(DUE))) == (owed, 0)
    site.assert_sound()


def test_of_several_payouts_of_a_currency_at_once_what_is_due_is_taken_once(site: Site):
    before = int(site.query(TAKEN))
    owed = _settle_some(site, 20, seed=32)
    _run(site, lambda conn: submit(conn, *[CollectPayout("USD", 1)] * 6))
    eventually(lambda: site.query(QUEUED) == 0, 40)
    assert (int(site.query(TAKEN)) - before, int(site.query(DUE))) == (owed, 0)
    site.assert_sound()
