"""What a sale took, as the database says: orders that were paid, declined, expired; money in, money back.

Invariant: what was captured and given back is summed over payments, and held, order by order, against what the order
says it costs and what was cancelled of it, and against the gateway's own books. These are the demo's own statements:
the audit's would vouch for themselves.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from msgspec import Struct

from domain.orders.lifecycle import order_status
from domain.orders.model import Fulfilment, Payment
from ops.shopper import Standing

TAKEN = """
SELECT (SELECT count(*) FROM orders WHERE payment IN ('paid', 'partially_refunded', 'refunded')) AS paid,
       (SELECT count(*) FROM payments WHERE state = 'failed') AS declined,
       (SELECT count(*) FROM orders WHERE expired_at IS NOT NULL) AS expired,
       coalesce(sum(captured_minor), 0)::bigint AS captured_minor,
       coalesce(sum(refunded_minor), 0)::bigint AS refunded_minor
FROM payments
"""

# Cancelling lines of a paid order leaves its last price version as it was paid, and so does giving units back. There is
# no tax and no shipping in the sale; a sum that isn't what the lines come to would be astray, too.
MONEY_ASTRAY = """
WITH said AS (
    SELECT o.id,
           CASE WHEN o.payment IN ('paid', 'partially_refunded', 'refunded') THEN v.total_minor ELSE 0 END AS captured,
           coalesce((
               SELECT sum(a.minor) FROM unnest(v.lines, v.amounts_minor) AS a (line_no, minor)
               JOIN cancelled_lines c ON c.order_id = o.id AND c.line_no = a.line_no AND c.paid
           ), 0) + coalesce((
               SELECT sum(k.net_minor) FROM line_credits k WHERE k.order_id = o.id AND NOT EXISTS (
                   SELECT FROM cancelled_lines c WHERE c.order_id = o.id AND c.line_no = k.line_no)
           ), 0) AS refunded
    FROM orders o CROSS JOIN LATERAL (
        SELECT lines, amounts_minor, total_minor FROM price_versions WHERE order_id = o.id ORDER BY version DESC LIMIT 1
    ) v
), ours AS (
    SELECT order_id AS id, sum(captured_minor) AS captured, sum(refunded_minor) AS refunded FROM payments GROUP BY 1
), theirs AS (
    SELECT p.order_id AS id, sum(i.captured_minor) AS captured, sum(i.refunded_minor) AS refunded
    FROM sandbox_intents i LEFT JOIN payments p ON p.id = i.payment_id GROUP BY 1
)
SELECT count(*) FROM said FULL JOIN ours USING (id) FULL JOIN theirs USING (id)
WHERE said.captured IS NULL
   OR (said.captured, said.refunded) <> (coalesce(ours.captured, 0), coalesce(ours.refunded, 0))
   OR (said.captured, said.refunded) <> (coalesce(theirs.captured, 0), coalesce(theirs.refunded, 0))
"""

STANDINGS = """
SELECT o.id, o.payment, o.expired_at IS NOT NULL AS expired,
       array(SELECT fulfilment FROM seller_orders s WHERE s.order_id = o.id) AS fulfilments
FROM orders o
"""


# What became of what was paid. What a payout took and nobody paid yet isn't counted.
KEPT = """
SELECT (SELECT count(*) FROM seller_orders WHERE fulfilment = 'delivered') AS delivered,
       (SELECT count(*) FROM seller_orders WHERE fulfilment = 'partly_shipped') AS partly_shipped,
       (SELECT count(*) FROM returns WHERE state = 'received') AS returned,
       (SELECT coalesce(sum(amount_minor), 0)::bigint FROM ledger_entries) AS ledger_balance_minor,
       (SELECT coalesce(sum(-amount_minor), 0)::bigint FROM ledger_entries WHERE account = 'commission_revenue')
           AS commission_minor,
       (SELECT coalesce(sum(-amount_minor), 0)::bigint FROM ledger_entries WHERE account = 'bank') AS payouts_minor
"""


class Takings(Struct, frozen=True):
    """Orders that were ever paid, payments that were declined, orders that expired, and sums in minor units.

    ``delivered`` and ``partly_shipped`` are seller orders, ``returned`` returns; ``commission_minor`` and
    ``payouts_minor`` are what the platform kept and what sellers were paid, by the ledger, and ``ledger_balance_minor``
    is what all of its entries sum to. ``money_astray`` are orders whose money isn't what they say, ``orders_astray``
    those that stand otherwise than their buyers and sellers left them.
    """

    paid: int
    declined: int
    expired: int
    captured_minor: int
    refunded_minor: int
    delivered: int
    partly_shipped: int
    returned: int
    ledger_balance_minor: int
    commission_minor: int
    payouts_minor: int
    money_astray: int
    orders_astray: int


async def count_takings(conn: Any, ends: Mapping[UUID, Standing]) -> Takings:
    """Count; ``ends`` says how each order should stand."""
    stand = {
        row["id"]: Standing(
            order_status(Payment(row["payment"]), map(Fulfilment, row["fulfilments"]), expired=row["expired"]),
            Payment(row["payment"]),
        )
        for row in await conn.fetch(STANDINGS)
    }
    astray = sum(stand.get(order) != ends.get(order) for order in stand.keys() | ends.keys())
    taken = await conn.fetchrow(TAKEN)
    kept = await conn.fetchrow(KEPT)
    return Takings(**taken, **kept, money_astray=await conn.fetchval(MONEY_ASTRAY), orders_astray=astray)
