"""API keys as services send them: ``omk_<id>_<secret>``, made here, shown once and stored as a hash.

Invariant: nothing that is stored lets anybody in. The secret has 256 bits of entropy, so a plain SHA-256 of the whole
key can't be turned back by trying, and checking one costs microseconds where a password costs a tenth of a second.
"""

import hashlib
import re
import secrets
from uuid import UUID

from msgspec import Struct

PREFIX = "omk_"
SECRET_BYTES = 32

# Base64 decoders let aliases through, so the text is hashed as it is and never decoded.
_WRITTEN = re.compile(r"omk_([0-9a-f]{32})_[A-Za-z0-9_-]{43}")


class Presented(Struct, frozen=True):
    """An API key as somebody sent it: whose it claims to be, and what its hash must be."""

    id: UUID
    hash: bytes


def make(key_id: UUID) -> str:
    """Make the key of an id: another one each time."""
    return f"{PREFIX}{key_id.hex}_{secrets.token_urlsafe(SECRET_BYTES)}"


def hash_of(key: str) -> bytes:
    """What is stored of a key."""
    return hashlib.sha256(key.encode()).digest()


def read(text: str) -> Presented | None:
    """Take a key apart; None for what isn't written like one of ours."""
    written = _WRITTEN.fullmatch(text)
    return None if written is None else Presented(UUID(hex=written[1]), hash_of(text))
