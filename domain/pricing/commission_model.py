"""Commission rules as administrators write them."""

from uuid import UUID

from msgspec import Struct

from domain.catalog.offers import Moment
from domain.money import Money
from domain.pricing.commission import CommissionRule, CommissionTerms, Priority, RateBp
from domain.pricing.promotion_model import Title
from domain.pricing.scope import Scope
from domain.rejections import Code, Rejection


class CommissionContent(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What a rule says. ``fixed`` is for each unit; ``minimum`` and ``maximum`` bound what a line pays.

    With any of these amounts the rule is for orders in their currency.
    """

    title: Title
    scope: Scope = Scope()
    rate_bp: RateBp = 0
    fixed: Money | None = None
    minimum: Money | None = None
    maximum: Money | None = None
    priority: Priority = 0
    valid_from: Moment | None = None
    valid_until: Moment | None = None
    active: bool = True

    def rule(self, rule_id: UUID) -> CommissionRule:
        """The rule as orders see it."""
        terms = CommissionTerms(
            rate_bp=self.rate_bp,
            fixed_minor=0 if self.fixed is None else self.fixed.amount,
            minimum_minor=0 if self.minimum is None else self.minimum.amount,
            maximum_minor=None if self.maximum is None else self.maximum.amount,
        )
        amounts = [amount for amount in (self.fixed, self.minimum, self.maximum) if amount is not None]
        return CommissionRule(
            id=rule_id,
            scope=self.scope,
            terms=terms,
            currency=amounts[0].currency if amounts else None,
            priority=self.priority,
            valid_from=self.valid_from,
            valid_until=self.valid_until,
            active=self.active,
        )


def fault_of(content: CommissionContent) -> Rejection | None:
    """What is wrong with a rule beyond its form."""
    amounts = {"fixed": content.fixed, "minimum": content.minimum, "maximum": content.maximum}
    currencies = {amount.currency for amount in amounts.values() if amount is not None}
    if len(currencies) > 1:
        last = [name for name, amount in amounts.items() if amount is not None][-1]
        return _fault(Code.CURRENCY_MISMATCH, "the amounts of a rule are in one currency", last)
    if content.maximum is not None and content.minimum is not None and content.maximum.amount < content.minimum.amount:
        return _fault(Code.INVALID_REQUEST, "the most is less than the least", "maximum")
    if content.valid_from is not None and content.valid_until is not None and content.valid_until <= content.valid_from:
        return _fault(Code.INVALID_REQUEST, "a rule ends after it began", "valid_until")
    if content.scope.variants:
        return _fault(Code.INVALID_REQUEST, "a rule names products, sellers and categories", "scope.variants")
    return None


def _fault(code: Code, detail: str, path: str) -> Rejection:
    return Rejection(400, code, detail, path)
