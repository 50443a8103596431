"""Pricing an order again, as laws: by the same rules nothing changes, by other codes nothing that was frozen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct, structs

from domain import ids
from domain.journal.model import Deferred, Rejected, Status, Succeeded
from domain.orders import cancellation, repricing
from domain.orders.basket import codes_given
from domain.orders.cancellation import OpenOrder, Placing
from domain.orders.model import ApplyPromotions, CancelOrder, CodesMode, Fulfilment, OrderRow, Payment
from domain.orders.price import frozen_shipping, price_of
from domain.orders.repricing import RepricingPlan, Rules
from domain.pricing.contest import Usage, no_usage
from domain.pricing.quote import PriceVersion, QuoteLine, QuoteOrder, quote
from domain.pricing.scope import Facts
from domain.pricing.uses import ALL_USERS, FIRST_ORDER, counters_of
from domain.rejections import Code, Rejection
from tests.domain.pricing_builders import BUYER, NOW, code, line, order, percent, promotion, thing, usd
from tests.domain.pricing_strategies import World, worlds
from tests.domain.strategies import claim, laws
from tests.domain.test_quotation import asked, market, placed

BEST_EFFORT = CodesMode.BEST_EFFORT
any_world = worlds()
# Where an exclusive promotion competes and shipping depends on the subtotal, another may win than won before: the
# shipping of who lost isn't kept (test_quote_laws.test_an_exclusive_competes_with_the_shipping_that_was_frozen).
world_without_that = st.one_of(worlds(by_subtotal=False), worlds(exclusive=False))


class Placed(Struct):
    """A world's order as it was placed, and what it may be priced again by."""

    row: OrderRow
    order: OpenOrder
    rules: Rules


def after_placing(world: World) -> Placed | None:
    """Place a world's order, codes or no codes; None where nobody would."""
    command, on = asked(world, BEST_EFFORT), market(world)
    row = placed(command, on)
    if isinstance(row, Rejection):
        return None
    applied = {part.promotion_id for part in row.price.applied}
    usage, first = world.usage.copy(), {each.id: each.content.first_order for each in world.promotions}
    for used in applied:
        usage.draw(used, BUYER)
        if first[used]:
            usage.has_ordered.add(BUYER)
    rules = Rules(
        book=on.pricing.book,
        usage=usage,
        codes=on.pricing.codes,
        lines={row.id: {each.line_no: _line(each) for each in row.lines}},
        own={row.id: {used: first[used] for used in applied}},
        later={row.id} if BUYER in world.usage.has_ordered else set(),
        counted={key for each in world.promotions for key in counters_of(each, BUYER)},
        now=NOW,
    )
    return Placed(row, _open(row), rules)


def _line(row) -> QuoteLine:
    facts = Facts(row.product_id, row.variant_id, row.seller_id, row.categories)
    return QuoteLine(facts, row.quantity, row.unit_price_minor, row.weight_grams, row.terms)


def _open(row: OrderRow) -> OpenOrder:
    return OpenOrder(
        id=row.id,
        buyer=row.buyer,
        currency=row.currency,
        payment=Payment.UNPAID,
        expired=False,
        version=1,
        price_version=1,
        price=row.price,
        sellers={each.line_no: each.seller_id for each in row.lines},
        fulfilments=dict.fromkeys(row.sellers, Fulfilment.AWAITING),
    )


def apply(known: Placed, *wishes: tuple[str, ...], mode: CodesMode = BEST_EFFORT) -> RepricingPlan:
    """Price an order again, once for each wish."""
    commands = [claim(100 + n, ApplyPromotions(known.row.id, codes, mode)) for n, codes in enumerate(wishes)]
    return repricing.decide(commands, {known.row.id: known.order}, {}, known.rules)


def texts(world: World) -> tuple[str, ...]:
    return tuple(given.text for given in world.order.codes)


@laws(400)
@given(world_without_that)
def test_the_same_codes_by_the_same_rules_change_nothing_and_make_no_version(world):
    known = after_placing(world)
    if known is None:
        return
    plan = apply(known, texts(world), texts(world))
    assert [type(outcome) for outcome in plan.outcomes] == [Succeeded, Succeeded]
    assert (plan.price_versions, plan.versions, plan.events, plan.redemptions, plan.uses, plan.free) == (
        [],
        {},
        [],
        {},
        {},
        {},
    )


@laws(400)
@given(any_world, st.integers(0, 63))
def test_other_codes_come_to_what_they_would_have_come_to_at_first(world, chosen):
    """An oracle: the frozen lines and shipping priced as if the order had used nothing yet."""
    known = after_placing(world)
    if known is None:
        return
    codes = tuple(text for n, text in enumerate(texts(world)) if chosen >> n & 1)
    before = known.order.price
    sellers = dict(enumerate(known.row.sellers))
    frozen = QuoteOrder(
        buyer=BUYER,
        currency=known.row.currency,
        lines=list(known.rules.lines[known.row.id].values()),
        codes=codes_given(codes, known.rules.codes),
        shipping=frozen_shipping(before, sellers),
    )
    at_first = quote(frozen, known.rules.book, world.usage, NOW)
    assert isinstance(at_first, PriceVersion)
    wanted = price_of(at_first, range(len(known.row.lines)), {seller: n for n, seller in sellers.items()})
    apply(known, codes)
    price = known.order.price
    assert price == wanted
    assert {n: (each.cost_minor, each.terms) for n, each in price.shipping.items()} == {
        n: (each.cost_minor, each.terms) for n, each in before.shipping.items()
    }
    for row in known.row.lines:
        amounts = price.lines[row.line_no]
        discounts = amounts.seller_discount_minor + amounts.platform_discount_minor
        assert amounts.net_minor + discounts == row.total_minor


@laws(400)
@given(world_without_that, st.integers(0, 63))
def test_to_other_codes_and_back_is_where_it_was_and_uses_what_it_used(world, chosen):
    known = after_placing(world)
    if known is None:
        return
    price = known.order.price
    others = tuple(text for n, text in enumerate(texts(world)) if chosen >> n & 1)
    plan = apply(known, others, texts(world))
    assert known.order.price == price
    assert {key: delta for key, delta in plan.uses.items() if delta} == {}
    applied = {part.promotion_id for part in price.applied}
    assert {promotion for (_, promotion), use in plan.redemptions.items() if use is not None} <= applied
    assert {promotion for (_, promotion), use in plan.redemptions.items() if use is None} & applied == set()


@laws(400)
@given(any_world, st.integers(0, 63))
def test_counters_move_by_what_is_used_more_or_less(world, chosen):
    known = after_placing(world)
    if known is None:
        return
    before = {part.promotion_id for part in known.order.price.applied}
    plan = apply(known, tuple(text for n, text in enumerate(texts(world)) if chosen >> n & 1))
    after = {part.promotion_id: part for part in known.order.price.applied}
    for each in world.promotions:
        if each.content.uses_max is not None:
            assert plan.uses.get((each.id, ALL_USERS), 0) == (each.id in after) - (each.id in before)
    first = {each.id for each in world.promotions if each.content.first_order}
    assert plan.uses.get((FIRST_ORDER, BUYER), 0) == len(first & set(after)) - len(first & before)
    if plan.price_versions:
        told = {promotion: use for (_, promotion), use in plan.redemptions.items()}
        assert {promotion for promotion, use in told.items() if use is None} == before - set(after)
        assert {p: use.amount_minor for p, use in told.items() if use is not None} == {
            p: part.amount_minor for p, part in after.items()
        }


@laws(300)
@given(any_world, st.integers(0, 3))
def test_what_was_cancelled_stays_cancelled_and_cancelling_later_changes_no_other_line(world, gone):
    known = after_placing(world)
    if known is None or len(known.row.lines) < 3:
        return
    first, second = sorted({each.line_no for each in known.row.lines} - {gone})[:2]
    _cancel(known, first)
    apply(known, ())
    assert first not in known.order.price.lines
    before = dict(known.order.price.lines)
    _cancel(known, second)
    assert dict(known.order.price.lines) == {n: each for n, each in before.items() if n != second}


def _cancel(known: Placed, number: int) -> None:
    command = claim(50 + number, CancelOrder(known.row.id, (number,)))
    plan = cancellation.decide([command], {known.row.id: known.order}, {})
    assert isinstance(plan.outcomes[0], Succeeded)
    own = known.rules.own[known.row.id]
    for _, freed in plan.freed:
        own.pop(freed, None)


def world_of(*promotions, codes=(), usage: Usage | None = None) -> World:
    """An order of 1,000 with some codes."""
    return World(list(promotions), [], [], None, order(line(1_000), codes=codes), usage or no_usage())


TEN = promotion(percent(1_000), 1, automatic=False, uses_max=1, uses_per_user_max=1)
HALF = promotion(percent(5_000), 2, automatic=False)
GIFT = promotion(percent(10_000), 3, automatic=False)


def ordered(*promotions, by: str = "TEN", usage: Usage | None = None) -> Placed:
    """An order that gave a code, and other promotions there are."""
    numbers = {"TEN": 1, "HALF": 2, "GIFT": 3}
    there = {each.id for each in promotions}
    codes = [code(text, n) for text, n in numbers.items() if thing("promotion", n) in there]
    known = after_placing(world_of(*promotions, codes=[c for c in codes if c.text == by], usage=usage))
    assert known is not None
    market_codes = market(world_of(*promotions, codes=codes)).pricing.codes
    return Placed(known.row, known.order, structs.replace(known.rules, codes=market_codes))


def test_a_code_that_the_order_used_up_itself_is_not_used_up_for_it():
    known = ordered(TEN)
    assert known.rules.usage.uses[TEN.id] == TEN.content.uses_max
    plan = apply(known, ("TEN",), mode=CodesMode.STRICT)
    (outcome,) = plan.outcomes
    assert (outcome.result.total, outcome.result.price_version) == (usd(900), 1)


def test_a_code_that_another_order_used_up_is_refused_and_nothing_changes():
    taken = Usage({TEN.id: 1}, {}, set())
    known = ordered(TEN, HALF, by="HALF", usage=taken)
    plan = apply(known, ("TEN",), mode=CodesMode.STRICT)
    (outcome,) = plan.outcomes
    assert (outcome.problem.status, outcome.problem.code, outcome.problem.path) == (409, Code.CODE_REFUSED, "codes[0]")
    assert (plan.price_versions, plan.events, known.order.price.total_minor) == ([], [], 500)
    plan = apply(known, ("TEN",))
    assert [(each.code, each.reason) for each in plan.outcomes[0].result.codes_in_vain] == [("TEN", "limit_reached")]
    assert known.order.price.total_minor == 1_000


def test_new_codes_take_the_place_of_old_ones_in_a_version_an_event_and_in_what_is_used():
    known = ordered(TEN, HALF)
    plan = apply(known, ("HALF",), mode=CodesMode.STRICT)
    (outcome,), (event,) = plan.outcomes, plan.events
    assert (outcome.result.price_version, outcome.result.total, outcome.result.discount) == (2, usd(500), usd(500))
    assert [(each.code, each.amount) for each in outcome.result.promotions] == [("HALF", usd(500))]
    assert plan.price_versions == [(known.row.id, 2, known.order.price)]
    assert (event.type, event.version, plan.versions) == ("order.repriced", 2, {known.row.id: 2})
    assert plan.uses == {(TEN.id, ALL_USERS): -1, (TEN.id, BUYER): -1}
    assert plan.redemptions[known.row.id, TEN.id] is None
    assert plan.redemptions[known.row.id, HALF.id].amount_minor == 500


def test_an_order_that_costs_nothing_now_is_to_be_confirmed_unless_it_costs_something_again():
    known = ordered(TEN, GIFT)
    assert list(apply(known, ("GIFT",)).free) == [known.row.id]
    assert apply(ordered(TEN, GIFT), ("GIFT",), ()).free == {}


def test_the_first_order_stays_the_first_and_a_later_one_is_none():
    first = promotion(percent(1_000), 1, automatic=False, first_order=True)
    known = ordered(first)
    assert BUYER in known.rules.usage.has_ordered
    assert apply(known, (), ("TEN",), mode=CodesMode.STRICT).outcomes[1].result.total == usd(900)
    another = ordered(first, HALF, by="HALF", usage=Usage({}, {}, {BUYER}))
    another = structs.replace(another, rules=structs.replace(another.rules, usage=no_usage()))
    (outcome,) = apply(another, ("TEN",), mode=CodesMode.STRICT).outcomes
    assert outcome.problem.detail == "TEN: not_first_order"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"payment": Payment.PENDING}, "pending"),
        ({"payment": Payment.FAILED}, "failed"),
        ({"payment": Payment.ACTION_REQUIRED}, "action_required"),
        ({"payment": Payment.PAID}, "confirmed"),
        ({"payment": Payment.VOIDED}, "cancelled"),
        ({"expired": True}, "expired"),
        ({"fulfilments": Fulfilment.CANCELLED}, "cancelled"),
    ],
)
def test_an_order_that_does_not_wait_for_a_payment_nobody_started_is_a_409_that_names_its_state(changes, named):
    known = ordered(TEN, HALF)
    if "fulfilments" in changes:
        changes = {"fulfilments": dict.fromkeys(known.order.fulfilments, changes["fulfilments"])}
    known.order = structs.replace(known.order, **changes)
    plan = apply(known, ("HALF",))
    (outcome,) = plan.outcomes
    assert (outcome.problem.status, outcome.problem.code) == (409, Code.ORDER_STATE)
    assert named in outcome.problem.detail
    assert plan.price_versions == []


def test_an_order_that_is_still_being_placed_is_waited_for_and_one_that_was_refused_is_a_409():
    rules = ordered(TEN).rules
    command = claim(7, ApplyPromotions(ids.compose(1, bytes(8)), ("TEN",)))
    assert repricing.decide([command], {}, {}, rules).outcomes == [Deferred()]
    why = Rejection(409, Code.OUT_OF_STOCK, "too few")
    placings = {command.command.order_id: Placing(Status.REJECTED, why)}
    (outcome,) = repricing.decide([command], {}, placings, rules).outcomes
    assert isinstance(outcome, Rejected)
    assert (outcome.problem.status, outcome.problem.code) == (409, Code.ORDER_NOT_PLACED)
    assert "too few" in outcome.problem.detail
