"""Ways to break what is true of payments."""

from typing import Any
from uuid import UUID

from domain import ids
from tests.ops.breaking import Ways, book

WAYS = Ways()
breaks = WAYS.breaks
NOBODY = UUID(int=7)
CLEARING = "gateway_clearing"


async def _captured(conn: Any, payment: UUID) -> int:
    captured: int = (await conn.fetch("SELECT captured_minor FROM payments WHERE id = $1", payment))[0][0]
    return captured


@breaks("captured_is_at_least_refunded")
async def more_is_given_back_than_was_taken(conn, trade):
    for name in ("refunded", "asked"):
        await conn.execute(f"ALTER TABLE payments DROP CONSTRAINT payments_never_over_{name}")
    await conn.execute(
        "UPDATE payments SET captured_minor = captured_minor - 1 WHERE id = $1", trade.payments.repaid[1]
    )
    await book(conn, trade.payments.repaid[0], "capture", CLEARING, -1)


@breaks("captured_is_at_least_refunded")
async def more_is_taken_than_was_asked_for(conn, trade):
    await conn.execute("ALTER TABLE payments DROP CONSTRAINT payments_never_over_captured")
    await conn.execute("UPDATE payments SET captured_minor = captured_minor + 1 WHERE id = $1", trade.payments.paid[1])
    await book(conn, trade.payments.paid[0], "capture", CLEARING, 1)


@breaks("refunds_add_up")
async def a_refund_is_of_less_than_was_given_back(conn, trade):
    change = "UPDATE refunds SET amount_minor = amount_minor - 1 WHERE payment_id = $1"
    await conn.execute(change, trade.payments.repaid[1])


@breaks("refunds_add_up")
async def a_refund_has_no_predecessor(conn, trade):
    await conn.execute("UPDATE refunds SET refund_no = 2 WHERE payment_id = $1", trade.payments.repaid[1])


@breaks("payment_is_that_of_the_current_attempt")
async def an_order_waits_for_a_payment_that_failed(conn, trade):
    await conn.execute("UPDATE orders SET payment = 'pending' WHERE id = $1", trade.payments.declined[0])


@breaks("payment_is_that_of_the_current_attempt")
async def an_order_is_moved_by_the_payment_of_another(conn, trade):
    change = "UPDATE orders SET payment_id = $2 WHERE id = $1"
    await conn.execute(change, trade.payments.declined[0], trade.payments.paid[1])


@breaks("payment_is_that_of_the_current_attempt")
async def an_order_is_paid_without_a_payment(conn, trade):
    await conn.execute("UPDATE orders SET payment_id = NULL WHERE id = $1", trade.payments.paid[0])
    # Nobody's payment any more, its money was given back.
    await conn.execute("UPDATE payments SET asked_minor = captured_minor WHERE id = $1", trade.payments.paid[1])
    await conn.execute(
        "INSERT INTO refunds (payment_id, refund_no, order_id, amount_minor, currency, reason, cause_id, created_at)"
        " SELECT id, 1, order_id, captured_minor, currency, 'r', id, now() FROM payments WHERE id = $1",
        trade.payments.paid[1],
    )
    await book(conn, trade.payments.paid[0], "other", "refunds", -await _captured(conn, trade.payments.paid[1]))


@breaks("money_nobody_is_owed_is_given_back")
async def a_payment_that_did_not_count_is_kept(conn, trade):
    payment = trade.payments.repaid[1]
    await conn.execute("DELETE FROM refunds WHERE payment_id = $1", payment)
    await conn.execute("UPDATE payments SET asked_minor = 0, refunded_minor = 0 WHERE id = $1", payment)
    await conn.execute("UPDATE orders SET payment = 'paid' WHERE id = $1", trade.payments.repaid[0])
    await book(conn, trade.payments.repaid[0], "refund_paid", CLEARING, await _captured(conn, payment))


@breaks("money_nobody_is_owed_is_given_back")
async def an_earlier_payment_is_kept(conn, trade):
    payment = trade.payments.twice[1]
    await conn.execute("DELETE FROM refunds WHERE payment_id = $1", payment)
    await conn.execute("UPDATE payments SET asked_minor = 0, refunded_minor = 0 WHERE id = $1", payment)
    await book(conn, trade.payments.twice[0], "refund_paid", CLEARING, await _captured(conn, payment))


@breaks("confirmed_orders_are_paid_for")
async def less_is_taken_than_an_order_costs(conn, trade):
    await conn.execute("UPDATE payments SET captured_minor = captured_minor - 1 WHERE id = $1", trade.payments.paid[1])
    await book(conn, trade.payments.paid[0], "capture", CLEARING, -1)


@breaks("confirmed_orders_are_paid_for")
async def less_is_promised_than_an_order_costs(conn, trade):
    await conn.execute("UPDATE payments SET amount_minor = amount_minor - 1 WHERE id = $1", trade.payments.promised[1])


@breaks("payments_match_events")
async def a_payment_came_further_than_anybody_was_told(conn, trade):
    await conn.execute("ALTER TABLE events DISABLE TRIGGER events_frozen")
    await conn.execute(
        "UPDATE events SET data = jsonb_set(data, '{state}', '\"pending\"')"
        " WHERE stream = $1 AND type = 'order.payment_captured'",
        trade.payments.paid[0],
    )


@breaks("payments_match_events")
async def a_payment_that_nobody_started(conn, trade):
    await conn.execute("ALTER TABLE events DISABLE TRIGGER events_frozen")
    changed = "UPDATE events SET type = 'order.noted' WHERE stream = $1 AND type = 'order.payment_started'"
    await conn.execute(changed, trade.payments.paid[0])


@breaks("chargebacks_match_events")
async def a_chargeback_is_won_unsaid(conn, _trade):
    await conn.execute("UPDATE chargebacks SET state = 'won', ended_at = now()")


@breaks("chargebacks_match_events")
async def a_chargeback_in_another_currency(conn, _trade):
    await conn.execute("UPDATE chargebacks SET currency = 'EUR'")


@breaks("no_charge_without_an_order")
async def a_charge_is_for_nothing(conn, _trade):
    await conn.execute(
        "INSERT INTO sandbox_intents (reference, payment_id, order_id, amount_minor, currency, token, capture, state,"
        " captured_minor) VALUES ('sbx_nobodys', $1, $1, 100, 'USD', 'tok_ok', 'now', 'captured', 100)",
        NOBODY,
    )


@breaks("no_charge_without_an_order")
async def a_payment_was_charged_twice(conn, trade):
    await conn.execute(
        "INSERT INTO sandbox_intents (reference, payment_id, order_id, amount_minor, currency, token, capture, state,"
        " captured_minor) SELECT 'sbx_again', payment_id, order_id, amount_minor, currency, token, capture, state,"
        " captured_minor FROM sandbox_intents WHERE payment_id = $1",
        trade.payments.paid[1],
    )


@breaks("reversals_follow_what_is_given_back")
async def commission_of_a_line_that_stands_is_taken_back(conn, trade):
    reversal = "INSERT INTO commission_reversals (order_id, line_no, cause_id, amount_minor) VALUES ($1, 0, $2, 5)"
    await conn.execute(reversal, trade.payments.paid[0], NOBODY)
    await book(conn, trade.payments.paid[0], "commission_reversal", "commission_revenue", 5)


@breaks("reversals_follow_what_is_given_back")
async def commission_of_a_cancelled_line_is_kept(conn, trade):
    kept = "SELECT sum(amount_minor)::bigint FROM commission_reversals WHERE order_id = $1"
    amount = (await conn.fetch(kept, trade.payments.repaid[0]))[0][0]
    await book(conn, trade.payments.repaid[0], "commission_reversal", "commission_revenue", -amount)
    await conn.execute("ALTER TABLE commission_reversals DISABLE TRIGGER commission_reversals_frozen")
    await conn.execute("DELETE FROM commission_reversals WHERE order_id = $1", trade.payments.repaid[0])


@breaks("dead_sales_are_returned")
async def a_cancelled_sale_stays_sold(conn, trade):
    await conn.execute("ALTER TABLE movements DISABLE TRIGGER movements_frozen")
    hold = ids.child(trade.payments.repaid[0], ids.Kind.RESERVATION, 0)
    await conn.execute("UPDATE movements SET kind = 'adjusted' WHERE cause_id = $1 AND kind = 'returned'", hold)
