"""What is wrong with a promotion beyond its form.

Invariant: what passes here can apply to some order, for some time, and somebody bears it: a promotion that could never
do anything, or that would have one pay for what another decided, is refused when it is written.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import UUID

from domain.money import Money
from domain.pricing.promotion_model import (
    AmountOff,
    BuyXGetY,
    FreeShipping,
    Funding,
    PercentOff,
    PromotionContent,
    Stacking,
)
from domain.pricing.scope import Scope
from domain.rejections import Code, Rejection

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(3000, 1, 1, tzinfo=UTC)
DEFAULT_GROUP = "default"


def fault_of(content: PromotionContent, seller_id: UUID | None = None) -> Rejection | None:
    """The first fault of a promotion, with its path; ``seller_id`` is whose it is, None for the platform's."""
    return next(_faults(content, seller_id), None)


def _faults(content: PromotionContent, seller_id: UUID | None) -> Iterator[Rejection]:
    yield from _of_amounts(content)
    yield from _of_times(content)
    yield from _of_sets(content)
    if content.stacking is not Stacking.GROUP and content.group != DEFAULT_GROUP:
        yield _fault(f"one that is {content.stacking.value} is in no group", "group")
    if content.uses_max is not None and (content.uses_per_user_max or 0) > content.uses_max:
        yield _fault("one user has no more uses than all together", "uses_per_user_max")
    yield from _of_seller(content, seller_id)


def _of_amounts(content: PromotionContent) -> Iterator[Rejection]:
    amounts = _amounts(content)
    currency = next(iter(amounts.values())).currency if amounts else None
    for path, amount in amounts.items():
        if amount.currency != currency:
            detail = f"the amounts of a promotion are in one currency, and this one isn't in {currency}"
            yield Rejection(400, Code.CURRENCY_MISMATCH, detail, path)
        if amount.amount == 0:
            yield _fault("an amount of 0 has no effect", path)


def _amounts(content: PromotionContent) -> dict[str, Money]:
    """The amounts of a promotion, by path; what it takes off sets the currency."""
    found: dict[str, Money | None] = {}
    match content.benefit:
        case PercentOff(cap=cap):
            found["benefit.cap"] = cap
        case AmountOff(amount=amount):
            found["benefit.amount"] = amount
        case BuyXGetY() | FreeShipping():
            pass
    found["minimum_subtotal"] = content.minimum_subtotal
    return {path: amount for path, amount in found.items() if amount is not None}


def _of_times(content: PromotionContent) -> Iterator[Rejection]:
    for path, moment in (("starts_at", content.starts_at), ("ends_at", content.ends_at)):
        if moment is not None and not EARLIEST <= moment < LATEST:
            yield _fault("a moment from 1970 to 2999", path)
    if content.starts_at is not None and content.ends_at is not None and content.ends_at <= content.starts_at:
        yield _fault("a promotion ends after it starts", "ends_at")


def _of_sets(content: PromotionContent) -> Iterator[Rejection]:
    """Sets that no line of the promotion's own scope can be in."""
    if not isinstance(content.benefit, BuyXGetY):
        return
    for name, values in (("buy", content.benefit.buy), ("get", content.benefit.get)):
        for dimension in ("products", "variants", "sellers"):
            wide, narrow = set(getattr(content.scope, dimension)), set(getattr(values, dimension))
            if wide and narrow and not wide & narrow:
                yield _fault("none of these is in the promotion's scope", f"benefit.{name}.{dimension}")


def _of_seller(content: PromotionContent, seller_id: UUID | None) -> Iterator[Rejection]:
    """A seller bears what is about sellers, and a seller's own promotions are about itself."""
    named = [(path, scope) for path, scope in _scopes(content) if scope.sellers]
    if seller_id is not None:
        for path, scope in named:
            if scope.sellers != (seller_id,):
                yield _fault("a seller's promotion is about its own offers: name no other seller", f"{path}.sellers")
        if content.funding is not Funding.SELLER:
            yield _fault("a seller bears its own promotions: say seller", "funding")
    elif named and content.funding is not Funding.SELLER:
        yield _fault("one that is about some sellers is borne by them: say seller", "funding")


def _scopes(content: PromotionContent) -> Iterator[tuple[str, Scope]]:
    yield "scope", content.scope
    if isinstance(content.benefit, BuyXGetY):
        yield "benefit.buy", content.benefit.buy
        yield "benefit.get", content.benefit.get


def _fault(detail: str, path: str) -> Rejection:
    return Rejection(400, Code.INVALID_REQUEST, detail, path)
