"""Builders of what pricing decides from: small worlds whose things are told apart by one letter or number."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from domain.money import Money
from domain.pricing.book import Book, Promotions, Versions
from domain.pricing.commission import CommissionRule, CommissionRules, CommissionTerms
from domain.pricing.contest import CodeGiven, Usage, no_usage
from domain.pricing.price_lists import PriceLists
from domain.pricing.promotion_model import (
    AmountOff,
    BuyXGetY,
    Level,
    PercentOff,
    PromotionContent,
    PromotionState,
    Stacking,
    StoredPromotion,
)
from domain.pricing.quote import Explained, PriceVersion, QuoteLine, QuoteOrder, quote
from domain.pricing.scope import Facts, Scope
from domain.pricing.shipping import PLATFORM, Flat, Owner, ShippingMethod, ShippingRate, ShippingRates, ShippingZone
from domain.pricing.tax import Destination, TaxRate, TaxRates

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)
BERLIN = Destination("DE", "Berlin")
BUYER = UUID(int=0xB0)
USD = "USD"


def thing(kind: str, number: int) -> UUID:
    """The id of a seller, product, variant, category, promotion, rule or method: its first letter and its number."""
    return UUID(int=ord(kind[0]) << 64 | number)


def seller(number: int) -> UUID:
    return thing("seller", number)


def category(number: int) -> UUID:
    return thing("category", number)


def product(number: int) -> UUID:
    return thing("product", number)


def usd(amount: int) -> Money:
    return Money(amount, USD)


def facts(number: int = 0, *, of: int = 0, path: tuple[int, ...] = ()) -> Facts:
    """Product and variant of that number, of a seller, in the category at the end of a path."""
    return Facts(product(number), thing("variant", number), seller(of), tuple(category(n) for n in path))


def line(
    price: int, quantity: int = 1, number: int = 0, *, of: int = 0, path: tuple[int, ...] = (), grams: int = 0
) -> QuoteLine:
    """Units of a product of a seller, at a price each."""
    return QuoteLine(facts(number, of=of, path=path), quantity, price, grams)


def percent(off_bp: int, *, cap: int | None = None) -> PercentOff:
    """Off each line."""
    return PercentOff(Level.LINE, off_bp, None if cap is None else usd(cap))


def percent_of_order(off_bp: int, *, cap: int | None = None) -> PercentOff:
    """Off the lines together."""
    return PercentOff(Level.ORDER, off_bp, None if cap is None else usd(cap))


def off_each(amount: int) -> AmountOff:
    """Off each unit."""
    return AmountOff(Level.LINE, usd(amount))


def off_order(amount: int) -> AmountOff:
    """Off the lines together."""
    return AmountOff(Level.ORDER, usd(amount))


def bundle(buy: int, get: int, *, off_bp: int = 10_000, times: int | None = None, **scopes: Scope) -> BuyXGetY:
    """Buy some, get some: of anything unless ``buy_scope`` or ``get_scope`` say otherwise."""
    return BuyXGetY(
        scopes.get("buy_scope", Scope()), buy, scopes.get("get_scope", Scope()), get, off_bp=off_bp, times_max=times
    )


def promotion(
    benefit, number: int = 1, *, days_old: int = 0, made_by: UUID | None = None, **content
) -> StoredPromotion:
    """An active promotion, automatic and stackable unless said otherwise."""
    said = {"title": f"Promotion {number}", "automatic": True, "stacking": Stacking.STACKABLE, **content}
    return StoredPromotion(
        id=thing("promotion", number),
        version=1,
        seller_id=made_by,
        state=PromotionState.ACTIVE,
        content=PromotionContent(benefit=benefit, **said),
        created_at=NOW - timedelta(days=days_old),
    )


def code(text: str, number: int | None = None, state: PromotionState | None = PromotionState.ACTIVE) -> CodeGiven:
    """A code of a promotion; of none, nobody knows it."""
    if number is None:
        return CodeGiven(text, text.casefold(), None, None)
    return CodeGiven(text, text.casefold(), thing("promotion", number), state)


def rule(number: int = 1, *, scope: Scope | None = None, priority: int = 0, **said) -> CommissionRule:
    """A commission rule of 10 %, for everything, always, unless said otherwise."""
    return CommissionRule(
        id=thing("rule", number),
        scope=scope or Scope(),
        terms=said.get("terms", CommissionTerms(rate_bp=1_000)),
        currency=said.get("currency"),
        priority=priority,
        valid_from=said.get("valid_from"),
        valid_until=said.get("valid_until"),
        active=said.get("active", True),
    )


def method(number: int, name: str = "Post", *, active: bool = True) -> ShippingMethod:
    return ShippingMethod(thing("method", number), name, active)


EVERYWHERE = ShippingZone(thing("zone", 0), "Everywhere")


def rate(number: int, cost, *, zone: ShippingZone = EVERYWHERE, currency: str = USD, free_from: int | None = None):
    """What the method of that number costs."""
    return ShippingRate(thing("method", number), zone.id, currency, cost, free_from)


def flat(amount: int) -> Owner:
    """One method everywhere, at one price."""
    return Owner((EVERYWHERE,), (method(1),), (rate(1, Flat(amount)),))


def book(
    *promotions: StoredPromotion,
    rules: tuple[CommissionRule, ...] = (),
    taxes: tuple[TaxRate, ...] = (),
    shipping: Owner | dict[UUID, Owner] | None = None,
) -> Book:
    """The rules of a marketplace; one owner's shipping is the platform's."""
    owners = {PLATFORM: shipping} if isinstance(shipping, Owner) else shipping
    return Book(
        Versions(), Promotions(promotions), CommissionRules(rules), TaxRates(taxes), ShippingRates(owners), PriceLists()
    )


def order(*lines: QuoteLine, currency: str = USD, **said) -> QuoteOrder:
    return QuoteOrder(BUYER, currency, lines, **said)


def priced(rules: Book, asked: QuoteOrder, usage: Usage | None = None, now: datetime = NOW) -> PriceVersion:
    """What an order comes to that can be priced."""
    version = quote(asked, rules, usage or no_usage(), now)
    assert isinstance(version, PriceVersion), version
    return version


def discounts(version: PriceVersion) -> list[int]:
    """What was taken off each line."""
    return [each.gross_minor - each.net_minor for each in version.lines]


def discounts_of(*lines: QuoteLine, by) -> list[int]:
    """What promotions take off each line of an order; one benefit stands for an automatic promotion with it."""
    promotions = by if isinstance(by, tuple) else (by,)
    made = [each if isinstance(each, StoredPromotion) else promotion(each) for each in promotions]
    return discounts(priced(book(*made), order(*lines)))


def told(version: PriceVersion, number: int) -> Explained:
    """What is said of the promotion of that number; once."""
    (explained,) = (each for each in version.promotions if each.promotion_id == thing("promotion", number))
    return explained


def reasons(version: PriceVersion) -> dict[int, str | None]:
    """Why promotions didn't apply, by number; None for those that did."""
    return {each.promotion_id.int & 0xFFFF: each.reason for each in version.promotions if each.promotion_id is not None}
