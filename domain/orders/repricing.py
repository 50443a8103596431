"""The decision to price orders again: other codes, and the promotions that hold now.

Invariant: pure; one command at a time in the order given, each seeing what the ones before it used and gave back. What
placing froze stays: unit prices, rates of tax, terms of commission, what shipping costs. An order's own uses never
stand in its way, so that pricing it again by the same rules and codes changes no amount.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.journal.declare import decide_each
from domain.journal.model import BatchOutcome, Claimed, Deferred, Event, Rejected, Succeeded
from domain.money import Money
from domain.orders.basket import codes_given, refuse_codes
from domain.orders.cancellation import OpenOrder, Placing, not_placed
from domain.orders.lifecycle import refuse_repricing
from domain.orders.model import (
    ApplyPromotions,
    CodeInVain,
    CodesMode,
    OrderRepriced,
    PromotionOnOrder,
    RepricedOrder,
)
from domain.orders.price import Price, frozen_shipping, price_of
from domain.pricing.book import Book
from domain.pricing.contest import FoundCode, Usage
from domain.pricing.quote import PriceVersion, QuoteLine, QuoteOrder, quote
from domain.pricing.use_sql import Redemption
from domain.pricing.uses import ALL_USERS, FIRST_ORDER, UseKey, counters_of
from domain.rejections import Rejection

_encode = msgspec.json.Encoder().encode
OwnUses = dict[UUID, bool]
"""The promotions an order uses, and whether each is for first orders."""


class Rules(Struct, frozen=True):
    """What orders are priced again by.

    ``lines`` has each order's lines by number, ``own`` what each uses now; ``later`` are the orders whose buyers have
    an earlier one; ``counted`` are the counters there are, those of promotions with a limit.
    """

    book: Book
    usage: Usage
    codes: Mapping[str, FoundCode]
    lines: Mapping[UUID, Mapping[int, QuoteLine]]
    own: Mapping[UUID, OwnUses]
    later: set[UUID]
    counted: Collection[UseKey]
    now: datetime


class RepricingPlan(Struct, frozen=True):
    """What pricing again comes to. Orders that come to what they were have nothing here but their outcome."""

    outcomes: list[BatchOutcome]
    price_versions: list[tuple[UUID, int, Price]]
    """(order id, version, price)"""
    versions: dict[UUID, int]
    """order id -> its stream's new version"""
    redemptions: dict[tuple[UUID, UUID], Redemption | None]
    """(order id, promotion id) -> how it is used now; None for a use that comes back"""
    uses: dict[UseKey, int]
    events: list[Event]
    free: dict[UUID, str]
    """orders that cost nothing now, with the correlation id of what made them so"""


def own_counters(own: OwnUses, buyer: UUID) -> list[UseKey]:
    """The counters that an order's uses may go by; of those without a limit there are none."""
    keys = [(promotion, user) for promotion in own for user in (ALL_USERS, buyer)]
    return [*keys, (FIRST_ORDER, buyer)] if any(own.values()) else keys


def decide(
    commands: Sequence[Claimed[ApplyPromotions]],
    orders: Mapping[UUID, OpenOrder],
    placings: Mapping[UUID, Placing],
    rules: Rules,
) -> RepricingPlan:
    """Decide repricings of locked orders on locked counters; ``placings`` tells of orders that have no row."""
    plan = RepricingPlan([], [], {}, {}, {}, [], {})
    counting = _Counting(rules, plan)
    uses = {order: dict(own) for order, own in rules.own.items()}

    def reprice(claimed: Claimed[ApplyPromotions]) -> BatchOutcome:
        command = claimed.command
        order = orders.get(command.order_id)
        if order is None:
            placing = placings.get(command.order_id)
            return Deferred() if placing is None else Rejected(not_placed(placing))
        refusal = refuse_repricing(order.payment, list(order.fulfilments.values()), expired=order.expired)
        if refusal is not None:
            return Rejected(refusal)
        own = uses.setdefault(order.id, {})
        others = _without(counting.usage, order, own, rules)
        version = quote(_basket(command, order, rules), rules.book, others, rules.now)
        if isinstance(version, Rejection):
            return Rejected(version)
        if command.promotions is CodesMode.STRICT:
            refusal = refuse_codes(command.codes, version.refused_codes)
            if refusal is not None:
                return Rejected(refusal)
        price = price_of(version, sorted(order.price.lines), {seller: n for n, seller in enumerate(order.fulfilments)})
        if price != order.price:
            event = _event(claimed, order, price)
            counting.use(order, price, own)
            order.version += 1
            order.price_version += 1
            order.price = price
            plan.versions[order.id] = order.version
            plan.price_versions.append((order.id, order.price_version, price))
            plan.events.append(event)
            plan.free.pop(order.id, None)
            if price.total_minor == 0:
                plan.free[order.id] = claimed.correlation
        return Succeeded(_result(order, version))

    plan.outcomes.extend(decide_each(commands, reprice))
    return plan


def _basket(command: ApplyPromotions, order: OpenOrder, rules: Rules) -> QuoteOrder:
    """What is left of an order, as it was frozen."""
    lines = rules.lines[order.id]
    return QuoteOrder(
        buyer=order.buyer,
        currency=order.currency,
        lines=[lines[number] for number in sorted(order.price.lines)],
        codes=codes_given(command.codes, rules.codes),
        shipping=frozen_shipping(order.price, dict(enumerate(order.fulfilments))),
    )


def _without(usage: Usage, order: OpenOrder, own: OwnUses, rules: Rules) -> Usage:
    """What was used by others: an order's own uses are for it to use again."""
    others = usage.copy()
    for promotion in own:
        if promotion in others.uses:
            others.uses[promotion] -= 1
        if (promotion, order.buyer) in others.uses_by_user:
            others.uses_by_user[promotion, order.buyer] -= 1
    if any(own.values()):
        # It is the first one, as was found when it came to use that.
        others.has_ordered.discard(order.buyer)
    elif order.id in rules.later:
        others.has_ordered.add(order.buyer)
    return others


class _Counting:
    """Keeps count of uses from one command to the next."""

    def __init__(self, rules: Rules, plan: RepricingPlan) -> None:
        self.usage = rules.usage.copy()
        self._book, self._counted, self._plan = rules.book, rules.counted, plan

    def use(self, order: OpenOrder, price: Price, own: OwnUses) -> None:
        """Give back what no longer applies to an order, draw what applies anew."""
        applied = {part.promotion_id: part for part in price.applied if part.promotion_id is not None}
        for promotion in [each for each in own if each not in applied]:
            self._count(own_counters({promotion: own.pop(promotion)}, order.buyer), -1, order.buyer)
            self._plan.redemptions[order.id, promotion] = None
        for promotion, part in applied.items():
            stored = self._book.promotions.by_id[promotion].promotion
            if promotion not in own:
                self._count(counters_of(stored, order.buyer), 1, order.buyer)
                own[promotion] = stored.content.first_order
            self._plan.redemptions[order.id, promotion] = Redemption(
                order.id, promotion, part.version, part.code, order.buyer, order.currency, part.amount_minor
            )

    def _count(self, keys: Iterable[UseKey], delta: int, buyer: UUID) -> None:
        usage, uses = self.usage, self._plan.uses
        for promotion, user in keys:
            if (promotion, user) not in self._counted:
                continue
            uses[promotion, user] = uses.get((promotion, user), 0) + delta
            if promotion == FIRST_ORDER:
                (usage.has_ordered.add if delta > 0 else usage.has_ordered.discard)(buyer)
            elif user == ALL_USERS:
                usage.uses[promotion] = usage.uses.get(promotion, 0) + delta
            else:
                usage.uses_by_user[promotion, user] = usage.uses_by_user.get((promotion, user), 0) + delta


def _event(claimed: Claimed[ApplyPromotions], order: OpenOrder, price: Price) -> Event:
    data = OrderRepriced(
        price_version=order.price_version + 1,
        total_minor=price.total_minor,
        discount_minor=price.discount_minor,
        shipping_minor=price.shipping_minor,
        tax_minor=price.tax_minor,
        promotions=tuple(part.promotion_id for part in price.applied if part.promotion_id is not None),
    )
    return Event(
        order.id,
        order.version + 1,
        "order.repriced",
        _encode(data).decode(),
        claimed.principal,
        claimed.correlation,
    )


def _result(order: OpenOrder, version: PriceVersion) -> RepricedOrder:
    return RepricedOrder(
        order_id=order.id,
        price_version=order.price_version,
        total=Money(order.price.total_minor, order.currency),
        discount=Money(order.price.discount_minor, order.currency),
        promotions=tuple(
            PromotionOnOrder(each.promotion_id, each.title, each.code, Money(each.amount_minor, order.currency))
            for each in version.applied
            if each.promotion_id is not None
        ),
        codes_in_vain=tuple(
            CodeInVain(each.code, each.reason)
            for each in version.promotions
            if each.code is not None and each.reason is not None
        ),
    )
