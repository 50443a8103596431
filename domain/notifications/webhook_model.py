"""Webhook endpoints and deliveries: what is asked for, what is shown, and the command that sends one.

A body is ``{"type", "timestamp", "data"}`` as Standard Webhooks has it; its id is the delivery's, the same each time it
is sent.
"""

import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from domain.journal.model import Command, Lane
from domain.text import EMPTY_OR_LINE_PATTERN

ENDPOINTS_MAX = 50
"""Of a seller, and of the platform."""
TYPES_MAX = 100
OVERLAP_SECONDS = 86_400
OVERLAP_SECONDS_MAX = 7 * 86_400
RESPONSE_LENGTH_MAX = 1_000
TEST = "webhook.test"
URL_PATTERN = r"^https?://[^\s\x00-\x20\x7f-\x9f#@]+(?![\s\S])"

Url = Annotated[
    str,
    Meta(
        min_length=8,
        max_length=2_000,
        pattern=URL_PATTERN,
        description="without a user and a fragment; https, unless the deployment allows other addresses",
    ),
]
_PATTERN = r"\*|[a-z_]+\.(\*|[a-z_]+)"
EVENT_PATTERN = re.compile(_PATTERN)
EventPattern = Annotated[
    str,
    Meta(
        max_length=100,
        pattern=rf"^({_PATTERN})(?![\s\S])",
        description="a type as `order.placed`, all of a kind as `order.*`, or all as `*`",
    ),
]
EventPatterns = Annotated[tuple[EventPattern, ...], Meta(min_length=1, max_length=TYPES_MAX)]
Description = Annotated[str, Meta(max_length=200, pattern=EMPTY_OR_LINE_PATTERN)]


class NewEndpoint(Struct, frozen=True, forbid_unknown_fields=True):
    """Where webhooks are to go, and about which events."""

    url: Url
    events: EventPatterns
    description: Description = ""


class EndpointChange(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is to be another; what isn't named stays. ``enabled`` starts one again that was disabled."""

    url: Url | msgspec.UnsetType = msgspec.UNSET
    events: EventPatterns | msgspec.UnsetType = msgspec.UNSET
    description: Description | msgspec.UnsetType = msgspec.UNSET
    enabled: bool | msgspec.UnsetType = msgspec.UNSET


class SecretRotation(Struct, frozen=True, forbid_unknown_fields=True):
    """How long the old secret signs beside the new one; with 0 it ends at once."""

    overlap_seconds: Annotated[int, Meta(ge=0, le=OVERLAP_SECONDS_MAX)] = OVERLAP_SECONDS


class Endpoint(Struct, frozen=True):
    """An endpoint as its owner sees it; ``seller_id`` is null for the platform's.

    ``failing_since`` is the first of the failures since it last took anything. ``disabled_reason`` says why nothing is
    sent to it. ``old_secret_until`` is how long the secret before this one signs as well.
    """

    id: UUID
    seller_id: UUID | None
    url: str
    events: list[str]
    description: str
    enabled: bool
    disabled_reason: str
    failing_since: datetime | None
    old_secret_until: datetime | None
    version: int
    created_at: datetime


class MadeEndpoint(Endpoint, frozen=True):
    """An endpoint that was made, or has a new secret. ``secret`` is never shown again."""

    secret: str


class DeliveryState(StrEnum):
    """Where a delivery stands: ``pending`` until it was taken or given up."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class Delivery(Struct, frozen=True):
    """A webhook, and how far its delivery came. ``next_at`` is when it is tried again; ``status`` and ``error`` are of
    the last try.
    """

    id: UUID
    endpoint_id: UUID
    seller_id: UUID | None
    event_type: str
    stream: UUID
    version: int
    state: DeliveryState
    attempts: int
    status: int | None
    error: str
    latency_ms: int | None
    next_at: datetime | None
    created_at: datetime
    ended_at: datetime | None


class DeliveryAttempt(Struct, frozen=True):
    """One try: what was answered, and how fast. ``status`` is null when nothing was; ``response`` is its beginning."""

    attempt_no: int
    at: datetime
    url: str
    status: int | None
    latency_ms: int
    error: str
    response: str


class DeliveryInFull(Struct, frozen=True):
    """A delivery with the body that is sent, and its last hundred tries, newest first."""

    delivery: Delivery
    body: msgspec.Raw
    attempts: list[DeliveryAttempt]


class SendWebhook(Command, frozen=True):
    """Try a delivery once; a further try is a further command."""

    job: ClassVar[str] = "send_webhooks"
    lane: ClassVar[Lane] = Lane.IO

    delivery_id: UUID
    attempt_no: Annotated[int, Meta(ge=1, le=100_000)]


class WebhookBody(Struct, frozen=True):
    """What is sent."""

    type: str
    timestamp: datetime
    data: msgspec.Raw


class EndpointTold(Struct, frozen=True):
    """The events ``webhook_endpoint.created`` and ``.changed``. Of its address the host: the rest may be secret."""

    seller_id: UUID | None
    host: str
    events: list[str]
    enabled: bool


class EndpointEnded(Struct, frozen=True):
    """The events ``webhook_endpoint.disabled`` and ``webhook_endpoint.removed``; ``reason`` is for people."""

    seller_id: UUID | None
    host: str
    reason: str


class SecretRotated(Struct, frozen=True):
    """The event ``webhook_endpoint.rotated``; ``old_until`` is how long the old secret signs."""

    seller_id: UUID | None
    old_until: datetime
