"""Where a request comes from: the peer, or what our own proxies say."""

from typing import Any

import pytest

from api.address import NOWHERE, Source, address_of, source_of


def scope(*forwarded: str, peer: str | None = "192.0.2.1") -> dict[str, Any]:
    """A request's scope, with one X-Forwarded-For field for each text."""
    headers = [(b"x-forwarded-for", text.encode()) for text in forwarded]
    return {"client": None if peer is None else (peer, 50000), "headers": [(b"host", b"shop"), *headers]}


def test_without_proxies_the_peer_counts_and_what_the_client_writes_does_not():
    assert address_of(scope(), 0) == "192.0.2.1"
    assert address_of(scope("203.0.113.9"), 0) == "192.0.2.1"


@pytest.mark.parametrize(
    ("forwarded", "trusted", "expected"),
    [
        (["203.0.113.9"], 1, "203.0.113.9"),
        (["10.9.9.9, 203.0.113.9"], 1, "203.0.113.9"),
        (["10.9.9.9, 203.0.113.9, 198.51.100.2"], 2, "203.0.113.9"),
        (["10.9.9.9", "203.0.113.9 , 198.51.100.2"], 2, "203.0.113.9"),
        (["203.0.113.9:4711"], 1, "203.0.113.9"),
        (["[2001:db8:1:2:3:4:5:6]:4711"], 1, "2001:db8:1:2::/64"),
        (["[2001:db8:1:2:3:4:5:6]"], 1, "2001:db8:1:2::/64"),
    ],
)
def test_behind_n_proxies_the_nth_entry_from_the_right_counts(forwarded: list[str], trusted: int, expected: str):
    assert address_of(scope(*forwarded), trusted) == expected


@pytest.mark.parametrize(
    ("forwarded", "trusted"),
    [
        ([], 1),
        (["203.0.113.9"], 2),
        ([""], 1),
        (["203.0.113.9,"], 1),
        (["unknown"], 1),
        (["203.0.113.9, _hidden"], 1),
        (["203.0.113.999"], 1),
        (["203.0.113.9:port"], 1),
        (["[203.0.113.9"], 1),
        (["\xff\xfe"], 1),
    ],
)
def test_a_header_that_is_malformed_or_too_short_leaves_the_peer(forwarded: list[str], trusted: int):
    assert address_of(scope(*forwarded), trusted) == "192.0.2.1"


def test_ipv6_counts_by_its_64_bit_network():
    first, second = (address_of(scope(peer=f"2001:db8:0:1::{n}"), 0) for n in (1, 2))
    assert first == second == "2001:db8:0:1::/64"
    assert address_of(scope(peer="2001:db8:0:2::1"), 0) != first
    assert source_of(scope(peer="2001:DB8:0:1::1"), 0) == Source("2001:db8:0:1::1", first)


def test_an_ipv4_address_in_ipv6_dress_is_itself():
    assert address_of(scope(peer="::ffff:192.0.2.1"), 0) == "192.0.2.1"


def test_a_link_local_address_counts_without_its_interface():
    assert address_of(scope(peer="fe80::1%eth0"), 0) == "fe80::/64"


@pytest.mark.parametrize("peer", [None, "", "socket"])
def test_a_peer_without_an_address_is_unknown(peer: str | None):
    assert source_of(scope(peer=peer), 0) == NOWHERE
