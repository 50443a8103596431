"""What must be true of the ledger itself, of settlements and of payouts: checks for ``domain.invariants``, by name.

What is about orders takes a slice of them: those from the first id to below the second.
"""

from collections.abc import Mapping

from domain.orders.price_audit_sql import in_slice

_ACCOUNTS_ARE_SUMS_OF_ENTRIES = """
SELECT concat_ws('/', account, owner, currency) AS key
FROM (
    SELECT account, owner, currency, sum(amount_minor) AS amount FROM ledger_entries
    GROUP BY account, owner, currency
) e
FULL JOIN ledger_accounts a USING (account, owner, currency)
WHERE coalesce(e.amount, 0) <> coalesce(a.balance_minor, 0)
"""

_LEDGER_SUMS_TO_ZERO = """
SELECT currency AS key FROM ledger_entries GROUP BY currency HAVING sum(amount_minor) <> 0
"""

_LEDGER_SUMS_TO_ZERO_FOR_EACH_ORDER = f"""
SELECT concat_ws('/', order_id, currency) AS key FROM ledger_entries
WHERE {in_slice("order_id")} GROUP BY order_id, currency HAVING sum(amount_minor) <> 0
"""

_SELLERS_ARE_OWED_WHAT_SETTLEMENTS_SAY = """
SELECT concat_ws('/', owner, currency) AS key
FROM (SELECT owner, currency, -balance_minor AS amount FROM ledger_accounts WHERE account = 'seller_payable') a
FULL JOIN (
    SELECT seller_id::text AS owner, currency, sum(balance_minor) AS amount FROM settlements
    GROUP BY seller_id, currency
) s USING (owner, currency)
WHERE coalesce(a.amount, 0) <> coalesce(s.amount, 0)
"""

# What a seller has of an order is above zero until it is delivered, unless a bank takes more back than it brought.
_DEBTS_ARE_DUE = f"""
SELECT concat_ws('/', order_id, seller_no) AS key FROM settlements
WHERE {in_slice("order_id")} AND balance_minor < 0 AND settles_at IS NULL AND disputes = 0
"""

_CHARGEBACKS_GO_BACK_TO_WHO_BORE_THEM = f"""
SELECT concat_ws('/', order_id, account, owner) AS key FROM ledger_entries
WHERE {in_slice("order_id")} AND kind IN ('chargeback', 'chargeback_won', 'chargeback_lost')
  AND account NOT IN ('gateway_clearing', 'refunds')
GROUP BY order_id, account, owner HAVING sum(amount_minor) < 0
"""

_PAYOUTS_ARE_SUMS_OF_THEIR_ORDERS = """
SELECT concat_ws('/', payout_id, i.seller_id) AS key
FROM payout_items i
FULL JOIN (
    SELECT payout_id, seller_id, count(*) AS orders, sum(amount_minor) AS amount FROM payout_orders
    GROUP BY payout_id, seller_id
) o USING (payout_id, seller_id)
WHERE (i.orders, i.amount_minor) IS DISTINCT FROM (o.orders, o.amount)
UNION ALL
SELECT p.id::text
FROM payouts p
LEFT JOIN (
    SELECT payout_id, count(*) AS sellers, sum(orders) AS orders, sum(amount_minor) AS amount FROM payout_items
    GROUP BY payout_id
) i ON i.payout_id = p.id
WHERE (p.sellers, p.orders, p.total_minor) IS DISTINCT FROM
      (coalesce(i.sellers, 0), coalesce(i.orders, 0), coalesce(i.amount, 0))
"""

_PAYOUTS_ACCOUNT_IS_WHAT_IS_TO_BE_PAID = """
SELECT currency AS key
FROM (SELECT currency, -balance_minor AS amount FROM ledger_accounts WHERE account = 'payouts') a
FULL JOIN (
    SELECT p.currency, sum(i.amount_minor) AS amount
    FROM payout_items i JOIN payouts p ON p.id = i.payout_id WHERE i.state = 'included' GROUP BY p.currency
) i USING (currency)
WHERE coalesce(a.amount, 0) <> coalesce(i.amount, 0)
"""

_ENDED_PAYOUTS_HAVE_NOTHING_TO_PAY = """
SELECT DISTINCT p.id::text AS key
FROM payouts p JOIN payout_items i ON i.payout_id = p.id
WHERE p.state IN ('paid', 'failed', 'empty') AND i.state = 'included'
   OR p.state NOT IN ('paying', 'paid') AND i.state = 'paid'
"""

_PAYOUTS_MATCH_EVENTS = """
SELECT p.id::text AS key
FROM payouts p
LEFT JOIN LATERAL (
    SELECT count(*) AS events, max(version) AS last, bool_or(type = 'payout.paid') AS paid
    FROM events WHERE stream = p.id
) e ON true
WHERE p.version <> e.events OR p.version <> coalesce(e.last, 0)
   OR (p.state = 'paid') <> coalesce(e.paid, false)
"""

LEDGER: Mapping[str, str] = {
    "accounts_are_sums_of_entries": _ACCOUNTS_ARE_SUMS_OF_ENTRIES,
    "ledger_sums_to_zero": _LEDGER_SUMS_TO_ZERO,
    "ledger_sums_to_zero_for_each_order": _LEDGER_SUMS_TO_ZERO_FOR_EACH_ORDER,
    "sellers_are_owed_what_settlements_say": _SELLERS_ARE_OWED_WHAT_SETTLEMENTS_SAY,
    "debts_are_due": _DEBTS_ARE_DUE,
    "chargebacks_go_back_to_who_bore_them": _CHARGEBACKS_GO_BACK_TO_WHO_BORE_THEM,
    "payouts_are_sums_of_their_orders": _PAYOUTS_ARE_SUMS_OF_THEIR_ORDERS,
    "payouts_account_is_what_is_to_be_paid": _PAYOUTS_ACCOUNT_IS_WHAT_IS_TO_BE_PAID,
    "ended_payouts_have_nothing_to_pay": _ENDED_PAYOUTS_HAVE_NOTHING_TO_PAY,
    "payouts_match_events": _PAYOUTS_MATCH_EVENTS,
}
