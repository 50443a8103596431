"""What a gateway says about a payment: in an answer, in a webhook, or when it is asked.

Invariant: news tell how far a payment has come in all, never what changed since. So they may come twice, late and in
any order, and come to the same.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from domain.money import Minor

Reference = Annotated[str, Meta(min_length=1, max_length=255)]
"""A gateway's own name of an intent, a refund or a dispute."""
GatewayName = Annotated[str, Meta(pattern="^[a-z][a-z0-9_]{0,29}$")]
Token = Annotated[str, Meta(min_length=1, max_length=255, pattern="^[\\x21-\\x7e]+$")]
"""What a gateway gave the buyer's client for a means of payment. It buys nothing without our secret key."""


class Capture(StrEnum):
    """When the money is taken: with the payment, or once the goods are shipped."""

    NOW = "now"
    ON_SHIPMENT = "on_shipment"


class AttemptState(StrEnum):
    """How far a payment has come, in this order: a later one is never left for an earlier one."""

    PENDING = "pending"
    ACTION_REQUIRED = "action_required"
    FAILED = "failed"
    AUTHORIZED = "authorized"
    VOIDED = "voided"
    CAPTURED = "captured"


class Intent(Struct, frozen=True):
    """What a gateway is asked to take; ``order_number`` is for the buyer's statement."""

    payment_id: UUID
    order_id: UUID
    order_number: str
    amount_minor: Minor
    currency: str
    token: Token
    capture: Capture


class News(Struct, frozen=True, omit_defaults=True):
    """How far a payment has come: ``captured_minor`` and ``refunded_minor`` are sums, None where nothing is said.

    The payment is named by our id, by the gateway's reference, or by both. ``succeeded`` says that it went well,
    without saying whether the money was taken or only promised; the payment itself knows what was asked for.
    ``reason`` is why it failed, as the gateway's code. ``action_url`` is where the buyer goes when action is required.
    """

    payment_id: UUID | None = None
    reference: Reference | None = None
    state: AttemptState | None = None
    succeeded: bool = False
    amount_minor: int | None = None
    currency: str | None = None
    captured_minor: int | None = None
    refunded_minor: int | None = None
    reason: Annotated[str, Meta(max_length=200)] | None = None
    action_url: Annotated[str, Meta(max_length=2000)] | None = None


class DisputeState(StrEnum):
    """Where a chargeback stands."""

    OPENED = "opened"
    WON = "won"
    LOST = "lost"


class DisputeNews(Struct, frozen=True, omit_defaults=True):
    """A buyer's bank takes money back: how much, what the gateway charges for it, and how it ended, if it did.

    Without an amount it is all that was captured and not refunded.
    """

    reference: Reference
    state: DisputeState
    amount_minor: Minor | None = None
    fee_minor: Minor = 0
    currency: str | None = None
    reason: Annotated[str, Meta(max_length=200)] = ""


class RefundState(StrEnum):
    """Where a refund stands at its gateway."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class RefundNews(Struct, frozen=True, omit_defaults=True):
    """How a refund went; ``refund_no`` is ours, ``reference`` the gateway's."""

    state: RefundState
    reference: Reference | None = None
    refund_no: int | None = None
    reason: Annotated[str, Meta(max_length=200)] | None = None


class Notice(Struct, frozen=True, omit_defaults=True):
    """A webhook whose signature held: its id (the same however often it is sent), its type, and what it says.

    One of a type that nobody here knows says nothing, and is taken all the same.
    """

    id: Annotated[str, Meta(min_length=1, max_length=255)]
    type: Annotated[str, Meta(max_length=200)]
    payment: News | None = None
    dispute: DisputeNews | None = None
    refund: RefundNews | None = None


class Charge(Struct, frozen=True):
    """A payment in a gateway's own books."""

    news: News
    created_at: datetime
