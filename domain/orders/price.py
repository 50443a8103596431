"""A price version of an order: what its lines and its sellers' shipping come to, and why.

Invariant: versions are only inserted; the last one counts. Its parts sum to its total. A version without some lines has
all other amounts as they were: what a promotion took off another line stays off.
"""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from msgspec import Struct, structs

from domain.pricing.promotion_model import Funding
from domain.pricing.promotions import Reason
from domain.pricing.quote import Explained, FrozenShipping, PricedLine, PriceVersion
from domain.pricing.tax import TaxTerms


class LineAmounts(Struct, frozen=True):
    """What a line comes to, in minor units: ``net_minor`` after discounts, and the tax on it, added or included."""

    net_minor: int
    seller_discount_minor: int = 0
    platform_discount_minor: int = 0
    tax_minor: int = 0
    added_tax_minor: int = 0

    @property
    def charged_minor(self) -> int:
        """What the buyer pays for it."""
        return self.net_minor + self.added_tax_minor


class ShippingTerms(Struct, frozen=True):
    """How a seller order is shipped, and the rate of tax on that."""

    method_id: UUID | None
    name: str
    tax: TaxTerms | None = None


class ShippingAmounts(Struct, frozen=True):
    """What shipping a seller order comes to, in minor units."""

    cost_minor: int
    terms: ShippingTerms
    seller_discount_minor: int = 0
    platform_discount_minor: int = 0
    tax_minor: int = 0
    added_tax_minor: int = 0

    @property
    def net_minor(self) -> int:
        """What is left of the cost after discounts."""
        return self.cost_minor - self.seller_discount_minor - self.platform_discount_minor

    @property
    def charged_minor(self) -> int:
        """What the buyer pays for it."""
        return self.net_minor + self.added_tax_minor


class PromotionPart(Struct, frozen=True, omit_defaults=True):
    """What a promotion took off, by line number and by number of the seller order; or why its code did nothing."""

    promotion_id: UUID | None
    version: int
    title: str
    funding: Funding
    code: str | None = None
    reason: Reason | None = None
    lines: tuple[tuple[int, int], ...] = ()
    shipping: tuple[tuple[int, int], ...] = ()

    @property
    def amount_minor(self) -> int:
        """What it took off in all."""
        return sum([amount for _, amount in self.lines]) + sum([amount for _, amount in self.shipping])


class Price(Struct, frozen=True):
    """A version: lines by number, shipping by number of the seller order, empty where nothing is shipped."""

    lines: Mapping[int, LineAmounts]
    shipping: Mapping[int, ShippingAmounts]
    promotions: Sequence[PromotionPart]

    @property
    def total_minor(self) -> int:
        """What the buyer pays."""
        lines = sum([amounts.net_minor + amounts.added_tax_minor for amounts in self.lines.values()])
        return lines + sum([amounts.charged_minor for amounts in self.shipping.values()])

    @property
    def is_plain(self) -> bool:
        """Whether its lines cost what they say: nothing taken off, no tax, no shipping."""
        if self.shipping or self.promotions:
            return False
        return all(amounts.tax_minor == 0 for amounts in self.lines.values())

    @property
    def discount_minor(self) -> int:
        """What promotions take off, of lines and of shipping."""
        lines = sum([a.seller_discount_minor + a.platform_discount_minor for a in self.lines.values()])
        return lines + sum([a.seller_discount_minor + a.platform_discount_minor for a in self.shipping.values()])

    @property
    def shipping_minor(self) -> int:
        """What shipping costs, before its discounts and its tax."""
        return sum(amounts.cost_minor for amounts in self.shipping.values())

    @property
    def tax_minor(self) -> int:
        """All tax, whether prices hold it or it is added."""
        lines = sum(amounts.tax_minor for amounts in self.lines.values())
        return lines + sum(amounts.tax_minor for amounts in self.shipping.values())

    @property
    def applied(self) -> list[PromotionPart]:
        """The promotions that take something off."""
        return [part for part in self.promotions if part.reason is None]


def price_of(version: PriceVersion, line_nos: Sequence[int], seller_nos: Mapping[UUID, int]) -> Price:
    """Turn a quote into a version of an order: its lines and sellers by their numbers."""
    lines = {number: _line(line) for number, line in zip(line_nos, version.lines, strict=True)}
    shipping = {
        seller_nos[each.seller_id]: ShippingAmounts(
            each.shipping.cost_minor,
            ShippingTerms(each.shipping.method_id, each.shipping.name, each.shipping.tax),
            each.seller_discount_minor,
            each.platform_discount_minor,
            each.tax.amount_minor,
            each.tax.added_minor,
        )
        for each in version.shipping
        if each.shipping.method_id is not None
    }
    told = [each for each in version.promotions if each.reason is None or each.code is not None]
    return Price(lines, shipping, [_part(each, line_nos, seller_nos) for each in told])


def _line(line: PricedLine) -> LineAmounts:
    return LineAmounts(
        line.net_minor,
        line.seller_discount_minor,
        line.platform_discount_minor,
        line.tax.amount_minor,
        line.tax.added_minor,
    )


def _part(each: Explained, line_nos: Sequence[int], seller_nos: Mapping[UUID, int]) -> PromotionPart:
    return PromotionPart(
        promotion_id=each.promotion_id,
        version=each.version,
        title=each.title,
        funding=each.funding,
        code=each.code,
        reason=each.reason,
        lines=tuple([(line_nos[n], amount) for n, amount in each.lines]),
        shipping=tuple([(seller_nos[seller], amount) for seller, amount in each.shipping]) if each.shipping else (),
    )


def without(price: Price, lines: Collection[int], sellers: Collection[int]) -> Price:
    """A version without some lines and without the shipping of some seller orders; all else as it was."""
    return Price(
        {number: amounts for number, amounts in price.lines.items() if number not in lines},
        {number: amounts for number, amounts in price.shipping.items() if number not in sellers},
        [
            _less(part, lines, sellers)
            for part in price.promotions
            if part.reason is None and _left(part, lines, sellers)
        ],
    )


def _less(part: PromotionPart, lines: Collection[int], sellers: Collection[int]) -> PromotionPart:
    return structs.replace(
        part,
        lines=tuple((number, amount) for number, amount in part.lines if number not in lines),
        shipping=tuple((number, amount) for number, amount in part.shipping if number not in sellers),
    )


def _left(part: PromotionPart, lines: Collection[int], sellers: Collection[int]) -> bool:
    return any(n not in lines for n, _ in part.lines) or any(n not in sellers for n, _ in part.shipping)


def freed_by(price: Price, lines: Collection[int], sellers: Collection[int]) -> list[UUID]:
    """The promotions of which nothing is left without some lines and some sellers' shipping: their uses come back."""
    return [
        part.promotion_id for part in price.applied if part.promotion_id is not None and not _left(part, lines, sellers)
    ]


def frozen_shipping(price: Price, sellers: Mapping[int, UUID]) -> dict[UUID, FrozenShipping]:
    """The shipping of a version as it is priced again, by seller."""
    return {
        sellers[number]: FrozenShipping(
            amounts.terms.method_id, amounts.terms.name, amounts.cost_minor, amounts.terms.tax
        )
        for number, amounts in price.shipping.items()
    }
