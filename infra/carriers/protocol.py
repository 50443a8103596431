"""What a carrier does for us.

Invariant: what a carrier says is believed only if its signature holds over exactly the bytes that came. It tells of
parcels by its own tracking numbers and never of orders.
"""

from collections.abc import Mapping
from typing import Protocol

from domain.orders.tracking import TrackingNews


class BadTrackingSignatureError(Exception):
    """A webhook isn't the carrier's, or it is too old; the message says which, and quotes nothing of it."""


class BadTrackingError(Exception):
    """A webhook is the carrier's, but it can't be read; the message says where."""


class Carrier(Protocol):
    """A carrier."""

    name: str
    listens: bool
    """Whether webhooks of it are taken."""
    tracking_url: str | None
    """Where a buyer sees how far a parcel has come, ``{tracking}`` being its number; None where nobody shows that."""

    def verify(self, body: bytes, headers: Mapping[str, str]) -> TrackingNews:
        """Read a webhook (header names in lower case); raises BadTrackingSignatureError or BadTrackingError."""
