"""Placing orders, as laws: what holds for every batch against every catalog."""

from collections import Counter
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import ids
from domain.inventory.model import MovementKind, StockKey
from domain.journal.model import Faulted, Rejected, Succeeded
from domain.money import MINOR_MAX
from domain.orders import placement
from domain.orders.demand import offers_of
from domain.orders.model import OrderLine, PlacedOrder, PlaceOrder
from tests.domain.strategies import HOLD, NOW, batches, claim, decide, laws


def _placed(plan):
    return {outcome.result.order_id for outcome in plan.outcomes if isinstance(outcome, Succeeded)}


def _rows(plan):
    """Everything a plan writes, its hints for the shell left out."""
    return plan.orders, plan.reservations, plan.movements, plan.events, plan.stock


def _units(claimed):
    units = Counter()
    for line in claimed.command.lines:
        units[line.variant_id, line.seller_id] += line.quantity
    return units


@laws(200)
@given(batches)
def test_a_batch_never_takes_more_than_is_available(batch):
    commands, offers = batch
    plan = decide(commands, offers)
    for key, (on_hand, reserved) in plan.stock.items():
        assert on_hand == 0
        assert 0 < reserved <= offers[key.variant_id, key.seller_id].available


@laws(200)
@given(batches)
def test_an_order_gets_all_its_lines_or_none(batch):
    commands, offers = batch
    plan = decide(commands, offers)
    written = {order.id: order for order in plan.orders}
    assert set(written) == _placed(plan)
    for claimed in commands:
        if claimed.id in written:
            lines = written[claimed.id].lines
            assert {(line.variant_id, line.seller_id): line.quantity for line in lines} == _units(claimed)


@laws(200)
@given(batches)
def test_lines_with_the_same_offer_are_added_up_before_the_check(batch):
    commands, offers = batch
    plan = decide(commands, offers)
    left = {key: offer.available for key, offer in offers.items()}
    for claimed, outcome in zip(commands, plan.outcomes, strict=True):
        wanted = _units(claimed)
        if isinstance(outcome, Succeeded):
            for key, units in wanted.items():
                assert units <= left[key]
                left[key] -= units
        elif outcome.problem.code == "out_of_stock":
            assert any(units > left[key] for key, units in wanted.items())
    for order in plan.orders:
        keys = [(line.variant_id, line.seller_id) for line in order.lines]
        assert len(keys) == len(set(keys))
        assert [line.line_no for line in order.lines] == list(range(len(keys)))


@laws(200)
@given(batches)
def test_each_outcome_belongs_to_its_command(batch):
    commands, offers = batch
    plan = decide(commands, offers)
    assert len(plan.outcomes) == len(commands)
    for claimed, outcome in zip(commands, plan.outcomes, strict=True):
        if isinstance(outcome, Succeeded):
            assert isinstance(outcome.result, PlacedOrder)
            assert outcome.result.order_id == claimed.id
    assert [order.id for order in plan.orders] == [c.id for c in commands if c.id in _placed(plan)]


@laws(200)
@given(batches)
def test_a_refused_order_writes_nothing(batch):
    commands, offers = batch
    plan = decide(commands, offers)
    placed = _placed(plan)
    assert {reservation.order_id for reservation in plan.reservations} == placed
    assert {ids.parent(movement.cause_id) for movement in plan.movements} == placed
    assert {event.stream for event in plan.events} == placed
    assert _rows(decide([c for c in commands if c.id in placed], offers)) == _rows(plan)


@laws(200)
@given(batches)
def test_stock_taken_is_the_sum_of_reservations_and_of_movements(batch):
    commands, offers = batch
    plan = decide(commands, offers)
    held, moved = Counter(), Counter()
    for reservation in plan.reservations:
        assert reservation.quantity > 0
        held[reservation.key] += reservation.quantity
    for movement in plan.movements:
        assert (movement.kind, movement.on_hand_delta) == (MovementKind.RESERVED, 0)
        moved[movement.key] += movement.reserved_delta
    assert {key: (0, units) for key, units in held.items()} == plan.stock
    assert held == moved


@laws(200)
@given(batches)
def test_each_line_has_one_reservation_and_one_movement_named_after_it(batch):
    commands, offers = batch
    plan = decide(commands, offers)
    lines = {
        ids.child(order.id, ids.Kind.RESERVATION, line.line_no): (order, line)
        for order in plan.orders
        for line in order.lines
    }
    assert [r.id for r in plan.reservations] == list(lines) == [m.cause_id for m in plan.movements]
    for reservation, movement in zip(plan.reservations, plan.movements, strict=True):
        order, line = lines[reservation.id]
        assert reservation.key == movement.key == StockKey(line.variant_id, line.seller_id)
        assert (reservation.quantity, reservation.owner, reservation.order_id) == (line.quantity, order.buyer, order.id)
        assert reservation.expires_at == order.expires_at == NOW + HOLD
        assert movement.actor == order.buyer


@laws(200)
@given(batches)
def test_the_total_is_price_times_quantity_over_all_lines(batch):
    commands, offers = batch
    plan = decide(commands, offers)
    results = {o.result.order_id: o.result for o in plan.outcomes if isinstance(o, Succeeded)}
    for order in plan.orders:
        exact = sum((Decimal(line.unit_price_minor) * line.quantity for line in order.lines), Decimal(0))
        assert order.price.total_minor == sum(line.total_minor for line in order.lines) == int(exact) <= MINOR_MAX
        assert results[order.id].total.amount == order.price.total_minor
        assert results[order.id].total.currency == order.currency


@laws(200)
@given(batches)
def test_an_order_has_one_seller_order_for_each_seller_of_its_lines(batch):
    commands, offers = batch
    for order in decide(commands, offers).orders:
        assert set(order.sellers) == {line.seller_id for line in order.lines}
        assert len(order.sellers) == len(set(order.sellers))


@laws(200)
@given(batches)
def test_a_line_freezes_the_offer_whatever_the_client_sent(batch):
    commands, offers = batch
    for order in decide(commands, offers).orders:
        for line in order.lines:
            offer = offers[line.variant_id, line.seller_id]
            assert line.unit_price_minor == offer.price_minor
            assert (line.sku, line.title, line.category) == (offer.sku, offer.title, offer.category)
            assert line.attributes == offer.attributes
            assert order.currency == offer.currency


@laws(200)
@given(batches)
def test_the_event_tells_what_was_written(batch):
    commands, offers = batch
    plan = decide(commands, offers)
    callers = {c.id: c for c in commands}
    for order, event in zip(plan.orders, plan.events, strict=True):
        data = msgspec.json.decode(event.data)
        assert (event.stream, event.version, event.type) == (order.id, 1, "order.placed")
        assert (event.actor, event.correlation) == (order.buyer, callers[order.id].correlation)
        assert data["number"] == ids.format_order_number(order.number)
        assert data["total_minor"] == order.price.total_minor
        assert [line["total_minor"] for line in data["lines"]] == [line.total_minor for line in order.lines]


@laws(200)
@given(batches, st.data())
def test_earlier_commands_win(batch, data):
    """What comes later in a batch changes nothing for what came before."""
    commands, offers = batch
    first = data.draw(st.integers(0, len(commands)))
    alone, together = decide(commands[:first], offers), decide(commands, offers)
    assert alone.outcomes == together.outcomes[:first]
    assert alone.orders == together.orders[: len(alone.orders)]


@laws(100)
@given(batches)
def test_deciding_twice_decides_the_same_and_leaves_its_input_alone(batch):
    commands, offers = batch
    before = msgspec.msgpack.encode((commands, list(offers.values())))
    assert decide(commands, offers) == decide(commands, offers)
    assert msgspec.msgpack.encode((commands, list(offers.values()))) == before


@laws(200)
@given(batches)
def test_the_plan_says_what_was_wanted_and_what_was_short(batch):
    """The shell locks stock first when what is wanted comes close to what there is."""
    commands, offers = batch
    plan = decide(commands, offers)
    refused_for_stock = {
        key
        for claimed, outcome in zip(commands, plan.outcomes, strict=True)
        if isinstance(outcome, Rejected) and outcome.problem.code == "out_of_stock"
        for key in _units(claimed)
    }
    assert plan.short <= refused_for_stock
    assert bool(plan.short) == bool(refused_for_stock)
    for key, (_, units) in plan.stock.items():
        assert plan.wanted[key.variant_id, key.seller_id] >= units


def _poisoned(claimed, poison):
    """A command whose decision raises, early (a quantity that can't be compared) or late (no order number)."""
    if poison == "late":
        return msgspec.structs.replace(claimed, id=None)
    first, *rest = claimed.command.lines
    lines = (OrderLine(first.variant_id, first.seller_id, "many"), *rest)
    return msgspec.structs.replace(claimed, command=PlaceOrder(claimed.command.currency, lines))


@laws(200)
@given(batches, st.data(), st.sampled_from(["early", "late"]))
def test_a_decision_that_raises_parks_its_own_command_alone(batch, data, poison):
    commands, offers = batch
    if not commands:
        return
    index = data.draw(st.integers(0, len(commands) - 1))
    poisoned = [*commands[:index], _poisoned(commands[index], poison), *commands[index + 1 :]]
    plan = decide(poisoned, offers)
    spared = decide(commands[:index] + commands[index + 1 :], offers)
    # A refusal that comes before the poison is a refusal.
    assert isinstance(plan.outcomes[index], Faulted | Rejected)
    assert plan.outcomes[:index] + plan.outcomes[index + 1 :] == spared.outcomes
    assert _rows(plan) == _rows(spared)


@pytest.mark.parametrize("poison", ["early", "late"])
def test_the_error_that_parked_a_command_names_itself(poison):
    commands, offers = _one_offer()
    (outcome,) = decide([_poisoned(commands[0], poison)], offers).outcomes
    assert isinstance(outcome, Faulted)
    assert outcome.error.split(":")[0] in {"TypeError", "AttributeError"}


def _one_offer(**changes):
    ((variant, seller),) = ((ids.compose(1, bytes(8)), ids.compose(2, bytes(8))),)
    offer = placement.Offer(
        variant_id=variant,
        seller_id=seller,
        sku="MUG-1",
        title="Mug",
        category=None,
        attributes="{}",
        price_minor=1450,
        currency="USD",
        sellable=True,
        available=5,
        product_id=variant,
        categories=(),
        weight_grams=0,
    )
    offers = {(variant, seller): msgspec.structs.replace(offer, **changes)}
    return [claim(1, PlaceOrder("USD", (OrderLine(variant, seller, 2),)))], offers


def test_offers_of_a_batch_are_named_once_each():
    commands, offers = _one_offer()
    assert offers_of(c.command for c in [*commands, *commands]) == list(offers)
