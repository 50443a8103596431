"""Which commission a line pays: at most one rule, chosen by an order that has no ties, and what it comes to.

Invariant: the platform's share is rounded, once, and never above its base; the seller has the exact remainder. What was
reversed over any number of refunds is what one refund of them all would have reversed.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from domain.money import BASIS_POINTS, Currency, Minor, round_half_up
from domain.pricing.scope import Facts, Index, Scope, bits_of

PRIORITY_MAX = 1_000_000
ENDED_KEPT = timedelta(days=30)
"""How long rules that ended are considered: so long it is worth telling that one would have been chosen."""

Priority = Annotated[int, Meta(ge=-PRIORITY_MAX, le=PRIORITY_MAX, description="the higher one comes first")]
RateBp = Annotated[int, Meta(ge=0, le=BASIS_POINTS, description="basis points: hundredths of a percent")]


class CommissionTerms(Struct, frozen=True):
    """What a line is charged: rate, fee for each unit, least and most; amounts in the order's minor units."""

    rate_bp: RateBp = 0
    fixed_minor: Minor = 0
    minimum_minor: Minor = 0
    maximum_minor: Minor | None = None


class CommissionRule(Struct, frozen=True):
    """A rule as orders see it. With amounts among its terms it has a ``currency``, and is for orders in that one."""

    id: UUID
    scope: Scope
    terms: CommissionTerms
    currency: Currency | None
    priority: Priority
    valid_from: datetime | None
    valid_until: datetime | None
    active: bool


class Loss(StrEnum):
    """Why a rule that covers a line isn't the one it pays by."""

    INACTIVE = "inactive"
    NOT_STARTED = "not_started"
    ENDED = "ended"
    OTHER_CURRENCY = "other_currency"
    LOWER_PRIORITY = "lower_priority"
    LESS_SPECIFIC = "less_specific"
    SHALLOWER_CATEGORY = "shallower_category"
    HIGHER_ID = "higher_id"


class ConsideredRule(Struct, frozen=True):
    """A rule that covers a line; ``lost`` says why it isn't the one, None that it is."""

    rule_id: UUID
    lost: Loss | None


class CommissionRules:
    """All rules of a marketplace, indexed. ``noted`` are those that lines are known to pay by already."""

    def __init__(self, rules: Sequence[CommissionRule] = (), noted: Iterable[UUID] = ()) -> None:
        self.noted = set(noted)
        self._rules = sorted(rules, key=_rank)
        self._ranks = [_rank(rule)[:4] for rule in self._rules]
        # Most hold at any time and for any order, and then nothing of that is asked.
        self._always = [_holds_always(rule) for rule in self._rules]
        self._index = Index([rule.scope for rule in self._rules])

    def __len__(self) -> int:
        return len(self._rules)

    def choose(self, facts: Facts, currency: str, now: datetime) -> CommissionRule | None:
        """The rule that a line pays by, None without one."""
        best: CommissionRule | None = None
        best_rank: tuple[int, ...] = ()
        best_depth = 0
        for n in bits_of(self._index.matching(facts)):
            rule, rank = self._rules[n], self._ranks[n]
            if best is not None and rank != best_rank:
                break
            if not self._always[n] and _out(rule, currency, now) is not None:
                continue
            depth = _depth(rule, facts) if rule.scope.categories else 0
            if best is None or depth > best_depth:
                best, best_rank, best_depth = rule, rank, depth
        return best

    def consider(self, facts: Facts, currency: str, now: datetime) -> list[ConsideredRule]:
        """Every rule that covers a line: the one it pays by first, then the others in their order with the reason.

        Those that ended long before aren't told.
        """
        chosen = self.choose(facts, currency, now)
        covering = [self._rules[n] for n in bits_of(self._index.matching(facts))]
        covering = [rule for rule in covering if rule.valid_until is None or rule.valid_until > now - ENDED_KEPT]
        losers = [ConsideredRule(rule.id, _loss(rule, chosen, facts, currency, now)) for rule in covering]
        losers = [loser for loser in losers if loser.lost is not None]
        return [ConsideredRule(chosen.id, None), *losers] if chosen is not None else losers


def _rank(rule: CommissionRule) -> tuple[int, int, int, int, UUID]:
    scope = rule.scope
    return (-rule.priority, not scope.products, not scope.sellers, not scope.categories, rule.id)


def _depth(rule: CommissionRule, facts: Facts) -> int:
    """How deep the deepest category stands that a rule names and a line is in; 0 without one."""
    named = rule.scope.categories
    return max((n for n, category in enumerate(facts.categories, start=1) if category in named), default=0)


def _holds_always(rule: CommissionRule) -> bool:
    return rule.active and rule.valid_from is None and rule.valid_until is None and rule.currency is None


def _out(rule: CommissionRule, currency: str, now: datetime) -> Loss | None:
    if rule.valid_until is not None and now >= rule.valid_until:
        return Loss.ENDED
    if not rule.active:
        return Loss.INACTIVE
    if rule.valid_from is not None and now < rule.valid_from:
        return Loss.NOT_STARTED
    if rule.currency is not None and rule.currency != currency:
        return Loss.OTHER_CURRENCY
    return None


def _loss(
    rule: CommissionRule, chosen: CommissionRule | None, facts: Facts, currency: str, now: datetime
) -> Loss | None:
    out = _out(rule, currency, now)
    if out is not None or chosen is None or rule.id == chosen.id:
        return out
    if rule.priority < chosen.priority:
        return Loss.LOWER_PRIORITY
    if _rank(rule)[:4] != _rank(chosen)[:4]:
        return Loss.LESS_SPECIFIC
    if _depth(rule, facts) < _depth(chosen, facts):
        return Loss.SHALLOWER_CATEGORY
    return Loss.HIGHER_ID


def commission_on(base_minor: int, quantity: int, terms: CommissionTerms) -> int:
    """What a line is charged: rate and fee, not under the least, not over the most, never over the base."""
    amount = round_half_up(base_minor * terms.rate_bp, BASIS_POINTS) + terms.fixed_minor * quantity
    amount = max(amount, terms.minimum_minor)
    if terms.maximum_minor is not None:
        amount = min(amount, terms.maximum_minor)
    return min(amount, base_minor)


def reversed_on(amount_minor: int, base_minor: int, refunded_base_minor: int) -> int:
    """What of a commission is taken back, in all, once so much of its base was refunded; all with the whole base."""
    if base_minor == 0:
        return 0
    return round_half_up(amount_minor * refunded_base_minor, base_minor)
