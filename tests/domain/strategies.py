"""Generated catalogs, orders and cancellations: small worlds, so that commands meet often."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from domain import ids
from domain.catalog.model import Offer, OfferKey
from domain.journal.model import Claimed
from domain.money import MINOR_MAX, Money
from domain.orders import placement
from domain.orders.basket import no_pricing
from domain.orders.cancellation import OpenOrder
from domain.orders.model import CancelOrder, Fulfilment, OrderLine, Payment, PlacementPlan, PlaceOrder
from domain.orders.price import LineAmounts, Price, PromotionPart, ShippingAmounts, ShippingTerms
from domain.pricing.promotion_model import Funding

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOLD = timedelta(minutes=15)
QUANTITY_MAX = 9
CURRENCIES = ("USD", "EUR")

C = TypeVar("C", PlaceOrder, CancelOrder)
Offers = dict[OfferKey, Offer]
Place = Claimed[PlaceOrder]
Cancel = Claimed[CancelOrder]


LAWS_TIMES = float(os.environ.get("LAWS_TIMES", "0.3"))
"""What part of its cases each law is tried on, other ones in each run; ``make laws`` tries all of them many times."""


def laws(examples: int = 300) -> Any:
    """How hard a law is tried. No deadline: the machine is shared."""
    return settings(
        max_examples=int(examples * LAWS_TIMES), deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )


def make_id(number: int) -> UUID:
    """The id of the ``number``-th thing: one a millisecond."""
    return ids.compose(1_800_000_000_000 + number, number.to_bytes(8, "big"))


def claim(number: int, command: C, *, principal: UUID | None = None, attempts: int = 0) -> Claimed[C]:
    """A command as a worker holds it."""
    return Claimed(
        id=make_id(number),
        principal=principal or make_id(900_000 + number % 3),
        attempts=attempts,
        correlation=f"c{number}",
        created_at=NOW,
        command=command,
    )


def decide(commands: Sequence[Place], offers: Offers) -> PlacementPlan:
    """Place with the house's usual hold and a small limit on quantities."""
    return placement.decide(commands, offers, no_pricing(), now=NOW, hold=HOLD, line_quantity_max=QUANTITY_MAX)


_some_amounts = st.tuples(st.integers(0, 99), st.integers(0, 99))
_PRICES = (0, 1, 650, 1450, 1999, 12_900, MINOR_MAX // 2, MINOR_MAX)
_MOSTLY = (True,) * 9 + (False,)
_raw_offers = st.lists(
    st.tuples(st.sampled_from(_PRICES), st.sampled_from(_MOSTLY), st.sampled_from(_MOSTLY), st.integers(0, 12)),
    min_size=1,
    max_size=6,
)
_raw_lines = st.lists(
    st.tuples(
        st.sampled_from([*range(6), *range(6), -1]),
        st.sampled_from([1, 1, 1, 2, 2, 3, 4, QUANTITY_MAX + 1]),
        st.sampled_from([*["none"] * 6, "right", "right", "other amount", "other currency"]),
    ),
    min_size=1,
    max_size=4,
)
_raw_orders = st.lists(st.tuples(_raw_lines, st.sampled_from(_MOSTLY), st.integers(0, 2)), max_size=8)


def _offer(n: int, price: int, dollars: bool, sellable: bool, available: int) -> Offer:
    return Offer(
        variant_id=make_id(1_000 + n // 2),
        seller_id=make_id(2_000 + n % 3),
        sku=f"SKU-{n}",
        title=f"Thing {n}",
        category="things" if n % 2 else None,
        attributes=f'{{"n":{n}}}',
        price_minor=price,
        currency="USD" if dollars else "EUR",
        sellable=sellable,
        available=available,
        product_id=make_id(3_000 + n // 2),
        categories=(),
        weight_grams=n,
    )


def _line(offers: list[Offer], index: int, quantity: int, expecting: str) -> OrderLine:
    if index < 0:
        return OrderLine(make_id(1_999), make_id(2_999), quantity)
    offer = offers[index % len(offers)]
    price, other = offer.price_minor, "EUR" if offer.currency == "USD" else "USD"
    expected = {
        "none": None,
        "right": Money(price, offer.currency),
        "other amount": Money(price ^ 1, offer.currency),
        "other currency": Money(price, other),
    }[expecting]
    return OrderLine(offer.variant_id, offer.seller_id, quantity, expected)


def _batch(raw: Any) -> tuple[list[Place], Offers]:
    raw_offers, raw_orders = raw
    offers = [_offer(n, *fields) for n, fields in enumerate(raw_offers)]
    commands = [
        claim(
            n,
            PlaceOrder("USD" if dollars else "EUR", tuple(_line(offers, *fields) for fields in lines)),
            attempts=attempts,
        )
        for n, (lines, dollars, attempts) in enumerate(raw_orders)
    ]
    return commands, {(offer.variant_id, offer.seller_id): offer for offer in offers}


batches = st.tuples(_raw_offers, _raw_orders).map(_batch)
"""A batch of orders and the catalog it meets: up to six offers of three sellers, most of them sellable dollars."""


@st.composite
def _prices(draw: st.DrawFn, lines: list[int], by_number: list[UUID], sellers: dict[int, UUID]) -> Price:
    """A price version: discounts, tax that is added or not, shipping of some sellers, and who took off what."""
    amounts = {
        n: LineAmounts(draw(st.integers(0, 9_999)), *draw(_some_amounts), 7, draw(st.sampled_from([0, 7])))
        for n in lines
    }
    shipped = [n for n, seller in enumerate(by_number) if seller in {sellers[line] for line in lines}]
    terms = ShippingTerms(make_id(7_000), "Post")
    shipping = {n: ShippingAmounts(500, terms, 100, 50) for n in shipped if draw(st.booleans())}
    parts = [
        PromotionPart(make_id(8_000 + n), 1, "P", Funding.PLATFORM, lines=tuple((line, 1) for line in touched))
        for n, touched in enumerate(draw(st.lists(st.sets(st.sampled_from(lines), min_size=1), max_size=3)))
    ]
    if shipping:
        parts.append(PromotionPart(make_id(8_100), 1, "F", Funding.SELLER, shipping=tuple((n, 50) for n in shipping)))
    return Price(amounts, shipping, parts)


@st.composite
def open_orders(draw: st.DrawFn, number: int, *, cancellable: bool = False) -> OpenOrder:
    """An order with up to five lines of up to three sellers, some lines cancelled before."""
    order = make_id(number)
    count = draw(st.integers(1, 5))
    sellers = {n: make_id(2_000 + draw(st.integers(0, 2))) for n in range(count)}
    price = draw(
        _prices(
            [n for n in range(count) if n == 0 or draw(st.integers(0, 4))],
            list(dict.fromkeys(sellers.values())),
            sellers,
        )
    )
    fulfilments = {
        seller: Fulfilment.AWAITING if seller in {sellers[n] for n in price.lines} else Fulfilment.CANCELLED
        for seller in sellers.values()
    }
    payment, expired = Payment.UNPAID, False
    if not cancellable and draw(st.integers(0, 3)) == 0:
        payment, expired = draw(st.sampled_from(Payment)), draw(st.booleans())
        fulfilments[sellers[0]] = draw(st.sampled_from(Fulfilment))
    return OpenOrder(
        id=order,
        buyer=make_id(900_000),
        currency="USD",
        payment=payment,
        expired=expired,
        version=draw(st.integers(1, 5)),
        price_version=draw(st.integers(1, 5)),
        price=price,
        sellers=sellers,
        fulfilments=fulfilments,
        quantities={n: draw(st.integers(1, QUANTITY_MAX)) for n in sellers},
    )


@st.composite
def cancellations(draw: st.DrawFn, *, cancellable: bool = False) -> tuple[list[Cancel], dict[UUID, OpenOrder]]:
    """Cancellations of up to three orders: whole, by line, of lines that don't exist, of orders without a row."""
    count = draw(st.integers(1, 3))
    orders = {make_id(n): draw(open_orders(n, cancellable=cancellable)) for n in range(count)}
    known = list(orders) if cancellable else [*orders, make_id(50)]
    commands = []
    for n in range(draw(st.integers(1, 8))):
        lines = draw(st.none() | st.lists(st.integers(0, 5), min_size=1, max_size=3).map(tuple))
        commands.append(claim(100 + n, CancelOrder(draw(st.sampled_from(known)), lines, f"reason {n}")))
    return commands, orders
