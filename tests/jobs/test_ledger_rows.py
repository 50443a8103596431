"""The ledger's rows: postings balance or aren't there, and accounts and settlements move with them."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from domain.payments.ledger import LedgerAccount, PostingKind, Side, Transfer, payable, posting
from domain.payments.ledger_sql import settle_from, write_postings
from jobs.place_orders import place_orders
from tests.builders import place, submit, write_offers
from tests.engine.parts import Rig

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 3, 1, tzinfo=UTC)
REFUNDS, TAX = Side(LedgerAccount.REFUNDS), Side(LedgerAccount.TAX)
INSERT = """
INSERT INTO ledger_entries (cause_id, kind, entry_no, account, owner, currency, amount_minor, at)
VALUES ($1, 'sale', $2, 'refunds', '', $3, $4, now())
"""


async def balances(conn: Any) -> dict[tuple[str, str, str], int]:
    rows = await conn.fetch("SELECT * FROM ledger_accounts WHERE balance_minor <> 0")
    return {(row["account"], row["owner"], row["currency"]): row["balance_minor"] for row in rows}


async def test_a_posting_that_does_not_balance_is_refused_when_it_is_committed(rig: Rig):
    cause = uuid4()
    with pytest.raises(asyncpg.CheckViolationError, match="does not balance"):
        async with rig.conn.transaction():
            await rig.conn.execute(INSERT, cause, 0, "USD", 5)
            await rig.conn.execute(INSERT, cause, 1, "EUR", -5)
    async with rig.conn.transaction():
        await rig.conn.execute(INSERT, cause, 0, "USD", 5)
        await rig.conn.execute(INSERT, cause, 1, "USD", -5)
    with pytest.raises(asyncpg.CheckViolationError, match="does not balance"):
        await rig.conn.execute(INSERT, cause, 2, "USD", 1)
    with pytest.raises(asyncpg.RestrictViolationError, match="append-only"):
        await rig.conn.execute("DELETE FROM ledger_entries")


async def test_a_cause_has_one_posting_of_a_kind(rig: Rig):
    (tax,) = posting(PostingKind.TAX, uuid4(), None, "USD", [Transfer(REFUNDS, TAX, 7)])
    await write_postings(rig.conn, [tax], NOW)
    with pytest.raises(asyncpg.UniqueViolationError):
        async with rig.conn.transaction():
            await write_postings(rig.conn, [tax], NOW)
    assert await balances(rig.conn) == {("refunds", "", "USD"): 7, ("tax", "", "USD"): -7}


async def test_what_a_seller_is_owed_of_a_seller_order_follows_the_entries(rig: Rig):
    offers = await write_offers(rig.conn, offers=2, units=10)
    (order,) = await submit(rig.conn, place(*offers))
    await rig.drain(rig.runner(place_orders))
    rows = await rig.conn.fetch("SELECT seller_id, seller_no FROM seller_orders WHERE order_id = $1", order)
    sellers: dict[int, UUID] = {row["seller_no"]: row["seller_id"] for row in rows}
    for amount in (100, 30):
        moves = [Transfer(REFUNDS, payable(seller, number), amount + number) for number, seller in sellers.items()]
        await write_postings(rig.conn, posting(PostingKind.SALE, uuid4(), order, "USD", moves), NOW)
    await settle_from(rig.conn, [(order, 0)], NOW)
    await settle_from(rig.conn, [(order, 0)], datetime(2026, 4, 1, tzinfo=UTC))
    rows = await rig.conn.fetch("SELECT seller_no, seller_id, balance_minor, settles_at FROM settlements ORDER BY 1")
    assert [tuple(row) for row in rows] == [
        (number, sellers[number], 130 + 2 * number, NOW if number == 0 else None) for number in sorted(sellers)
    ]
    owed = sum(-amount for (account, _, _), amount in (await balances(rig.conn)).items() if account != "refunds")
    assert owed == (await balances(rig.conn))["refunds", "", "USD"] == sum(130 + 2 * n for n in sellers)


def test_a_transfer_moves_something_one_way():
    assert posting(PostingKind.TAX, uuid4(), None, "USD", [Transfer(REFUNDS, TAX, 0)]) == []
    with pytest.raises(ValueError, match="turn it round"):
        posting(PostingKind.TAX, uuid4(), None, "USD", [Transfer(REFUNDS, TAX, -1)])


def test_entries_of_a_posting_sum_to_zero_and_name_each_account_once():
    (made,) = posting(PostingKind.TAX, uuid4(), None, "USD", [Transfer(REFUNDS, TAX, 7), Transfer(TAX, REFUNDS, 2)])
    assert made.entries() == [(REFUNDS, 5), (TAX, -5)]
