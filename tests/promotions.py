"""Promotions for tests that have a connection and no api."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from domain.journal.model import SYSTEM
from domain.pricing.code_sql import claim_codes, note_batch
from domain.pricing.promotion_edit import CodesMade, Step
from domain.pricing.promotion_model import Level, PercentOff, PromotionContent, PromotionState, StoredPromotion
from domain.pricing.promotion_sql import Change, change_of, change_promotions, insert_promotions
from infra import postgres
from infra.clock import new_id

HALF = PercentOff(Level.ORDER, 5_000)
_STEPS = {
    PromotionState.DRAFT: (),
    PromotionState.ACTIVE: (Step.ACTIVATE,),
    PromotionState.PAUSED: (Step.ACTIVATE, Step.PAUSE),
    PromotionState.ENDED: (Step.ACTIVATE, Step.END),
}
_LEADS_TO = {
    Step.ACTIVATE: PromotionState.ACTIVE,
    Step.PAUSE: PromotionState.PAUSED,
    Step.END: PromotionState.ENDED,
}


async def write_promotion(
    conn: Any,
    *codes: str,
    state: PromotionState = PromotionState.ACTIVE,
    seller_id: UUID | None = None,
    **content: Any,
) -> StoredPromotion:
    """Write a promotion as the routes do, with its codes; half off the order unless its content says otherwise."""
    said = PromotionContent(**{"title": "A promotion", "benefit": HALF, **content})
    promotion = StoredPromotion(new_id(), 1, seller_id, PromotionState.DRAFT, said, datetime.now(UTC))
    async with postgres.transaction(conn):
        await insert_promotions(conn, [promotion], actor=SYSTEM, correlation="test")
        for step in _STEPS[state]:
            before, promotion = (
                promotion,
                msgspec.structs.replace(promotion, version=promotion.version + 1, state=_LEADS_TO[step]),
            )
            change = change_of(before, promotion, step)
            await change_promotions(conn, [change], datetime.now(UTC), actor=SYSTEM, correlation="test")
        if codes:
            made, _ = await claim_codes(conn, promotion.id, codes)
            await note_batch(conn, new_id(), promotion.id, made, datetime.now(UTC))
            before, promotion = promotion, msgspec.structs.replace(promotion, version=promotion.version + 1)
            change = Change(before, promotion, "promotion.codes_made", msgspec.json.encode(CodesMade(made)))
            await change_promotions(conn, [change], datetime.now(UTC), actor=SYSTEM, correlation="test")
    return promotion
