"""Secrets at rest: sealed with AES-256-GCM, each for one purpose and one thing.

Invariant: what is sealed opens only for the purpose and the thing it was sealed for, so whoever can write to the
database can't make one seller's bank account another's. It carries the id of its key, so keys can change: the first
seals, all of them open.

Layout: a version byte, 8 bytes of key id, a nonce of 12 random bytes, then the ciphertext with its tag. A key seals far
fewer than the 2^32 things after which random nonces might meet (NIST SP 800-38D, section 8.3).
"""

import hashlib
import os
from collections.abc import Sequence
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_VERSION = b"\x01"
KEY_ID_BYTES = 8
NONCE_BYTES = 12
_HEAD_BYTES = len(_VERSION) + KEY_ID_BYTES


class SealError(Exception):
    """It can't be opened: another key, purpose or thing, or not ours at all. The message quotes nothing of it."""


class Sealer:
    """Seals with the key made of the first secret, opens with any."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._keys: dict[bytes, AESGCM] = {}
        for secret in secrets:
            self._keys.setdefault(_derived(secret, b"id", KEY_ID_BYTES), AESGCM(_derived(secret, b"key", 32)))
        self._sealing = next(iter(self._keys))

    def seal(self, plain: bytes, purpose: str, thing: UUID) -> bytes:
        """Encrypt for one purpose and one thing; another text each time."""
        head, nonce = _VERSION + self._sealing, os.urandom(NONCE_BYTES)
        return head + nonce + self._keys[self._sealing].encrypt(nonce, plain, head + _about(purpose, thing))

    def open(self, sealed: bytes, purpose: str, thing: UUID) -> bytes:
        """Decrypt what was sealed for this purpose and thing; raises SealError."""
        head, rest = sealed[:_HEAD_BYTES], sealed[_HEAD_BYTES:]
        nonce, secret = rest[:NONCE_BYTES], rest[NONCE_BYTES:]
        if len(nonce) != NONCE_BYTES or not head.startswith(_VERSION):
            raise SealError("this was not sealed by us")
        key = self._keys.get(head[len(_VERSION) :])
        if key is None:
            raise SealError("this was sealed with a key we don't have (ENCRYPTION_KEYS)")
        try:
            return key.decrypt(nonce, secret, head + _about(purpose, thing))
        except InvalidTag:
            raise SealError("this was sealed for something else, or was changed since") from None


class TwoKeySeal:
    """Seals with a key made of a secret of ours and of a text that only a client has: nobody opens it without both."""

    def __init__(self, secret: str, theirs: bytes) -> None:
        key = _derived(secret, b"two keys " + theirs, 64)
        self._key, self._marks = AESGCM(key[:32]), key[32:]

    def mark(self, text: bytes) -> bytes:
        """16 bytes that stand for a text. Without the secret nobody can tell whether a guess of it is right."""
        return hashlib.blake2b(text, key=self._marks, digest_size=16).digest()

    def seal(self, plain: bytes, mark: bytes) -> bytes:
        """Encrypt for what a mark stands for; another text each time."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._key.encrypt(nonce, plain, mark)

    def open(self, sealed: bytes, mark: bytes) -> bytes:
        """Decrypt what was sealed for this mark; raises SealError."""
        try:
            return self._key.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], mark)
        except (InvalidTag, ValueError):
            raise SealError("this was sealed for something else, or was changed since") from None


def _about(purpose: str, thing: UUID) -> bytes:
    return purpose.encode() + b"\0" + thing.bytes


def _derived(secret: str, use: bytes, length: int) -> bytes:
    # Labels of its own: the secret may be SECRET_KEY, which signs other things, too.
    return HKDF(hashes.SHA256(), length, salt=None, info=b"ordermill encryption " + use).derive(secret.encode())
