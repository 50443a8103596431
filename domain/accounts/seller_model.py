"""Sellers: what is asked for, what is shown, what their events say.

Invariant: payout details come in and go no further than their seal; everything here holds the mask.
"""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from domain.accounts.model import Email, Position, SellerStatus
from domain.accounts.seller_payout import Payout
from domain.text import LINE_PATTERN

MEMBERS_MAX = 100

SellerName = Annotated[str, Meta(min_length=1, max_length=200, pattern=LINE_PATTERN)]
Description = Annotated[str, Meta(max_length=2_000)]


class SellerApplication(Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody who wants to sell says of themselves."""

    name: SellerName
    description: Description = ""
    payout: Payout | None = None


class SellerChange(Struct, frozen=True, forbid_unknown_fields=True):
    """What an owner changes; a field that isn't there stays as it is, ``"payout": null`` forgets the details."""

    name: SellerName | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    payout: Payout | UnsetType | None = UNSET


class NewMember(Struct, frozen=True, forbid_unknown_fields=True):
    """Who shall act for the seller, and as what."""

    email: Email
    position: Position = Position.STAFF


class ReviewReason(Struct, frozen=True, forbid_unknown_fields=True):
    """Why a seller is rejected or suspended; its members are told."""

    reason: Annotated[str, Meta(min_length=1, max_length=2_000, pattern=r"\S")]


class Seller(Struct, frozen=True):
    """A seller's row. ``payout`` is sealed, ``payout_shown`` its mask; both are there or neither."""

    id: UUID
    name: str
    description: str
    status: SellerStatus
    reason: str
    payout: bytes | None
    payout_shown: str
    version: int
    created_at: datetime


class Member(Struct, frozen=True):
    """Who acts for a seller; ``account_id`` is what members are named by."""

    account_id: UUID
    email: str
    name: str
    position: Position
    added_at: datetime


class SellerView(Struct, frozen=True):
    """A seller as its members and admins see it. ``members`` is null for staff: the list is its owners' and admins'."""

    id: UUID
    name: str
    description: str
    status: SellerStatus
    reason: str
    payout_shown: str
    members: list[Member] | None
    version: int
    created_at: datetime


class SellerApplied(Struct, frozen=True):
    """Data of ``seller.applied``."""

    name: str
    description: str
    owner: UUID


class SellerNamed(Struct, frozen=True):
    """Data of ``seller.approved`` and ``seller.reinstated``."""

    name: str


class SellerTurnedDown(Struct, frozen=True):
    """Data of ``seller.rejected`` and ``seller.suspended``."""

    reason: str


class SellerChanged(Struct, frozen=True):
    """Data of ``seller.changed``: what it says of itself now, and whether its payout details are other ones."""

    name: str
    description: str
    payout_changed: bool


class MemberAdded(Struct, frozen=True):
    """Data of ``seller.member_added``."""

    account_id: UUID
    position: Position


class MemberRemoved(Struct, frozen=True):
    """Data of ``seller.member_removed``."""

    account_id: UUID


def view_of(seller: Seller, members: list[Member] | None) -> SellerView:
    """Show a seller."""
    return SellerView(
        id=seller.id,
        name=seller.name,
        description=seller.description,
        status=seller.status,
        reason=seller.reason,
        payout_shown=seller.payout_shown,
        members=members,
        version=seller.version,
        created_at=seller.created_at,
    )
