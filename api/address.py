"""Where a request comes from, as far as that can be believed.

Invariant: what a client writes into ``X-Forwarded-For`` itself changes nothing. Each proxy of ours appends whom it
heard the request from, so with n proxies the n-th entry from the right is the only one to believe; with none, the
socket's peer is. An IPv6 client has a whole /64 to choose its address from, so that is what counts as one.
"""

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from msgspec import Struct

_HEADER = b"x-forwarded-for"
_WITH_PORT = re.compile(r"(?:\[(?P<six>[^\]]*)\](?::\d{1,5})?|(?P<four>[\d.]+):\d{1,5})")


class Source(Struct, frozen=True):
    """Where a request comes from: an address, and whom it stands for: itself or its IPv6 network."""

    address: str
    network: str


NOWHERE = Source("", "unknown")
"""Who has no address: a client on a UNIX socket."""


def source_of(scope: Any, trusted: int) -> Source:
    """Where a request comes from, through ``trusted`` proxies.

    The peer, where the header holds fewer entries than that or is malformed.
    """
    if trusted:
        entries = b",".join(value for name, value in scope["headers"] if name == _HEADER).split(b",")
        if len(entries) >= trusted:
            found = _read(entries[-trusted].decode("latin-1").strip())
            if found is not None:
                return found
    peer = scope.get("client")
    return (_read(str(peer[0])) if peer else None) or NOWHERE


def address_of(scope: Any, trusted: int) -> str:
    """Whom a request's address stands for: what its limits are counted by."""
    return source_of(scope, trusted).network


@lru_cache(maxsize=10_000)
def _read(text: str) -> Source | None:
    with_port = _WITH_PORT.fullmatch(text)
    if with_port is not None:
        # Some proxies append the port.
        text = with_port["six"] or with_port["four"]
    try:
        address: IPv4Address | IPv6Address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is None:
            return Source(str(address), f"{IPv6Address(address.packed[:8] + bytes(8))}/64")
        address = address.ipv4_mapped
    return Source(str(address), str(address))
