"""Who acts: accounts, roles, scopes, members of sellers."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

PASSWORD_LENGTH_MAX = 200
Email = Annotated[str, Meta(min_length=3, max_length=254, extra_json_schema={"format": "email"})]
"""An e-mail address as it was written; ``domain.accounts.email`` says whether it is one."""
Password = Annotated[str, Meta(min_length=1, max_length=PASSWORD_LENGTH_MAX)]
Name = Annotated[str, Meta(max_length=200)]
# Python's $ would let a final line break through.
BuyerGroup = Annotated[str, Meta(min_length=1, max_length=50, pattern=r"^[a-z0-9][a-z0-9_-]*(?![\s\S])")]
"""Buyers who have prices of their own."""


class Role(StrEnum):
    """What a principal may be. An account holds ADMIN and BUYER; the others come from elsewhere."""

    ADMIN = "ADMIN"
    SELLER = "SELLER"
    """Comes with membership of an approved seller."""
    BUYER = "BUYER"
    GUEST = "GUEST"
    """Somebody without an account, with a token of its own."""


class Scope(StrEnum):
    """What an API key may be used for; its account's roles decide what it may do there."""

    JOBS_READ = "jobs:read"
    JOBS_WRITE = "jobs:write"
    ORDERS_READ = "orders:read"
    ORDERS_WRITE = "orders:write"
    CATALOG_READ = "catalog:read"
    CATALOG_WRITE = "catalog:write"
    INVENTORY_READ = "inventory:read"
    INVENTORY_WRITE = "inventory:write"
    PRICING_READ = "pricing:read"
    PRICING_WRITE = "pricing:write"
    MONEY_READ = "money:read"
    MONEY_WRITE = "money:write"
    SELLERS_READ = "sellers:read"
    SELLERS_WRITE = "sellers:write"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"
    OPERATION_READ = "operation:read"
    OPERATION_WRITE = "operation:write"


class SellerStatus(StrEnum):
    """``applied`` -> ``approved`` or ``rejected``; ``approved`` <-> ``suspended``. Only approved ones sell."""

    APPLIED = "applied"
    APPROVED = "approved"
    REJECTED = "rejected"
    SUSPENDED = "suspended"


class Position(StrEnum):
    """What a member is to its seller."""

    OWNER = "owner"
    STAFF = "staff"


class Membership(Struct, frozen=True):
    """The seller an account acts for; it may have any status."""

    seller_id: UUID
    status: SellerStatus
    position: Position


class AccountStatus(StrEnum):
    """Whether an account may sign in."""

    ACTIVE = "active"
    SUSPENDED = "suspended"


class Language(StrEnum):
    """The languages that mails are written in. Each but English has a catalog in ``infra/mails/locale``."""

    EN = "en"
    DE = "de"


def language_of(stored: str | None) -> Language | None:
    """The language an account has chosen; None also for one that is no longer spoken here."""
    return Language(stored) if stored in set(Language) else None


class Purpose(StrEnum):
    """What a one-time token is for. The names are part of the tokens: one that changes voids those that are out."""

    VERIFY_EMAIL = "verify_email"
    RESET_PASSWORD = "reset_password"  # noqa: S105 - a name, not a password
    UNSUBSCRIBE = "unsubscribe"


class Account(Struct, frozen=True):
    """An account as signing in needs it. ``roles`` has SELLER for a member of an approved seller."""

    id: UUID
    email: str
    name: str
    password_hash: str
    roles: frozenset[Role]
    status: AccountStatus
    verified_at: datetime | None
    epoch: int
    version: int
    language: Language | None = None


class NewAccount(Struct, frozen=True):
    """An account to write."""

    id: UUID
    email: str
    name: str
    password_hash: str
    roles: frozenset[Role]
    verified: bool


class NewSession(Struct, frozen=True):
    """A login to write: the session, and the hash of its first refresh token. Ends in ``seconds`` unless used."""

    id: UUID
    account_id: UUID
    address: str
    client: str
    token_hash: bytes
    seconds: int


class NewOneTimeToken(Struct, frozen=True):
    """A one-time token to write: good for ``seconds`` from now."""

    id: UUID
    account_id: UUID
    purpose: Purpose
    seconds: float
