"""Who takes part in the contest of promotions for an order: automatic ones that cover a line, and those codes bring.

Invariant: whether a promotion takes part depends on the order's buyer, currency and time and on its uses so far, never
on the totals: those are tested at its turn. The order of codes doesn't matter; one promotion takes part once.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from msgspec import Struct

from domain.pricing.book import Promotions
from domain.pricing.promotion_model import Funding, PromotionState
from domain.pricing.promotions import Live, Reason
from domain.pricing.scope import bits_of


class CodeGiven(Struct, frozen=True):
    """A code as the buyer wrote it, ``key`` as codes are compared, and the promotion it is of with its state."""

    text: str
    key: str
    promotion_id: UUID | None
    state: PromotionState | None


class FoundCode(Struct, frozen=True):
    """The promotion a code brings, and the state it is in."""

    promotion_id: UUID
    state: PromotionState


class Usage(Struct):
    """How often promotions were used so far, and who has an order: what limits are held against.

    Promotions without a limit aren't counted here.
    """

    uses: dict[UUID, int]
    uses_by_user: dict[tuple[UUID, UUID], int]
    has_ordered: set[UUID]

    def copy(self) -> "Usage":
        """Count on from here without changing this."""
        return Usage(dict(self.uses), dict(self.uses_by_user), set(self.has_ordered))

    def draw(self, promotion_id: UUID, buyer: UUID) -> None:
        """Count a use of a promotion with a limit."""
        self.uses[promotion_id] = self.uses.get(promotion_id, 0) + 1
        self.uses_by_user[promotion_id, buyer] = self.uses_by_user.get((promotion_id, buyer), 0) + 1


class Buyer(Struct, frozen=True):
    """Who orders, in which currency, when, and what was used before."""

    id: UUID
    currency: str
    now: datetime
    usage: Usage


def no_usage() -> Usage:
    """Nobody has used or ordered anything."""
    return Usage({}, {}, set())


class Out(Struct, frozen=True):
    """A promotion or a code that takes no part, and why."""

    promotion_id: UUID | None
    version: int
    title: str
    funding: Funding
    code: str | None
    reason: Reason


class Candidates(Struct, frozen=True):
    """Who takes part, which code brought whom, and who doesn't."""

    lives: list[Live]
    brought: dict[UUID, str]
    out: list[Out]


def candidates_of(buyer: Buyer, codes: Sequence[CodeGiven], masks: Sequence[int], promotions: Promotions) -> Candidates:
    """Find who takes part; ``masks`` has the bits of the promotions that cover each line."""
    candidates = Candidates([], {}, [])
    covering = 0
    for mask in masks:
        covering |= mask
    for bit in bits_of(covering & promotions.automatic):
        _enter(promotions.lives[bit], None, buyer, candidates)
    entered = {each.promotion.id for each in candidates.lives}
    seen: set[str] = set()
    for given in sorted(codes, key=lambda code: (code.key, code.text)):
        if given.key in seen:
            continue
        seen.add(given.key)
        each = promotions.by_id.get(given.promotion_id) if given.promotion_id is not None else None
        if each is None:
            candidates.out.append(Out(given.promotion_id, 0, "", Funding.PLATFORM, given.text, _absence(given)))
        elif each.promotion.id in entered:
            candidates.out.append(_out(each, given.text, Reason.ALREADY_GIVEN))
        else:
            entered.add(each.promotion.id)
            _enter(each, given.text, buyer, candidates)
    return candidates


def _enter(each: Live, code: str | None, buyer: Buyer, candidates: Candidates) -> None:
    reason = unavailable(each, buyer)
    if reason is not None:
        candidates.out.append(_out(each, code, reason))
        return
    candidates.lives.append(each)
    if code is not None:
        candidates.brought[each.promotion.id] = code


def _out(each: Live, code: str | None, reason: Reason) -> Out:
    content = each.content
    return Out(each.promotion.id, each.promotion.version, content.title, each.funding, code, reason)


def _absence(given: CodeGiven) -> Reason:
    match given.state:
        case None:
            return Reason.UNKNOWN
        case PromotionState.ENDED:
            return Reason.EXPIRED
        case _:
            return Reason.NOT_ACTIVE


def unavailable(each: Live, buyer: Buyer) -> Reason | None:
    """Why a promotion isn't for this order whatever it holds; None if it may be."""
    if not each.restricted:
        return Reason.OTHER_CURRENCY if each.currency not in {None, buyer.currency} else None
    return _out_of_time(each, buyer.now) or _not_for(each, buyer) or _used_up(each, buyer)


def _out_of_time(each: Live, now: datetime) -> Reason | None:
    content = each.content
    if content.starts_at is not None and now < content.starts_at:
        return Reason.NOT_STARTED
    return Reason.EXPIRED if content.ends_at is not None and now >= content.ends_at else None


def _not_for(each: Live, buyer: Buyer) -> Reason | None:
    content = each.content
    if content.users and buyer.id not in content.users:
        return Reason.NOT_FOR_YOU
    if each.currency not in {None, buyer.currency}:
        return Reason.OTHER_CURRENCY
    return Reason.NOT_FIRST_ORDER if content.first_order and buyer.id in buyer.usage.has_ordered else None


def _used_up(each: Live, buyer: Buyer) -> Reason | None:
    content, usage, promotion_id = each.content, buyer.usage, each.promotion.id
    if content.uses_max is not None and usage.uses.get(promotion_id, 0) >= content.uses_max:
        return Reason.LIMIT_REACHED
    most = content.uses_per_user_max
    if most is not None and usage.uses_by_user.get((promotion_id, buyer.id), 0) >= most:
        return Reason.USER_LIMIT_REACHED
    return None
