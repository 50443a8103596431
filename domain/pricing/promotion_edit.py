"""What may happen to a promotion: made as a draft, edited, activated and paused in turn, ended.

Invariant: every step makes the next version, with what the promotion does then; the same said again makes none. Whether
uses are counted is settled when it is first activated: orders that came before would be missing from a count that
began later.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from msgspec import Struct, structs

from domain.pricing.promotion_faults import fault_of
from domain.pricing.promotion_model import PromotionContent, PromotionState, StoredPromotion
from domain.rejections import Code, Rejection


class Step(StrEnum):
    """What somebody does to a promotion, in the past tense of the refusal's sentence."""

    EDIT = "edited"
    ACTIVATE = "activated"
    PAUSE = "paused"
    END = "ended"


NEXT: Mapping[PromotionState, Mapping[Step, PromotionState]] = {
    PromotionState.DRAFT: {Step.EDIT: PromotionState.DRAFT, Step.ACTIVATE: PromotionState.ACTIVE},
    PromotionState.ACTIVE: {
        Step.EDIT: PromotionState.ACTIVE,
        Step.PAUSE: PromotionState.PAUSED,
        Step.END: PromotionState.ENDED,
    },
    PromotionState.PAUSED: {
        Step.EDIT: PromotionState.PAUSED,
        Step.ACTIVATE: PromotionState.ACTIVE,
        Step.END: PromotionState.ENDED,
    },
    PromotionState.ENDED: {},
}


class PromotionCreated(Struct, frozen=True):
    """The event ``promotion.created``."""

    seller_id: UUID | None
    content: PromotionContent


class PromotionChanged(Struct, frozen=True):
    """The event ``promotion.changed``."""

    content: PromotionContent


class CodesMade(Struct, frozen=True):
    """The event ``promotion.codes_made``."""

    made: int


def next_state(state: PromotionState, step: Step) -> PromotionState | Rejection:
    """The state a step leads to, or a 409 that names the state and what may be done from it."""
    allowed = NEXT[state]
    if step in allowed:
        return allowed[step]
    may = f"it may be {' or '.join(step.value for step in allowed)}" if allowed else "nothing follows"
    detail = f"the promotion is {state.value} and can't be {step.value}; from there {may}"
    return Rejection(409, Code.PROMOTION_STATE, detail)


def take(promotion: StoredPromotion, step: Step, now: datetime) -> StoredPromotion | Rejection:
    """The promotion after a step that changes its state alone."""
    state = next_state(promotion.state, step)
    if isinstance(state, Rejection):
        return state
    ends_at = promotion.content.ends_at
    if step is Step.ACTIVATE and ends_at is not None and ends_at <= now:
        detail = f"the promotion is {promotion.state.value} and its time is over: say another ends_at first"
        return Rejection(409, Code.PROMOTION_STATE, detail, "ends_at")
    return structs.replace(promotion, version=promotion.version + 1, state=state)


def edit(promotion: StoredPromotion, content: PromotionContent) -> StoredPromotion | Rejection:
    """The promotion with other content; itself when it says the same."""
    state = next_state(promotion.state, Step.EDIT)
    if isinstance(state, Rejection):
        return state
    refusal = fault_of(content, promotion.seller_id) or _refuse_to_count(promotion, content)
    if refusal is not None:
        return refusal
    if content == promotion.content:
        return promotion
    return structs.replace(promotion, version=promotion.version + 1, content=content)


def _refuse_to_count(promotion: StoredPromotion, content: PromotionContent) -> Rejection | None:
    """Refuse to count uses, or to stop counting, when orders may have used the promotion already."""
    if promotion.state is PromotionState.DRAFT:
        return None
    before = promotion.content
    settled = {
        "uses_max": (before.uses_max is None) == (content.uses_max is None),
        "uses_per_user_max": before.uses_per_user_max == content.uses_per_user_max,
        "first_order": before.first_order == content.first_order,
    }
    changed = next((name for name, same in settled.items() if not same), None)
    if changed is None:
        return None
    detail = f"the promotion is {promotion.state.value}: what it counts was settled when it was activated"
    return Rejection(409, Code.PROMOTION_STATE, detail, changed)
