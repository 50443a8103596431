"""What buyers send back: the commands, their results, and the events that tell of it."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, ClassVar
from uuid import UUID

from msgspec import Meta, Struct

from domain.money import Money
from domain.orders.fulfilment_model import LinesToShip, Units
from domain.orders.model import LINES_CEILING, Fulfilment, LineNo, OrderCommand, OrderStatus, Quantity

Why = Annotated[str, Meta(min_length=1, max_length=500, pattern=r"\S")]
Answer = Annotated[str, Meta(max_length=500)]


class ReturnState(StrEnum):
    """Where a return stands."""

    REQUESTED = "requested"
    APPROVED = "approved"
    REJECTED = "rejected"
    RECEIVED = "received"


class ReturnStep(StrEnum):
    """What happens to a return, in the past tense of the refusal's sentence."""

    APPROVE = "approved"
    REJECT = "rejected"
    RECEIVE = "received"


RETURN: Mapping[ReturnState, Mapping[ReturnStep, ReturnState]] = {
    ReturnState.REQUESTED: {
        ReturnStep.APPROVE: ReturnState.APPROVED,
        ReturnStep.REJECT: ReturnState.REJECTED,
    },
    # A parcel that never comes.
    ReturnState.APPROVED: {ReturnStep.RECEIVE: ReturnState.RECEIVED, ReturnStep.REJECT: ReturnState.REJECTED},
    ReturnState.REJECTED: {},
    ReturnState.RECEIVED: {},
}


class RequestReturn(OrderCommand, frozen=True):
    """Ask to send units back that were delivered. One return is made for each seller they are of."""

    job: ClassVar[str] = "request_returns"

    lines: LinesToShip
    reason: Why

    def weight(self) -> int:
        """Rows it writes, for two sellers."""
        return 5


class DecideReturn(OrderCommand, frozen=True):
    """Approve or reject a return; ``reason`` is the seller's answer."""

    job: ClassVar[str] = "decide_returns"

    return_id: UUID
    approve: bool
    reason: Answer = ""

    def weight(self) -> int:
        """Rows it writes."""
        return 3


class ReceivedLine(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Units of a line that came back, and whether they go back on the shelf."""

    line_no: LineNo
    quantity: Quantity
    restock: bool = True


ReceivedLines = Annotated[tuple[ReceivedLine, ...], Meta(min_length=1, max_length=LINES_CEILING)]


class ReceiveReturn(OrderCommand, frozen=True, omit_defaults=True):
    """Note what came back of a return: all of it, back on the shelf, unless ``lines`` say otherwise.

    What came back is refunded.
    """

    job: ClassVar[str] = "receive_returns"

    return_id: UUID
    lines: ReceivedLines | None = None
    reason: Answer = ""

    def weight(self) -> int:
        """Rows it writes, for a few lines."""
        return 30


class RequestedReturn(Struct, frozen=True):
    """A return that was asked for."""

    return_id: UUID
    seller_order_id: UUID
    seller_id: UUID
    lines: tuple[Units, ...]


class RequestedReturns(Struct, frozen=True):
    """The result of asking: a return for each seller."""

    order_id: UUID
    returns: tuple[RequestedReturn, ...]


class DecidedReturn(Struct, frozen=True):
    """The result of approving or rejecting."""

    return_id: UUID
    state: ReturnState


class ReceivedUnits(Struct, frozen=True):
    """Units of a line that came back, and how many of them are on the shelf again."""

    line_no: int
    quantity: int
    restocked: int


class ReceivedReturn(Struct, frozen=True):
    """The result of receiving: what came back, what the buyer gets for it, and where things stand with it."""

    return_id: UUID
    state: ReturnState
    lines: tuple[ReceivedUnits, ...]
    refund: Money
    fulfilment: Fulfilment
    status: OrderStatus


class ReturnRequested(Struct, frozen=True):
    """The event ``order.return_requested``."""

    return_id: UUID
    seller_order_id: UUID
    seller_id: UUID
    lines: tuple[Units, ...]
    reason: str


class ReturnDecided(Struct, frozen=True):
    """The events ``order.return_approved`` and ``order.return_rejected``."""

    return_id: UUID
    seller_order_id: UUID
    seller_id: UUID
    reason: str


class ReturnReceived(Struct, frozen=True):
    """The event ``order.return_received``: what came back, and what the buyer gets for it in minor units."""

    return_id: UUID
    seller_order_id: UUID
    seller_id: UUID
    lines: tuple[ReceivedUnits, ...]
    refund_minor: int
    fulfilment: Fulfilment
    reason: str
