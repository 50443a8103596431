"""Which promotions apply to an order, and what each takes off which line.

Invariant: pure, and the same for the same rules and lines, in whatever order codes were given. Phases follow each
other: line, order, shipping; in a phase the higher priority comes first, then the older, then the lower id. What is
eligible is tested on the totals as they run. Of a group one applies in each phase, the one that takes most off at the
group's turn; what is exclusive competes, alone, with all others together. No line falls below zero.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import assert_never
from uuid import UUID

from msgspec import Struct

from domain.money import BASIS_POINTS, round_half_up, split
from domain.pricing.bundles import Stock, discounted_units
from domain.pricing.promotion_model import (
    AmountOff,
    Benefit,
    BuyXGetY,
    FreeShipping,
    Funding,
    Level,
    PercentOff,
    PromotionContent,
    Stacking,
    StoredPromotion,
    currency_of,
    effective_funding,
)
from domain.pricing.scope import Facts, covers


class Phase(IntEnum):
    """When a promotion has its turn."""

    LINE = 0
    ORDER = 1
    SHIPPING = 2


class Reason(StrEnum):
    """Why a promotion or a code didn't apply."""

    UNKNOWN = "unknown"
    NOT_ACTIVE = "not_active"
    NOT_STARTED = "not_started"
    EXPIRED = "expired"
    NOT_FOR_YOU = "not_for_you"
    OTHER_CURRENCY = "other_currency"
    LIMIT_REACHED = "limit_reached"
    USER_LIMIT_REACHED = "user_limit_reached"
    NOT_FIRST_ORDER = "not_first_order"
    NO_MATCHING_LINES = "no_matching_lines"
    MINIMUM_SUBTOTAL_NOT_MET = "minimum_subtotal_not_met"
    MINIMUM_QUANTITY_NOT_MET = "minimum_quantity_not_met"
    NOTHING_TO_DISCOUNT = "nothing_to_discount"
    OUTDONE = "outdone"
    ALREADY_GIVEN = "already_given"

    @property
    def refuses(self) -> bool:
        """Whether a code that didn't apply for it refuses the order."""
        return self not in {Reason.OUTDONE, Reason.ALREADY_GIVEN}


class Live(Struct, frozen=True):
    """A promotion ready to compete. ``bit`` is its place in the index of scopes, where ``rank`` orders them.

    One that isn't ``restricted`` is for whoever orders, whenever, in its ``currency`` if it has one.
    """

    promotion: StoredPromotion
    bit: int
    phase: Phase
    rank: tuple[int, datetime, UUID]
    group: str | None
    """None for one that is stackable or exclusive."""
    exclusive: bool
    currency: str | None
    funding: Funding
    restricted: bool

    @property
    def content(self) -> PromotionContent:
        """What it does."""
        return self.promotion.content


def live(promotion: StoredPromotion, bit: int) -> Live:
    """Make a promotion ready to compete."""
    content = promotion.content
    return Live(
        promotion=promotion,
        bit=bit,
        phase=phase_of(content.benefit),
        rank=rank_of(promotion),
        group=content.group if content.stacking is Stacking.GROUP else None,
        exclusive=content.stacking is Stacking.EXCLUSIVE,
        currency=currency_of(content),
        funding=effective_funding(promotion),
        restricted=_is_restricted(promotion),
    )


def _is_restricted(promotion: StoredPromotion) -> bool:
    content = promotion.content
    windowed = content.starts_at is not None or content.ends_at is not None
    return windowed or bool(content.users) or promotion.limited


def rank_of(promotion: StoredPromotion) -> tuple[int, datetime, UUID]:
    """Its place among those of its phase: by priority, then age, then id."""
    return -promotion.content.priority, promotion.created_at, promotion.id


def phase_of(benefit: Benefit) -> Phase:
    """When a kind of promotion has its turn."""
    match benefit:
        case PercentOff(level) | AmountOff(level):
            return Phase.LINE if level is Level.LINE else Phase.ORDER
        case BuyXGetY():
            return Phase.LINE
        case FreeShipping():
            return Phase.SHIPPING
        case _:
            assert_never(benefit)


class Cart(Struct, frozen=True):
    """What promotions look at: lists in the order of the lines. ``seller_nos`` numbers the sellers from 0.

    ``masks`` has the bits of the promotions whose scope covers a line; ``gross_minor`` is what it costs undiscounted.
    """

    facts: list[Facts]
    masks: list[int]
    quantities: list[int]
    seller_nos: list[int]
    gross_minor: list[int]


class Applied(Struct, frozen=True):
    """What a promotion takes off: of each line, or of the shipping of each seller order, in minor units."""

    live: Live
    lines: list[int]
    shipping: list[int]
    total_minor: int


class Combination(Struct, frozen=True):
    """The promotions that apply together, and why the others don't; what is left to pay of lines and shipping."""

    applied: list[Applied]
    reasons: dict[UUID, Reason]
    lines_minor: list[int]
    costs_minor: list[int]
    shipping_minor: list[int]
    discount_minor: int


ShippingCosts = Callable[[Sequence[int]], list[int]]
"""From what is paid for each line to what shipping each seller order costs."""


def combine(lives: Sequence[Live], cart: Cart, shipping_costs: ShippingCosts) -> Combination:
    """Let promotions compete for an order."""
    if not lives:
        # Nearly every order, where nobody has made any.
        costs = shipping_costs(cart.gross_minor)
        return Combination([], {}, cart.gross_minor, costs, costs, 0)
    together = _run([each for each in lives if not each.exclusive], cart, shipping_costs)
    best, best_rank = together, min((applied.live.rank for applied in together.applied), default=None)
    alone = [
        (each, _run([each], cart, shipping_costs)) for each in sorted(lives, key=lambda e: e.rank) if each.exclusive
    ]
    for each, result in alone:
        more = result.discount_minor > best.discount_minor
        as_much = result.discount_minor == best.discount_minor and best_rank is not None and each.rank < best_rank
        if result.applied and (more or as_much):
            best, best_rank = result, each.rank
    if not alone:
        return together
    reasons = {**together.reasons, **{id_: reason for _, result in alone for id_, reason in result.reasons.items()}}
    winners = {applied.live.promotion.id for applied in best.applied}
    for loser in (applied for result in (together, *(r for _, r in alone)) for applied in result.applied):
        if loser.live.promotion.id not in winners:
            reasons[loser.live.promotion.id] = Reason.OUTDONE
    return Combination(
        best.applied, reasons, best.lines_minor, best.costs_minor, best.shipping_minor, best.discount_minor
    )


class _Running:
    """The totals as they run."""

    def __init__(self, cart: Cart) -> None:
        self.cart = cart
        self.lines = list(cart.gross_minor)
        self.shipping: list[int] = []
        self.applied: list[Applied] = []
        self.reasons: dict[UUID, Reason] = {}

    def apply(self, each: Live, amounts: list[int]) -> None:
        nothing: list[int] = []
        shipping = each.phase is Phase.SHIPPING
        left = self.shipping if shipping else self.lines
        for n, amount in enumerate(amounts):
            left[n] -= amount
        self.applied.append(
            Applied(each, nothing if shipping else amounts, amounts if shipping else nothing, sum(amounts))
        )


def _run(lives: Sequence[Live], cart: Cart, shipping_costs: ShippingCosts) -> Combination:
    running = _Running(cart)
    by_phase: tuple[list[Live], ...] = ([], [], [])
    for each in lives:
        by_phase[each.phase].append(each)
    for phase in (Phase.LINE, Phase.ORDER):
        _take_turns(by_phase[phase], running)
    costs = shipping_costs(running.lines)
    running.shipping = list(costs)
    _take_turns(by_phase[Phase.SHIPPING], running)
    discount = sum(applied.total_minor for applied in running.applied)
    return Combination(running.applied, running.reasons, running.lines, costs, running.shipping, discount)


def _take_turns(lives: list[Live], running: _Running) -> None:
    """Give the promotions of a phase their turns; a group has its turn with the first of it that is eligible."""
    lives.sort(key=_bit_of)
    settled: set[str] = set()
    for n, each in enumerate(lives):
        if each.group in settled:
            continue
        amounts = discount(each, running.cart, running.lines, running.shipping)
        if isinstance(amounts, Reason):
            running.reasons[each.promotion.id] = amounts
            continue
        if each.group is not None:
            settled.add(each.group)
            rivals = [rival for rival in lives[n + 1 :] if rival.group == each.group]
            each, amounts = _best_of(each, amounts, rivals, running)  # noqa: PLW2901 - the one whose turn it is now
        running.apply(each, amounts)


def _bit_of(each: Live) -> int:
    return each.bit


def _best_of(first: Live, amounts: list[int], rivals: Sequence[Live], running: _Running) -> tuple[Live, list[int]]:
    best, best_amounts = first, amounts
    for rival in rivals:
        theirs = discount(rival, running.cart, running.lines, running.shipping)
        if isinstance(theirs, Reason):
            running.reasons[rival.promotion.id] = theirs
            continue
        loser = rival
        if sum(theirs) > sum(best_amounts):
            loser, best, best_amounts = best, rival, theirs
        running.reasons[loser.promotion.id] = Reason.OUTDONE
    return best, best_amounts


def discount(each: Live, cart: Cart, lines: Sequence[int], shipping: Sequence[int]) -> list[int] | Reason:
    """What a promotion takes off at its turn, of each line or, in the last phase, of each seller order's shipping."""
    content = each.content
    covered = [n for n, mask in enumerate(cart.masks) if mask >> each.bit & 1]
    if not covered:
        return Reason.NO_MATCHING_LINES
    minimum = content.minimum_subtotal
    if minimum is not None and sum([lines[n] for n in covered]) < minimum.amount:
        return Reason.MINIMUM_SUBTOTAL_NOT_MET
    if content.minimum_quantity is not None and sum([cart.quantities[n] for n in covered]) < content.minimum_quantity:
        return Reason.MINIMUM_QUANTITY_NOT_MET
    amounts = _amounts(content.benefit, covered, cart, lines, shipping)
    return amounts if any(amounts) else Reason.NOTHING_TO_DISCOUNT


def _amounts(
    benefit: Benefit, covered: Sequence[int], cart: Cart, lines: Sequence[int], shipping: Sequence[int]
) -> list[int]:
    amounts = [0] * len(lines)
    match benefit:
        case PercentOff(Level.LINE, off_bp, cap):
            for n in covered:
                amounts[n] = round_half_up(lines[n] * off_bp, BASIS_POINTS)
            if cap is not None and sum(amounts) > cap.amount:
                amounts = split(cap.amount, amounts)
        case PercentOff(Level.ORDER, off_bp, cap):
            total = round_half_up(sum([lines[n] for n in covered]) * off_bp, BASIS_POINTS)
            _spread(total if cap is None else min(total, cap.amount), covered, lines, amounts)
        case AmountOff(Level.LINE, amount):
            for n in covered:
                amounts[n] = min(amount.amount * cart.quantities[n], lines[n])
        case AmountOff(Level.ORDER, amount):
            _spread(min(amount.amount, sum([lines[n] for n in covered])), covered, lines, amounts)
        case BuyXGetY():
            stocks = [_stock(benefit, cart, n, lines[n]) for n in covered]
            units = discounted_units(stocks, benefit.buy_quantity, benefit.get_quantity, benefit.times_max)
            for n, taken in zip(covered, units, strict=True):
                amounts[n] = round_half_up(lines[n] * taken * benefit.off_bp, cart.quantities[n] * BASIS_POINTS)
        case FreeShipping():
            free = {cart.seller_nos[n] for n in covered}
            return [cost if seller_no in free else 0 for seller_no, cost in enumerate(shipping)]
        case _:
            # Every case above, with every level, returns.
            raise AssertionError(benefit)
    return amounts


def _spread(amount: int, covered: Sequence[int], lines: Sequence[int], amounts: list[int]) -> None:
    for n, part in zip(covered, split(amount, [lines[n] for n in covered]), strict=True):
        amounts[n] = part


def _stock(benefit: BuyXGetY, cart: Cart, n: int, left: int) -> Stock:
    facts = cart.facts[n]
    return Stock(cart.quantities[n], left, buys=covers(benefit.buy, facts), gets=covers(benefit.get, facts))
