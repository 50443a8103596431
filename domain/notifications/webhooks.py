"""The decisions about webhooks: who gets which event, and what an answer means.

Invariant: pure. Only a 2xx is success. A webhook is tried over about a day; who never takes any for long, and who says
that it is gone (410), is disabled.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.journal.events import StoredEvent
from domain.notifications.hearing import HEARD_BY_SELLERS, Ear, Known, heard_by_sellers
from domain.notifications.webhook_model import TEST, DeliveryState, WebhookBody

RETRY_SECONDS = (5, 60, 300, 1_800, 7_200, 18_000, 28_800, 28_800)
"""After which try how long it waits: nine tries over 23.6 hours."""
RETRY_AFTER_SECONDS_MAX = 86_400
SPREAD = 0.2
"""By so much of itself a wait may be longer, so that what failed together isn't tried together."""
GONE = 410
_encode = msgspec.json.Encoder().encode


class Listener(Ear, frozen=True):
    """An endpoint that is sent something."""

    id: UUID


class Addressed(Struct, frozen=True):
    """A webhook that is to be sent: to whom, about what, and its body as JSON."""

    endpoint_id: UUID
    seller_id: UUID | None
    event: StoredEvent
    body: str


class Reply(Struct, frozen=True):
    """What came of a try. ``status`` is None when nothing was answered, and ``error`` says why."""

    status: int | None
    error: str
    response: str
    latency_ms: int
    url: str
    retry_after_seconds: float | None = None

    @property
    def taken(self) -> bool:
        """Whether it was taken."""
        return self.status is not None and 200 <= self.status < 300


class Outcome(Struct, frozen=True):
    """Where a delivery stands after a try, and in how many seconds the next one is."""

    state: DeliveryState
    next_seconds: float | None = None


def address(events: Iterable[StoredEvent], listeners: Sequence[Listener], known: Known) -> list[Addressed]:
    """Tell which webhooks events make."""
    addressed: list[Addressed] = []
    of_sellers = [listener for listener in listeners if listener.seller_id is not None]
    for event in events:
        whole = ""
        for listener in listeners:
            if listener.seller_id is None and listener.wants(event.type):
                whole = whole or body_of(event.type, event.at, event.data)
                addressed.append(Addressed(listener.id, None, event, whole))
        if not of_sellers or event.type not in HEARD_BY_SELLERS:
            continue
        parts = heard_by_sellers(event, known)
        for listener in of_sellers:
            if listener.seller_id in parts and listener.wants(event.type):
                body = body_of(event.type, event.at, parts[listener.seller_id])
                addressed.append(Addressed(listener.id, listener.seller_id, event, body))
    return addressed


def body_of(kind: str, at: datetime, data: str) -> str:
    """The body of a webhook."""
    return _encode(WebhookBody(kind, at, msgspec.Raw(data.encode()))).decode()


def outcome_of(kind: str, reply: Reply, tries: int, spread: float) -> Outcome:
    """Where a delivery stands after its ``tries``-th try; ``spread`` (0 to 1) makes waits longer.

    What says nothing is tried once: whoever had it sent looks at how it goes.
    """
    if reply.taken:
        return Outcome(DeliveryState.SUCCEEDED)
    if reply.status == GONE or kind == TEST or tries > len(RETRY_SECONDS):
        return Outcome(DeliveryState.FAILED)
    wait = RETRY_SECONDS[tries - 1] * (1 + SPREAD * spread)
    asked = reply.retry_after_seconds or 0.0
    return Outcome(DeliveryState.PENDING, max(wait, min(asked, RETRY_AFTER_SECONDS_MAX)))


def why_disabled(reply: Reply, failing_since: datetime | None, now: datetime, seconds: int) -> str | None:
    """Why an endpoint is sent nothing more after a failure; None when it goes on."""
    if reply.status == GONE:
        return "it answered 410: it is gone for good"
    if failing_since is not None and now - failing_since >= timedelta(seconds=seconds):
        return f"it has taken nothing since {failing_since:%Y-%m-%d %H:%M} UTC; the last answer was {said_of(reply)}"
    return None


def said_of(reply: Reply) -> str:
    """An answer in a few words."""
    return reply.error or f"status {reply.status}"
