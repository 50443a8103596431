"""Generated marketplaces and carts: few things and many promotions, so that rules meet often.

Each setting is drawn from a handful that are worth meeting; ``make`` builds the same world in any currency.
"""

from datetime import timedelta
from itertools import product as every
from typing import Any

from hypothesis import strategies as st
from msgspec import Struct, structs

from domain.money import Money
from domain.pricing.book import Book
from domain.pricing.commission import CommissionRule, CommissionTerms
from domain.pricing.contest import Usage
from domain.pricing.promotion_model import (
    AmountOff,
    Benefit,
    FreeShipping,
    Funding,
    Level,
    PercentOff,
    Stacking,
    StoredPromotion,
)
from domain.pricing.quote import QuoteOrder
from domain.pricing.scope import Scope
from domain.pricing.shipping import BySubtotal, ByWeight, Flat, Owner, Step
from domain.pricing.tax import Destination, TaxRate
from tests.domain.pricing_builders import (
    BERLIN,
    BUYER,
    EVERYWHERE,
    NOW,
    book,
    bundle,
    category,
    code,
    flat,
    line,
    method,
    order,
    product,
    promotion,
    rate,
    rule,
    seller,
    thing,
)

CURRENCIES = ("USD", "JPY", "KWD")
OTHER = "EUR"
PATHS: dict[int, tuple[int, ...]] = {0: (1,), 1: (1, 2), 2: (3,), 3: ()}
SHOES, SOCKS = Scope(categories=(category(1),)), Scope(products=(product(1), product(2)))

_PERCENTS = (1_000, 1, 333, 2_500, 5_000, 10_000)
_CAPS = (None, None, None, 333, 1, 0)
_AMOUNTS = (100, 7, 499, 5_000, 250, 1, 0)
_SETS = ((1, 1), (2, 1), (1, 2))
_PAIRS = ((Scope(), Scope()), (SHOES, SOCKS), (SOCKS, SOCKS), (SHOES, Scope()))

# One draw for each part of a world, not one for each field: most of the time goes into drawing.
_benefits = st.one_of(
    st.sampled_from(list(every(["percent"], Level, _PERCENTS, _CAPS))),
    st.sampled_from(list(every(["amount"], Level, _AMOUNTS))),
    st.sampled_from(list(every(["bundle"], _SETS, _PAIRS, [(10_000, None), (5_000, 1)]))),
    st.just(("shipping",)),
)
_scopes = st.sampled_from(
    [
        *[Scope()] * 9,
        SHOES,
        SOCKS,
        Scope(sellers=(seller(0),)),
        Scope(variants=(thing("variant", 0), thing("variant", 3))),
        Scope(categories=(category(2), category(3)), sellers=(seller(1), seller(2))),
        Scope(products=(product(9),)),
    ]
)
_CONDITIONS: list[dict[str, Any]] = [
    *[{}] * 8,
    {"minimum_subtotal": 100},
    *[{"minimum_subtotal": 1_990}] * 3,
    {"minimum_quantity": 3},
    {"first_order": True},
    {"users": (BUYER,)},
    {"users": (thing("user", 9),)},
    {"starts_at": NOW, "ends_at": NOW + timedelta(days=1)},
    {"starts_at": NOW + timedelta(days=1)},
    {"ends_at": NOW},
    {"uses_max": 3},
    {"uses_per_user_max": 1},
    {"minimum_subtotal": 1, "currency": OTHER},
]
_STACKINGS: list[dict[str, Any]] = [
    *[{"stacking": Stacking.STACKABLE}] * 3,
    *[{"stacking": Stacking.GROUP}] * 3,
    {"stacking": Stacking.GROUP, "group": "other"},
]
_TURNS: list[dict[str, Any]] = [{}, {"priority": 1}, {"priority": -1}, {"days_old": 1}, {"priority": 1, "days_old": 2}]
_MAKERS: list[dict[str, Any]] = [
    {},
    {},
    {"funding": Funding.SELLER},
    {"made_by": seller(0)},
    {"made_by": seller(1)},
]


def promotions(*, exclusive: bool = True) -> st.SearchStrategy[Any]:
    """Settings of a promotion; the last says whether it comes by itself."""
    stackings = [*_STACKINGS, {"stacking": Stacking.EXCLUSIVE}] if exclusive else _STACKINGS
    settings = list(every(_CONDITIONS, stackings, _TURNS, _MAKERS, [True, False]))
    return st.tuples(_benefits, _scopes, st.sampled_from(settings))


def raw_lines(most: int, units_max: int) -> st.SearchStrategy[Any]:
    """Price, units, product, seller and grams of each line."""
    prices = (100, 99, 650, 1_999, 2_450, 12_900, 10**13, 1, 0)
    fields = list(every(prices, range(1, units_max + 1), range(4), range(3), (0, 300)))
    return st.lists(st.sampled_from(fields), min_size=1, max_size=most)


SHIPPING = [
    None,
    flat(0),
    flat(590),
    Owner(
        (EVERYWHERE,),
        (method(1), method(2)),
        (rate(1, Flat(700)), rate(2, ByWeight((Step(600, 500), Step(10_000, 800))))),
    ),
]
BY_SUBTOTAL = [
    Owner((EVERYWHERE,), (method(1),), (rate(1, Flat(590), free_from=1_500),)),
    Owner(
        (EVERYWHERE,),
        (method(1), method(2)),
        (rate(1, BySubtotal((Step(100, 900), Step(2_000, 450)))), rate(2, Flat(600), free_from=5_000)),
    ),
]
TAXES = [
    (),
    (TaxRate("DE", "19", inclusive=True, on_shipping=True),),
    (TaxRate("DE", "7.25", inclusive=False), TaxRate("DE", "5", inclusive=False, region="Berlin")),
    (
        TaxRate("DE", "8.875", inclusive=False, on_shipping=True),
        TaxRate("DE", "0", inclusive=True, category_id=category(1)),
        TaxRate("DE", "100", inclusive=True, category_id=category(2)),
    ),
]
TERMS = [
    CommissionTerms(rate_bp=1_250),
    CommissionTerms(rate_bp=333, fixed_minor=25, minimum_minor=50),
    CommissionTerms(fixed_minor=500, maximum_minor=900),
    CommissionTerms(rate_bp=10_000, fixed_minor=1),
]
_rules = st.lists(st.sampled_from(list(every(TERMS, [Scope(), SHOES, SOCKS], [0, 1]))), max_size=3)


class World(Struct, frozen=True):
    """What an order is priced from, before anything of it is indexed."""

    promotions: list[StoredPromotion]
    rules: list[CommissionRule]
    taxes: list[TaxRate]
    shipping: Owner | None
    order: QuoteOrder
    usage: Usage

    @property
    def book(self) -> Book:
        return book(*self.promotions, rules=tuple(self.rules), taxes=tuple(self.taxes), shipping=self.shipping)


def _benefit(raw: tuple[Any, ...], currency: str) -> Benefit:
    match raw:
        case "percent", level, off_bp, cap:
            return PercentOff(level, off_bp, None if cap is None else Money(cap, currency))
        case "amount", level, amount:
            return AmountOff(level, Money(amount, currency))
        case "bundle", (buy, get), (buy_scope, get_scope), (off_bp, times):
            return bundle(buy, get, off_bp=off_bp, times=times, buy_scope=buy_scope, get_scope=get_scope)
        case _:
            return FreeShipping()


def made(number: int, raw: tuple[Any, ...], currency: str) -> StoredPromotion:
    """A promotion of drawn settings."""
    benefit, scope, (conditions, stacking, turn, maker, automatic) = raw
    said = {**conditions, **stacking, **turn, **maker}
    named = said.pop("currency", currency)
    if "minimum_subtotal" in said:
        said["minimum_subtotal"] = Money(said["minimum_subtotal"], named)
    # One currency in all amounts of a promotion.
    return promotion(_benefit(benefit, named), number, scope=scope, automatic=automatic, **said)


def _in(owner: Owner | None, currency: str) -> Owner | None:
    if owner is None:
        return None
    rates = tuple(structs.replace(each, currency=currency) for each in owner.rates)
    return Owner(owner.zones, owner.methods, rates)


def make(raw: tuple[Any, ...], currency: str) -> World:
    """A drawn world in a currency."""
    lines, drawn, rules, (taxes, shipping, destination, (uses, ordered)) = raw
    known = [made(n, each, currency) for n, each in enumerate(drawn, start=1)]
    codes = [code(f"Code{n}", n) for n, each in enumerate(known, start=1) if not each.content.automatic or n % 3 == 0]
    # A second code of each other promotion, one code twice, one that nobody knows.
    codes += [code(f"also{n}", n) for n in range(2, len(known) + 1, 2)]
    if len(lines) == 2:
        codes += [code("CODE1", 1)] * (bool(codes) and codes[0].text == "Code1") + [code("nobody's")]
    return World(
        promotions=known,
        rules=[rule(n, terms=terms, scope=scope, priority=at) for n, (terms, scope, at) in enumerate(rules, start=1)],
        taxes=list(taxes),
        shipping=_in(shipping, currency),
        order=order(
            *(line(price, units, n, of=of, path=PATHS[n], grams=grams) for price, units, n, of, grams in lines),
            currency=currency,
            codes=codes,
            destination=destination,
        ),
        usage=Usage(
            {each.id: uses for each in known},
            {(each.id, BUYER): uses // 2 for each in known},
            {BUYER} if ordered else set(),
        ),
    )


def raw_worlds(
    *, most: int = 4, units_max: int = 4, promotions_max: int = 6, exclusive: bool = True, by_subtotal: bool = True
) -> st.SearchStrategy[Any]:
    """Settings of a world, its currency left open."""
    shipping = SHIPPING + BY_SUBTOTAL if by_subtotal else SHIPPING
    destinations = [BERLIN, BERLIN, Destination("DE", "Hessen"), None]
    around = list(every(TAXES, shipping, destinations, [(0, False), (0, True), (2, False), (3, True)]))
    return st.tuples(
        raw_lines(most, units_max),
        st.lists(promotions(exclusive=exclusive), min_size=1, max_size=promotions_max),
        _rules,
        st.sampled_from(around),
    )


def worlds(**said: Any) -> st.SearchStrategy[World]:
    """A world in one of the currencies."""
    return st.builds(make, raw_worlds(**said), st.sampled_from(CURRENCIES))
