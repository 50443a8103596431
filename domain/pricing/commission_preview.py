"""What a line would pay by the rules as they stand, and why: the same choice as placing makes."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct

from domain.catalog.offers import Moment
from domain.money import MINOR_MAX, Money
from domain.pricing.commission import CommissionRules, CommissionTerms, ConsideredRule, commission_on
from domain.pricing.promotion_model import Units
from domain.pricing.scope import Facts
from domain.rejections import Code, Rejection


class OfferNamed(Struct, frozen=True, forbid_unknown_fields=True):
    """An offer that is there."""

    variant_id: UUID
    seller_id: UUID


class LineSupposed(Struct, frozen=True, forbid_unknown_fields=True):
    """What a line might be of."""

    seller_id: UUID
    product_id: UUID | None = None
    category_id: UUID | None = None


class CommissionPreview(Struct, frozen=True, forbid_unknown_fields=True):
    """What to preview: an offer or what might be one, its price (the offer's own without one), the time (now)."""

    offer: OfferNamed | None = None
    facts: LineSupposed | None = None
    quantity: Units = 1
    unit_price: Money | None = None
    at: Moment | None = None


class TermsView(Struct, frozen=True):
    """What a line is charged by: a rate, a fee for each unit, the least and the most for a line."""

    rate_bp: int
    fixed: Money
    minimum: Money
    maximum: Money | None


class PreviewedCommission(Struct, frozen=True):
    """By which rule a line would pay, what, and every rule that covers it with the reason why it isn't that one."""

    rule_id: UUID | None
    terms: TermsView | None
    base: Money
    commission: Money
    sellers_share: Money
    considered: list[ConsideredRule]


def fault_of(wish: CommissionPreview) -> Rejection | None:
    """What is wrong with a wish beyond its form."""
    if (wish.offer is None) == (wish.facts is None):
        detail = "name an offer, or under facts what might be one"
        return Rejection(400, Code.INVALID_REQUEST, detail, "offer")
    if wish.facts is not None and wish.unit_price is None:
        return Rejection(400, Code.INVALID_REQUEST, "without an offer there is no price: send one", "unit_price")
    return None


def preview(
    rules: CommissionRules, facts: Facts, unit_price: Money, quantity: int, at: datetime
) -> PreviewedCommission | Rejection:
    """Work out what a line would pay, were it bought at a time at a price that nothing is taken off."""
    base, currency = unit_price.amount * quantity, unit_price.currency
    if base > MINOR_MAX:
        detail = f"the line's total passes {MINOR_MAX} minor units"
        return Rejection(422, Code.AMOUNT_TOO_LARGE, detail, "quantity")
    rule = rules.choose(facts, currency, at)
    amount = 0 if rule is None else commission_on(base, quantity, rule.terms)
    return PreviewedCommission(
        rule_id=None if rule is None else rule.id,
        terms=None if rule is None else terms_view(rule.terms, currency),
        base=Money(base, currency),
        commission=Money(amount, currency),
        sellers_share=Money(base - amount, currency),
        considered=rules.consider(facts, currency, at),
    )


def terms_view(terms: CommissionTerms, currency: str) -> TermsView:
    """Terms as clients see them, in the currency of a line."""
    return TermsView(
        terms.rate_bp,
        Money(terms.fixed_minor, currency),
        Money(terms.minimum_minor, currency),
        None if terms.maximum_minor is None else Money(terms.maximum_minor, currency),
    )
