"""Statements of payments: read the money of orders under their lock, write what became of it.

Invariant: an order's row is the lock of its payments, refunds and chargebacks: whoever changes them holds it, and has
read them after it had it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from domain.connection import Connection
from domain.inventory.sql import lock_active
from domain.orders.cancellation import Reversal
from domain.orders.confirmation import holds_of
from domain.orders.lifecycle import CONFIRMED
from domain.orders.sql import load_open_orders, lock_orders
from domain.payments.model import Attempt, Chargeback, Refund
from domain.payments.news import AttemptState, Capture, DisputeState, RefundState
from domain.payments.postings import Lost
from domain.payments.settlement import Account
from domain.pricing.commission import reversed_on
from domain.writing import Rows, write

PAYMENT_COLUMNS = (
    ("id", "uuid"),
    ("order_id", "uuid"),
    ("attempt_no", "smallint"),
    ("gateway", "text"),
    ("capture", "text"),
    ("amount_minor", "bigint"),
    ("currency", "text"),
    ("created_at", "timestamptz"),
    ("updated_at", "timestamptz"),
)
REFUND_COLUMNS = (
    ("payment_id", "uuid"),
    ("refund_no", "smallint"),
    ("order_id", "uuid"),
    ("amount_minor", "bigint"),
    ("currency", "text"),
    ("reason", "text"),
    ("cause_id", "uuid"),
    ("created_at", "timestamptz"),
    ("state", "text"),
    ("reference", "text"),
    ("error", "text"),
    ("ended_at", "timestamptz"),
)

_bearers = msgspec.json.Decoder(list[tuple[str, str, int]])

REVERSAL_COLUMNS = (("order_id", "uuid"), ("line_no", "smallint"), ("cause_id", "uuid"), ("amount_minor", "bigint"))

LOAD_PAYMENTS = """
SELECT p.id, p.order_id, p.attempt_no, p.gateway, p.capture, p.amount_minor, p.currency, p.state, p.reference,
       p.captured_minor, p.refunded_minor, p.asked_minor, p.reason, p.action_url,
       -- A bank may be heard of before the money it takes back.
       (SELECT coalesce(sum(c.amount_minor), 0)::bigint FROM chargebacks c
        WHERE c.payment_id = p.id AND c.state <> 'won') AS taken_back_minor,
       CASE WHEN p.captured_minor > 0 THEN (SELECT count(*) FROM refunds r WHERE r.payment_id = p.id) ELSE 0 END
           AS refunds
FROM payments p WHERE p.order_id = ANY ($1::uuid[]) ORDER BY p.order_id, p.attempt_no
"""

LOAD_REFUNDS = """
SELECT payment_id, refund_no, order_id, amount_minor, currency, reason, state, reference, error, cause_id
FROM refunds WHERE order_id = ANY ($1::uuid[])
"""

FIND_PAYMENTS = "SELECT id, order_id FROM payments WHERE id = ANY ($1::uuid[])"

FIND_REFERENCES = """
SELECT t.gateway, t.reference, p.id FROM unnest($1::text[], $2::text[]) AS t (gateway, reference)
JOIN payments p ON p.gateway = t.gateway AND p.reference = t.reference
"""

SAVE_PAYMENTS = """
UPDATE payments p
SET state = t.state, reference = t.reference, captured_minor = t.captured, refunded_minor = t.refunded,
    asked_minor = t.asked, reason = t.reason, action_url = t.action_url, updated_at = $9
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[], $8::text[])
    AS t (id, state, reference, captured, refunded, asked, reason, action_url)
WHERE p.id = t.id
"""

SAVE_REFUNDS = """
UPDATE refunds r
SET state = t.state, reference = t.reference, error = t.error,
    ended_at = CASE WHEN t.state = 'pending' THEN NULL ELSE coalesce(r.ended_at, $6) END
FROM unnest($1::uuid[], $2::smallint[], $3::text[], $4::text[], $5::text[])
    AS t (payment_id, refund_no, state, reference, error)
WHERE r.payment_id = t.payment_id AND r.refund_no = t.refund_no
"""

LOAD_CHARGEBACKS = """
SELECT c.gateway, c.reference, c.payment_id, c.order_id, c.amount_minor, c.fee_minor, c.currency, c.liable, c.state,
       c.reason
FROM unnest($1::text[], $2::text[]) AS t (gateway, reference)
JOIN chargebacks c ON c.gateway = t.gateway AND c.reference = t.reference
"""

SAVE_CHARGEBACKS = """
INSERT INTO chargebacks AS c (gateway, reference, payment_id, order_id, amount_minor, fee_minor, currency, liable,
    state, reason, opened_at, ended_at)
SELECT t.*, $11::timestamptz, CASE WHEN t.state = 'opened' THEN NULL ELSE $11::timestamptz END
FROM unnest($1::text[], $2::text[], $3::uuid[], $4::uuid[], $5::bigint[], $6::bigint[], $7::text[], $8::text[],
    $9::text[], $10::text[])
    AS t (gateway, reference, payment_id, order_id, amount_minor, fee_minor, currency, liable, state, reason)
ON CONFLICT (gateway, reference) DO UPDATE
SET state = excluded.state, fee_minor = excluded.fee_minor,
    ended_at = CASE WHEN excluded.state = c.state THEN c.ended_at ELSE excluded.ended_at END
"""

LOAD_COMMISSION = """
SELECT s.order_id, s.line_no, s.base_minor, s.amount_minor, coalesce((
    SELECT sum(r.amount_minor) FROM commission_reversals r WHERE r.order_id = s.order_id AND r.line_no = s.line_no
), 0)::bigint AS reversed
FROM unnest($1::uuid[], $2::smallint[]) AS t (order_id, line_no)
JOIN commission_snapshots s ON s.order_id = t.order_id AND s.line_no = t.line_no
WHERE s.amount_minor > 0
"""

LOAD_BOOKED = """
SELECT cause_id, account, owner, amount_minor FROM ledger_entries
WHERE cause_id = ANY ($1::uuid[]) AND kind = 'chargeback' ORDER BY cause_id, entry_no
"""

# Of orders whose chargebacks have all ended: what the ledger says their buyers are owed, who still bears the
# chargebacks, and who got some of that back because a bank had paid the buyer.
LOAD_LOST = """
SELECT c.order_id,
       (SELECT coalesce(-sum(e.amount_minor), 0)::bigint FROM ledger_entries e
        WHERE e.order_id = c.order_id AND e.account = 'refunds') AS owed,
       (SELECT coalesce(jsonb_agg(jsonb_build_array(b.account, b.owner, b.amount)), '[]')::text FROM (
            SELECT e.account, e.owner, sum(e.amount_minor)::bigint AS amount FROM ledger_entries e
            WHERE e.order_id = c.order_id AND e.kind IN ('chargeback', 'chargeback_won', 'chargeback_lost')
              AND e.account NOT IN ('gateway_clearing', 'refunds')
            GROUP BY e.account, e.owner HAVING sum(e.amount_minor) > 0 ORDER BY e.account, e.owner
        ) b) AS bearers,
       (SELECT coalesce(jsonb_agg(jsonb_build_array(b.account, b.owner, b.amount)), '[]')::text FROM (
            SELECT e.account, e.owner, -sum(e.amount_minor)::bigint AS amount FROM ledger_entries e
            WHERE e.order_id = c.order_id AND e.kind = 'chargeback_lost' AND e.account <> 'refunds'
            GROUP BY e.account, e.owner HAVING sum(e.amount_minor) < 0 ORDER BY e.account, e.owner
        ) b) AS repaid
FROM (
    SELECT order_id FROM chargebacks WHERE order_id = ANY ($1::uuid[]) GROUP BY order_id
    HAVING bool_and(state <> 'opened')
) c
"""

MOVE_DISPUTES = """
INSERT INTO settlements AS s (order_id, seller_no, seller_id, currency, balance_minor, disputes)
SELECT r.order_id, r.seller_no, r.seller_id, o.currency, 0, greatest(t.delta, 0)
FROM unnest($1::uuid[], $2::smallint[]) AS t (order_id, delta)
JOIN seller_orders r ON r.order_id = t.order_id
JOIN orders o ON o.id = t.order_id
ORDER BY r.order_id, r.seller_no
ON CONFLICT (order_id, seller_no) DO UPDATE SET disputes = s.disputes + (
    SELECT u.delta FROM unnest($1::uuid[], $2::smallint[]) AS u (order_id, delta) WHERE u.order_id = s.order_id)
"""


async def load_accounts(conn: Connection, order_ids: Collection[UUID]) -> dict[UUID, Account]:
    """Lock orders and read their money; those of which nobody knows are missing.

    What is still held of orders that nobody has paid is locked, too.
    """
    if not order_ids:
        return {}
    ids = sorted(order_ids)
    await lock_orders(conn, ids)
    orders = await load_open_orders(conn, ids)
    accounts = {order.id: Account(order, {}, {}, set()) for order in orders.values()}
    for row in await conn.fetch(LOAD_PAYMENTS, ids):
        accounts[row["order_id"]].attempts[row["id"]] = _attempt(row)
    if any(attempt.refunds for account in accounts.values() for attempt in account.attempts.values()):
        for row in await conn.fetch(LOAD_REFUNDS, ids):
            refund = Refund(**{**row, "state": RefundState(row["state"])})
            accounts[refund.order_id].refunds[refund.payment_id, refund.refund_no] = refund
    holds = {hold: order.id for order in orders.values() if order.payment not in CONFIRMED for hold in holds_of(order)}
    for hold in await lock_active(conn, list(holds)):
        accounts[holds[hold]].held.add(hold)
    return accounts


def _attempt(row: Any) -> Attempt:
    return Attempt(**{**row, "state": AttemptState(row["state"]), "capture": Capture(row["capture"])})


async def find_orders(conn: Connection, payment_ids: Collection[UUID]) -> dict[UUID, UUID]:
    """The orders of payments; unknown payments are missing."""
    rows = await conn.fetch(FIND_PAYMENTS, list(payment_ids)) if payment_ids else []
    return {row["id"]: row["order_id"] for row in rows}


async def find_references(conn: Connection, names: Collection[tuple[str, str]]) -> dict[tuple[str, str], UUID]:
    """The payments that gateways name by a reference of their own: by (gateway, reference)."""
    if not names:
        return {}
    rows = await conn.fetch(FIND_REFERENCES, [name[0] for name in names], [name[1] for name in names])
    return {(row["gateway"], row["reference"]): row["id"] for row in rows}


async def insert_attempts(conn: Connection, attempts: Sequence[Attempt], now: datetime) -> None:
    """Write attempts that have just been started."""
    rows = [
        (a.id, a.order_id, a.attempt_no, a.gateway, a.capture.value, a.amount_minor, a.currency, now, now)
        for a in attempts
    ]
    await write(conn, Rows("payments", PAYMENT_COLUMNS, rows))


async def save_attempts(conn: Connection, attempts: Iterable[Attempt], now: datetime) -> None:
    """Write how far attempts have come."""
    changed = list(attempts)
    if changed:
        await conn.execute(
            SAVE_PAYMENTS,
            [a.id for a in changed],
            [a.state.value for a in changed],
            [a.reference for a in changed],
            [a.captured_minor for a in changed],
            [a.refunded_minor for a in changed],
            [a.asked_minor for a in changed],
            [a.reason for a in changed],
            [a.action_url for a in changed],
            now,
        )


async def save_refunds(conn: Connection, new: Iterable[Refund], changed: Iterable[Refund], now: datetime) -> None:
    """Write refunds that were asked for, and how others went."""
    rows = [
        (
            r.payment_id,
            r.refund_no,
            r.order_id,
            r.amount_minor,
            r.currency,
            r.reason,
            r.cause_id,
            now,
            r.state.value,
            r.reference,
            r.error,
            None if r.state is RefundState.PENDING else now,
        )
        for r in new
    ]
    await write(conn, Rows("refunds", REFUND_COLUMNS, rows))
    old = list(changed)
    if old:
        await conn.execute(
            SAVE_REFUNDS,
            [r.payment_id for r in old],
            [r.refund_no for r in old],
            [r.state.value for r in old],
            [r.reference for r in old],
            [r.error for r in old],
            now,
        )


async def load_chargebacks(conn: Connection, names: Collection[tuple[str, str]]) -> dict[tuple[str, str], Chargeback]:
    """Chargebacks by (gateway, reference); unknown ones are missing."""
    if not names:
        return {}
    rows = await conn.fetch(LOAD_CHARGEBACKS, [name[0] for name in names], [name[1] for name in names])
    return {(row["gateway"], row["reference"]): _chargeback(row) for row in rows}


def _chargeback(row: Any) -> Chargeback:
    return Chargeback(**{**row, "state": DisputeState(row["state"])})


async def save_chargebacks(conn: Connection, chargebacks: Sequence[Chargeback], now: datetime) -> None:
    """Write chargebacks as they stand now."""
    if chargebacks:
        columns = [[getattr(c, name) for c in chargebacks] for name in Chargeback.__struct_fields__]
        await conn.execute(SAVE_CHARGEBACKS, *columns, now)


async def reverse_commission(
    conn: Connection, reversals: Sequence[Reversal]
) -> dict[tuple[UUID, UUID], dict[int, int]]:
    """Take back the commission of lines of locked orders, one after the other.

    Returns what was taken back, in minor units: by (order id, cause), by line number.
    """
    if not reversals:
        return {}
    rows = await conn.fetch(LOAD_COMMISSION, [r.order_id for r in reversals], [r.line_no for r in reversals])
    known = {(row["order_id"], row["line_no"]): row for row in rows}
    done = {key: row["reversed"] for key, row in known.items()}
    records: list[tuple[UUID, int, UUID, int]] = []
    found: dict[tuple[UUID, UUID], dict[int, int]] = {}
    for reversal in reversals:
        key = (reversal.order_id, reversal.line_no)
        if key not in known:
            continue
        row = known[key]
        amount = row["amount_minor"]
        if reversal.base_minor is not None:
            amount = reversed_on(amount, row["base_minor"], min(reversal.base_minor, row["base_minor"]))
        amount -= done[key]
        if amount > 0:
            done[key] += amount
            records.append((*key, reversal.cause_id, amount))
            found.setdefault((reversal.order_id, reversal.cause_id), {})[reversal.line_no] = amount
    await write(conn, Rows("commission_reversals", REVERSAL_COLUMNS, records))
    return found


async def load_booked(conn: Connection, causes: Collection[UUID]) -> dict[UUID, list[tuple[str, str, int]]]:
    """What the ledger has of chargebacks: (account, owner, amount) each, by cause."""
    found: dict[UUID, list[tuple[str, str, int]]] = {}
    for row in await conn.fetch(LOAD_BOOKED, list(causes)) if causes else []:
        found.setdefault(row["cause_id"], []).append((row["account"], row["owner"], row["amount_minor"]))
    return found


async def load_lost(conn: Connection, orders: Collection[UUID]) -> dict[UUID, Lost]:
    """What the ledger has of locked orders whose chargebacks have all ended."""
    rows = await conn.fetch(LOAD_LOST, list(orders)) if orders else []
    return {
        row["order_id"]: Lost(row["owed"], _bearers.decode(row["bearers"]), _bearers.decode(row["repaid"]))
        for row in rows
    }


async def move_disputes(conn: Connection, deltas: Mapping[UUID, int]) -> None:
    """Hold back what sellers have of locked orders while chargebacks are open: how many more there are, by order."""
    moved = {order: delta for order, delta in deltas.items() if delta}
    if moved:
        await conn.execute(MOVE_DISPUTES, list(moved), list(moved.values()))
