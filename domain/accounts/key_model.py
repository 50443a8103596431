"""API keys of services: what is asked for, what is shown, what is decided.

Invariant: a key can do what its account's roles allow, in its scopes, until it ends. Rotating leaves the old key good
for an overlap, so that a service changes over without a gap; a key is replaced once.
"""

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from domain.accounts.model import Scope
from domain.rejections import Code, Rejection
from domain.text import LINE_PATTERN

KEYS_MAX = 50
"""Keys of an account that are good and not replaced; as many more may be in their overlap."""
OVERLAP_SECONDS = 86_400
OVERLAP_SECONDS_MAX = 7 * 86_400

# What a revocation of a key's id says: which of its states are over. Processes that remember the key at an earlier
# one look it up anew.
GOOD, REPLACED, REVOKED = 0, 1, 2

KeyName = Annotated[str, Meta(min_length=1, max_length=200, pattern=LINE_PATTERN)]
Scopes = Annotated[tuple[Scope, ...], Meta(min_length=1, max_length=len(Scope))]


class NewApiKey(Struct, frozen=True, forbid_unknown_fields=True):
    """A key to make. Without ``expires_at`` it lives as long as this deployment has them live.

    A scope that is named twice counts once.
    """

    name: KeyName
    scopes: Scopes
    expires_at: Annotated[datetime, Meta(tz=True)] | None = None


class KeyRotation(Struct, frozen=True, forbid_unknown_fields=True):
    """How long the old key stays good beside the new one; with 0 it ends at once."""

    overlap_seconds: Annotated[int, Meta(ge=0, le=OVERLAP_SECONDS_MAX)] = OVERLAP_SECONDS


class ApiKey(Struct, frozen=True):
    """A key as its account sees it. ``used_at`` is right to about a minute."""

    id: UUID
    name: str
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None
    revoked_at: datetime | None
    replaced_by: UUID | None

    @property
    def state(self) -> int:
        """GOOD, REPLACED or REVOKED; it only ever rises."""
        if self.revoked_at is not None:
            return REVOKED
        return GOOD if self.replaced_by is None else REPLACED


class MadeApiKey(ApiKey, frozen=True):
    """A key that was made now. ``key`` is what a service sends as bearer token; it is never shown again."""

    key: str


class HashedKey(Struct, frozen=True):
    """A key to write."""

    id: UUID
    account_id: UUID
    name: str
    hash: bytes
    scopes: frozenset[Scope]
    created_at: datetime
    expires_at: datetime


class Rotated(Struct, frozen=True):
    """What a rotation comes to: when the new key ends, and when the old one does."""

    new_expires_at: datetime
    old_expires_at: datetime


class KeyCreated(Struct, frozen=True):
    """Data of ``api_key.created``."""

    account_id: UUID
    name: str
    scopes: list[Scope]
    expires_at: datetime


class KeyReplaced(Struct, frozen=True):
    """Data of ``api_key.replaced``; ``expires_at`` is when the old key ends."""

    replaced_by: UUID
    expires_at: datetime


def end_of(wished: datetime | None, now: datetime, *, days: int, days_max: int) -> datetime | Rejection:
    """When a new key ends: as wished, or after ``days``."""
    if wished is None:
        return now + timedelta(days=days)
    if not now < wished <= now + timedelta(days=days_max):
        detail = f"a key ends in the future, and within {days_max} days"
        return Rejection(400, Code.INVALID_REQUEST, detail, "expires_at")
    return wished


def rotate(key: ApiKey, now: datetime, *, overlap_seconds: int, days_max: int) -> Rotated | Rejection:
    """Replace a key by one that lives as long as it was made to; the old one never lives longer than it would have."""
    if key.state != GOOD:
        state = "was revoked" if key.state == REVOKED else "was replaced already"
        return Rejection(409, Code.CONFLICT, f"the key {state}; only one that is good is rotated")
    if key.expires_at <= now:
        return Rejection(409, Code.CONFLICT, "the key has expired: make a new one")
    lifetime = min(key.expires_at - key.created_at, timedelta(days=days_max))
    return Rotated(now + lifetime, min(key.expires_at, now + timedelta(seconds=overlap_seconds)))


def refuse_another(in_use: int) -> Rejection | None:
    """Refuse a new key to an account that has as many as it may."""
    if in_use < KEYS_MAX:
        return None
    return Rejection(409, Code.LIMIT_REACHED, f"an account has at most {KEYS_MAX} keys: revoke one first")


def refuse_another_overlap(overlapping: int) -> Rejection | None:
    """Refuse to replace a key while as many that were replaced are still good."""
    if overlapping < KEYS_MAX:
        return None
    detail = f"{KEYS_MAX} keys that were replaced are still good: revoke one first, or wait until one ends"
    return Rejection(409, Code.LIMIT_REACHED, detail)
