"""Price lists: which of them says an offer's price."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from domain.pricing.price_lists import ListedPrice, PriceList, PriceLists
from tests.domain.pricing_builders import MOMENT, NOW, seller, thing
from tests.domain.strategies import laws

OFFER = (thing("variant", 1), seller(1))


def price_list(number, price=None, *, currency="USD", **said):
    """A list with a price of the offer: its own number unless said otherwise."""
    listed = ListedPrice(*OFFER, number if price is None else price)
    return PriceList(thing("list", number), f"List {number}", currency, (listed,), **said)


def listed(*lists, offer=OFFER, currency="USD", group=None, now=NOW):
    return PriceLists(lists).price(offer, currency, group, now)


def test_where_no_list_names_the_offer_its_own_price_holds():
    assert listed() is None
    assert listed(price_list(1), offer=(thing("variant", 1), seller(2))) is None
    assert listed(price_list(1), offer=(thing("variant", 2), seller(1))) is None


def test_a_list_says_the_price_in_its_own_currency():
    lists = price_list(1, 500), price_list(2, 80, currency="JPY"), price_list(3, 1_500, currency="KWD")
    assert [listed(*lists, currency=each) for each in ("USD", "JPY", "KWD", "EUR")] == [500, 80, 1_500, None]


def test_a_price_of_nothing_is_a_price():
    assert listed(price_list(1, 0)) == 0


def test_a_list_for_a_group_is_for_its_buyers_alone():
    trade = price_list(1, group="trade")
    assert [listed(trade, group=group) for group in ("trade", "staff", None)] == [1, None, None]


def test_a_list_for_a_group_counts_before_one_for_everybody():
    lists = price_list(1), price_list(2, group="trade")
    assert [listed(*lists, group="trade"), listed(*lists)] == [2, 1]


def test_the_highest_priority_counts_before_the_group():
    assert listed(price_list(1, priority=1), price_list(2, group="trade"), group="trade") == 1


def test_of_equals_the_lowest_id_counts():
    assert listed(price_list(2), price_list(1), price_list(3)) == 1


def test_a_list_holds_from_its_start_until_just_before_its_end():
    ends = NOW + timedelta(days=1)
    windowed = price_list(1, starts_at=NOW, ends_at=ends)
    at = NOW - MOMENT, NOW, ends - MOMENT, ends
    assert [listed(windowed, now=now) for now in at] == [None, 1, 1, None]


def test_it_is_known_whether_any_list_is_for_a_group():
    assert not PriceLists([price_list(1)]).by_group
    assert PriceLists([price_list(1), price_list(2, group="trade")]).by_group


_moments = st.sampled_from([None, None, NOW - MOMENT, NOW, NOW + MOMENT])
_settings = st.tuples(st.sampled_from([None, "trade", "staff"]), st.integers(-1, 1), _moments, _moments)


@laws(300)
@given(st.lists(_settings, max_size=6), st.sampled_from([None, "trade"]), st.randoms())
def test_the_list_that_counts_is_the_oracles(settings, group, shuffle):
    lists = [
        price_list(n, group=whose, priority=priority, starts_at=start, ends_at=end)
        for n, (whose, priority, start, end) in enumerate(settings)
    ]
    holding = [
        each
        for each in lists
        if (each.group is None or each.group == group)
        and (each.starts_at is None or each.starts_at <= NOW)
        and (each.ends_at is None or each.ends_at > NOW)
    ]
    holding.sort(key=lambda each: (-each.priority, 0 if each.group else 1, each.id))
    shuffle.shuffle(lists)
    assert listed(*lists, group=group) == (holding[0].prices[0].price_minor if holding else None)
