"""The orders of the bench: 1 to 4 lines of different offers, over up to 3 sellers, the same on every run.

Everything random is drawn from a seeded generator before a clock starts: what the client works out while it
measures is missing from what it measures.
"""

import random
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.accounts.model import Role
from domain.journal.model import SYSTEM
from domain.orders.model import OrderLine, PlaceOrder
from infra.clock import new_id
from infra.security import Tokens
from ops.catalog import write_catalog
from ops.goods import NewOffer, NewSeller

CURRENCY = "USD"
UNITS_PLENTY = 100_000_000
LINES_MAX = 4
SELLERS_MAX = 3
QUANTITIES = (1, 1, 1, 2, 3)
SEED = 20_261_122
TOKEN_SECONDS = 3 * 3_600


class Assortment(Struct, frozen=True):
    """The sellers and their offers, dealt in turn: seller ``n`` has every offer at ``n`` modulo their number."""

    sellers: list[NewSeller]
    offers: list[NewOffer]

    def of_seller(self, index: int) -> Sequence[NewOffer]:
        """The offers of one seller."""
        return self.offers[index :: len(self.sellers)]


def assortment(offers: int, sellers: int) -> Assortment:
    """Make sellers and offers with plenty of stock."""
    who = [NewSeller(new_id(), f"Seller {number}") for number in range(sellers)]
    return Assortment(who, [_offer(number, who[number % sellers]) for number in range(offers)])


def _offer(number: int, seller: NewSeller) -> NewOffer:
    return NewOffer(
        product_id=new_id(),
        variant_id=new_id(),
        seller_id=seller.id,
        title=f"Product {number}",
        category=f"category {number % 50}",
        attributes={"colour": "slate", "size": "M"},
        sku=f"SKU-{number:06d}",
        price_minor=500 + number % 9_000,
        currency=CURRENCY,
        units=UNITS_PLENTY,
    )


async def write_assortment(conn: Any, goods: Assortment) -> None:
    """Write an assortment to the database."""
    await write_catalog(conn, goods.sellers, goods.offers, actor=SYSTEM, reason="bench")


def draw_orders(goods: Assortment, count: int, *, hot: NewOffer | None = None) -> list[PlaceOrder]:
    """Draw orders; with ``hot``, the first line of each takes one unit of that offer."""
    draw = random.Random(SEED)  # noqa: S311 - a seeded draw, so that two runs send the same orders
    return [_order(goods, draw, hot) for _ in range(count)]


def _order(goods: Assortment, draw: random.Random, hot: NewOffer | None) -> PlaceOrder:
    lines = draw.randint(1, LINES_MAX)
    sellers = draw.sample(range(len(goods.sellers)), min(lines, draw.randint(1, SELLERS_MAX)))
    chosen: dict[tuple[UUID, UUID], int] = {}
    if hot is not None:
        sellers[0] = next(n for n, seller in enumerate(goods.sellers) if seller.id == hot.seller_id)
        chosen[hot.variant_id, hot.seller_id] = 1
    while len(chosen) < lines:
        offer = draw.choice(goods.of_seller(sellers[len(chosen) % len(sellers)]))
        chosen.setdefault((offer.variant_id, offer.seller_id), draw.choice(QUANTITIES))
    return PlaceOrder(CURRENCY, tuple(OrderLine(*key, quantity) for key, quantity in chosen.items()))


def draw_buyers(secret_key: str, count: int) -> list[str]:
    """Sign the tokens of that many buyers."""
    tokens = Tokens(secret_key)
    return [tokens.sign(new_id(), frozenset({Role.BUYER}), TOKEN_SECONDS) for _ in range(count)]


def body_of(order: PlaceOrder) -> bytes:
    """Encode an order as a client sends it: without the fields it has nothing to say about."""
    lines = [
        {"variant_id": line.variant_id, "seller_id": line.seller_id, "quantity": line.quantity} for line in order.lines
    ]
    return msgspec.json.encode(
        {"currency": order.currency, "lines": lines} | ({"codes": order.codes} if order.codes else {})
    )
