"""Webhooks signed as the Standard Webhooks specification says (https://www.standardwebhooks.com), by its own library.

Invariant: a body is believed only if one of its signatures was made with our secret over exactly these bytes, its id
and its time, and that time is within five minutes of now. No error quotes what came or shows a secret.
"""

from collections.abc import Mapping
from datetime import datetime

from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook, WebhookVerificationError

PREFIX = "whsec_"
TOLERANCE_SECONDS = 300
"""How far a webhook's time may be from ours; the library's own."""


class SignatureError(Exception):
    """No signature of ours, or too old; the message says which."""


class Signer:
    """Signs and verifies with one secret: ``whsec_`` and base64, or any text, which is taken as it stands."""

    def __init__(self, secret: str) -> None:
        self._keys = [Webhook(key) for key in keys_of(secret)]

    def headers(self, webhook_id: str, at: datetime, body: str) -> dict[str, str]:
        """The header fields that a webhook is sent with."""
        return {
            "webhook-id": webhook_id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": self._keys[0].sign(webhook_id, at, body),
        }

    def verify(self, body: bytes, headers: Mapping[str, str]) -> str:
        """Return the id of a webhook whose signature holds (header names in lower case); raises SignatureError."""
        fields = {name: headers.get(name, "") for name in ("webhook-id", "webhook-timestamp", "webhook-signature")}
        missing = [name for name, value in fields.items() if not value]
        if missing:
            raise SignatureError(f"it has no {' and no '.join(missing)}")
        reason = ""
        for key in self._keys:
            try:
                key.verify(body, fields, json_parse=False)
            except WebhookVerificationError as error:
                reason = str(error)
            except ValueError:
                # What isn't base64, UTF-8 or a list of signatures, the library finds out the hard way.
                reason = "Malformed signature"
            else:
                return fields["webhook-id"]
        raise SignatureError(reason)


def keys_of(secret: str) -> list[str | bytes]:
    """The keys a secret stands for; raises ValueError when there is none in it.

    One without the prefix may be meant as its characters or as base64, and implementations differ in it: both hold.
    """
    if secret.startswith(PREFIX):
        return [_checked(secret)]
    raw = secret.encode()
    try:
        return [raw, _checked(secret)]
    except ValueError:
        return [raw]


def _checked(secret: str) -> str:
    try:
        Webhook(secret)
    except (ValueError, EmptyWebhookSecretError):
        raise ValueError("it has to be whsec_ and base64") from None
    return secret
