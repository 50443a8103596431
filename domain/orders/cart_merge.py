"""A guest logs in: what becomes of the guest's carts.

Invariant: no unit is lost but those over the limit of a line, and none is there twice: a guest's cart is added to one
of the account's and goes, or it becomes the account's as it is. Afterwards the guest has none left to merge, so merging
again does nothing.
"""

from collections.abc import Sequence
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.catalog.model import OfferKey
from domain.limits import Limits
from domain.orders.cart_model import Cart, CartContent, CartLine


class MergePlan(Struct, frozen=True):
    """``standing`` are the account's carts then, by id; ``moved`` those of them that were the guest's.

    ``into`` says of each cart that goes which one it was added to.
    """

    standing: dict[UUID, Cart]
    moved: set[UUID]
    into: dict[UUID, UUID]


def merge(guests: Sequence[Cart], accounts: Sequence[Cart], limits: Limits) -> MergePlan:
    """Add a guest's open carts, oldest first, to the newest of an account's open ones in their currency.

    One that finds none, or doesn't fit into it, becomes the account's.
    """
    plan = MergePlan({cart.id: cart for cart in accounts}, set(), {})
    for cart in sorted(guests, key=lambda cart: cart.id):
        currency = cart.content.currency
        newest = max((c.id for c in plan.standing.values() if c.content.currency == currency), default=None)
        added = None if newest is None else add(plan.standing[newest].content, cart.content, limits)
        if newest is None or added is None:
            plan.standing[cart.id] = cart
            plan.moved.add(cart.id)
        else:
            plan.standing[newest] = msgspec.structs.replace(plan.standing[newest], content=added)
            plan.into[cart.id] = newest
    return plan


def add(mine: CartContent, guests: CartContent, limits: Limits) -> CartContent | None:
    """Two carts as one; None when it would have too many lines. What the guest was shown last is what counts."""
    lines: dict[OfferKey, CartLine] = {line.key: line for line in mine.lines}
    for line in guests.lines:
        known = lines.get(line.key)
        quantity = line.quantity if known is None else min(known.quantity + line.quantity, limits.line_quantity_max)
        lines[line.key] = msgspec.structs.replace(line, quantity=quantity)
    if len(lines) > limits.order_lines_max:
        return None
    codes = tuple(dict.fromkeys((*mine.codes, *guests.codes)))[: limits.order_codes_max]
    goes_to = mine if mine.shipping_address_id or mine.shipping_address else guests
    return msgspec.structs.replace(
        mine,
        lines=tuple(lines.values()),
        codes=codes,
        email=mine.email or guests.email,
        shipping_address_id=goes_to.shipping_address_id,
        shipping_address=goes_to.shipping_address,
        shipping_methods=goes_to.shipping_methods,
    )
