"""Refunds that sellers and admins ask for: the command and its result."""

from typing import Annotated, ClassVar
from uuid import UUID

from msgspec import Meta, Struct

from domain.money import Money
from domain.orders.model import LINES_CEILING, LineNo, OrderCommand, OrderStatus, Payment, Quantity


class RefundLine(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Units of a line to give back; without a quantity all that are left of it."""

    line_no: LineNo
    quantity: Quantity | None = None


RefundLines = Annotated[tuple[RefundLine, ...], Meta(max_length=LINES_CEILING)]
Sellers = Annotated[tuple[UUID, ...], Meta(max_length=LINES_CEILING)]


class RefundOrder(OrderCommand, frozen=True, omit_defaults=True):
    """Give back what was paid for lines and for sellers' shipping; with neither named, all that is left.

    ``seller_id`` is the seller who asks: then it is about their seller order alone.
    """

    job: ClassVar[str] = "refund_orders"

    lines: RefundLines | None = None
    shipping: Sellers | None = None
    reason: Annotated[str, Meta(max_length=500)] = ""
    seller_id: UUID | None = None

    def weight(self) -> int:
        """Rows it writes, for an order of a few lines."""
        return 30


class RefundedUnits(Struct, frozen=True):
    """Units of a line that are given back, and what the buyer gets for them."""

    line_no: int
    quantity: int
    amount: Money


class RefundedOrder(Struct, frozen=True):
    """The result: what is given back. ``payment_id`` and ``refund_no`` name it; null where it comes to nothing."""

    order_id: UUID
    refund: Money
    lines: tuple[RefundedUnits, ...]
    shipping: tuple[UUID, ...]
    payment_id: UUID | None
    refund_no: int | None
    payment: Payment
    status: OrderStatus
