"""Merging carts: no unit is lost but over a line's limit, none is there twice, and merging again does nothing."""

from collections import Counter
from collections.abc import Iterable, Sequence
from uuid import UUID

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from domain.accounts.address_model import PostalAddress
from domain.catalog.model import OfferKey
from domain.limits import Limits
from domain.money import Money
from domain.orders.cart_merge import MergePlan, add, merge
from domain.orders.cart_model import Cart, CartContent, CartLine, CartStatus
from tests.domain.pricing_builders import thing
from tests.domain.strategies import NOW, laws, make_id

GUEST, ACCOUNT = UUID(int=1), UUID(int=2)
LIMITS = Limits(order_lines_max=4, line_quantity_max=9, order_codes_max=2)
HOME = PostalAddress(name="A", line1="B", city="C", country="DE")

Units = Counter[tuple[str, OfferKey]]


def line(number: int, quantity: int = 1, price: int = 100, currency: str = "USD") -> CartLine:
    return CartLine(thing("variant", number), thing("seller", 0), quantity, Money(price, currency))


def content(*lines: CartLine, currency: str = "USD", **more: object) -> CartContent:
    return CartContent(currency, lines, **more)


def cart(number: int, owner: UUID, what: CartContent) -> Cart:
    return Cart(make_id(number), owner, 1, CartStatus.OPEN, None, what, NOW, NOW)


@st.composite
def contents(draw: st.DrawFn) -> CartContent:
    currency = draw(st.sampled_from(["USD", "EUR"]))
    numbers = draw(st.lists(st.integers(0, 5), unique=True, max_size=LIMITS.order_lines_max))
    lines = [
        line(n, draw(st.integers(1, LIMITS.line_quantity_max)), draw(st.integers(0, 3)), currency) for n in numbers
    ]
    return content(*lines, currency=currency)


@st.composite
def both(draw: st.DrawFn) -> tuple[list[Cart], list[Cart]]:
    """A guest's carts and an account's, made in any order."""
    made = draw(st.lists(st.tuples(st.booleans(), contents()), max_size=7))
    carts = [cart(n, GUEST if of_guest else ACCOUNT, what) for n, (of_guest, what) in enumerate(made)]
    return [c for c in carts if c.owner == GUEST], [c for c in carts if c.owner == ACCOUNT]


def units(carts: Iterable[Cart]) -> Units:
    found: Units = Counter()
    for each in carts:
        for one in each.content.lines:
            found[each.content.currency, one.key] += one.quantity
    return found


def sources(plan: MergePlan, cart_id: UUID, carts: Sequence[Cart]) -> list[Cart]:
    return [each for each in carts if plan.into.get(each.id, each.id) == cart_id]


@laws()
@given(both())
def test_each_cart_has_the_units_of_all_that_went_into_it_up_to_a_lines_limit(carts: tuple[list[Cart], list[Cart]]):
    plan = merge(*carts, LIMITS)
    for cart_id, merged in plan.standing.items():
        wanted = units(sources(plan, cart_id, [*carts[0], *carts[1]]))
        assert units([merged]) == Counter({key: min(n, LIMITS.line_quantity_max) for key, n in wanted.items()})


@laws()
@given(both())
def test_every_cart_stands_or_went_into_one_that_does(carts: tuple[list[Cart], list[Cart]]):
    guests, mine = carts
    plan = merge(guests, mine, LIMITS)
    assert plan.standing.keys() | plan.into.keys() == {each.id for each in [*guests, *mine]}
    assert not plan.standing.keys() & plan.into.keys()
    assert {each.id for each in guests} == plan.moved | plan.into.keys()
    assert set(plan.into.values()) <= plan.standing.keys()
    for gone, into in plan.into.items():
        before = next(each for each in guests if each.id == gone)
        assert before.content.currency == plan.standing[into].content.currency


@laws()
@given(both())
def test_merging_again_does_nothing(carts: tuple[list[Cart], list[Cart]]):
    plan = merge(*carts, LIMITS)
    again = merge([], list(plan.standing.values()), LIMITS)
    assert again == MergePlan(plan.standing, set(), {})


@laws()
@given(both())
def test_a_cart_keeps_its_limits_and_has_one_line_of_an_offer(carts: tuple[list[Cart], list[Cart]]):
    for each in merge(*carts, LIMITS).standing.values():
        keys = [one.key for one in each.content.lines]
        assert len(set(keys)) == len(keys) <= LIMITS.order_lines_max
        assert {one.unit_price.currency for one in each.content.lines if one.unit_price} <= {each.content.currency}


def test_without_a_guests_cart_nothing_changes():
    mine = [cart(1, ACCOUNT, content(line(1)))]
    assert merge([], mine, LIMITS) == MergePlan({mine[0].id: mine[0]}, set(), {})


def test_the_newest_cart_of_the_currency_takes_the_lines():
    mine = [cart(1, ACCOUNT, content(line(1))), cart(3, ACCOUNT, content(line(2)))]
    guests = [cart(2, GUEST, content(line(3))), cart(4, GUEST, content(currency="EUR"))]
    plan = merge(guests, mine, LIMITS)
    assert plan.into == {make_id(2): make_id(3)}
    assert plan.moved == {make_id(4)}


def test_the_price_the_guest_was_shown_is_kept():
    merged = add(content(line(1, 2, 100), line(2, 1, 100)), content(line(1, 3, 120)), LIMITS)
    assert merged is not None
    assert merged.lines == (line(1, 5, 120), line(2, 1, 100))


def test_what_does_not_fit_is_not_added():
    assert add(content(*map(line, range(3))), content(*map(line, range(2, 5))), LIMITS) is None


def test_codes_are_both_up_to_their_limit_ones_own_first():
    merged = add(content(codes=("A",)), content(codes=("B", "A", "C")), LIMITS)
    assert merged is not None
    assert merged.codes == ("A", "B")


def test_where_it_goes_is_the_accounts_word_and_the_guests_where_there_is_none():
    guests = content(shipping_address=HOME, email="guest@example.com")
    for mine, goes_to in ((content(), HOME), (content(shipping_address_id=GUEST), None)):
        merged = add(mine, guests, LIMITS)
        assert merged is not None
        assert (merged.shipping_address, merged.shipping_address_id) == (goes_to, mine.shipping_address_id)
        assert merged.email == "guest@example.com"
    mine = msgspec.structs.replace(guests, email="me@example.com")
    assert add(mine, guests, LIMITS) == mine
