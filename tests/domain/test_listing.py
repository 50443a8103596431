"""What a list is asked for: values as they are listed, places, and what tells one query from another."""

import hashlib
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.catalog.listing import MINOR_MAX, PLACES, ListQuery, Sort, place_of, start_of, tokens_of


@pytest.mark.parametrize(
    ("value", "forms"),
    [
        ("red", ["red"]),
        ("1.50", ["1.50", "1.5"]),
        ("100", ["100"]),
        ("1e2", ["1e2", "100"]),
        ("-0", ["-0", "0"]),
        ("0.0010", ["0.0010", "0.001"]),
        ("01", ["01"]),
        ("1e9999", ["1e9999"]),
    ],
)
def test_a_number_is_the_same_however_it_is_written(value: str, forms: list[str]):
    assert tokens_of("weight", [value]) == [f"weight={form}" for form in forms]


@given(st.integers(-(10**15), 10**15) | st.floats(-1e15, 1e15).filter(lambda n: abs(n) > 1e-9))
def test_a_number_from_json_is_found_by_its_own_digits(number: float):
    plain = tokens_of("n", [msgspec.json.encode(number).decode()])[-1].removeprefix("n=")
    assert "e" not in plain.lower()
    assert float(plain) == number


def test_a_long_value_is_looked_for_by_its_digest():
    assert tokens_of("note", ["x" * 195]) == ["note=" + "x" * 195]
    assert tokens_of("note", ["x" * 196]) == [hashlib.md5(b"note=" + b"x" * 196).hexdigest()]


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
moments = st.integers(0, 7 * 10**15).map(lambda microseconds: EPOCH + timedelta(microseconds=microseconds))


@given(st.one_of(moments, st.integers(0, MINOR_MAX), st.from_regex("[a-z0-9]{1,9}", fullmatch=True)), st.uuids())
def test_a_place_is_found_again_by_its_cursor(key: datetime | int | str, product_id: UUID):
    sort = {datetime: Sort.NEWEST, int: Sort.PRICE, str: Sort.TITLE}[type(key)]
    query = ListQuery(sort=sort, currency="USD")
    place = place_of(query, key, product_id)
    assert msgspec.json.decode(msgspec.json.encode(place), type=PLACES[sort]) == place
    assert start_of(query, place) == (key, product_id)
    assert place.query == query.digest()


def test_each_filter_makes_another_query():
    queries = [
        ListQuery(),
        ListQuery(sort=Sort.TITLE),
        ListQuery(category_id=uuid4()),
        ListQuery(seller_id=UUID(int=1)),
        ListQuery(owner_id=UUID(int=1)),
        ListQuery(currency="USD"),
        ListQuery(currency="USD", price_min=1),
        ListQuery(currency="USD", price_max=1),
        ListQuery(attributes=(("a", ("b",)),)),
        ListQuery(attributes=(("a", ("b", "c")),)),
        ListQuery(statuses=()),
    ]
    assert len({query.digest() for query in queries}) == len(queries)


def test_the_first_page_begins_before_everything():
    now = datetime.now(UTC)
    assert start_of(ListQuery(), None) > (now + timedelta(days=36_500), UUID(int=2**128 - 1))
    assert start_of(ListQuery(sort=Sort.PRICE), None) < (0, UUID(int=0))
    assert start_of(ListQuery(sort=Sort.DEAREST), None) > (MINOR_MAX, UUID(int=2**128 - 1))
    assert start_of(ListQuery(sort=Sort.TITLE), None) < ("0", UUID(int=0))
