"""What becomes of a cart that is written: what comes in, at which price, and what is ordered of it."""

import msgspec
import pytest

from domain.catalog.model import Offer
from domain.money import Money
from domain.orders import cart_edit
from domain.orders.basket import no_pricing
from domain.orders.cart_model import CARTS_MAX, Cart, CartContent, CartLine, CartStatus, Checkout
from domain.orders.cart_view import view
from domain.orders.demand import Market
from domain.orders.model import CodesMode, PlaceOrder
from domain.rejections import Code, Rejection
from tests.domain.pricing_builders import BUYER, NOW, seller, thing, usd
from tests.domain.strategies import make_id
from tests.domain.test_cart_merge import HOME

QUANTITY_MAX = 9


def offer(number: int, *, price: int = 100, currency: str = "USD", sellable: bool = True, available: int = 5) -> Offer:
    return Offer(
        variant_id=thing("variant", number),
        seller_id=seller(0),
        sku="SKU",
        title="A thing",
        category=None,
        attributes="{}",
        price_minor=price,
        currency=currency,
        sellable=sellable,
        available=available,
        product_id=thing("product", number),
        categories=(),
        weight_grams=0,
    )


def market(*offers: Offer) -> Market:
    return Market({(o.variant_id, o.seller_id): o for o in offers}, no_pricing(), NOW, QUANTITY_MAX)


def line(number: int, quantity: int = 1, price: Money | None = None) -> CartLine:
    return CartLine(thing("variant", number), seller(0), quantity, price)


def noted(wish: CartContent, *offers: Offer, before: CartContent | None = None) -> CartContent:
    found = cart_edit.note(wish, before, BUYER, market(*offers))
    assert isinstance(found, CartContent), found
    return found


def refused(wish: CartContent, *offers: Offer, before: CartContent | None = None) -> tuple[Code, str | None]:
    found = cart_edit.note(wish, before, BUYER, market(*offers))
    assert isinstance(found, Rejection)
    return found.code, found.path


def usd_cart(*lines: CartLine) -> CartContent:
    return CartContent("USD", lines)


def test_a_line_knows_the_present_price_unless_another_was_shown():
    wish = usd_cart(line(1), line(2, 1, usd(90)))
    assert [one.unit_price for one in noted(wish, offer(1), offer(2)).lines] == [usd(100), usd(90)]


def test_the_first_price_that_is_said_of_an_offer_counts():
    wish = usd_cart(line(1, 1), line(1, 2, usd(90)), line(1, 3, usd(80)))
    assert noted(wish, offer(1)).lines == (line(1, 6, usd(90)),)


def test_a_free_thing_has_a_price_too():
    assert noted(usd_cart(line(1, 1, usd(0))), offer(1)).lines == (line(1, 1, usd(0)),)


def test_a_price_is_in_the_currency_of_the_cart():
    euros = usd_cart(line(1), line(2, 1, Money(1, "EUR")))
    assert refused(euros, offer(1), offer(2)) == (Code.CURRENCY_MISMATCH, "lines[1].unit_price")


@pytest.mark.parametrize(
    ("offers", "code"),
    [
        ((), Code.UNKNOWN_OFFER),
        ((offer(1, sellable=False),), Code.OFFER_UNAVAILABLE),
        ((offer(1, currency="EUR"),), Code.CURRENCY_MISMATCH),
    ],
)
def test_what_cannot_be_bought_does_not_come_in_and_may_stay(offers: tuple[Offer, ...], code: Code):
    assert refused(usd_cart(line(1, 1, usd(100))), *offers) == (code, "lines[0]")
    before = usd_cart(line(1, 1, usd(100)))
    assert noted(usd_cart(line(1, 3)), *offers, before=before) == usd_cart(line(1, 3, usd(100)))
    in_euros = CartContent("EUR", (line(1, 1, Money(100, "EUR")),))
    assert refused(usd_cart(line(1)), *offers, before=in_euros) == (code, "lines[0]")


def test_no_line_has_more_units_than_an_order_may_have():
    many = usd_cart(line(1, 5), line(2), line(1, 5))
    before = usd_cart(line(1, 1, usd(100)))
    assert refused(many, offer(1), offer(2)) == (Code.QUANTITY_TOO_LARGE, "lines[0].quantity")
    assert refused(many, offer(2), before=before) == (Code.QUANTITY_TOO_LARGE, "lines[0].quantity")


def test_what_is_ordered_is_what_the_cart_holds_at_the_prices_it_shows():
    cart = CartContent(
        "USD", (line(1, 2, usd(100)),), codes=("A",), promotions=CodesMode.BEST_EFFORT, shipping_address=HOME
    )
    order = cart_edit.order_of(cart)
    shared = set(PlaceOrder.__struct_fields__) & set(CartContent.__struct_fields__) - {"lines"}
    assert {name: getattr(order, name) for name in shared} == {name: getattr(cart, name) for name in shared}
    assert [(one.quantity, one.expected_unit_price) for one in order.lines] == [(2, usd(100))]


def test_an_address_that_a_checkout_says_replaces_either_kind():
    cart = msgspec.structs.replace(usd_cart(line(1)), shipping_address_id=make_id(1), email="a@example.com")
    changed = cart_edit.with_wishes(cart, Checkout(shipping_address=HOME))
    assert (changed.shipping_address, changed.shipping_address_id, changed.email) == (HOME, None, "a@example.com")
    assert cart_edit.with_wishes(cart, Checkout()) == cart


def test_a_closed_cart_is_not_changed():
    cart = Cart(make_id(1), BUYER, 1, CartStatus.OPEN, None, usd_cart(), NOW, NOW)
    codes = {
        status: found and found.code
        for status in CartStatus
        for found in [cart_edit.refuse_closed(msgspec.structs.replace(cart, status=status))]
    }
    assert codes == {CartStatus.OPEN: None, CartStatus.ORDERING: Code.CART_STATE, CartStatus.ORDERED: Code.CART_STATE}


def test_there_is_room_for_as_many_carts_as_there_may_be():
    assert cart_edit.refuse_another(CARTS_MAX - 1) is None
    found = cart_edit.refuse_another(CARTS_MAX)
    assert found is not None
    assert found.code is Code.LIMIT_REACHED


def test_an_ordered_cart_shows_its_lines_and_quotes_nothing():
    cart = Cart(make_id(1), BUYER, 2, CartStatus.ORDERED, make_id(2), usd_cart(line(1, 9, usd(90))), NOW, NOW)
    seen = view(cart, market(offer(1)))
    assert (seen.quote, seen.refusal, seen.order_id) == (None, None, make_id(2))
    (shown,) = seen.lines
    assert (shown.present_price, shown.price_changed, shown.short) == (usd(100), True, True)
