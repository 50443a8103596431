"""A flash sale on paper: what is on sale, and who wants what.

Invariant: the same size and seed make the same sale, ids included; so two runs differ only in what the engine does
with it. The scarce offers are wanted by several times as many buyers as they have units. What a buyer does about the
order follows from the order's number.
"""

from collections.abc import Sequence
from enum import StrEnum, auto
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


class Story(StrEnum):
    """What a buyer does about an order that was placed."""

    PAYS = auto()
    PAYS_AFTER_A_DECLINE = auto()
    ACTS_AND_PAYS = auto()
    PAYS_AT_THE_SECOND_CALL = auto()
    PAYS_AND_THE_ANSWER_IS_LOST = auto()
    PAYS_AND_IS_TOLD_LATE = auto()
    PAYS_AND_IS_TOLD_TWICE = auto()
    CANCELS = auto()
    CANCELS_A_LINE_AND_PAYS = auto()
    PAYS_AND_CANCELS = auto()
    PAYS_AND_CANCELS_A_LINE = auto()
    IS_DECLINED_AND_LEAVES = auto()
    LEAVES = auto()


# As many as share no divisor with the numbers below by which keys are sent again and codes are given.
STORIES = (
    *[Story.PAYS] * 9,
    *[Story.PAYS_AFTER_A_DECLINE, Story.ACTS_AND_PAYS, Story.PAYS_AND_CANCELS] * 2,
    *[story for story in Story if story not in {Story.PAYS, Story.PAYS_AFTER_A_DECLINE, Story.ACTS_AND_PAYS}],
)
EXPIRING = frozenset({Story.IS_DECLINED_AND_LEAVES, Story.LEAVES})


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
    served: int = 180
    """Of how many paid orders the demo tells what becomes of them."""
    hold_seconds: int = 15
    """How long an order is held for who doesn't pay: far longer than anybody needs to begin, and no longer."""


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
    story: Story = Story.PAYS


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
    sellers = [NewSeller(_id(chance), name, owner=_id(chance)) for name in _SELLERS]
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
            story=_story(number, size),
        )

    rush = [wish(number, after_scarce=number % 2 == 0) for number in range(size.rush)]
    late = [wish(number, after_scarce=True) for number in range(size.rush, size.rush + size.late)]
    chance.shuffle(rush)
    # First whoever leaves: what they held is back before the last ones ask for it.
    rush.sort(key=lambda wish: wish.story not in EXPIRING)
    return Sale(sellers, scarce, plenty, rush, late)


def _story(number: int, size: Size) -> Story:
    """The stories in turn; nobody waits for what a latecomer leaves behind."""
    story = STORIES[number % len(STORIES)]
    return Story.PAYS if number >= size.rush and story in EXPIRING else story


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
