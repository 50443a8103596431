"""Promotions: what their makers say of them, and the state they are in.

Everything a promotion does stands in its content, and each change of an active one is a new version of it; an order
names the version it was priced with.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct, structs

from domain.catalog.offers import Moment
from domain.money import BASIS_POINTS, Money
from domain.pricing.commission import Priority
from domain.pricing.scope import Ids, Scope
from domain.text import LINE_PATTERN

CODES_PER_ORDER_MAX = 10
QUANTITY_MAX = 1_000_000
USES_MAX = 1_000_000_000

Title = Annotated[str, Meta(min_length=1, max_length=200, pattern=LINE_PATTERN)]
# Python's $ would let a final line break through.
GroupName = Annotated[str, Meta(min_length=1, max_length=50, pattern=r"^[a-z0-9][a-z0-9_-]*(?![\s\S])")]
OffBp = Annotated[int, Meta(ge=1, le=BASIS_POINTS, description="basis points taken off: 2500 is a quarter")]
Units = Annotated[int, Meta(ge=1, le=QUANTITY_MAX)]
Uses = Annotated[int, Meta(ge=1, le=USES_MAX)]


class PromotionState(StrEnum):
    """Where a promotion stands: draft, then active and paused in turn, then ended."""

    DRAFT = "draft"
    ACTIVE = "active"
    PAUSED = "paused"
    ENDED = "ended"


class Level(StrEnum):
    """What a discount is reckoned on: each line by itself, or all lines in scope together."""

    LINE = "line"
    ORDER = "order"


class Stacking(StrEnum):
    """With what a promotion goes together."""

    STACKABLE = "stackable"
    GROUP = "group"
    EXCLUSIVE = "exclusive"


class Funding(StrEnum):
    """Who bears a discount."""

    PLATFORM = "platform"
    SELLER = "seller"


class PercentOff(
    Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="type", tag="percentage"
):
    """A part of the price; of an order at most ``cap``."""

    level: Level
    off_bp: OffBp
    cap: Money | None = None


class AmountOff(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="fixed"):
    """An amount: on level ``line`` for each unit, on level ``order`` once, spread over the lines in scope."""

    level: Level
    amount: Money


class BuyXGetY(
    Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="type", tag="buy_x_get_y"
):
    """For each ``buy_quantity`` units of ``buy``, ``get_quantity`` others of ``get`` cost less: the cheapest ones.

    Only whole sets count, at most ``times_max`` of them. A unit that qualified isn't discounted.
    """

    buy: Scope
    buy_quantity: Units
    get: Scope
    get_quantity: Units
    off_bp: OffBp = BASIS_POINTS
    times_max: Units | None = None


class FreeShipping(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="free_shipping"):
    """Shipping of the seller orders with a line in scope costs nothing."""


Benefit = PercentOff | AmountOff | BuyXGetY | FreeShipping


class PromotionContent(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What a promotion does, for whom and when.

    ``minimum_subtotal`` and ``minimum_quantity`` are of the lines in scope, at the promotion's turn. ``users`` are the
    only ones it is for. ``automatic`` ones need no code. Non-stackable ones that name no group share ``default``.
    """

    title: Title
    benefit: Benefit
    scope: Scope = Scope()
    users: Ids = ()
    minimum_subtotal: Money | None = None
    minimum_quantity: Units | None = None
    first_order: bool = False
    starts_at: Moment | None = None
    ends_at: Moment | None = None
    automatic: bool = False
    priority: Priority = 0
    stacking: Stacking = Stacking.GROUP
    group: GroupName = "default"
    funding: Funding = Funding.PLATFORM
    uses_max: Uses | None = None
    uses_per_user_max: Uses | None = None


class StoredPromotion(Struct, frozen=True):
    """A promotion as it is kept. ``seller_id`` made it for its own offers; None for the platform's."""

    id: UUID
    version: int
    seller_id: UUID | None
    state: PromotionState
    content: PromotionContent
    created_at: datetime

    @property
    def limited(self) -> bool:
        """Whether its uses are counted before they are granted."""
        content = self.content
        return content.uses_max is not None or content.uses_per_user_max is not None or content.first_order


def currency_of(content: PromotionContent) -> str | None:
    """The currency of a promotion's amounts: it is for orders in that one. None if it has no amounts."""
    return next((amount.currency for amount in amounts_of(content)), None)


def amounts_of(content: PromotionContent) -> list[Money]:
    """Every amount a promotion names."""
    amounts = [content.minimum_subtotal]
    match content.benefit:
        case PercentOff(cap=cap):
            amounts.append(cap)
        case AmountOff(amount=amount):
            amounts.append(amount)
        case BuyXGetY() | FreeShipping():
            pass
    return [amount for amount in amounts if amount is not None]


def effective_funding(promotion: StoredPromotion) -> Funding:
    """Who bears a promotion's discounts: of one that is for certain sellers, they do, whatever it says."""
    content = promotion.content
    return Funding.SELLER if promotion.seller_id is not None or content.scope.sellers else content.funding


def effective_scope(promotion: StoredPromotion) -> Scope:
    """The lines a promotion is for: what it says, and of a seller's own nobody else's."""
    scope, seller = promotion.content.scope, promotion.seller_id
    return scope if seller is None else structs.replace(scope, sellers=(seller,))
