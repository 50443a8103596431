"""``traceparent``: what counts as one, and how it goes on."""

import pytest

from infra.trace_context import id_of, onwards, read

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GIVEN = f"00-{TRACE}-{PARENT}-01"


def test_a_well_formed_one_is_taken_as_it_is():
    assert read(GIVEN) == GIVEN
    assert id_of(GIVEN) == TRACE


def test_of_a_later_version_the_known_parts_are_taken():
    assert read(f"01-{TRACE}-{PARENT}-00-what-is-to-come") == f"00-{TRACE}-{PARENT}-00"


@pytest.mark.parametrize(
    "field",
    [
        "",
        "x",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01-more",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{TRACE[1:]}-{PARENT}-01",
        f" 00-{TRACE}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01\n",
        f"01-{TRACE}-{PARENT}-01-{'x' * 600}",
    ],
)
def test_anything_else_counts_as_not_sent(field: str):
    assert read(field) is None


def test_calls_to_others_name_the_request_and_its_trace():
    assert onwards("r1", GIVEN) == {"x-request-id": "r1", "traceparent": GIVEN}
    assert onwards("r1", None) == {"x-request-id": "r1"}
    assert onwards("", None) == {}
    of_an_event = onwards(TRACE, None)["traceparent"]
    assert (read(of_an_event), id_of(of_an_event)) == (of_an_event, TRACE)
