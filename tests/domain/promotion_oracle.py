"""Promotions, slowly and from the prose alone: no index, no shared sums, every discount worked out with fractions.

It takes what was generated and gives, for each promotion that competes, what it took off of which line or seller, or
why it didn't. Only the Structs are the engine's.
"""

from fractions import Fraction
from itertools import product as every
from math import floor

from domain.pricing.promotion_model import AmountOff, BuyXGetY, FreeShipping, Level, PercentOff, Stacking
from domain.pricing.promotions import Reason
from domain.pricing.shipping import BySubtotal, ByWeight, Flat
from tests.domain.pricing_builders import NOW


def _ways(lines):
    """Every way to say of each line how many of its units qualify and how many are discounted."""
    of_each = []
    for each in lines:
        qualify = range(each.units + 1) if each.buys else [0]
        discounted = range(each.units + 1) if each.gets else [0]
        of_each.append([(q, d) for q in qualify for d in discounted if q + d <= each.units])
    return every(*of_each)


def brute_force(lines, buy_quantity, get_quantity, times_max):
    """The most sets; of the ways to make them the one that discounts the cheapest units, ties to the first lines."""
    best_sets, best_key, best = 0, None, [0] * len(lines)
    for way in _ways(lines):
        sets, rest = divmod(sum(d for _, d in way), get_quantity)
        whole = rest == 0 and sum(q for q, _ in way) == sets * buy_quantity
        if not whole or sets < best_sets or (times_max is not None and sets > times_max):
            continue
        cheapest = []
        for n, (_, discounted) in enumerate(way):
            cheapest += [(Fraction(lines[n].worth_minor, lines[n].units), n)] * discounted
        cheapest.sort()
        key = sum(worth for worth, _ in cheapest), cheapest
        if sets > best_sets or best_key is None or key < best_key:
            best_sets, best_key, best = sets, key, [d for _, d in way]
    return best_sets, best


class _Units:
    """Units of a line, as brute force looks at them."""

    def __init__(self, units, worth_minor, buys, gets):
        self.units, self.worth_minor, self.buys, self.gets = units, worth_minor, buys, gets


def _rounded(exact):
    return floor(exact + Fraction(1, 2))


def _shared_out(amount, weights):
    """Largest remainder: everyone gets the whole part, then one each to the largest remainders, ties to the first."""
    total = sum(weights)
    if total == 0:
        return [0] * len(weights)
    exact = [Fraction(amount * weight, total) for weight in weights]
    parts = [floor(each) for each in exact]
    while sum(parts) < amount:
        missing = [each - part for each, part in zip(exact, parts, strict=True)]
        parts[missing.index(max(missing))] += 1
    return parts


def _is_in(scope, line):
    facts = line.facts
    return all(
        not named or set(named) & set(ours)
        for named, ours in (
            (scope.products, [facts.product_id]),
            (scope.variants, [facts.variant_id]),
            (scope.sellers, [facts.seller_id]),
            (scope.categories, facts.categories),
        )
    )


def _is_for(promotion, line):
    """A seller's own is for that seller's lines, whichever sellers it names."""
    scope = promotion.content.scope
    if promotion.seller_id is None:
        return _is_in(scope, line)
    return line.facts.seller_id == promotion.seller_id and all(
        not named or set(named) & set(ours)
        for named, ours in (
            (scope.products, [line.facts.product_id]),
            (scope.variants, [line.facts.variant_id]),
            (scope.categories, line.facts.categories),
        )
    )


def _phase(promotion):
    benefit = promotion.content.benefit
    if isinstance(benefit, FreeShipping):
        return "shipping"
    return "order" if getattr(benefit, "level", Level.LINE) is Level.ORDER else "line"


def _turn(promotion):
    return (-promotion.content.priority, promotion.created_at, promotion.id)


def _shipping_costs(world, left):
    """What shipping costs each seller order: the cheapest way there is for what is paid for its lines."""
    order, costs = world.order, {}
    for n, line in enumerate(order.lines):
        weight, paid = costs.get(line.facts.seller_id, (0, 0))
        costs[line.facts.seller_id] = weight + line.weight_grams * line.quantity, paid + left[n]
    if world.shipping is None or order.destination is None:
        return dict.fromkeys(costs, 0)
    return {who: min(_cost(rate, *parcel) for rate in world.shipping.rates) for who, parcel in costs.items()}


def _cost(rate, weight, paid):
    if rate.free_from_minor is not None and paid >= rate.free_from_minor:
        return 0
    match rate.cost:
        case Flat(amount):
            return amount
        case ByWeight(steps):
            return next(step.amount_minor for step in steps if weight <= step.up_to)
        case BySubtotal(steps):
            return ([step.amount_minor for step in steps if paid <= step.up_to] + [0])[0]


def _takes(promotion, world, left, shipping):
    """What a promotion takes off at its turn, by line or by seller; or why it doesn't."""
    content, lines = promotion.content, world.order.lines
    ours = [n for n, line in enumerate(lines) if _is_for(promotion, line)]
    if not ours:
        return Reason.NO_MATCHING_LINES
    if content.minimum_subtotal and sum(left[n] for n in ours) < content.minimum_subtotal.amount:
        return Reason.MINIMUM_SUBTOTAL_NOT_MET
    if content.minimum_quantity and sum(lines[n].quantity for n in ours) < content.minimum_quantity:
        return Reason.MINIMUM_QUANTITY_NOT_MET
    if isinstance(content.benefit, FreeShipping):
        taken = {lines[n].facts.seller_id: shipping[lines[n].facts.seller_id] for n in ours}
    else:
        taken = dict(
            zip(ours, _off_lines(content.benefit, [lines[n] for n in ours], [left[n] for n in ours]), strict=True)
        )
    taken = {where: amount for where, amount in taken.items() if amount}
    return taken or Reason.NOTHING_TO_DISCOUNT


def _off_lines(benefit, lines, left):
    match benefit:
        case PercentOff(Level.LINE, off_bp, cap):
            off = [_rounded(Fraction(each * off_bp, 10_000)) for each in left]
            return off if cap is None or sum(off) <= cap.amount else _shared_out(cap.amount, off)
        case PercentOff(Level.ORDER, off_bp, cap):
            off = _rounded(Fraction(sum(left) * off_bp, 10_000))
            return _shared_out(off if cap is None else min(off, cap.amount), left)
        case AmountOff(Level.LINE, amount):
            return [min(each, amount.amount * line.quantity) for each, line in zip(left, lines, strict=True)]
        case AmountOff(Level.ORDER, amount):
            return _shared_out(min(sum(left), amount.amount), left)
        case BuyXGetY():
            units = [
                _Units(line.quantity, each, _is_in(benefit.buy, line), _is_in(benefit.get, line))
                for line, each in zip(lines, left, strict=True)
            ]
            _, taken = brute_force(units, benefit.buy_quantity, benefit.get_quantity, benefit.times_max)
            return [
                _rounded(Fraction(each, line.quantity) * discounted * Fraction(benefit.off_bp, 10_000))
                for line, each, discounted in zip(lines, left, taken, strict=True)
            ]


def _all_phases(promotions, world):
    """What each takes off when these compete, none of them exclusive unless it is alone; and why others don't."""
    left = [line.quantity * line.unit_price_minor for line in world.order.lines]
    taken, reasons, shipping = {}, {}, {}
    for phase in ("line", "order", "shipping"):
        if phase == "shipping":
            shipping = _shipping_costs(world, left)
        totals = shipping if phase == "shipping" else left
        waiting = sorted((each for each in promotions if _phase(each) == phase), key=_turn)
        while waiting:
            best = waiting.pop(0)
            amounts = _takes(best, world, left, shipping)
            if isinstance(amounts, Reason):
                reasons[best.id] = amounts
                continue
            if best.content.stacking is Stacking.GROUP:
                rivals = [
                    r for r in waiting if r.content.stacking is Stacking.GROUP and r.content.group == best.content.group
                ]
                waiting = [each for each in waiting if each not in rivals]
                offers = {each.id: _takes(each, world, left, shipping) for each in (best, *rivals)}
                eligible = [each for each in (best, *rivals) if not isinstance(offers[each.id], Reason)]
                reasons |= {id_: why if isinstance(why, Reason) else Reason.OUTDONE for id_, why in offers.items()}
                best = min(eligible, key=lambda each: (-sum(offers[each.id].values()), _turn(each)))
                amounts = offers[best.id]
                del reasons[best.id]
            for where, amount in amounts.items():
                totals[where] -= amount
            taken[best.id] = amounts
    return taken, reasons


def _discount(result):
    return sum(sum(amounts.values()) for amounts in result.values())


def compete(promotions, world):
    """What each of the promotions that compete takes off, and why the others don't."""
    turns = {each.id: _turn(each) for each in promotions}
    together = [each for each in promotions if each.content.stacking is not Stacking.EXCLUSIVE]
    results = [_all_phases(together, world)]
    results += [_all_phases([each], world) for each in promotions if each not in together]
    standing = [taken for taken, _ in results if taken]
    winner = min(standing, key=lambda taken: (-_discount(taken), min(turns[id_] for id_ in taken)), default={})
    reasons = {}
    for taken, why in results:
        reasons |= why
        reasons |= {id_: Reason.OUTDONE for id_ in taken if id_ not in winner}
    return winner, reasons


def may_compete(promotion, world):
    """Whether a promotion is for this order at all, whatever it holds."""
    content, order, usage = promotion.content, world.order, world.usage
    amounts = [
        content.minimum_subtotal,
        getattr(content.benefit, "cap", None),
        getattr(content.benefit, "amount", None),
    ]
    brought = any(code.promotion_id == promotion.id for code in order.codes)
    return (
        (brought or (content.automatic and any(_is_for(promotion, line) for line in order.lines)))
        and (content.starts_at is None or content.starts_at <= NOW)
        and (content.ends_at is None or content.ends_at > NOW)
        and (not content.users or order.buyer in content.users)
        and all(amount is None or amount.currency == order.currency for amount in amounts)
        and not (content.first_order and order.buyer in usage.has_ordered)
        and (content.uses_max is None or usage.uses[promotion.id] < content.uses_max)
        and (
            content.uses_per_user_max is None
            or usage.uses_by_user[promotion.id, order.buyer] < content.uses_per_user_max
        )
    )
