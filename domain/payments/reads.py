"""Orders with their payments, as clients see them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct, structs

from domain.connection import Connection
from domain.money import Money
from domain.orders.reads import OrderView, load_order
from domain.payments.news import AttemptState, Capture, RefundState

LOAD_PAYMENT_VIEWS = """
SELECT id, attempt_no, gateway, capture, amount_minor, currency, state, captured_minor, refunded_minor, reason,
       action_url, created_at, updated_at
FROM payments WHERE order_id = $1 ORDER BY attempt_no
"""

LOAD_REFUND_VIEWS = """
SELECT payment_id, refund_no, amount_minor, currency, reason, state, created_at, ended_at
FROM refunds WHERE order_id = $1 ORDER BY payment_id, refund_no
"""


class RefundView(Struct, frozen=True):
    """Something given back of a payment; ``reason`` says why."""

    refund_no: int
    amount: Money
    reason: str
    state: RefundState
    created_at: datetime
    ended_at: datetime | None


class PaymentView(Struct, frozen=True):
    """An attempt to pay an order. ``reason`` is why it failed; ``action_url`` is where the buyer goes on."""

    id: UUID
    attempt_no: int
    gateway: str
    capture: Capture
    state: AttemptState
    amount: Money
    captured: Money
    refunded: Money
    reason: str | None
    action_url: str | None
    created_at: datetime
    updated_at: datetime
    refunds: list[RefundView]


class OrderWithPayments(OrderView, frozen=True):
    """An order with its seller orders, lines, reservations, shipments, current price version and payments.

    ``ship_to`` is the address as it was at placing; null where none was given. The payments stand in the order in which
    they were started; the last one counts.
    """

    payments: list[PaymentView]


async def load_order_with_payments(conn: Connection, order_id: UUID) -> OrderWithPayments | None:
    """Read one order whole."""
    order = await load_order(conn, order_id)
    if order is None:
        return None
    payments = await conn.fetch(LOAD_PAYMENT_VIEWS, order_id)
    refunds: dict[UUID, list[RefundView]] = {row["id"]: [] for row in payments}
    if any(row["captured_minor"] for row in payments):
        for row in await conn.fetch(LOAD_REFUND_VIEWS, order_id):
            refunds[row["payment_id"]].append(_refund(row))
    views = [_payment(row, refunds[row["id"]]) for row in payments]
    return OrderWithPayments(**structs.asdict(order), payments=views)


def _payment(row: Any, refunds: list[RefundView]) -> PaymentView:
    currency = row["currency"]
    return PaymentView(
        id=row["id"],
        attempt_no=row["attempt_no"],
        gateway=row["gateway"],
        capture=Capture(row["capture"]),
        state=AttemptState(row["state"]),
        amount=Money(row["amount_minor"], currency),
        captured=Money(row["captured_minor"], currency),
        refunded=Money(row["refunded_minor"], currency),
        reason=row["reason"],
        action_url=row["action_url"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        refunds=refunds,
    )


def _refund(row: Any) -> RefundView:
    return RefundView(
        row["refund_no"],
        Money(row["amount_minor"], row["currency"]),
        row["reason"],
        RefundState(row["state"]),
        row["created_at"],
        row["ended_at"],
    )
