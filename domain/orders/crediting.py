"""What a buyer gets back of a line, unit by unit, and of shipping.

Invariant: pure. Parts are cumulative: of q of a line's units ``round(part * q / quantity)`` is given back in all, so
units given back one by one come to what they come to together, and all of them to exactly the whole.
"""

from collections.abc import Collection
from typing import Protocol
from uuid import UUID

from msgspec import Struct

from domain.money import round_half_up
from domain.orders.model import Fulfilment, SellerLess
from domain.orders.price import LineAmounts, Price, ShippingAmounts


class Parts(Struct, frozen=True):
    """What is given back, in minor units: ``net_minor`` after discounts, what the platform gave off of it, tax."""

    net_minor: int = 0
    platform_discount_minor: int = 0
    tax_minor: int = 0
    added_tax_minor: int = 0

    @property
    def charged_minor(self) -> int:
        """What the buyer gets."""
        return self.net_minor + self.added_tax_minor

    @property
    def base_minor(self) -> int:
        """What commission was reckoned on."""
        return max(0, self.net_minor + self.platform_discount_minor - (self.tax_minor - self.added_tax_minor))

    def less(self, other: "Parts") -> "Parts":
        """What is left without others."""
        return Parts(
            self.net_minor - other.net_minor,
            self.platform_discount_minor - other.platform_discount_minor,
            self.tax_minor - other.tax_minor,
            self.added_tax_minor - other.added_tax_minor,
        )


class Credited(Struct, frozen=True):
    """What has been given back of a line so far; ``unshipped`` of the units had not been shipped."""

    quantity: int = 0
    unshipped: int = 0
    parts: Parts = Parts()


NOTHING = Credited()


class LineCredit(Struct, frozen=True):
    """What one cause gives back of a line."""

    order_id: UUID
    line_no: int
    cause_id: UUID
    quantity: int
    unshipped: int
    parts: Parts
    after: Credited
    """all that has been given back of the line with this"""


class ShippingCredit(Struct, frozen=True):
    """A seller's shipping, given back whole."""

    order_id: UUID
    seller_no: int
    cause_id: UUID
    parts: Parts


class CreditedUnits(Struct, frozen=True):
    """Units of a line that are given back, as the event tells it; the amount in minor units, with added tax.

    ``restocked`` of them hadn't been shipped, and are on the shelf again.
    """

    line_no: int
    quantity: int
    amount_minor: int
    restocked: int


class OrderCredited(Struct, frozen=True):
    """The event ``order.credited``: what the buyer gets back of lines and of sellers' shipping, in minor units."""

    lines: tuple[CreditedUnits, ...]
    shipping: tuple[UUID, ...]
    amount_minor: int
    reason: str
    currency: str
    sellers: tuple[SellerLess, ...]


def whole_line(amounts: LineAmounts) -> Parts:
    """All there is to give back of a line."""
    return Parts(amounts.net_minor, amounts.platform_discount_minor, amounts.tax_minor, amounts.added_tax_minor)


def whole_shipping(amounts: ShippingAmounts) -> Parts:
    """All there is to give back of a seller's shipping."""
    return Parts(amounts.net_minor, amounts.platform_discount_minor, amounts.tax_minor, amounts.added_tax_minor)


def credit_units(amounts: LineAmounts, quantity: int, done: Credited, units: int, unshipped: int) -> Credited:
    """All that has been given back of a line of ``quantity`` units once ``units`` more are.

    Raises ValueError for more units than are left.
    """
    total = done.quantity + units
    if not (units > 0 and total <= quantity and 0 <= unshipped <= units):
        raise ValueError(f"{units} of {quantity} units, {done.quantity} of them given back before")
    whole = whole_line(amounts)
    parts = Parts(
        round_half_up(whole.net_minor * total, quantity),
        round_half_up(whole.platform_discount_minor * total, quantity),
        round_half_up(whole.tax_minor * total, quantity),
        round_half_up(whole.added_tax_minor * total, quantity),
    )
    return Credited(total, done.unshipped + unshipped, parts)


def line_credit(
    order_id: UUID,
    line_no: int,
    cause_id: UUID,
    *,
    before: Credited,
    after: Credited,
) -> LineCredit:
    """What a cause gives back that takes a line from one stand to another."""
    return LineCredit(
        order_id,
        line_no,
        cause_id,
        after.quantity - before.quantity,
        after.unshipped - before.unshipped,
        after.parts.less(before.parts),
        after,
    )


class Standing(Protocol):
    """What of an order tells what its lines and its sellers' shipping still come to."""

    price: Price
    sellers: dict[int, UUID]
    fulfilments: dict[UUID, Fulfilment]
    quantities: dict[int, int]
    credited: dict[int, Credited]
    shipping_credited: set[int]


def less_of(order: Standing, gone: Collection[int], unshipped: Collection[int]) -> tuple[SellerLess, ...]:
    """What lines that go, and the shipping of some seller orders, take from their sellers' parts of an order."""
    found: list[SellerLess] = []
    for number, seller in enumerate(order.fulfilments):
        lines = [n for n in gone if order.sellers[n] == seller]
        if not lines:
            continue
        before = {n: order.credited.get(n, NOTHING) for n in lines}
        amount = sum(order.price.lines[n].charged_minor - before[n].parts.charged_minor for n in lines)
        if number in unshipped and number in order.price.shipping and number not in order.shipping_credited:
            amount += order.price.shipping[number].charged_minor
        units = sum(order.quantities.get(n, 0) - before[n].quantity for n in lines)
        found.append(SellerLess(seller, units, amount))
    return tuple(found)
