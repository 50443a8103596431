"""End promotions whose time is over, and raise an alarm where uses were counted wrong.

One command takes one bounded step and follows itself up while there is more. A promotion starts by itself: orders look
at the time they are placed at, and at its end too, so what is late here changes no price.
"""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from domain.journal.declare import Batch, batch
from domain.journal.model import SYSTEM, BatchOutcome, Succeeded
from domain.journal.tally import Tally
from domain.pricing.promotion_edit import Step
from domain.pricing.promotion_model import PromotionState, StoredPromotion
from domain.pricing.promotion_sql import change_of, change_promotions, compare_uses, lock_over, next_limited
from domain.pricing.promotion_sweep import SweepPromotions, SweptPromotions, UsesDiffer
from infra import telemetry

STEP_ENDS = 200
STEP_COMPARES = 50
LAST = UUID(int=2**128 - 1)
log = telemetry.logger()


class UsesDifferError(Exception):
    """Uses of a promotion were counted wrong; the message has the figures. Nobody repairs them but a person."""


@batch(SweepPromotions, commands_max=1)
async def sweep_promotions(batch: Batch[SweepPromotions]) -> Sequence[BatchOutcome]:
    """Take one step."""
    (claimed,) = batch.commands
    conn = batch.conn
    limited = await next_limited(conn, claimed.command.after, STEP_COMPARES)
    differing = await compare_uses(conn, limited)
    for each in differing:
        _raise_alarm(each)
        batch.tally(Tally.ALARMS, "promotion_uses_differ")
    over = await lock_over(conn, batch.now, STEP_ENDS)
    changes = [change_of(before, _ended(before), Step.END) for before in over]
    await change_promotions(conn, changes, batch.now, actor=SYSTEM, correlation=claimed.correlation)
    more = len(limited) == STEP_COMPARES or len(over) == STEP_ENDS
    if more:
        batch.follow_up(SweepPromotions(limited[-1] if len(limited) == STEP_COMPARES else LAST), claimed.correlation)
    return [Succeeded(SweptPromotions(len(over), tuple(differing), more))]


def _ended(promotion: StoredPromotion) -> StoredPromotion:
    return msgspec.structs.replace(promotion, version=promotion.version + 1, state=PromotionState.ENDED)


def _raise_alarm(differs: UsesDiffer) -> None:
    figures = msgspec.structs.asdict(differs)
    log.error("promotion_uses_differ", **figures)
    telemetry.report(UsesDifferError(str(figures)), job=SweepPromotions.job)
