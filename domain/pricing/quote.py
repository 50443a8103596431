"""What an order costs: one function for placing, quoting, applying promotions and previews, so they can't disagree.

Invariant: pure; parts sum to the whole; no part is below zero. What is frozen with a line (its unit price, its rate of
tax, its commission) and with a seller order (its shipping) comes in as it was and goes out unchanged.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from msgspec import Struct

from domain.money import MINOR_MAX
from domain.pricing.book import Book
from domain.pricing.commission import CommissionTerms
from domain.pricing.contest import Buyer, Candidates, CodeGiven, Usage, candidates_of
from domain.pricing.promotion_model import Funding
from domain.pricing.promotions import Cart, Combination, Reason, combine
from domain.pricing.scope import Facts
from domain.pricing.shipping import Offered, Parcel
from domain.pricing.tax import NO_TAX, Destination, Tax, TaxTerms, tax_on
from domain.rejections import Code, Rejection


class Commission(Struct, frozen=True):
    """By which rule a line pays, and its terms; no rule, no commission."""

    rule_id: UUID | None
    terms: CommissionTerms


NO_COMMISSION = Commission(None, CommissionTerms())


class FrozenTerms(Struct, frozen=True):
    """What of a line was settled when it was placed."""

    tax: TaxTerms | None
    commission: Commission


NO_TERMS = FrozenTerms(None, NO_COMMISSION)


class QuoteLine(Struct, frozen=True):
    """Units at a price. ``frozen`` on a line that was placed before."""

    facts: Facts
    quantity: int
    unit_price_minor: int
    weight_grams: int = 0
    frozen: FrozenTerms | None = None


class FrozenShipping(Struct, frozen=True):
    """The shipping of a seller order as it was settled when it was placed."""

    method_id: UUID | None
    name: str
    cost_minor: int
    tax: TaxTerms | None


class QuoteOrder(Struct, frozen=True):
    """What is to be priced. ``methods`` chooses a way to ship by seller; ``shipping`` is there once it was placed."""

    buyer: UUID
    currency: str
    lines: Sequence[QuoteLine]
    codes: Sequence[CodeGiven] = ()
    destination: Destination | None = None
    methods: Mapping[UUID, UUID] = {}
    shipping: Mapping[UUID, FrozenShipping] | None = None


class PricedLine(Struct, frozen=True):
    """What a line comes to, in minor units. ``net_minor`` is what is left of ``gross_minor`` after its discounts."""

    gross_minor: int
    seller_discount_minor: int
    platform_discount_minor: int
    net_minor: int
    tax: Tax
    terms: FrozenTerms


class PricedShipping(Struct, frozen=True):
    """What shipping a seller order comes to; ``cost_minor`` less its discounts, and its tax."""

    seller_id: UUID
    shipping: FrozenShipping
    seller_discount_minor: int
    platform_discount_minor: int
    tax: Tax

    @property
    def net_minor(self) -> int:
        """What is charged, before tax that is added."""
        return self.shipping.cost_minor - self.seller_discount_minor - self.platform_discount_minor


class Explained(Struct, frozen=True):
    """A promotion or a code that was considered: what it took off, by index of the line and by seller, or why nothing.

    ``promotion_id`` is None for a code that is unknown; ``code`` for a promotion that came by itself.
    """

    promotion_id: UUID | None
    version: int
    title: str
    code: str | None
    funding: Funding
    reason: Reason | None
    lines: tuple[tuple[int, int], ...] = ()
    shipping: tuple[tuple[UUID, int], ...] = ()
    amount_minor: int = 0


class PriceVersion(Struct, frozen=True):
    """What an order comes to. ``lines`` stand in the order of the lines priced, ``shipping`` of their sellers."""

    lines: tuple[PricedLine, ...]
    shipping: tuple[PricedShipping, ...]
    promotions: tuple[Explained, ...]
    total_minor: int

    @property
    def applied(self) -> tuple[Explained, ...]:
        """The promotions that took something off."""
        return tuple(each for each in self.promotions if each.reason is None)

    @property
    def refused_codes(self) -> tuple[Explained, ...]:
        """The codes that were given in vain, but for those that another promotion outdid."""
        return tuple(e for e in self.promotions if e.code is not None and e.reason is not None and e.reason.refuses)


def quote(order: QuoteOrder, book: Book, usage: Usage, now: datetime) -> PriceVersion | Rejection:
    """Price an order; a rejection where it can't be shipped as asked for, or comes to more than money can say."""
    lines = order.lines
    gross = [line.unit_price_minor * line.quantity for line in lines]
    if sum(gross) > MINOR_MAX:
        return _too_large()
    sellers: dict[UUID, int] = {}
    seller_nos = [sellers.setdefault(line.facts.seller_id, len(sellers)) for line in lines]
    masks = [book.promotions.matching(line.facts) for line in lines]
    cart = Cart([line.facts for line in lines], masks, [line.quantity for line in lines], seller_nos, gross)
    buyer = Buyer(order.buyer, order.currency, now, usage)
    candidates = candidates_of(buyer, order.codes, masks, book.promotions)
    shipper = _Shipper(order, book, list(sellers), seller_nos)
    result = combine(candidates.lives, cart, shipper.costs)
    shipping = shipper.settle(result.lines_minor)
    if isinstance(shipping, Rejection):
        return shipping
    priced_lines = _lines(order, book, now, gross, result)
    priced_shipping = _shipping(shipping, list(sellers), result)
    total = sum(line.net_minor + line.tax.added_minor for line in priced_lines)
    total += sum(each.net_minor + each.tax.added_minor for each in priced_shipping)
    if total > MINOR_MAX:
        return _too_large()
    return PriceVersion(priced_lines, priced_shipping, _explain(candidates, result, list(sellers)), total)


def shipping_options(order: QuoteOrder, book: Book, version: PriceVersion) -> dict[UUID, Sequence[Offered]]:
    """The ways each seller order could be shipped at this price; none where nobody has said how, or where to."""
    sellers: dict[UUID, int] = {}
    seller_nos = [sellers.setdefault(line.facts.seller_id, len(sellers)) for line in order.lines]
    shipper = _Shipper(order, book, list(sellers), seller_nos)
    return dict(zip(sellers, shipper.options([line.net_minor for line in version.lines]), strict=True))


def _too_large() -> Rejection:
    return Rejection(422, Code.AMOUNT_TOO_LARGE, f"the order's total passes {MINOR_MAX} minor units", "lines")


def _lines(
    order: QuoteOrder, book: Book, now: datetime, gross: Sequence[int], result: Combination
) -> tuple[PricedLine, ...]:
    by_seller, by_platform = [0] * len(gross), [0] * len(gross)
    for applied in result.applied:
        borne = by_seller if applied.live.funding is Funding.SELLER else by_platform
        for n, amount in enumerate(applied.lines):
            borne[n] += amount
    priced: list[PricedLine] = []
    for n, line in enumerate(order.lines):
        terms = line.frozen or _terms(line, order, book, now)
        net = result.lines_minor[n]
        tax = NO_TAX if terms.tax is None else tax_on(net, terms.tax)
        priced.append(PricedLine(gross[n], by_seller[n], by_platform[n], net, tax, terms))
    return tuple(priced)


def _terms(line: QuoteLine, order: QuoteOrder, book: Book, now: datetime) -> FrozenTerms:
    if not len(book.commission) and order.destination is None:
        return NO_TERMS
    rule = book.commission.choose(line.facts, order.currency, now)
    commission = NO_COMMISSION if rule is None else Commission(rule.id, rule.terms)
    return FrozenTerms(book.tax.on_line(order.destination, line.facts.categories), commission)


def _shipping(
    shipping: Sequence[FrozenShipping], sellers: Sequence[UUID], result: Combination
) -> tuple[PricedShipping, ...]:
    if all(frozen is _UNSHIPPED for frozen in shipping):
        return tuple([PricedShipping(seller, _UNSHIPPED, 0, 0, NO_TAX) for seller in sellers])
    priced: list[PricedShipping] = []
    for n, (seller, frozen) in enumerate(zip(sellers, shipping, strict=True)):
        borne = {Funding.SELLER: 0, Funding.PLATFORM: 0}
        for applied in result.applied:
            if applied.shipping:
                borne[applied.live.funding] += applied.shipping[n]
        tax = tax_on(result.shipping_minor[n], frozen.tax)
        priced.append(PricedShipping(seller, frozen, borne[Funding.SELLER], borne[Funding.PLATFORM], tax))
    return tuple(priced)


def _explain(candidates: Candidates, result: Combination, sellers: Sequence[UUID]) -> tuple[Explained, ...]:
    if not candidates.lives and not candidates.out:
        return ()
    applied = {each.live.promotion.id: each for each in result.applied}
    explained = []
    for each in sorted(candidates.lives, key=lambda live: (live.phase, live.bit)):
        promotion = each.promotion
        taken = applied.get(promotion.id)
        explained.append(
            Explained(
                promotion.id,
                promotion.version,
                each.content.title,
                candidates.brought.get(promotion.id),
                each.funding,
                result.reasons[promotion.id] if taken is None else None,
                () if taken is None else tuple([(n, amount) for n, amount in enumerate(taken.lines) if amount]),
                () if taken is None else tuple([(sellers[n], a) for n, a in enumerate(taken.shipping) if a]),
                0 if taken is None else taken.total_minor,
            )
        )
    for out in candidates.out:
        promotion_id, version, title, funding = out.promotion_id, out.version, out.title, out.funding
        explained.append(Explained(promotion_id, version, title, out.code, funding, out.reason))
    return tuple(explained)


class _Shipper:
    """Finds what shipping each seller order costs, given what is paid for its lines."""

    def __init__(self, order: QuoteOrder, book: Book, sellers: list[UUID], seller_nos: list[int]) -> None:
        self._order, self._book = order, book
        self._sellers, self._seller_nos = sellers, seller_nos
        self._free = order.shipping is None and order.destination is None

    def costs(self, lines_minor: Sequence[int]) -> list[int]:
        """What each seller order's shipping costs; 0 where it can't be shipped, which :meth:`settle` says."""
        if self._free:
            return [0] * len(self._sellers)
        settled = self._settled(lines_minor)
        return [each.cost_minor if isinstance(each, FrozenShipping) else 0 for each in settled]

    def settle(self, lines_minor: Sequence[int]) -> Sequence[FrozenShipping] | Rejection:
        """How each seller order is shipped, or why one can't be."""
        if self._free:
            return [_UNSHIPPED] * len(self._sellers)
        settled = self._settled(lines_minor)
        refusal = next((each for each in settled if isinstance(each, Rejection)), None)
        return refusal or [each for each in settled if isinstance(each, FrozenShipping)]

    def _settled(self, lines_minor: Sequence[int]) -> list[FrozenShipping | Rejection]:
        order = self._order
        if order.shipping is not None:
            return [order.shipping.get(seller, _UNSHIPPED) for seller in self._sellers]
        if order.destination is None:
            return [_UNSHIPPED] * len(self._sellers)
        offered = self.options(lines_minor)
        return [self._choose(seller, order.destination, offered[n]) for n, seller in enumerate(self._sellers)]

    def options(self, lines_minor: Sequence[int]) -> list[list[Offered]]:
        """The ways each seller order can be shipped, in the order they are listed."""
        destination, rates = self._order.destination, self._book.shipping
        if destination is None:
            return [[] for _ in self._sellers]
        subtotals, weights = [0] * len(self._sellers), [0] * len(self._sellers)
        for n, net, line in zip(self._seller_nos, lines_minor, self._order.lines, strict=True):
            subtotals[n] += net
            weights[n] += line.weight_grams * line.quantity
        parcels = [Parcel(weight, subtotal) for weight, subtotal in zip(weights, subtotals, strict=True)]
        found = (
            [serving.price(parcel) for serving in rates.serving(seller, destination, self._order.currency)]
            for seller, parcel in zip(self._sellers, parcels, strict=True)
        )
        return [[each for each in offered if each is not None] for offered in found]

    def _choose(self, seller: UUID, destination: Destination, offered: Sequence[Offered]) -> FrozenShipping | Rejection:
        """The method that was chosen, or without a choice the cheapest, the first listed of equals."""
        wanted = self._order.methods.get(seller)
        if not self._book.shipping.ships(seller):
            return _UNSHIPPED if wanted is None else _no_such_method(seller)
        if wanted is not None:
            offered = [each for each in offered if each.method_id == wanted]
            if not offered:
                return _no_such_method(seller)
        if not offered:
            detail = f"nothing of seller {seller} is shipped to {destination.country} {destination.region}".rstrip()
            return Rejection(422, Code.NOT_SHIPPABLE, detail, "shipping_address_id")
        best = min(offered, key=lambda each: each.cost_minor)
        return FrozenShipping(best.method_id, best.name, best.cost_minor, self._book.tax.on_shipping(destination))


_UNSHIPPED = FrozenShipping(None, "", 0, None)


def _no_such_method(seller: UUID) -> Rejection:
    detail = "this seller doesn't ship so to this address"
    return Rejection(422, Code.UNKNOWN_SHIPPING_METHOD, detail, f"shipping_methods.{seller}")
