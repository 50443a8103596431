"""Quotes: what is quoted is what placing charges, or what placing refuses."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from domain.accounts.address_model import PostalAddress
from domain.catalog.model import Offer
from domain.journal.model import Rejected, Succeeded
from domain.money import Money
from domain.orders import placement, quotation
from domain.orders.basket import Pricing
from domain.orders.demand import Market
from domain.orders.model import CodesMode, OrderLine, PlaceOrder
from domain.orders.quotation import Quotation
from domain.pricing.codes import code_key
from domain.pricing.contest import FoundCode, no_usage
from domain.pricing.shipping import Flat, Owner
from domain.rejections import Code, Rejection
from tests.domain.pricing_builders import (
    BUYER,
    EVERYWHERE,
    NOW,
    line,
    method,
    order,
    percent,
    promotion,
    rate,
    seller,
    thing,
    usd,
)
from tests.domain.pricing_strategies import World, worlds
from tests.domain.strategies import claim, laws

UNITS_MAX = 9
SHORT = st.sampled_from([0] * 9 + [1])


def address(world: World) -> PostalAddress | None:
    goes = world.order.destination
    if goes is None:
        return None
    return PostalAddress(name="A", line1="B", city="C", country=goes.country, region=goes.region)


def asked(world: World, mode: CodesMode = CodesMode.STRICT, **more: object) -> PlaceOrder:
    """The request that leads to a world's order."""
    return PlaceOrder(
        currency=world.order.currency,
        lines=tuple(OrderLine(x.facts.variant_id, x.facts.seller_id, x.quantity) for x in world.order.lines),
        codes=tuple(code.text for code in world.order.codes),
        promotions=mode,
        shipping_address=address(world),
        **more,
    )


def market(world: World, *, lacking: int = 0) -> Market:
    """What a world's order is decided against; each offer has what is wanted in all, less so many units."""
    wanted: dict[tuple[object, object], int] = {}
    for each in world.order.lines:
        key = (each.facts.variant_id, each.facts.seller_id)
        wanted[key] = wanted.get(key, 0) + each.quantity
    offers = {}
    for each in reversed(world.order.lines):
        key = (each.facts.variant_id, each.facts.seller_id)
        offers[key] = Offer(
            variant_id=each.facts.variant_id,
            seller_id=each.facts.seller_id,
            sku="SKU",
            title="A thing",
            category=None,
            attributes="{}",
            price_minor=each.unit_price_minor,
            currency=world.order.currency,
            sellable=True,
            available=wanted[key] - lacking,
            product_id=each.facts.product_id,
            categories=each.facts.categories,
            weight_grams=each.weight_grams,
        )
    codes = {
        code_key(code.text): FoundCode(code.promotion_id, code.state)
        for code in world.order.codes
        if code.promotion_id is not None and code.state is not None
    }
    return Market(offers, Pricing(world.book, world.usage, codes, {}, {}, {}), NOW, UNITS_MAX)


def placed(command: PlaceOrder, on: Market):
    """What placing comes to: the order, or the refusal."""
    plan = placement.decide(
        [claim(1, command, principal=BUYER)],
        on.offers,
        on.pricing,
        now=on.now,
        hold=timedelta(minutes=15),
        line_quantity_max=on.line_quantity_max,
    )
    (outcome,) = plan.outcomes
    if isinstance(outcome, Rejected):
        return outcome.problem
    assert isinstance(outcome, Succeeded)
    return plan.orders[0]


def quoted(command: PlaceOrder, on: Market) -> Quotation:
    found = quotation.decide(command, BUYER, on)
    assert isinstance(found, Quotation), found
    return found


def holds(found: Quotation) -> None:
    """The sums a quote claims."""
    amount = {name: getattr(found.totals, name).amount for name in found.totals.__struct_fields__}
    for each in found.lines:
        assert each.gross.amount == each.unit_price.amount * each.quantity
        assert each.net.amount == each.gross.amount - sum(d.amount.amount for d in each.discounts)
        assert each.total.amount == each.net.amount + each.tax_added.amount
    ways = [each.shipping for each in found.seller_orders if each.shipping is not None]
    for way in ways:
        assert way.net.amount == way.cost.amount - sum(d.amount.amount for d in way.discounts)
        assert way.total.amount == way.net.amount + way.tax_added.amount
    assert amount["gross"] == sum(each.gross.amount for each in found.lines)
    assert amount["shipping"] == sum(way.cost.amount for way in ways)
    assert amount["discount"] == sum(each.amount.amount for each in found.promotions if each.applied)
    assert amount["total"] == sum(each.total.amount for each in [*found.lines, *ways])
    assert amount["total"] == amount["gross"] + amount["shipping"] - amount["discount"] + amount["tax_added"]
    assert amount["tax"] == sum(each.tax.amount for each in [*found.lines, *ways])


@laws(1_000)
@given(worlds(), st.sampled_from(CodesMode), SHORT)
def test_what_is_quoted_is_what_is_placed_or_why_it_is_not(world, mode, lacking):
    command, on = asked(world, mode), market(world, lacking=lacking)
    found, came_of_it = quotation.decide(command, BUYER, on), placed(command, on)
    if isinstance(found, Rejection):
        assert isinstance(came_of_it, Rejection)
        assert came_of_it == found or came_of_it.code is Code.OUT_OF_STOCK
        return
    holds(found)
    if found.refusal is not None:
        assert came_of_it == found.refusal
        return
    price = came_of_it.price
    assert found.totals.total == Money(price.total_minor, command.currency)
    assert found.totals.discount.amount == price.discount_minor
    assert found.totals.shipping.amount == price.shipping_minor
    assert found.totals.tax.amount == price.tax_minor
    for each, row in zip(found.lines, came_of_it.lines, strict=True):
        amounts = price.lines[row.line_no]
        assert (each.line_no, each.variant_id, each.seller_id) == (row.line_no, row.variant_id, row.seller_id)
        assert (each.unit_price.amount, each.quantity, each.gross.amount) == (
            row.unit_price_minor,
            row.quantity,
            row.total_minor,
        )
        assert (each.net.amount, each.tax.amount, each.tax_added.amount) == (
            amounts.net_minor,
            amounts.tax_minor,
            amounts.added_tax_minor,
        )
    by_number = {n: each.shipping for n, each in enumerate(found.seller_orders) if each.shipping is not None}
    assert {n: (way.method_id, way.cost.amount, way.net.amount, way.tax.amount) for n, way in by_number.items()} == {
        n: (each.terms.method_id, each.cost_minor, each.net_minor, each.tax_minor) for n, each in price.shipping.items()
    }
    assert [each.promotion_id for each in found.promotions if each.applied] == [p.promotion_id for p in price.applied]


@laws(300)
@given(worlds())
def test_quoting_leaves_what_it_was_asked_on_as_it_was(world):
    on = market(world)
    before = on.pricing.usage.copy()
    assert quotation.decide(asked(world), BUYER, on) == quotation.decide(asked(world), BUYER, on)
    assert on.pricing.usage == before


@laws(300)
@given(worlds())
def test_the_way_that_is_taken_is_among_the_options_and_the_cheapest(world):
    found = quotation.decide(asked(world, CodesMode.BEST_EFFORT), BUYER, market(world))
    if isinstance(found, Rejection):
        return
    for each in found.seller_orders:
        if each.shipping is None:
            assert each.options == []
        else:
            assert each.shipping.cost.amount == min(option.cost.amount for option in each.options)


BERLINS = PostalAddress(name="A", line1="B", city="C", country="DE", region="Berlin")
POST, COURIER = thing("method", 1), thing("method", 2)
TWO_WAYS = Owner((EVERYWHERE,), (method(1), method(2, "Courier")), (rate(1, Flat(500)), rate(2, Flat(900))))


def small(*lines, by=(), shipping=None) -> World:
    """A world of some lines, promotions and ways to ship."""
    return World(list(by), [], [], shipping, order(*lines), no_usage())


def test_lines_of_one_offer_are_quoted_as_the_one_line_they_become():
    world = small(line(100, 2), line(250, number=1), line(100, 3))
    found = quoted(asked(world), market(world))
    assert [(each.line_no, each.quantity, each.gross) for each in found.lines] == [(0, 5, usd(500)), (1, 1, usd(250))]


def test_a_line_without_enough_stock_is_told_and_refuses_no_quote():
    world = small(line(100, 2), line(250, 5, number=1))
    on = market(world)
    key = (world.order.lines[1].facts.variant_id, seller(0))
    on = structs.replace(on, offers={**on.offers, key: structs.replace(on.offers[key], available=4)})
    found = quoted(asked(world), on)
    assert [each.available for each in found.lines] == [True, False]
    assert found.totals.total == usd(1_450)
    assert found.refusal == Rejection(409, Code.OUT_OF_STOCK, "5 wanted, 4 available", "lines[1]")


def test_a_code_in_vain_is_told_with_its_reason_and_refuses_no_quote():
    world = small(line(1_000), by=[promotion(percent(1_000))])
    command = structs.replace(asked(world), codes=("NO-SUCH-CODE",))
    found = quoted(command, market(world))
    assert (found.refusal.code, found.refusal.path) == (Code.CODE_REFUSED, "codes[0]")
    assert [(each.code, each.applied, each.reason) for each in found.promotions] == [
        (None, True, None),
        ("NO-SUCH-CODE", False, "unknown"),
    ]
    best_effort = structs.replace(command, promotions=CodesMode.BEST_EFFORT)
    assert quoted(best_effort, market(world)).refusal is None


def test_all_ways_to_ship_are_told_and_the_one_asked_for_is_taken():
    world = small(line(1_000), shipping=TWO_WAYS)
    for chosen, cost in ((None, 500), (COURIER, 900), (POST, 500)):
        methods = {} if chosen is None else {seller(0): chosen}
        command = structs.replace(asked(world), shipping_address=BERLINS, shipping_methods=methods)
        (part,) = quoted(command, market(world)).seller_orders
        assert [(option.name, option.cost) for option in part.options] == [("Post", usd(500)), ("Courier", usd(900))]
        assert part.shipping.cost == usd(cost)


def test_without_an_address_nothing_is_shipped_and_nothing_charged_for_it():
    world = small(line(1_000), shipping=TWO_WAYS)
    (part,) = quoted(asked(world), market(world)).seller_orders
    assert (part.options, part.shipping) == ([], None)


@pytest.mark.parametrize(
    ("change", "code", "path"),
    [
        ({"available": 5, "sellable": False}, Code.OFFER_UNAVAILABLE, "lines[0]"),
        ({"currency": "EUR"}, Code.CURRENCY_MISMATCH, "lines[0]"),
        ({"price_minor": 101}, Code.PRICE_CHANGED, "lines[0].expected_unit_price"),
        (None, Code.UNKNOWN_OFFER, "lines[0]"),
    ],
)
def test_what_placing_refuses_for_its_lines_a_quote_refuses_alike(change, code, path):
    world = small(line(100, 2))
    command, on = asked(world), market(world)
    first = structs.replace(command.lines[0], expected_unit_price=usd(100))
    command = structs.replace(command, lines=(first,))
    offers = {} if change is None else {key: structs.replace(offer, **change) for key, offer in on.offers.items()}
    on = structs.replace(on, offers=offers)
    refusal = quotation.decide(command, BUYER, on)
    assert (refusal.code, refusal.path) == (code, path)
    assert placed(command, on) == refusal
