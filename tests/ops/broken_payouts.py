"""Ways to break what is true of the ledger's sums, of settlements and of payouts."""

from uuid import UUID

from tests.ops.breaking import Ways, book

WAYS = Ways()
breaks = WAYS.breaks
NOBODY = UUID(int=7)
ENTRY = """
INSERT INTO ledger_entries (cause_id, kind, entry_no, account, owner, currency, amount_minor, order_id, at)
VALUES ($1, $2, 0, 'tax', '', 'USD', $3, $4, now())
"""
RAISE_TAX = """
INSERT INTO ledger_accounts AS a VALUES ('tax', '', 'USD', 1)
ON CONFLICT (account, owner, currency) DO UPDATE SET balance_minor = a.balance_minor + 1
"""
ONE_SIDED = "ALTER TABLE ledger_entries DISABLE TRIGGER ledger_entries_balance"


@breaks("accounts_are_sums_of_entries")
async def an_account_has_more_than_its_entries(conn, _trade):
    await conn.execute(RAISE_TAX)


@breaks("ledger_sums_to_zero")
async def an_entry_has_no_other_side(conn, _trade):
    await conn.execute(ONE_SIDED)
    await conn.execute(ENTRY, NOBODY, "other", 1, None)
    await conn.execute(RAISE_TAX)


@breaks("ledger_sums_to_zero_for_each_order")
async def what_one_order_gains_another_loses(conn, trade):
    await conn.execute(ONE_SIDED)
    await conn.execute(ENTRY, NOBODY, "other", 1, trade.payments.paid[0])
    await conn.execute(ENTRY, NOBODY, "another", -1, trade.payments.repaid[0])


@breaks("sellers_are_owed_what_settlements_say")
async def a_settlement_has_more_than_its_seller_is_owed(conn, trade):
    change = "UPDATE settlements SET balance_minor = balance_minor + 1 WHERE order_id = $1 AND seller_no = 0"
    await conn.execute(change, trade.payments.disputed[0])


@breaks("payouts_are_sums_of_their_orders")
async def a_seller_order_brings_more_than_its_seller_gets(conn, trade):
    await conn.execute("ALTER TABLE payout_orders DISABLE TRIGGER payout_orders_frozen")
    await conn.execute("UPDATE payout_orders SET amount_minor = amount_minor + 1 WHERE payout_id = $1", trade.payout)


@breaks("payouts_are_sums_of_their_orders")
async def a_payout_is_more_than_its_sellers_get(conn, trade):
    await conn.execute("UPDATE payouts SET total_minor = total_minor + 1 WHERE id = $1", trade.payout)


@breaks("payouts_account_is_what_is_to_be_paid")
async def the_account_of_payouts_has_more_than_is_in_them(conn, trade):
    await book(conn, trade.payments.paid[0], "other", "payouts", -1)


@breaks("ended_payouts_have_nothing_to_pay")
async def a_payout_failed_and_kept_the_money(conn, trade):
    await conn.execute("UPDATE payouts SET state = 'failed' WHERE id = $1", trade.payout)


@breaks("payouts_match_events")
async def a_payout_moved_and_nobody_was_told(conn, trade):
    await conn.execute("UPDATE payouts SET version = version + 1 WHERE id = $1", trade.payout)
