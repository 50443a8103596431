"""Signing keys: the first one signs, all of them verify, so a key can change while tokens of the old one live.

Invariant: a token is checked with the algorithm that belongs to the key it names, never with the one it names itself.
Keys come as a JWK Set (RFC 7517); without one there is a single key made of ``SECRET_KEY``.
"""

import hmac
import os
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, HMACAlgorithm, OKPAlgorithm, RSAAlgorithm
from msgspec import Struct

from infra.settings import SECRET_BYTES_MIN

ALGORITHMS = ("EdDSA", "ES256", "RS256", "HS256")
CURVES = {"EdDSA": "Ed25519", "ES256": "P-256"}
RSA_BITS_MIN = 2_048
KID_LENGTH_MAX = 100
FILE_BYTES_MAX = 100_000


class KeySetError(Exception):
    """A set of keys can't be used; the message is one line and shows nothing of a key."""


class Key(Struct, frozen=True):
    """A key under its id. ``private`` is None for one that only verifies, ``published`` for a shared secret."""

    kid: str
    algorithm: str
    private: Any
    public: Any
    published: Mapping[str, str] | None


class Keys(Struct, frozen=True):
    """The keys of a process by id; ``signing`` is the first one of its set."""

    signing: Key
    by_id: Mapping[str, Key]

    def published(self) -> list[Mapping[str, str]]:
        """What others need to verify our tokens: the public halves, as JWKs."""
        return [key.published for key in self.by_id.values() if key.published is not None]


class _Set(Struct):
    keys: list[dict[str, Any]]


def of_secret(secret: str) -> Keys:
    """Make the one key of a deployment that has no key set: HS256 under its secret."""
    raw = secret.encode()
    # An id that changes with the secret and tells nothing about it.
    kid = hmac.digest(raw, b"ordermill signing key", "sha256").hex()[:16]
    key = Key(kid, "HS256", raw, raw, None)
    return Keys(key, {kid: key})


def read(path: Path) -> Keys:
    """Read a JWK Set; raises KeySetError."""
    return _keys_of(_load(path))


def _load(path: Path) -> list[dict[str, Any]]:
    try:
        with path.open("rb") as file:
            document = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise KeySetError(f"it can't be read: {error.strerror or type(error).__name__}") from None
    if len(document) > FILE_BYTES_MAX:
        raise KeySetError(f"it is longer than {FILE_BYTES_MAX:,} bytes")
    try:
        return msgspec.json.decode(document, type=_Set).keys
    except msgspec.MsgspecError:
        # Without what msgspec says of it: that might quote a key.
        raise KeySetError('it is not a JWK Set: {"keys": [{"kty", "kid", "alg", ...}]}') from None


def _keys_of(documents: list[dict[str, Any]]) -> Keys:
    keys = [_key_of(number, document) for number, document in enumerate(documents, start=1)]
    if not keys:
        raise KeySetError("it holds no key")
    by_id = {key.kid: key for key in keys}
    if len(by_id) < len(keys):
        raise KeySetError("two of its keys have the same kid")
    if keys[0].private is None:
        raise KeySetError("its first key has no private half, and signs")
    return Keys(keys[0], by_id)


def _key_of(number: int, document: dict[str, Any]) -> Key:
    kid, algorithm = document.get("kid"), document.get("alg")
    if not isinstance(kid, str) or not 1 <= len(kid) <= KID_LENGTH_MAX:
        raise KeySetError(f"key {number} needs a kid of 1 to {KID_LENGTH_MAX} characters")
    if algorithm not in ALGORITHMS:
        raise KeySetError(f"key {number} needs an alg: one of {', '.join(ALGORITHMS)}")
    if algorithm in CURVES and document.get("crv") != CURVES[algorithm]:
        # PyJWT would sign with a key of any curve, and nobody else could verify it.
        raise KeySetError(f"key {number} needs the crv {CURVES[algorithm]} for {algorithm}")
    try:
        made = jwt.PyJWK(document, algorithm=algorithm)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError):
        raise KeySetError(f"key {number} is not a key for {algorithm}") from None
    if isinstance(made.key, bytes):
        if len(made.key) < SECRET_BYTES_MIN:
            raise KeySetError(f"key {number} is shorter than {SECRET_BYTES_MIN} bytes")
        return Key(kid, algorithm, made.key, made.key, None)
    private = made.key if hasattr(made.key, "public_key") else None
    public = made.key.public_key() if private is not None else made.key
    if algorithm == "RS256" and public.key_size < RSA_BITS_MIN:
        raise KeySetError(f"key {number} has fewer than {RSA_BITS_MIN} bits")
    half: dict[str, Any] = type(made.Algorithm).to_jwk(public, as_dict=True)
    half.pop("key_ops", None)
    return Key(kid, algorithm, private, public, {**half, "kid": kid, "alg": algorithm, "use": "sig"})


def generate(algorithm: str) -> dict[str, Any]:
    """Make a new key of one of ``ALGORITHMS`` as a private JWK with an id."""
    made: dict[str, Any]
    match algorithm:
        case "EdDSA":
            made = OKPAlgorithm.to_jwk(ed25519.Ed25519PrivateKey.generate(), as_dict=True)
        case "ES256":
            made = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()), as_dict=True)
        case "RS256":
            made = RSAAlgorithm.to_jwk(rsa.generate_private_key(public_exponent=65_537, key_size=3_072), as_dict=True)
        case "HS256":
            made = HMACAlgorithm.to_jwk(secrets.token_bytes(SECRET_BYTES_MIN), as_dict=True)
        case _:
            raise ValueError(f"{algorithm} is not one of {', '.join(ALGORITHMS)}")
    made.pop("key_ops", None)
    return {**made, "kid": secrets.token_hex(8), "alg": algorithm, "use": "sig"}


def add(path: Path, algorithm: str, *, keep: int) -> Keys:
    """Put a new key first in a file, which is made if there is none, and keep at most ``keep`` keys.

    The file is replaced whole and readable by its owner alone. Raises KeySetError.
    """
    documents = _load(path) if path.exists() else []
    documents = [generate(algorithm), *documents][:keep]
    keys = _keys_of(documents)
    # mkstemp: never readable by others, not even for a moment.
    number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(number, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode({"keys": documents})) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return keys
