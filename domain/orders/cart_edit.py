"""What becomes of a cart that is written, and what is ordered of it.

Invariant: a line comes in only while it can be bought, and then knows the price it was shown with. One that is in may
stay, whatever becomes of its offer: a cart always loads, and its checkout says what is wrong.
"""

from uuid import UUID

import msgspec

from domain.catalog.model import OfferKey
from domain.money import Money
from domain.orders.cart_model import CARTS_MAX, Cart, CartContent, CartLine, CartStatus, Checkout
from domain.orders.demand import Demand, Market, add_up, unit_prices
from domain.orders.model import OrderLine, PlaceOrder
from domain.rejections import Code, Rejection

_GONE = {Code.UNKNOWN_OFFER, Code.OFFER_UNAVAILABLE, Code.CURRENCY_MISMATCH}


def order_of(content: CartContent, *, at_shown_prices: bool = True) -> PlaceOrder:
    """The order that a cart would become, at the prices it was shown with or at whatever holds."""
    return PlaceOrder(
        currency=content.currency,
        lines=tuple(
            OrderLine(line.variant_id, line.seller_id, line.quantity, line.unit_price if at_shown_prices else None)
            for line in content.lines
        ),
        email=content.email,
        codes=content.codes,
        promotions=content.promotions,
        shipping_address_id=content.shipping_address_id,
        shipping_address=content.shipping_address,
        shipping_methods=content.shipping_methods,
    )


def with_wishes(content: CartContent, wish: Checkout) -> CartContent:
    """A cart's content with what a checkout says in place of it; an address that is said replaces either kind."""
    said = {name: value for name in wish.__struct_fields__ if (value := getattr(wish, name)) is not None}
    if "shipping_address" in said or "shipping_address_id" in said:
        said = {"shipping_address": None, "shipping_address_id": None} | said
    return msgspec.structs.replace(content, **said)


def present_price(line: CartLine, index: int, currency: str, owner: UUID, market: Market) -> int | Rejection:
    """What a unit of a line costs its owner now, or why it can't be had."""
    demand = Demand(line.key, 1, index)
    found = unit_prices(PlaceOrder(currency=currency, lines=()), owner, [demand], market)
    return found if isinstance(found, Rejection) else found[0]


def note(content: CartContent, before: CartContent | None, owner: UUID, market: Market) -> CartContent | Rejection:
    """Add up the lines of one offer and give each its price: as said, else at present, else as it was before."""
    known: dict[OfferKey, Money | None] = {}
    if before is not None and before.currency == content.currency:
        known = {line.key: line.unit_price for line in before.lines}
    said: dict[OfferKey, Money] = {}
    for index, line in enumerate(content.lines):
        if line.unit_price is not None:
            if line.unit_price.currency != content.currency:
                detail = f"the cart is in {content.currency}; one order has one currency"
                return Rejection(422, Code.CURRENCY_MISMATCH, detail, f"lines[{index}].unit_price")
            said.setdefault(line.key, line.unit_price)
    noted: list[CartLine] = []
    for demand in add_up(order_of(content)):
        if demand.quantity > market.line_quantity_max:
            detail = f"at most {market.line_quantity_max} units of one offer"
            return Rejection(422, Code.QUANTITY_TOO_LARGE, detail, f"lines[{demand.index}].quantity")
        line = CartLine(*demand.key, demand.quantity)
        present = present_price(line, demand.index, content.currency, owner, market)
        price = said.get(line.key) or known.get(line.key)
        if isinstance(present, Rejection):
            if line.key not in known or present.code not in _GONE:
                return present
        elif line.key not in said:
            price = Money(present, content.currency)
        noted.append(CartLine(*line.key, demand.quantity, price))
    return msgspec.structs.replace(content, lines=tuple(noted))


def refuse_another(count: int) -> Rejection | None:
    """Refuse a cart more to somebody who has as many as they may."""
    if count < CARTS_MAX:
        return None
    return Rejection(409, Code.LIMIT_REACHED, f"at most {CARTS_MAX} carts: order one, or remove one first")


def refuse_closed(cart: Cart) -> Rejection | None:
    """Refuse to change a cart of which an order is placed or being placed."""
    match cart.status:
        case CartStatus.OPEN:
            return None
        case CartStatus.ORDERING:
            detail = "the cart is being ordered: see its order"
        case CartStatus.ORDERED:
            detail = "the cart was ordered: begin another one"
    return Rejection(409, Code.CART_STATE, detail)


def refuse_empty(content: CartContent) -> Rejection | None:
    """Refuse to order nothing."""
    return None if content.lines else Rejection(409, Code.CART_STATE, "the cart is empty")
