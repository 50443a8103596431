"""Carts: what somebody means to order, with the prices that were shown.

Invariant: of an offer a cart has one line, and each line knows the price it was shown with. Whether a cart is open
follows from the order of its last checkout, and is never stored.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct, field

from domain.accounts.address_model import PostalAddress
from domain.accounts.model import Email
from domain.catalog.model import OfferKey
from domain.money import Currency, Money
from domain.orders.model import LINES_CEILING, Codes, CodesMode, Quantity, ShippingMethods

CARTS_MAX = 20
"""How many carts somebody may have that aren't ordered."""


class CartStatus(StrEnum):
    """``ordering`` while the order of its checkout is still to be placed, ``ordered`` when it was."""

    OPEN = "open"
    ORDERING = "ordering"
    ORDERED = "ordered"


class CartLine(Struct, frozen=True, forbid_unknown_fields=True):
    """Units of an offer; ``unit_price`` is the price that was shown, the present one where it isn't said."""

    variant_id: UUID
    seller_id: UUID
    quantity: Quantity
    unit_price: Money | None = None

    @property
    def key(self) -> OfferKey:
        """What is to be bought."""
        return self.variant_id, self.seller_id


CartLines = Annotated[tuple[CartLine, ...], Meta(max_length=LINES_CEILING)]


class CartContent(Struct, frozen=True, forbid_unknown_fields=True):
    """What a cart holds: the fields of an order, none of them needed yet but the currency."""

    currency: Currency
    lines: CartLines = ()
    codes: Codes = ()
    promotions: CodesMode = CodesMode.STRICT
    email: Email | None = None
    shipping_address_id: UUID | None = None
    shipping_address: PostalAddress | None = None
    shipping_methods: ShippingMethods = field(default_factory=dict)


class Cart(Struct, frozen=True):
    """A cart as it stands; each of its lines has its price. ``order_id`` is the order of the last checkout."""

    id: UUID
    owner: UUID
    version: int
    status: CartStatus
    order_id: UUID | None
    content: CartContent
    created_at: datetime
    updated_at: datetime


class Checkout(Struct, frozen=True, forbid_unknown_fields=True):
    """What the order is to have in place of what the cart says."""

    promotions: CodesMode | None = None
    email: Email | None = None
    shipping_address_id: UUID | None = None
    shipping_address: PostalAddress | None = None
    shipping_methods: ShippingMethods | None = None


class CartLineFact(Struct, frozen=True):
    """A line as events tell it."""

    variant_id: UUID
    seller_id: UUID
    quantity: int
    unit_price_minor: int


class CartFacts(Struct, frozen=True):
    """The events ``cart.created``, ``cart.changed`` and ``cart.moved``: whose it is now, and what it holds."""

    owner: UUID
    currency: str
    lines: tuple[CartLineFact, ...]


class CartMerged(Struct, frozen=True):
    """The event ``cart.merged``: another cart was added to this one, which holds this now."""

    owner: UUID
    currency: str
    lines: tuple[CartLineFact, ...]
    merged: tuple[UUID, ...]


class CartRemoved(Struct, frozen=True):
    """The event ``cart.removed``: ``into`` is the cart it was added to, null when its owner removed it."""

    into: UUID | None


class CartCheckedOut(Struct, frozen=True):
    """The event ``cart.checked_out``: the order that is to be placed."""

    order_id: UUID


def line_facts(content: CartContent) -> tuple[CartLineFact, ...]:
    """A cart's lines as events tell them."""
    return tuple(
        CartLineFact(line.variant_id, line.seller_id, line.quantity, line.unit_price.amount)
        for line in content.lines
        if line.unit_price is not None
    )
