"""Bearer tokens: JSON Web Tokens signed with ``SECRET_KEY``.

Invariant: only HS256 under our key is believed; ``alg=none`` and every other algorithm are refused before
the claims are looked at. A token that was verified once is remembered until it expires, because checking a
signature costs more than everything else the edge does for a request.
"""

import time
from collections import OrderedDict
from enum import StrEnum
from uuid import UUID

import jwt
from msgspec import Struct

ALGORITHM = "HS256"
REMEMBERED_MAX = 20_000
TOKEN_LENGTH_MAX = 4_096


class Role(StrEnum):
    """What a principal may be."""

    ADMIN = "ADMIN"
    SELLER = "SELLER"
    BUYER = "BUYER"


class Principal(Struct, frozen=True):
    """Who sends a request: the subject of its token, and its roles."""

    id: UUID
    roles: frozenset[Role]

    @property
    def is_admin(self) -> bool:
        """Whether everything is this principal's to see."""
        return Role.ADMIN in self.roles


class BadTokenError(Exception):
    """The token can't be believed; the message says why and quotes nothing of it."""


class Tokens:
    """Signs and verifies access tokens."""

    def __init__(self, secret_key: str) -> None:
        self._key = secret_key.encode()
        self._remembered: OrderedDict[str, tuple[float, Principal]] = OrderedDict()

    def sign(self, subject: UUID, roles: frozenset[Role], seconds: int) -> str:
        """Make a token for ``seconds`` from now."""
        now = int(time.time())
        claims = {"sub": str(subject), "roles": sorted(roles), "iat": now, "exp": now + seconds}
        return jwt.encode(claims, self._key, algorithm=ALGORITHM)

    def verify(self, token: str) -> Principal:
        """Return the token's principal; raises BadTokenError."""
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

    def _decode(self, token: str) -> tuple[float, Principal]:
        if len(token) > TOKEN_LENGTH_MAX:
            raise BadTokenError("the token is too long")
        try:
            claims = jwt.decode(token, self._key, algorithms=[ALGORITHM], options={"require": ["exp", "sub"]})
        except jwt.ExpiredSignatureError:
            raise BadTokenError("the token has expired") from None
        except jwt.InvalidTokenError:
            raise BadTokenError("the token's signature or form is not valid") from None
        try:
            subject = UUID(claims["sub"])
            roles = frozenset(Role(role) for role in claims.get("roles", ()))
            return float(claims["exp"]), Principal(id=subject, roles=roles)
        except (ValueError, TypeError, AttributeError):
            raise BadTokenError("the token's claims are not ours") from None
