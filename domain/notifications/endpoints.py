"""The decisions about webhook endpoints: made, changed, given another secret, disabled, removed.

Invariant: pure. Each edit raises the version by one and is one event of that version; none tells a secret, or more of
an address than its host.
"""

from datetime import datetime, timedelta
from urllib.parse import urlsplit
from uuid import UUID

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from domain.accounts.seller_edit import Actor
from domain.journal.model import Event
from domain.notifications.webhook_model import (
    ENDPOINTS_MAX,
    Endpoint,
    EndpointChange,
    EndpointEnded,
    EndpointTold,
    NewEndpoint,
    SecretRotated,
)
from domain.rejections import Code, Rejection

BY_HAND = "it was switched off"
_encode = msgspec.json.Encoder().encode


class Edited(Struct, frozen=True):
    """What an endpoint is now, and the event that says so."""

    endpoint: Endpoint
    event: Event


def make(wish: NewEndpoint, endpoint_id: UUID, seller_id: UUID | None, actor: Actor, now: datetime) -> Edited:
    """A new endpoint."""
    made = Endpoint(
        id=endpoint_id,
        seller_id=seller_id,
        url=wish.url,
        events=list(dict.fromkeys(wish.events)),
        description=wish.description,
        enabled=True,
        disabled_reason="",
        failing_since=None,
        old_secret_until=None,
        version=1,
        created_at=now,
    )
    return Edited(made, _event(made, "created", _told(made), actor))


def refuse_another(count: int) -> Rejection | None:
    """Refuse one more than an owner may have."""
    if count < ENDPOINTS_MAX:
        return None
    return Rejection(409, Code.CONFLICT, f"there are {count} endpoints, and {ENDPOINTS_MAX} is the most")


def change(endpoint: Endpoint, wish: EndpointChange, actor: Actor) -> Edited | None:
    """An endpoint as it is wished; None when it is so already. One that is enabled again has failed at nothing yet."""
    changed = endpoint
    if wish.url is not msgspec.UNSET:
        changed = replace(changed, url=wish.url)
    if wish.events is not msgspec.UNSET:
        changed = replace(changed, events=list(dict.fromkeys(wish.events)))
    if wish.description is not msgspec.UNSET:
        changed = replace(changed, description=wish.description)
    if wish.enabled is not msgspec.UNSET and wish.enabled is not endpoint.enabled:
        reason = "" if wish.enabled else BY_HAND
        changed = replace(changed, enabled=wish.enabled, disabled_reason=reason, failing_since=None)
    if changed == endpoint:
        return None
    changed = replace(changed, version=endpoint.version + 1)
    return Edited(changed, _event(changed, "changed", _told(changed), actor))


def rotate(endpoint: Endpoint, overlap_seconds: int, actor: Actor, now: datetime) -> Edited:
    """An endpoint that has another secret; for a while the old one signs as well."""
    until = now + timedelta(seconds=overlap_seconds)
    rotated = replace(endpoint, old_secret_until=until if overlap_seconds else None, version=endpoint.version + 1)
    return Edited(rotated, _event(rotated, "rotated", SecretRotated(endpoint.seller_id, until), actor))


def disable(endpoint: Endpoint, reason: str, actor: Actor) -> Edited | None:
    """An endpoint that is sent nothing more, for a reason; None when that is so already."""
    if not endpoint.enabled:
        return None
    ended = replace(endpoint, enabled=False, disabled_reason=reason[:500], version=endpoint.version + 1)
    said = EndpointEnded(endpoint.seller_id, _host(endpoint), reason)
    return Edited(ended, _event(ended, "disabled", said, actor))


def removed(endpoint: Endpoint, actor: Actor) -> Event:
    """What is said of an endpoint that is forgotten."""
    gone = replace(endpoint, version=endpoint.version + 1)
    return _event(gone, "removed", EndpointEnded(endpoint.seller_id, _host(endpoint), ""), actor)


def _told(endpoint: Endpoint) -> EndpointTold:
    return EndpointTold(endpoint.seller_id, _host(endpoint), endpoint.events, endpoint.enabled)


def _host(endpoint: Endpoint) -> str:
    return urlsplit(endpoint.url).hostname or ""


def _event(endpoint: Endpoint, what: str, said: Struct, actor: Actor) -> Event:
    data = _encode(said).decode()
    return Event(endpoint.id, endpoint.version, f"webhook_endpoint.{what}", data, actor.id, actor.correlation)
