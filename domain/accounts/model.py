"""Who acts: roles, scopes, members of sellers."""

from enum import StrEnum
from uuid import UUID

from msgspec import Struct


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
    SELLERS_READ = "sellers:read"
    SELLERS_WRITE = "sellers:write"
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
