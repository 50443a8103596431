"""Ways to break what is true of the ledger and the orders it is about."""

from domain.journal.sql import insert_commands
from domain.payments.invoice_model import IssueInvoices
from tests.builders import new
from tests.ops.breaking import Ways, book

WAYS = Ways()
breaks = WAYS.breaks


@breaks("paid_orders_are_sold")
async def an_order_that_nobody_paid_is_sold(conn, trade):
    order = trade.payments.declined[0]
    await conn.execute("UPDATE orders SET sold_at = now() WHERE id = $1", order)
    amount = (await conn.fetch("SELECT total_minor FROM price_versions WHERE order_id = $1", order))[0][0]
    await book(conn, order, "sale", "refunds", amount)
    await book(conn, order, "other", "refunds", -amount)
    await insert_commands(conn, [new(IssueInvoices(order))])


@breaks("clearing_is_what_was_captured")
async def a_capture_is_booked_that_never_was(conn, trade):
    await book(conn, trade.payments.paid[0], "capture", "gateway_clearing", 1)


@breaks("commission_is_snapshots_less_reversals")
async def more_commission_is_booked_than_was_worked_out(conn, trade):
    await book(conn, trade.payments.paid[0], "commission", "commission_revenue", -1)


@breaks("sales_are_what_orders_cost")
async def sellers_get_more_than_an_order_costs(conn, trade):
    await book(conn, trade.payments.paid[0], "sale", "refunds", 1)
    await book(conn, trade.payments.paid[0], "other", "refunds", -1)


@breaks("credits_match_the_ledger")
async def something_is_given_back_of_nothing(conn, trade):
    await book(conn, trade.payments.paid[0], "refund", "refunds", -1)
    await book(conn, trade.payments.paid[0], "other", "refunds", 1)


@breaks("credits_are_of_units_that_were_sold")
async def more_units_are_given_back_than_were_sold(conn, trade):
    await conn.execute(
        "INSERT INTO line_credits SELECT order_id, line_no, order_id, quantity + 1, 0, 0, 0, 0, 0, now()"
        " FROM order_lines WHERE order_id = $1 AND line_no = 0",
        trade.payments.paid[0],
    )


@breaks("credits_are_of_units_that_were_sold")
async def a_line_that_was_cancelled_is_not_given_back(conn, trade):
    await conn.execute("ALTER TABLE line_credits DISABLE TRIGGER line_credits_frozen")
    gone = "UPDATE line_credits SET quantity = quantity + 1 WHERE order_id = $1 AND line_no = 0"
    await conn.execute(gone, trade.payments.repaid[0])


@breaks("buyers_get_back_what_they_are_owed")
async def a_buyer_is_owed_what_nobody_gives_back(conn, trade):
    await book(conn, trade.payments.paid[0], "other", "refunds", -1)


@breaks("unshipped_credits_are_put_back")
async def units_that_are_not_sent_vanish(conn, trade):
    await conn.execute(
        "INSERT INTO line_credits SELECT order_id, line_no, order_id, 1, 1, 0, 0, 0, 0, now()"
        " FROM order_lines WHERE order_id = $1 AND line_no = 0",
        trade.payments.paid[0],
    )


@breaks("debts_are_due")
async def a_seller_owes_what_no_payout_will_ever_take(conn, trade):
    order = trade.payments.paid[0]
    changed = (
        "UPDATE settlements SET balance_minor = balance_minor - 1000000, settles_at = NULL"
        " WHERE order_id = $1 AND seller_no = 0 RETURNING seller_id::text"
    )
    seller = (await conn.fetch(changed, order))[0][0]
    await book(conn, order, "other", "seller_payable", 1_000_000, owner=seller)


@breaks("chargebacks_go_back_to_who_bore_them")
async def a_chargeback_goes_back_to_somebody_else(conn, trade):
    await book(conn, trade.payments.paid[0], "chargeback_won", "chargebacks", -1)
