"""The built-in carrier: parcels of which nobody in particular brings word.

It has no machines of its own, so no webhooks, unless a secret is set for them: then whoever signs with it may report,
such as a warehouse's own system or a service that follows parcels of many carriers.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from domain.orders.fulfilment_model import MANUAL, Tracking
from domain.orders.tracking import TrackingNews, TrackingState
from infra.carriers.protocol import BadTrackingError, BadTrackingSignatureError
from infra.standard_webhooks import SignatureError, Signer


class Said(Struct, frozen=True):
    """The body of a webhook; other fields are not looked at."""

    tracking: Tracking
    state: TrackingState


_DECODE = msgspec.json.Decoder(Said).decode


class ManualCarrier:
    """Takes word of parcels that is signed as Standard Webhooks."""

    name = MANUAL
    # What the number means only its seller knows.
    tracking_url: str | None = None

    def __init__(self, signer: Signer | None) -> None:
        self._signer = signer
        self.listens = signer is not None

    def verify(self, body: bytes, headers: Mapping[str, str]) -> TrackingNews:
        """Read a webhook; raises BadTrackingSignatureError or BadTrackingError."""
        if self._signer is None:
            raise BadTrackingSignatureError("no secret is set for webhooks of this carrier")
        try:
            webhook_id = self._signer.verify(body, headers)
        except SignatureError as error:
            raise BadTrackingSignatureError(str(error)) from None
        if len(webhook_id) > 255:
            raise BadTrackingError("its webhook-id is longer than 255 characters")
        try:
            said = _DECODE(body)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise BadTrackingError(str(error)) from None
        return TrackingNews(webhook_id, said.tracking, said.state)
