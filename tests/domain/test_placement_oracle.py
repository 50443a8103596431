"""Placing orders against an oracle that is slow and obviously right: units are tokens, taken one at a time."""

import pytest
from hypothesis import given

from domain import ids
from domain.catalog.model import Offer
from domain.journal.model import Rejected
from domain.money import MINOR_MAX, Money
from domain.orders.model import OrderLine, PlaceOrder
from domain.rejections import Code
from tests.domain.strategies import QUANTITY_MAX, batches, claim, decide, laws, make_id


def _catalog_faults(command, offers):
    """What is wrong with the order whatever the stock, in the order in which a client hears of it."""
    asked = {}
    for line in command.lines:
        key = (line.variant_id, line.seller_id)
        asked[key] = asked.get(key, 0) + line.quantity
    for key, units in asked.items():
        if key not in offers:
            yield Code.UNKNOWN_OFFER
            continue
        if not offers[key].sellable:
            yield Code.OFFER_UNAVAILABLE
        if offers[key].currency != command.currency:
            yield Code.CURRENCY_MISMATCH
        if units > QUANTITY_MAX:
            yield Code.QUANTITY_TOO_LARGE
    for line in command.lines:
        offer = offers[line.variant_id, line.seller_id]
        if line.expected_unit_price not in {None, Money(offer.price_minor, offer.currency)}:
            yield Code.PRICE_CHANGED


def _stock_faults(command, offers, shelf):
    """Take unit by unit from the shelf; put nothing back, because nothing is taken until all is there."""
    basket = []
    for line in command.lines:
        for _ in range(line.quantity):
            free = [token for token in shelf[line.variant_id, line.seller_id] if token not in basket]
            if not free:
                yield Code.OUT_OF_STOCK
                return
            basket.append(free[0])
    if sum(offers[token[0]].price_minor for token in basket) > MINOR_MAX:
        yield Code.AMOUNT_TOO_LARGE
        return
    for token in basket:
        shelf[token[0]].remove(token)


def _first_fault(command, offers, shelf):
    fault = next(_catalog_faults(command, offers), None)
    return fault or next(_stock_faults(command, offers, shelf), None)


@laws(600)
@given(batches)
def test_the_oracle_agrees_on_every_outcome(batch):
    commands, offers = batch
    shelf = {key: [(key, n) for n in range(offer.available)] for key, offer in offers.items()}
    expected = [_first_fault(claimed.command, offers, shelf) for claimed in commands]
    plan = decide(commands, offers)
    assert [o.problem.code if isinstance(o, Rejected) else None for o in plan.outcomes] == expected
    for key, offer in offers.items():
        taken = sum(units for stock, (_, units) in plan.stock.items() if (stock.variant_id, stock.seller_id) == key)
        assert offer.available - taken == len(shelf[key])


VARIANT, SELLER = make_id(1), make_id(2)


def _decide_one(*lines, currency="USD", **changes):
    offer = {
        "variant_id": VARIANT,
        "seller_id": SELLER,
        "sku": "MUG-1",
        "title": "Mug",
        "category": None,
        "attributes": "{}",
        "price_minor": 1450,
        "currency": "USD",
        "sellable": True,
        "available": 5,
        "product_id": VARIANT,
        "categories": (),
        "weight_grams": 0,
        **changes,
    }
    (outcome,) = decide([claim(1, PlaceOrder(currency, lines))], {(VARIANT, SELLER): Offer(**offer)}).outcomes
    return outcome


def _line(quantity=1, expected=None):
    return OrderLine(VARIANT, SELLER, quantity, expected)


def _problem(*lines, **changes):
    problem = _decide_one(*lines, **changes).problem
    return problem.status, problem.code.value, problem.path, problem.detail


def test_an_unknown_offer_is_named_by_its_line():
    stranger = OrderLine(make_id(9), SELLER, 1)
    detail = "there is no such offer of this seller"
    assert _problem(_line(), stranger) == (422, "unknown_offer", "lines[1]", detail)


def test_an_offer_that_is_not_for_sale_is_refused():
    assert _problem(_line(), sellable=False) == (409, "offer_unavailable", "lines[0]", "MUG-1 is not for sale now")


def test_one_order_has_one_currency():
    status, code, path, detail = _problem(_line(), currency="EUR")
    assert (status, code, path) == (422, "currency_mismatch", "lines[0]")
    assert "the order is in EUR, the offer in USD" in detail


def test_quantities_of_one_offer_are_limited_together():
    status, code, path, detail = _problem(_line(5), _line(5), available=100)
    assert (status, code, path) == (422, "quantity_too_large", "lines[0].quantity")
    assert str(QUANTITY_MAX) in detail


def test_a_price_that_changed_is_told():
    shown = Money(1400, "USD")
    status, code, path, detail = _problem(_line(), _line(1, shown))
    assert (status, code, path) == (409, "price_changed", "lines[1].expected_unit_price")
    assert "1450 USD" in detail


def test_the_right_price_in_another_currency_is_another_price():
    assert _problem(_line(1, Money(1450, "EUR")))[1] == "price_changed"


def test_out_of_stock_says_what_is_left():
    assert _problem(_line(4), _line(2)) == (409, "out_of_stock", "lines[0]", "6 wanted, 5 available")
    assert _problem(_line(1), available=0)[3] == "1 wanted, 0 available"


def test_the_last_unit_goes_to_one_buyer():
    lines = PlaceOrder("USD", (_line(1),))
    commands = [claim(n, lines) for n in range(3)]
    offer = Offer(VARIANT, SELLER, "MUG-1", "Mug", None, "{}", 1450, "USD", True, 1, VARIANT, (), 0)
    plan = decide(commands, {(VARIANT, SELLER): offer})
    assert [isinstance(outcome, Rejected) for outcome in plan.outcomes] == [False, True, True]
    assert plan.short == {(VARIANT, SELLER)}


@pytest.mark.parametrize(("price", "quantity", "refused"), [(MINOR_MAX, 1, False), (MINOR_MAX // 2 + 1, 2, True)])
def test_an_order_has_a_largest_total(price, quantity, refused):
    outcome = _decide_one(_line(quantity), price_minor=price)
    if refused:
        assert (outcome.problem.status, outcome.problem.code.value) == (422, "amount_too_large")
    else:
        assert outcome.result.total.amount == MINOR_MAX


def test_a_free_offer_makes_an_order_of_zero():
    assert _decide_one(_line(2), price_minor=0).result.total == Money(0, "USD")


def test_the_order_is_the_commands_id_and_its_number_the_ids():
    result = _decide_one(_line()).result
    assert result.order_id == make_id(1)
    assert result.number == ids.format_order_number(ids.order_number(make_id(1)))
