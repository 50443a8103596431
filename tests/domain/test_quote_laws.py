"""Pricing, as laws: what holds for every order against every book."""

from collections import Counter

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from domain.money import MINOR_MAX, Money
from domain.pricing.commission import CommissionTerms, commission_on
from domain.pricing.promotion_model import FreeShipping, Funding, PercentOff, Stacking
from domain.pricing.promotions import Reason, phase_of
from domain.pricing.quote import Commission, FrozenShipping, FrozenTerms
from domain.pricing.scope import Scope
from domain.pricing.shipping import Flat, Owner
from domain.pricing.tax import TaxTerms
from tests.domain.pricing_builders import (
    BERLIN,
    EVERYWHERE,
    NOW,
    book,
    code,
    flat,
    line,
    method,
    order,
    percent_of_order,
    priced,
    product,
    promotion,
    rate,
    reasons,
    rule,
    seller,
    thing,
)
from tests.domain.pricing_strategies import CURRENCIES, OTHER, made, make, promotions, raw_worlds, worlds
from tests.domain.strategies import laws

any_world = worlds()


def price(world, **said):
    changed = structs.replace(world, **said)
    return priced(changed.book, changed.order, changed.usage)


@laws(300)
@given(any_world)
def test_parts_sum_to_the_whole(world):
    version = price(world)
    for asked, each in zip(world.order.lines, version.lines, strict=True):
        assert each.gross_minor == asked.unit_price_minor * asked.quantity
        assert each.gross_minor == each.net_minor + each.seller_discount_minor + each.platform_discount_minor
    lines = sum(each.net_minor + each.tax.added_minor for each in version.lines)
    shipping = sum(each.net_minor + each.tax.added_minor for each in version.shipping)
    assert version.total_minor == lines + shipping


@laws(300)
@given(any_world)
def test_nothing_is_below_zero_or_above_what_it_is_a_part_of(world):
    version = price(world)
    for each in version.lines:
        assert 0 <= each.net_minor <= each.gross_minor
        assert min(each.seller_discount_minor, each.platform_discount_minor) >= 0
        assert 0 <= each.tax.added_minor <= each.tax.amount_minor <= each.net_minor
    for each in version.shipping:
        assert 0 <= each.net_minor <= each.shipping.cost_minor
        assert min(each.seller_discount_minor, each.platform_discount_minor) >= 0
        assert 0 <= each.tax.added_minor <= each.tax.amount_minor <= each.net_minor


@laws(300)
@given(any_world)
def test_what_promotions_took_off_a_line_or_shipping_is_its_discount_by_who_funds_it(world):
    version = price(world)
    by_line, by_seller = Counter(), Counter()
    for each in version.applied:
        assert each.amount_minor == sum(a for _, a in each.lines) + sum(a for _, a in each.shipping) > 0
        for n, amount in each.lines:
            assert amount > 0
            by_line[n, each.funding] += amount
        for who, amount in each.shipping:
            assert amount > 0
            by_seller[who, each.funding] += amount
    for n, each in enumerate(version.lines):
        assert each.seller_discount_minor == by_line[n, Funding.SELLER]
        assert each.platform_discount_minor == by_line[n, Funding.PLATFORM]
    for each in version.shipping:
        assert each.seller_discount_minor == by_seller[each.seller_id, Funding.SELLER]
        assert each.platform_discount_minor == by_seller[each.seller_id, Funding.PLATFORM]


@laws(250)
@given(any_world, st.randoms())
def test_the_order_of_codes_does_not_matter(world, shuffle):
    codes = list(world.order.codes)
    shuffle.shuffle(codes)
    assert price(world, order=structs.replace(world.order, codes=codes)) == price(world)


@laws(250)
@given(any_world, st.randoms())
def test_the_order_in_which_rules_are_given_does_not_matter(world, shuffle):
    known, rules, taxes = list(world.promotions), list(world.rules), list(world.taxes)
    for each in (known, rules, taxes):
        shuffle.shuffle(each)
    assert price(world, promotions=known, rules=rules, taxes=taxes) == price(world)


_INELIGIBLE = [
    {"users": (thing("user", 9),)},
    {"starts_at": NOW.replace(year=2027)},
    {"ends_at": NOW},
    {"uses_max": 1},
    {"uses_per_user_max": 1},
    {"first_order": True},
    {"minimum_quantity": 1_000},
    {"minimum_subtotal": Money(MINOR_MAX, "USD")},
    {"minimum_subtotal": Money(1, OTHER)},
    {"scope": Scope(products=(product(99),))},
]


@laws(300)
@given(raw_worlds(), promotions(), st.sampled_from(_INELIGIBLE))
def test_a_promotion_that_is_not_eligible_changes_nothing_for_the_others(raw, drawn, why):
    world = make(raw, "USD")
    other = made(99, drawn, "USD")
    other = structs.replace(other, content=structs.replace(other.content, **why))
    usage = structs.replace(
        world.usage,
        uses={**world.usage.uses, other.id: 1},
        uses_by_user={**world.usage.uses_by_user, (other.id, world.order.buyer): 1},
        has_ordered={world.order.buyer},
    )
    before = price(world, usage=usage)
    codes = [*world.order.codes, code("code5-and-a-half", 99)]
    asked = structs.replace(world.order, codes=codes)
    after = price(world, promotions=[other, *world.promotions], usage=usage, order=asked)
    reasons = {each.reason for each in after.promotions if each.promotion_id == other.id}
    assert None not in reasons
    assert Reason.OUTDONE not in reasons
    assert structs.replace(after, promotions=before.promotions) == before
    assert tuple(each for each in after.promotions if each.promotion_id != other.id) == before.promotions


@laws(250)
@given(any_world)
def test_every_code_and_every_promotion_that_takes_part_is_told_of_once(world):
    version = price(world)
    told_codes = Counter(each.code.casefold() for each in version.promotions if each.code is not None)
    by_themselves = Counter(each.promotion_id for each in version.promotions if each.code is None)
    assert told_codes == dict.fromkeys({each.key for each in world.order.codes}, 1)
    assert set(by_themselves.values()) <= {1}
    assert max(Counter(each.promotion_id for each in version.applied).values(), default=1) == 1
    automatic = {each.id for each in world.promotions if each.content.automatic}
    assert set(by_themselves) <= automatic


@laws(300)
@given(any_world)
def test_one_of_a_group_applies_in_a_phase_and_an_exclusive_alone(world):
    known = {each.id: each.content for each in world.promotions}
    applied = [known[each.promotion_id] for each in price(world).applied]
    groups = Counter((phase_of(e.benefit), e.group) for e in applied if e.stacking is Stacking.GROUP)
    assert set(groups.values()) <= {1}
    assert len(applied) <= 1 or Stacking.EXCLUSIVE not in {each.stacking for each in applied}


@laws(250)
@given(any_world)
def test_a_sellers_promotion_takes_nothing_off_anothers_goods(world):
    made_by = {each.id: each.seller_id for each in world.promotions}
    for each in price(world).applied:
        whose = made_by[each.promotion_id]
        if whose is not None:
            assert each.funding is Funding.SELLER
            assert {world.order.lines[n].facts.seller_id for n, _ in each.lines} <= {whose}
            assert {who for who, _ in each.shipping} <= {whose}


@laws(250)
@given(any_world)
def test_commission_and_the_sellers_share_are_the_base_of_each_line(world):
    for asked, each in zip(world.order.lines, price(world).lines, strict=True):
        base = each.gross_minor - each.seller_discount_minor
        commission = commission_on(base, asked.quantity, each.terms.commission.terms)
        assert 0 <= commission <= base
        assert base == each.net_minor + each.platform_discount_minor
        if each.terms.commission.rule_id is None:
            assert commission == 0


def placed(order_, version):
    """An order as it stands once it was placed at a price."""
    lines = [structs.replace(each, frozen=was.terms) for each, was in zip(order_.lines, version.lines, strict=True)]
    return structs.replace(order_, lines=lines, shipping={each.seller_id: each.shipping for each in version.shipping})


def again(world):
    """What the placed order comes to with the same promotions, however everything else has changed."""
    version = price(world)
    other_rules = [rule(9, terms=CommissionTerms(rate_bp=9_999), priority=9)]
    asked = placed(world.order, version)
    return version, price(world, order=asked, rules=other_rules, taxes=[], shipping=flat(99_999))


@laws(300)
@given(worlds(by_subtotal=False))
def test_an_order_priced_again_with_the_same_promotions_costs_the_same(world):
    before, after = again(world)
    assert after == before


@laws(300)
@given(worlds(exclusive=False))
def test_it_does_so_too_where_shipping_depends_on_the_subtotal_unless_exclusives_compete(world):
    before, after = again(world)
    assert after == before


def test_an_exclusive_competes_with_the_shipping_that_was_frozen():
    """What it would have made of shipping isn't kept: so another may win than won before."""
    owner = Owner((EVERYWHERE,), (method(1),), (rate(1, Flat(300), free_from=1_000),))
    goods = promotion(percent_of_order(1_000), 1)
    free = promotion(FreeShipping(), 2, stacking=Stacking.EXCLUSIVE)
    known, asked = book(goods, free, shipping=owner), order(line(1_000), destination=BERLIN)
    # Alone, 1000 are paid and shipping is free already; with the tenth off it costs 300.
    before = priced(known, asked)
    assert (reasons(before), before.total_minor) == ({1: None, 2: Reason.NOTHING_TO_DISCOUNT}, 1_200)
    after = priced(known, placed(asked, before))
    assert (reasons(after), after.total_minor) == ({1: Reason.OUTDONE, 2: None}, 1_000)


@laws(250)
@given(any_world, promotions())
def test_tax_commission_and_shipping_stay_frozen_whatever_promotions_are_added(world, drawn):
    before = price(world)
    asked = placed(world.order, before)
    more = [*world.promotions, made(99, drawn, world.order.currency)]
    codes = [*asked.codes, code("one more", 99)]
    after = price(world, promotions=more, rules=[], taxes=[], order=structs.replace(asked, codes=codes))
    assert [each.terms for each in after.lines] == [each.terms for each in before.lines]
    assert [each.shipping for each in after.shipping] == [each.shipping for each in before.shipping]


def test_what_was_frozen_is_charged_and_not_what_holds_now():
    frozen = FrozenTerms(TaxTerms(100_000, inclusive=False), Commission(thing("rule", 7), CommissionTerms(rate_bp=1)))
    shipping = {seller(0): FrozenShipping(thing("method", 7), "Once", 300, TaxTerms(200_000, inclusive=False))}
    asked = order(structs.replace(line(1_000), frozen=frozen), shipping=shipping)
    version = priced(book(rules=(rule(),), shipping=flat(1)), asked)
    assert version.total_minor == 1_100 + 360
    assert version.lines[0].terms == frozen


@laws(250)
@given(raw_worlds())
def test_dollars_yen_and_dinars_are_alike(raw):
    dollars, yen, dinars = (price(make(raw, currency)) for currency in CURRENCIES)
    assert dollars == yen == dinars


@laws(200)
@given(any_world)
def test_pricing_twice_prices_the_same_and_leaves_its_input_alone(world):
    before = msgspec.msgpack.encode((world.order, world.promotions, sorted(world.usage.uses.items())))
    known, usage = world.book, world.usage
    assert priced(known, world.order, usage) == priced(known, world.order, usage)
    assert msgspec.msgpack.encode((world.order, world.promotions, sorted(world.usage.uses.items()))) == before


@laws(250)
@given(any_world)
def test_a_cap_is_never_passed(world):
    known = {each.id: each.content.benefit for each in world.promotions}
    for each in price(world).applied:
        benefit = known[each.promotion_id]
        if isinstance(benefit, PercentOff) and benefit.cap is not None:
            assert each.amount_minor <= benefit.cap.amount


@laws(250)
@given(any_world)
def test_nothing_applies_out_of_its_time_or_for_others_than_it_says(world):
    known = {each.id: each.content for each in world.promotions}
    for each in price(world).applied:
        content = known[each.promotion_id]
        assert content.starts_at is None or content.starts_at <= NOW
        assert content.ends_at is None or content.ends_at > NOW
        assert not content.users or world.order.buyer in content.users
