"""Payments: the commands about them, the facts that happened to them, and the rows they are kept in."""

from typing import ClassVar
from uuid import UUID

from msgspec import Struct

from domain.journal.model import Command, Lane
from domain.money import Money
from domain.orders.model import OrderCommand, OrderStatus, Payment
from domain.payments.news import AttemptState, Capture, DisputeState, GatewayName, Notice, Reference, RefundState, Token

ATTEMPTS_MAX = 50
"""How often the payment of an order may be tried."""


class StartPayment(OrderCommand, frozen=True):
    """Pay an order by a gateway: the attempt that is started last is the one that counts. Its id is the command's."""

    job: ClassVar[str] = "start_payments"
    lane: ClassVar[Lane] = Lane.IO

    gateway: GatewayName
    token: Token
    capture: Capture = Capture.NOW

    def weight(self) -> int:
        """Rows it writes, for an order of a few lines."""
        return 20


class ConfirmPayment(OrderCommand, frozen=True):
    """Go on with an order's payment after the buyer has done what the gateway asked for."""

    job: ClassVar[str] = "confirm_payments"
    lane: ClassVar[Lane] = Lane.IO

    def weight(self) -> int:
        """Rows it writes, for an order of a few lines."""
        return 20


class CapturePayment(OrderCommand, frozen=True):
    """Take what was authorized for an order: what its last price version comes to."""

    job: ClassVar[str] = "capture_payments"
    lane: ClassVar[Lane] = Lane.IO

    def weight(self) -> int:
        """Rows it writes."""
        return 10


class VoidPayment(Command, frozen=True):
    """Cancel an attempt at its gateway: nobody needs it any more."""

    job: ClassVar[str] = "void_payments"
    lane: ClassVar[Lane] = Lane.IO

    payment_id: UUID

    def weight(self) -> int:
        """Rows it writes."""
        return 10


class CheckPayment(Command, frozen=True):
    """Ask a gateway how far a payment has come."""

    job: ClassVar[str] = "check_payments"
    lane: ClassVar[Lane] = Lane.IO

    payment_id: UUID

    def weight(self) -> int:
        """Rows it writes, for an order of a few lines."""
        return 20

    def aggregate(self) -> UUID:
        """The payment, by the command that started it: while that is being tried there is nothing to look up."""
        return self.payment_id


class RefundPayment(Command, frozen=True):
    """Give back what a refund says."""

    job: ClassVar[str] = "refund_payments"
    lane: ClassVar[Lane] = Lane.IO

    payment_id: UUID
    refund_no: int

    def weight(self) -> int:
        """Rows it writes."""
        return 10


class TakeNotice(Command, frozen=True):
    """Take in what a gateway says by webhook; its signature has been verified."""

    job: ClassVar[str] = "take_notices"
    lane: ClassVar[Lane] = Lane.ORDERS

    gateway: GatewayName
    notice: Notice

    def weight(self) -> int:
        """Rows it writes, for an order of a few lines."""
        return 20


class PaymentResult(Struct, frozen=True):
    """What paying came to. ``action_url`` is where the buyer goes on when action is required."""

    order_id: UUID
    payment_id: UUID
    state: AttemptState
    amount: Money
    payment: Payment
    status: OrderStatus
    action_url: str | None = None


class RefundResult(Struct, frozen=True):
    """What a refund came to."""

    payment_id: UUID
    refund_no: int
    state: RefundState
    amount: Money


class NoticeResult(Struct, frozen=True):
    """What a webhook was about; null when it was about nothing that is kept here."""

    payment_id: UUID | None
    order_id: UUID | None


class Attempt(Struct):
    """An attempt to pay an order, under the order's lock; amounts in minor units.

    ``refunded_minor`` is what its gateway has given back, ``asked_minor`` what was asked to be given back and hasn't
    failed. ``taken_back_minor`` is what chargebacks that weren't won have taken.
    """

    id: UUID
    order_id: UUID
    attempt_no: int
    gateway: str
    capture: Capture
    amount_minor: int
    currency: str
    state: AttemptState = AttemptState.PENDING
    reference: str | None = None
    captured_minor: int = 0
    refunded_minor: int = 0
    asked_minor: int = 0
    taken_back_minor: int = 0
    refunds: int = 0
    reason: str | None = None
    action_url: str | None = None

    @property
    def refundable_minor(self) -> int:
        """What is left to be given back."""
        return max(0, self.captured_minor - max(self.asked_minor, self.refunded_minor) - self.taken_back_minor)


class Refund(Struct):
    """Something given back of a payment; ``reason`` says why, for people."""

    payment_id: UUID
    refund_no: int
    order_id: UUID
    amount_minor: int
    currency: str
    reason: str
    cause_id: UUID
    state: RefundState = RefundState.PENDING
    reference: str | None = None
    error: str | None = None


class Chargeback(Struct, frozen=True):
    """Money a buyer's bank took back, and who bears it."""

    gateway: str
    reference: Reference
    payment_id: UUID
    order_id: UUID
    amount_minor: int
    fee_minor: int
    currency: str
    liable: str
    state: DisputeState
    reason: str


class PaymentStarted(Struct, frozen=True):
    """The event ``order.payment_started``; the amount in minor units."""

    payment_id: UUID
    attempt_no: int
    gateway: str
    amount_minor: int


class PaymentMoved(Struct, frozen=True):
    """The events of an attempt that came further; amounts in minor units, ``reason`` as the gateway says it.

    ``current`` is false for an attempt that a later one has replaced: it doesn't move the order.
    """

    payment_id: UUID
    state: AttemptState
    captured_minor: int
    current: bool
    reason: str | None = None


class RefundMoved(Struct, frozen=True):
    """The events ``order.refund_started``, ``order.refunded`` and ``order.refund_failed``; amounts in minor units."""

    payment_id: UUID
    refund_no: int
    amount_minor: int
    reason: str


class ChargebackMoved(Struct, frozen=True):
    """The events ``order.chargeback_opened``, ``…_won`` and ``…_lost``; amounts in minor units."""

    payment_id: UUID
    reference: str
    amount_minor: int
    fee_minor: int
    liable: str


class StockTakenAgain(Struct, frozen=True):
    """The event ``order.taken_up_again``: a late payment found the stock still there."""

    lines: tuple[int, ...]
