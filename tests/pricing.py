"""Rules that orders are priced by, for tests that have a connection and no api; their events tell them, too."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from domain.journal.model import SYSTEM
from domain.pricing.commission_edit import StoredRule
from domain.pricing.commission_model import CommissionContent
from domain.pricing.commission_sql import PART, Edit, write_rules
from domain.pricing.promotion_edit import Step
from domain.pricing.promotion_model import Level, PercentOff, PromotionState, StoredPromotion
from domain.pricing.promotion_sql import change_of, change_promotions
from domain.pricing.scope import Scope
from domain.pricing.version_sql import raise_version
from infra import postgres
from infra.clock import new_id
from ops.goods import NewOffer
from tests.promotions import write_promotion


async def write_rule(conn: Any, **content: Any) -> StoredRule:
    """Write a commission rule that is new."""
    made = StoredRule(new_id(), 1, False, CommissionContent(title="A rule", **content))
    await _write(conn, "commission_rule.created", made)
    return made


async def change_rule(conn: Any, rule: StoredRule, **content: Any) -> StoredRule:
    """Have a rule that no line pays by say something else."""
    changed = StoredRule(rule.id, rule.version + 1, False, msgspec.structs.replace(rule.content, **content))
    await _write(conn, "commission_rule.changed", changed)
    return changed


async def _write(conn: Any, kind: str, rule: StoredRule) -> None:
    async with postgres.transaction(conn):
        version = await raise_version(conn, PART)
        await write_rules(conn, [(kind, rule)], Edit(version, datetime.now(UTC), SYSTEM, "test"))


async def write_discount(conn: Any, off_bp: int, *offers: NewOffer) -> StoredPromotion:
    """Have the platform give a part of each line of some offers."""
    scope = Scope(products=tuple(offer.product_id for offer in offers))
    return await write_promotion(conn, benefit=PercentOff(Level.LINE, off_bp), scope=scope, automatic=True)


async def end_promotion(conn: Any, promotion: StoredPromotion) -> None:
    """End a promotion; orders that use it keep what it took off."""
    over = msgspec.structs.replace(promotion, version=promotion.version + 1, state=PromotionState.ENDED)
    async with postgres.transaction(conn):
        change = change_of(promotion, over, Step.END)
        await change_promotions(conn, [change], datetime.now(UTC), actor=SYSTEM, correlation="test")
