"""Bearer tokens: JSON Web Tokens signed with one of our keys.

Invariant: a token names its key, and only that key under its own algorithm is believed; ``alg=none`` and every other
algorithm are refused before the claims are looked at. A token that was verified once is remembered until it expires or
the keys change, because checking a signature costs more than everything else the edge does for a request.
"""

import time
from collections import OrderedDict
from pathlib import Path
from typing import Any
from uuid import UUID

import jwt
from msgspec import Struct

from domain.accounts.model import Role, Scope
from infra import signing, telemetry
from infra.signing import Key, Keys, KeySetError

log = telemetry.logger()
REMEMBERED_MAX = 20_000
TOKEN_LENGTH_MAX = 4_096
HEADS_MAX = 100
KEYS_LOOK_SECONDS = 5.0
"""How often the file of keys is looked at for a change."""


class Principal(Struct, frozen=True):
    """Who sends a request: the subject of its token, and its roles.

    ``epoch`` is the account's when the token was made, 0 for one that no login made. ``session`` is the session or
    the API key it came from. ``scopes`` is what an API key is limited to; None for tokens, which aren't.
    """

    id: UUID
    roles: frozenset[Role]
    epoch: int = 0
    session: UUID | None = None
    scopes: frozenset[Scope] | None = None

    @property
    def is_admin(self) -> bool:
        """Whether everything is this principal's to see."""
        return Role.ADMIN in self.roles


class BadTokenError(Exception):
    """The token can't be believed; the message says why and quotes nothing of it."""


class Tokens:
    """Signs and verifies access tokens.

    Keys come from ``keys_file``, which may change while we run, else from ``secret_key``. Raises KeySetError.
    """

    def __init__(self, secret_key: str, keys_file: str = "") -> None:
        self._file = Path(keys_file) if keys_file else None
        self._stamp = self._stamp_of_file()
        self.keys: Keys = signing.of_secret(secret_key) if self._file is None else signing.read(self._file)
        self._look_at = float("inf") if self._file is None else time.monotonic() + KEYS_LOOK_SECONDS
        self._remembered: OrderedDict[str, tuple[float, Principal]] = OrderedDict()
        # All tokens of a key begin alike, so few of them need their header read.
        self._heads: dict[str, Key] = {}

    def _stamp_of_file(self) -> tuple[int, int] | None:
        if self._file is None:
            return None
        try:
            state = self._file.stat()
        except OSError:
            return None
        return state.st_mtime_ns, state.st_ino

    def look(self) -> None:
        """Take the keys of a file that has changed; one that can't be used leaves those we have."""
        if time.monotonic() < self._look_at or self._file is None:
            return
        self._look_at = time.monotonic() + KEYS_LOOK_SECONDS
        stamp = self._stamp_of_file()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self.keys = signing.read(self._file)
        except KeySetError as error:
            log.error("signing_keys_unusable", file=str(self._file), error=str(error))
            return
        self._remembered.clear()
        self._heads.clear()
        log.info("signing_keys_changed", kids=list(self.keys.by_id))

    def sign(
        self, subject: UUID, roles: frozenset[Role], seconds: int, *, epoch: int = 0, session: UUID | None = None
    ) -> str:
        """Make a token for ``seconds`` from now; of a login with its session and its account's epoch."""
        self.look()
        now, key = int(time.time()), self.keys.signing
        claims: dict[str, Any] = {"sub": str(subject), "roles": sorted(roles), "iat": now, "exp": now + seconds}
        if session is not None:
            claims.update(sid=str(session), epoch=epoch)
        return jwt.encode(claims, key.private, algorithm=key.algorithm, headers={"kid": key.kid})

    def verify(self, token: str) -> Principal:
        """Return the token's principal; raises BadTokenError."""
        self.look()
        now = time.time()
        known = self._remembered.get(token)
        if known is not None:
            if known[0] <= now:
                del self._remembered[token]
                raise BadTokenError("the token has expired")
            return known[1]
        expires_at, principal = self._decode(token)
        self._remembered[token] = (expires_at, principal)
        if len(self._remembered) > REMEMBERED_MAX:
            self._remembered.popitem(last=False)
        return principal

    def _named(self, header: dict[str, Any]) -> Key:
        if self._file is None and "kid" not in header:
            # There is one key only, and whoever knows SECRET_KEY may sign with any library.
            return self.keys.signing
        kid = header.get("kid")
        key = self.keys.by_id.get(kid) if isinstance(kid, str) else None
        if key is None:
            raise BadTokenError("the token is signed by no key of ours")
        return key

    def _decode(self, token: str) -> tuple[float, Principal]:
        if len(token) > TOKEN_LENGTH_MAX:
            raise BadTokenError("the token is too long")
        try:
            head = token.partition(".")[0]
            key = self._heads.get(head)
            if key is None:
                key = self._named(jwt.get_unverified_header(token))
                if len(self._heads) < HEADS_MAX:
                    self._heads[head] = key
            claims = jwt.decode(token, key.public, algorithms=[key.algorithm], options={"require": ["exp", "sub"]})
        except jwt.ExpiredSignatureError:
            raise BadTokenError("the token has expired") from None
        except jwt.InvalidTokenError:
            raise BadTokenError("the token's signature or form is not valid") from None
        try:
            session = claims.get("sid")
            principal = Principal(
                id=UUID(claims["sub"]),
                roles=frozenset(Role(role) for role in claims.get("roles", ())),
                epoch=int(claims.get("epoch", 0)),
                session=None if session is None else UUID(session),
            )
            return float(claims["exp"]), principal
        except (ValueError, TypeError, AttributeError):
            raise BadTokenError("the token's claims are not ours") from None
