"""Ids: derived from commands, ordered by time, and the same as PostgreSQL's where both make them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import ids
from infra.clock import new_id
from tests.domain.strategies import laws

times = st.integers(0, (1 << 48) - 1)
entropies = st.binary(min_size=ids.ENTROPY_BYTES, max_size=ids.ENTROPY_BYTES)
commands = st.builds(ids.compose, times, entropies)
kinds = st.sampled_from(ids.Kind)
numbers = st.integers(0, ids.CHILDREN_MAX - 1)


@laws()
@given(times, entropies)
def test_an_id_is_a_uuid_of_version_7_with_its_time_in_front(time, entropy):
    made = ids.compose(time, entropy)
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert ids.unix_ms(made) == time
    assert made.int & 0xFFF == 0


@laws()
@given(st.tuples(times, entropies), st.tuples(times, entropies))
def test_ids_sort_by_the_time_they_were_made(one, other):
    if one[0] < other[0]:
        assert ids.compose(*one) < ids.compose(*other)
        assert ids.compose(*one).bytes < ids.compose(*other).bytes


@laws()
@given(commands, kinds, numbers)
def test_a_child_leads_back_to_its_command_and_number(command, kind, number):
    derived = ids.child(command, kind, number)
    assert ids.parent(derived) == command
    assert ids.child_number(derived) == number
    assert ids.unix_ms(derived) == ids.unix_ms(command)
    assert derived.version == 7


@laws()
@given(st.sets(st.tuples(commands, kinds, numbers), max_size=20))
def test_different_children_have_different_ids(children):
    assert len({ids.child(*child) for child in children}) == len(children)


@laws(50)
@given(commands, kinds, st.integers(ids.CHILDREN_MAX, 10_000) | st.integers(-10, -1))
def test_a_child_number_out_of_range_is_refused(command, kind, number):
    with pytest.raises(ValueError, match="at most 1024 children"):
        ids.child(command, kind, number)


def test_new_ids_follow_the_clock_and_leave_room_for_children():
    made = [new_id() for _ in range(1_000)]
    assert [ids.unix_ms(i) for i in made] == sorted(ids.unix_ms(i) for i in made)
    assert len(set(made)) == 1_000
    assert all(i.int & 0xFFF == 0 for i in made)


@laws()
@given(commands)
def test_an_order_number_is_twelve_digits_that_cannot_be_misread(order):
    number = ids.order_number(order)
    assert 0 <= number < 1 << 60
    text = ids.format_order_number(number)
    assert [len(group) for group in text.split("-")] == [4, 4, 4]
    assert not set(text) & set("ILOU")
    value = 0
    for digit in text.replace("-", ""):
        value = value * 32 + "0123456789ABCDEFGHJKMNPQRSTVWXYZ".index(digit)
    assert value == number


def test_neighbouring_orders_have_unrelated_numbers():
    """An order number tells neither when an order was placed nor what came next."""
    orders = [ids.compose(1_700_000_000_000, (n << 14).to_bytes(8, "big")) for n in range(16)]
    numbers = [ids.order_number(order) for order in orders]
    differing = [(a ^ b).bit_count() for a, b in pairwise(numbers)]
    assert min(differing) > 10
    assert numbers != sorted(numbers)


@pytest.mark.anyio
async def test_an_offers_stream_is_named_as_postgresql_names_it(conn):
    pairs = [(new_id(), new_id()) for _ in range(500)]
    rows = await conn.fetch(
        "SELECT v, s, md5(uuid_send(v) || uuid_send(s))::uuid AS stream"
        " FROM unnest($1::uuid[], $2::uuid[]) AS t (v, s)",
        [pair[0] for pair in pairs],
        [pair[1] for pair in pairs],
    )
    assert {(row["v"], row["s"]): row["stream"] for row in rows} == {pair: ids.offer_stream(*pair) for pair in pairs}


@pytest.mark.anyio
async def test_postgresql_reads_the_same_time_from_an_id_and_sorts_ids_as_we_do(conn):
    made = [ids.compose(1_700_000_000_000 + n * n % 997, n.to_bytes(8, "little")) for n in range(200)]
    rows = await conn.fetch(
        "SELECT i, extract(epoch FROM uuid_extract_timestamp(i)) * 1000 AS ms"
        " FROM unnest($1::uuid[]) AS t (i) ORDER BY i",
        made,
    )
    assert [row["i"] for row in rows] == sorted(made)
    assert all(int(row["ms"]) == ids.unix_ms(row["i"]) for row in rows)


def test_every_kind_of_child_has_room_in_an_id():
    parent = ids.compose(1, b"\xff" * 8)
    assert {ids.parent(ids.child(parent, kind, ids.CHILDREN_MAX - 1)) for kind in ids.Kind} == {parent}


def test_an_order_number_is_read_as_a_person_types_it():
    number = ids.order_number(new_id())
    written = ids.format_order_number(number)
    assert ids.parse_order_number(written) == number
    assert ids.parse_order_number(f" {written.lower().replace('-', ' ')} ") == number
    assert ids.parse_order_number("0O1I-l1LO-oi00") == ids.parse_order_number("0011-1110-0100")


@pytest.mark.parametrize(
    "text", ["", "7Z0K-93QM-1T8", "7Z0K-93QM-1T8CC", "7Z0K-93QM-1T8U", "7Z0K-93QM-1T8é", "7Z0K-93QM-1Tß"]
)
def test_what_is_no_order_number_is_none(text: str):
    assert ids.parse_order_number(text) is None


@laws()
@given(commands, commands, commands)
def test_what_a_command_does_about_a_thing_has_an_id_of_its_own(command, thing, other):
    made = ids.joint(command, thing)
    assert made == ids.joint(command, thing)
    assert ids.unix_ms(made) == ids.unix_ms(command)
    assert thing == other or made != ids.joint(command, other)
