"""What becomes of a seller: applications, reviews and changes decided, each with the event it is told by.

Every edit raises the version by one and is one event of that version.
"""

from typing import assert_never
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct

from domain.accounts.mail import MailKind
from domain.accounts.seller_lifecycle import Review, next_state
from domain.accounts.seller_model import (
    MemberAdded,
    MemberRemoved,
    Seller,
    SellerApplied,
    SellerChange,
    SellerChanged,
    SellerNamed,
    SellerTurnedDown,
)
from domain.journal.model import Event
from domain.rejections import Rejection


class Actor(Struct, frozen=True):
    """Who does it, in which request."""

    id: UUID
    correlation: str


class SealedPayout(Struct, frozen=True):
    """Payout details as they are written: sealed, and their mask."""

    sealed: bytes | None
    shown: str


NO_PAYOUT = SealedPayout(None, "")


class Edit(Struct, frozen=True):
    """What a seller becomes, and the event that says so.

    ``mail`` is what its owners are sent. ``revokes``: tokens of its members promise more than they may do now.
    """

    seller: Seller
    event: Event
    mail: MailKind | None = None
    revokes: bool = False


def _event(seller: Seller, kind: str, data: Struct, actor: Actor) -> Event:
    return Event(seller.id, seller.version, kind, msgspec.json.encode(data).decode(), actor.id, actor.correlation)


def applied(seller: Seller, actor: Actor) -> Event:
    """The first event of a seller."""
    return _event(seller, "seller.applied", SellerApplied(seller.name, seller.description, actor.id), actor)


def review(seller: Seller, way: Review, reason: str, actor: Actor) -> Edit | Rejection:
    """Decide about a seller. ``reason`` belongs to rejecting and suspending; approving and reinstating clear it."""
    status = next_state(seller.status, way)
    if isinstance(status, Rejection):
        return status
    after = msgspec.structs.replace(seller, status=status, reason=reason, version=seller.version + 1)
    match way:
        case Review.APPROVE:
            event = _event(after, "seller.approved", SellerNamed(seller.name), actor)
            return Edit(after, event, mail=MailKind.SELLER_APPROVED)
        case Review.REJECT:
            event = _event(after, "seller.rejected", SellerTurnedDown(reason), actor)
            return Edit(after, event, mail=MailKind.SELLER_REJECTED)
        case Review.SUSPEND:
            return Edit(after, _event(after, "seller.suspended", SellerTurnedDown(reason), actor), revokes=True)
        case Review.REINSTATE:
            return Edit(after, _event(after, "seller.reinstated", SellerNamed(seller.name), actor))
        case _:
            assert_never(way)


def change(seller: Seller, wish: SellerChange, payout: SealedPayout | None, actor: Actor) -> Edit | None:
    """Change what a seller says of itself; ``payout`` is None where it stays. None when nothing is another now."""
    after = msgspec.structs.replace(
        seller,
        name=seller.name if wish.name is UNSET else wish.name,
        description=seller.description if wish.description is UNSET else wish.description,
    )
    if payout is not None:
        after = msgspec.structs.replace(after, payout=payout.sealed, payout_shown=payout.shown)
    if after == seller:
        return None
    after = msgspec.structs.replace(after, version=seller.version + 1)
    data = SellerChanged(after.name, after.description, after.payout != seller.payout)
    return Edit(after, _event(after, "seller.changed", data, actor))


def member_added(seller: Seller, data: MemberAdded, actor: Actor) -> Edit:
    """Note that somebody acts for a seller from now on."""
    after = msgspec.structs.replace(seller, version=seller.version + 1)
    return Edit(after, _event(after, "seller.member_added", data, actor))


def member_removed(seller: Seller, data: MemberRemoved, actor: Actor) -> Edit:
    """Note that somebody acts for a seller no more."""
    after = msgspec.structs.replace(seller, version=seller.version + 1)
    return Edit(after, _event(after, "seller.member_removed", data, actor))


def is_seen_by_buyers(before: Seller, after: Seller) -> bool:
    """Whether the catalog shows a seller otherwise: its name, or whether it sells."""
    return (before.name, before.status) != (after.name, after.status)
