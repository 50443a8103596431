"""What the sandbox says in its webhooks, and the command that sends one of its own."""

from typing import Annotated, ClassVar
from uuid import UUID

from msgspec import Meta, Struct

from domain.journal.model import Command, Lane
from domain.money import Currency, Minor
from domain.payments.news import Reference

MessageId = Annotated[str, Meta(min_length=1, max_length=255)]


class SandboxData(Struct, frozen=True, omit_defaults=True):
    """What a webhook is about. Only the payment's id is needed; what isn't said leaves what is known.

    ``amount`` and ``fee`` are in minor units; ``amount`` is what was captured, refunded in all, or charged back.
    """

    payment_id: UUID
    reference: Reference | None = None
    amount: Minor | None = None
    currency: Currency | None = None
    reason: Annotated[str, Meta(max_length=200)] | None = None
    action_url: Annotated[str, Meta(max_length=2000)] | None = None
    refund_id: Reference | None = None
    refund_no: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None
    chargeback_id: Reference | None = None
    fee: Minor = 0


class SandboxWebhook(Struct, frozen=True):
    """A webhook's body: ``{"type": "payment.succeeded", "data": {"payment_id": …}}``."""

    type: Annotated[str, Meta(min_length=1, max_length=200)]
    data: SandboxData


class SendSandboxWebhook(Command, frozen=True):
    """Send one webhook of the sandbox; one that is sent twice has the same ``webhook_id`` both times."""

    job: ClassVar[str] = "send_sandbox_webhooks"
    lane: ClassVar[Lane] = Lane.IO

    webhook_id: MessageId
    webhook: SandboxWebhook
