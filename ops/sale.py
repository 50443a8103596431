"""A flash sale on paper: what is on sale, and who wants what.

Invariant: the same size and seed make the same sale, ids included; so two runs differ only in what the engine does
with it. The scarce offers are wanted by several times as many buyers as they have units.
"""

from collections.abc import Sequence
from random import Random
from uuid import UUID

from msgspec import Struct

from domain.orders.model import CodesMode, OrderLine, PlaceOrder
from ops.goods import NewOffer, NewSeller

CURRENCY = "EUR"
_SELLERS = ("Fjord & Field", "Copper Kettle", "Night Train Books", "Halyard", "Low Tide Ceramics", "Second Spring")
_SCARCE = ("Signed first edition", "Hand-thrown teapot", "Copper kettle No. 1", "Sailcloth bag, numbered")
_PLENTY = ("Enamel mug", "Notebook, A5", "Wool socks", "Beeswax candle", "Linen towel", "Pencil set", "Tea, 100 g")
PLENTY_OFFERS = 28
CODE = "QUICK"
CODE_EVERY = 3
"""Every so many orders give the code, whether it has any use left or not."""
UNITS_PER_LINE_MAX = 2


class Size(Struct, frozen=True):
    """How big a sale is: orders in the rush, latecomers after it, units of all scarce offers, buyers."""

    rush: int = 2_400
    late: int = 200
    scarce_units: int = 400
    buyers: int = 600
    code_uses_max: int = 100
    """How often the code may be used: far less often than it will be given."""
    succeeded_min: int = 1_000
    """Fewer placed orders than this aren't a sale that shows anything."""


class Wish(Struct, frozen=True):
    """One order under one key. ``copies``: how often the impatient buyer sends it at once; ``resent``: and again later.

    With ``polls`` the buyer asks for the job's state instead of waiting on the line.
    """

    key: str
    buyer: UUID
    order: PlaceOrder
    copies: int
    resent: bool
    polls: bool


class Sale(Struct, frozen=True):
    """A sale: its catalog, the scarce ones first, and the orders of the rush and after it."""

    sellers: Sequence[NewSeller]
    scarce: Sequence[NewOffer]
    plenty: Sequence[NewOffer]
    rush: Sequence[Wish]
    late: Sequence[Wish]


def draw_up(size: Size, seed: int) -> Sale:
    """Make a sale of a size."""
    chance = Random(seed)  # noqa: S311 - a scenario, not a secret
    sellers = [NewSeller(_id(chance), name) for name in _SELLERS]
    scarce = [
        _offer(chance, sellers[n % len(sellers)], title, units=size.scarce_units // len(_SCARCE))
        for n, title in enumerate(_SCARCE)
    ]
    plenty = [
        _offer(chance, sellers[n % len(sellers)], f"{_PLENTY[n % len(_PLENTY)]}, batch {n + 1}", units=size.rush // 6)
        for n in range(PLENTY_OFFERS)
    ]
    buyers = [_id(chance) for _ in range(size.buyers)]

    def wish(number: int, *, after_scarce: bool) -> Wish:
        lines = _lines(chance, scarce if after_scarce else (), plenty)
        return Wish(
            key=f"sale-{number}",
            buyer=chance.choice(buyers),
            order=PlaceOrder(
                CURRENCY,
                lines,
                codes=(CODE,) if number % CODE_EVERY == 0 else (),
                promotions=CodesMode.BEST_EFFORT if number % CODE_EVERY == 0 else CodesMode.STRICT,
            ),
            copies=3 if number % 8 == 0 else 1,
            resent=number % 8 == 4,
            polls=number % 16 == 6,
        )

    rush = [wish(number, after_scarce=number % 2 == 0) for number in range(size.rush)]
    late = [wish(number, after_scarce=True) for number in range(size.rush, size.rush + size.late)]
    chance.shuffle(rush)
    return Sale(sellers, scarce, plenty, rush, late)


def _lines(chance: Random, scarce: Sequence[NewOffer], plenty: Sequence[NewOffer]) -> tuple[OrderLine, ...]:
    """A scarce unit, alone or with something else; or one to three ordinary things, often of several sellers."""
    picked = [chance.choice(scarce)] if scarce else []
    picked += chance.sample(plenty, chance.choice((0, 0, 1)) if scarce else chance.choice((1, 2, 3)))
    return tuple(
        OrderLine(offer.variant_id, offer.seller_id, 1 if offer in scarce else chance.randint(1, UNITS_PER_LINE_MAX))
        for offer in picked
    )


def _offer(chance: Random, seller: NewSeller, title: str, *, units: int) -> NewOffer:
    variant_id = _id(chance)
    return NewOffer(
        product_id=_id(chance),
        variant_id=variant_id,
        seller_id=seller.id,
        title=title,
        category="flash sale",
        attributes={},
        sku=variant_id.hex,
        price_minor=chance.randrange(500, 20_000, 50),
        currency=CURRENCY,
        units=units,
    )


def _id(chance: Random) -> UUID:
    return UUID(int=chance.getrandbits(128), version=4)
