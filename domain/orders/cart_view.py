"""A cart as its owner sees it: prices and stock looked at again, and what it would come to.

Invariant: what a cart comes to is told by the quote of the order it would become (``quotation``), so it is what placing
would charge. A cart shows whatever became of the things in it.
"""

from datetime import datetime
from uuid import UUID

from msgspec import Struct

from domain.accounts.address_model import PostalAddress
from domain.money import Money
from domain.orders import quotation
from domain.orders.cart_edit import order_of, present_price
from domain.orders.cart_model import Cart, CartLine, CartStatus
from domain.orders.demand import Market
from domain.orders.model import CodesMode
from domain.orders.quotation import Quotation
from domain.rejections import Code, Rejection


class CartLineView(Struct, frozen=True):
    """A line. ``unit_price`` is the price it was shown with, ``present_price`` what holds, null where ``unavailable``.

    ``short`` says that there are fewer than ``quantity`` units: ``available``.
    """

    variant_id: UUID
    seller_id: UUID
    sku: str | None
    title: str | None
    quantity: int
    unit_price: Money | None
    present_price: Money | None
    available: int
    price_changed: bool
    short: bool
    unavailable: bool


class CartView(Struct, frozen=True):
    """A cart. ``order_id`` is the order of the last checkout: placed, or being placed, unless the cart is open.

    ``refusal`` is what a checkout would be refused with now; ``quote`` what it would charge at present prices, null
    where that can't be told and when the cart isn't open.
    """

    id: UUID
    owner: UUID
    version: int
    status: CartStatus
    order_id: UUID | None
    currency: str
    lines: list[CartLineView]
    codes: tuple[str, ...]
    promotions: CodesMode
    email: str | None
    shipping_address_id: UUID | None
    shipping_address: PostalAddress | None
    shipping_methods: dict[UUID, UUID]
    quote: Quotation | None
    refusal: Rejection | None
    created_at: datetime
    updated_at: datetime


def view(cart: Cart, market: Market) -> CartView:
    """Show a cart against what holds now."""
    content = cart.content
    quote, refusal = _quoted(cart, market) if cart.status is CartStatus.OPEN and content.lines else (None, None)
    return CartView(
        id=cart.id,
        owner=cart.owner,
        version=cart.version,
        status=cart.status,
        order_id=cart.order_id,
        currency=content.currency,
        lines=[_line(line, n, cart, market) for n, line in enumerate(content.lines)],
        codes=content.codes,
        promotions=content.promotions,
        email=content.email,
        shipping_address_id=content.shipping_address_id,
        shipping_address=content.shipping_address,
        shipping_methods=content.shipping_methods,
        quote=quote,
        refusal=refusal,
        created_at=cart.created_at,
        updated_at=cart.updated_at,
    )


def _quoted(cart: Cart, market: Market) -> tuple[Quotation | None, Rejection | None]:
    found = quotation.decide(order_of(cart.content), cart.owner, market)
    if not isinstance(found, Rejection):
        return found, found.refusal
    if found.code is not Code.PRICE_CHANGED:
        return None, found
    at_present = quotation.decide(order_of(cart.content, at_shown_prices=False), cart.owner, market)
    return None if isinstance(at_present, Rejection) else at_present, found


def _line(line: CartLine, index: int, cart: Cart, market: Market) -> CartLineView:
    currency = cart.content.currency
    offer = market.offers.get(line.key)
    found = present_price(line, index, currency, cart.owner, market)
    present = None if isinstance(found, Rejection) else Money(found, currency)
    available = 0 if offer is None else max(offer.available, 0)
    return CartLineView(
        variant_id=line.variant_id,
        seller_id=line.seller_id,
        sku=None if offer is None else offer.sku,
        title=None if offer is None else offer.title,
        quantity=line.quantity,
        unit_price=line.unit_price,
        present_price=present,
        available=available,
        price_changed=present is not None and present != line.unit_price,
        short=available < line.quantity,
        unavailable=present is None,
    )
