"""One-time tokens that links in mails carry: made from an id whenever they are needed, so that nothing stores one.

Invariant: a token is worth one purpose. Its HMAC covers the purpose and the id, so one that resets a password verifies
no e-mail address. Whether it was used or has expired is for the row with that id to say: a token only proves that
we made it.
"""

import base64
import hmac
import re
from uuid import UUID

from domain.accounts.model import Purpose

ID_BYTES = 16
TOKEN_LENGTH = 64
"""Characters of a token: 16 bytes of id and 32 of HMAC-SHA256, in URL-safe base64 without padding."""

# Base64 decoders let aliases through (other alphabets, odd characters); here a token is written in one way.
_WRITTEN = re.compile(rf"[A-Za-z0-9_-]{{{TOKEN_LENGTH}}}")


def token_of(secret_key: str, purpose: Purpose, token_id: UUID) -> str:
    """Make the token of an id: always the same one."""
    return base64.urlsafe_b64encode(token_id.bytes + _mac(secret_key, purpose, token_id.bytes)).decode()


def read(secret_key: str, purpose: Purpose, token: str) -> UUID | None:
    """Return the id of a token that we made for this purpose; None for anything else."""
    if not _WRITTEN.fullmatch(token):
        return None
    raw = base64.urlsafe_b64decode(token)
    token_id, mac = raw[:ID_BYTES], raw[ID_BYTES:]
    return UUID(bytes=token_id) if hmac.compare_digest(mac, _mac(secret_key, purpose, token_id)) else None


def _mac(secret_key: str, purpose: Purpose, token_id: bytes) -> bytes:
    # A key of its own: SECRET_KEY signs other things, too.
    key = hmac.digest(secret_key.encode(), b"ordermill one-time token", "sha256")
    return hmac.digest(key, purpose.value.encode() + b"\0" + token_id, "sha256")
