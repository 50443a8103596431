"""What buyers do about orders that were placed, over HTTP, and how their orders stand in the end.

Invariant: how an order ends follows from its story and the number of its lines alone, whatever its gateway does
meanwhile: declines, loses answers, tells of a payment late or twice. Each request has a key of its own, made of the
order's; a buyer who is impatient about the order is so about paying, and sends that twice at once.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from enum import StrEnum
from uuid import UUID

from domain.orders.model import OrderStatus, Payment
from infra.gateways import sandbox
from ops.sale import Story, Wish
from ops.shopper import Shopper, Standing

LOOK_SECONDS = 0.25


class Step(StrEnum):
    """What a buyer does: one of the sandbox's tokens to pay with, or something else."""

    OK = sandbox.OK
    DECLINED = sandbox.DECLINED
    ACTION_REQUIRED = sandbox.ACTION_REQUIRED
    TIMEOUT_BEFORE = sandbox.TIMEOUT_BEFORE
    TIMEOUT_AFTER = sandbox.TIMEOUT_AFTER
    LATE_WEBHOOK = sandbox.LATE_WEBHOOK
    DUPLICATE_WEBHOOK = sandbox.DUPLICATE_WEBHOOK
    CONFIRM = "confirm"
    CANCEL = "cancel"
    CANCEL_A_LINE = "cancel-line"


STEPS: Mapping[Story, Sequence[Step]] = {
    Story.PAYS: (Step.OK,),
    Story.PAYS_AFTER_A_DECLINE: (Step.DECLINED, Step.OK),
    Story.ACTS_AND_PAYS: (Step.ACTION_REQUIRED, Step.CONFIRM),
    Story.PAYS_AT_THE_SECOND_CALL: (Step.TIMEOUT_BEFORE,),
    Story.PAYS_AND_THE_ANSWER_IS_LOST: (Step.TIMEOUT_AFTER,),
    Story.PAYS_AND_IS_TOLD_LATE: (Step.LATE_WEBHOOK,),
    Story.PAYS_AND_IS_TOLD_TWICE: (Step.DUPLICATE_WEBHOOK,),
    Story.CANCELS: (Step.CANCEL,),
    # Of an order of one line that is all of it: there is nothing to pay then, and it is refused.
    Story.CANCELS_A_LINE_AND_PAYS: (Step.CANCEL_A_LINE, Step.OK),
    Story.PAYS_AND_CANCELS: (Step.OK, Step.CANCEL),
    Story.PAYS_AND_CANCELS_A_LINE: (Step.OK, Step.CANCEL_A_LINE),
    Story.IS_DECLINED_AND_LEAVES: (Step.DECLINED,),
    Story.LEAVES: (),
}

PAID = Standing(OrderStatus.CONFIRMED, Payment.PAID)
REFUNDED = Standing(OrderStatus.CANCELLED, Payment.REFUNDED)
REFUNDED_IN_PART = Standing(OrderStatus.CONFIRMED, Payment.PARTIALLY_REFUNDED)
CANCELLED = Standing(OrderStatus.CANCELLED, Payment.UNPAID)
EXPIRED = Standing(OrderStatus.EXPIRED, Payment.UNPAID)
DECLINED = Standing(OrderStatus.EXPIRED, Payment.FAILED)

# Of orders of several lines, and of one; all others are paid in the end.
IN_PART = {
    Story.CANCELS: CANCELLED,
    Story.PAYS_AND_CANCELS: REFUNDED,
    Story.PAYS_AND_CANCELS_A_LINE: REFUNDED_IN_PART,
    Story.IS_DECLINED_AND_LEAVES: DECLINED,
    Story.LEAVES: EXPIRED,
}
WHOLE = {**IN_PART, Story.CANCELS_A_LINE_AND_PAYS: CANCELLED, Story.PAYS_AND_CANCELS_A_LINE: REFUNDED}

ENDS_BY_ITSELF = frozenset(
    {
        Story.PAYS_AND_IS_TOLD_LATE,
        Story.PAYS_AND_CANCELS,
        Story.PAYS_AND_CANCELS_A_LINE,
        Story.IS_DECLINED_AND_LEAVES,
        Story.LEAVES,
    }
)
"""Whose end comes after the last answer: a webhook, a refund, the time that runs out."""


def end_of(wish: Wish) -> Standing:
    """How an order that was placed stands in the end."""
    several = len(wish.order.lines) > 1
    return (IN_PART if several else WHOLE).get(wish.story, PAID)


def units_of_one_seller(wish: Wish) -> int:
    """The most units that one seller is asked for and sends: none counts if the buyer cancels a line."""
    if wish.story is Story.CANCELS_A_LINE_AND_PAYS:
        return 0
    units: Counter[UUID] = Counter()
    for line in wish.order.lines:
        units[line.seller_id] += line.quantity
    return max(units.values())


class Buyer:
    """Lives the story of one order. ``repeats`` counts payments that were sent again, ``astray`` those of them that
    were answered with another job.
    """

    def __init__(self, shopper: Shopper, wish: Wish, order: UUID) -> None:
        self._shopper = shopper
        self._wish = wish
        self._order = order
        self.repeats = 0
        self.astray = 0

    async def live(self) -> None:
        """Do what the story says, one thing after the other; raises ShopError."""
        for step in STEPS[self._wish.story]:
            await self._take(step)

    async def see_the_end(self, seconds: float) -> None:
        """Look at the order until it stands as it should, or the time is over."""
        deadline = time.perf_counter() + seconds
        while True:
            standing = await self._shopper.look(self._order)
            if standing == end_of(self._wish) or time.perf_counter() > deadline:
                return
            await asyncio.sleep(LOOK_SECONDS)

    async def _take(self, step: Step) -> None:
        key = f"{step}-{self._wish.key}"
        match step:
            case Step.CONFIRM:
                await self._shopper.confirm_payment(key, self._order)
            case Step.CANCEL | Step.CANCEL_A_LINE:
                lines = (0,) if step is Step.CANCEL_A_LINE else None
                await self._shopper.cancel(key, self._order, lines=lines, reason="changed my mind")
            case _:
                await self._pay(key, step)

    async def _pay(self, key: str, token: str) -> None:
        times = 2 if self._wish.copies > 1 else 1
        first, *others = await asyncio.gather(*(self._shopper.pay(key, self._order, token) for _ in range(times)))
        self.repeats += len(others)
        self.astray += sum(other.job != first.job for other in others)
