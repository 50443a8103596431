"""What may become of commission rules, and which of them meet.

Invariant: pure. A rule that a line pays by, and one that has ended, says for good what it said; what it is to say from
now on is another rule.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from msgspec import Struct, structs

from domain.pricing.commission import CommissionRule
from domain.pricing.commission_model import CommissionContent
from domain.rejections import Code, Rejection

RULES_MAX = 10_000
"""Every process that prices orders holds all that haven't ended."""
OVERLAPS_MAX = 100

Paths = Mapping[UUID, Sequence[UUID]]
"""Categories, each with its way from the root, itself included."""


class StoredRule(Struct, frozen=True):
    """A rule as it stands; ``version`` counts what it has been. ``used`` says that a line pays by it."""

    id: UUID
    version: int
    used: bool
    content: CommissionContent


class RuleWritten(Struct, frozen=True):
    """The events of a commission rule; ``rules_version`` is that of all rules, from which on it says this."""

    rules_version: int
    used: bool
    content: CommissionContent


def check_room(count: int) -> Rejection | None:
    """Why another rule can't be made."""
    if count < RULES_MAX:
        return None
    return Rejection(409, Code.LIMIT_REACHED, f"there are at most {RULES_MAX} rules that haven't ended")


def has_ended(content: CommissionContent, now: datetime) -> bool:
    """Whether a rule is over."""
    return content.valid_until is not None and content.valid_until <= now


def check_change(rule: StoredRule, now: datetime) -> Rejection | None:
    """Why a rule can't be changed."""
    if has_ended(rule.content, now):
        return Rejection(409, Code.CONFLICT, "the rule has ended, and says for good what it said: make another one")
    if rule.used:
        return Rejection(409, Code.RULE_IN_USE, "orders pay by this rule: end it (DELETE) and make another one")
    return None


def changed(rule: StoredRule, content: CommissionContent) -> StoredRule:
    """A rule that says something else."""
    return structs.replace(rule, version=rule.version + 1, content=content)


def ended(rule: StoredRule, now: datetime) -> StoredRule:
    """A rule that is over. It is inactive, too: a worker whose clock is behind must not take it for a valid one."""
    return changed(rule, structs.replace(rule.content, active=False, valid_until=now))


def overlapping(
    rule: CommissionRule, others: Sequence[tuple[UUID, CommissionContent]], paths: Paths
) -> list[tuple[UUID, CommissionContent]]:
    """Those of other rules that may cover a line together with a rule, at the same time and rank."""
    return [other for other in others if _overlap(rule, other[1].rule(other[0]), paths)]


def _overlap(one: CommissionRule, other: CommissionRule, paths: Paths) -> bool:
    return (
        one.active
        and other.active
        and rank_of(one) == rank_of(other)
        and (one.currency is None or other.currency is None or one.currency == other.currency)
        and (one.valid_from is None or other.valid_until is None or one.valid_from < other.valid_until)
        and (other.valid_from is None or one.valid_until is None or other.valid_from < one.valid_until)
        and _meet(one.scope.products, other.scope.products)
        and _meet(one.scope.sellers, other.scope.sellers)
        and _meet_below(one.scope.categories, other.scope.categories, paths)
    )


def rank_of(rule: CommissionRule) -> tuple[int, bool, bool, bool]:
    """What decides between two rules before the category's depth and the id do."""
    scope = rule.scope
    return rule.priority, bool(scope.products), bool(scope.sellers), bool(scope.categories)


def _meet(ones: Sequence[UUID], others: Sequence[UUID]) -> bool:
    """Whether two scopes of one rank have a value of a dimension in common: they both name it, or neither does."""
    return not ones or not set(ones).isdisjoint(others)


def _meet_below(ones: Sequence[UUID], others: Sequence[UUID], paths: Paths) -> bool:
    """The same of categories: one covers those below it."""
    return not ones or _leads_to(ones, others, paths) or _leads_to(others, ones, paths)


def _leads_to(ones: Sequence[UUID], others: Sequence[UUID], paths: Paths) -> bool:
    return any(not set(ones).isdisjoint(paths.get(other, (other,))) for other in others)
